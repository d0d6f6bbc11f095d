/** The database that all servers of a run share: a new one, on BENCH_DATABASE_URL's server or on an embedded one. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type Database, openDatabase } from '../../src/database/database.ts';

export interface BenchDatabase {
  readonly url: string;
  /** Such as `PostgreSQL 18.4 (embedded)`. */
  readonly version: string;
  readonly database: Database;
  close(): Promise<void>;
}

interface Server {
  readonly url: string;
  readonly kind: string;
  close(): Promise<void>;
}

export async function openBenchDatabase(): Promise<BenchDatabase> {
  const given = process.env['BENCH_DATABASE_URL'];
  const server = given === undefined || given === '' ? await embedded() : await external(given);
  try {
    const database = await openDatabase({ url: server.url, dataDir: '', poolSize: 4, statementTimeoutMs: 60_000 });
    const { rows } = await database.pool.query<{ server_version: string }>('SHOW server_version');
    return {
      url: server.url,
      version: `PostgreSQL ${rows[0]?.server_version} (${server.kind})`,
      database,
      async close() {
        await database.close();
        await server.close();
      },
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

async function embedded(): Promise<Server> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-bench-'));
  // Only here: with a server given, its binaries need not be installed.
  const { openEmbedded } = await import('../../src/database/embedded/server.ts');
  const server = await openEmbedded({ dataDir });
  const { host, port, user, database } = server.connection;
  return {
    url: `postgres://${user}@localhost/${database}?${new URLSearchParams({ host, port: String(port) })}`,
    kind: 'embedded',
    async close() {
      await server.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A database of its own, dropped in the end. */
async function external(given: string): Promise<Server> {
  const name = `gatehouse_bench_${randomBytes(6).toString('hex')}`;
  await administer(given, `CREATE DATABASE ${name}`);
  const url = new URL(given);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    kind: 'BENCH_DATABASE_URL',
    close: () => administer(given, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
