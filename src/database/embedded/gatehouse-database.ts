// The database that the gateway uses, on a server whose data folder came without it.
import { databaseUser } from './cluster.ts';
import { codeOf } from './errors.ts';
import type { Session } from './session.ts';

export const databaseName = 'gatehouse';

/** It copies some 7 MB and makes them durable. */
const createTimeoutMs = 60_000;

/** Looked for at each start, so that a first start that was killed before it was made heals. */
export async function ensureDatabase(session: Session): Promise<void> {
  const found = await session.ask('SELECT true FROM pg_database WHERE datname = $1', [databaseName]);
  if (found) return;
  const create = `CREATE DATABASE ${databaseName} OWNER ${databaseUser}`;
  await session.ask(create, [], createTimeoutMs).catch(unlessMadeMeanwhile);
}

// PostgreSQL lets two make it at once and fails the second when the first has committed.
function unlessMadeMeanwhile(error: unknown): void {
  const duplicateDatabase = '42P04';
  const uniqueViolation = '23505';
  if (![duplicateDatabase, uniqueViolation].includes(codeOf(error) ?? '')) throw error;
}
