/** One database server for the whole run, and one database in it; each test keeps apart by a network of its own. */
import { readdirSync } from 'node:fs';
import type pg from 'pg';
import type { TestProject } from 'vitest/node';
import { migrate } from '../../src/database/migrate/migrate.ts';
import { openScratchServer } from '../database/scratch-database.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A PostgreSQL URL: of TEST_DATABASE_URL's server, or of an embedded one. */
    databaseUrl: string;
    /** TEST_REDIS_URL; '' where there is none. */
    redisUrl: string;
    /** A Chromium's path; '' where there is none. */
    chromiumPath: string;
  }
}

const CHROMIUM_PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await openScratchServer();
  const connection = await server.createDatabase();
  await migrate(connection);
  project.provide('databaseUrl', toUrl(connection));
  project.provide('redisUrl', process.env['TEST_REDIS_URL'] ?? '');
  const chromiumPath = process.env['TEST_CHROMIUM'] ?? CHROMIUM_PATHS.find(exists) ?? '';
  project.provide('chromiumPath', chromiumPath);
  process.stdout.write(whatIsLeftOut(chromiumPath));
  return () => server.close();
}

/** What this run cannot test, in plain words. */
function whatIsLeftOut(chromiumPath: string): string {
  const sentences = [
    process.env['TEST_DATABASE_URL'] === undefined
      ? 'Run on the embedded PostgreSQL alone: TEST_DATABASE_URL names no other one.'
      : '',
    chromiumPath === '' ? 'GraphiQL is left out: there is no Chromium here, and TEST_CHROMIUM names none.' : '',
  ];
  const said = sentences.filter((sentence) => sentence !== '');
  return said.length === 0 ? '' : `\n${said.join('\n')}\n`;
}

function toUrl(connection: pg.PoolConfig): string {
  if (connection.connectionString !== undefined) return connection.connectionString;
  const { host = '', port = 5432, user = '', database = '' } = connection;
  const query = new URLSearchParams({ host, port: String(port) });
  return `postgres://${user}@localhost/${database}?${query}`;
}

function exists(path: string): boolean {
  const cut = path.lastIndexOf('/');
  try {
    return readdirSync(path.slice(0, cut)).includes(path.slice(cut + 1));
  } catch {
    return false;
  }
}
