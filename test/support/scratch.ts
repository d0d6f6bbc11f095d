/** Databases of a test's own, on the run's server: for faults, and for what counts whole tables. */
import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { migrate } from '../../src/database/migrate/migrate.ts';
import { afterFile } from './cleanup.ts';
import { withClient } from './postgres.ts';

/** The URL of a new database, empty unless it is to be migrated; dropped after the test file. */
export async function scratchUrl({ migrated }: { readonly migrated: boolean }): Promise<string> {
  const name = `gatehouse_scratch_${randomBytes(6).toString('hex')}`;
  await withClient(inject('databaseUrl'), (client) => client.query(`CREATE DATABASE ${name}`));
  afterFile(() =>
    withClient(inject('databaseUrl'), (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)),
  );
  const url = new URL(inject('databaseUrl'));
  url.pathname = `/${name}`;
  if (migrated) await migrate({ connectionString: url.href });
  return url.href;
}
