/**
 * The one database session of a migration: a pool of exactly one connection, so that the lock, Prisma's engine and the
 * scripts share it. When a gateway is killed in the middle of a script, its server process goes on until the script
 * ends, and holds the lock until then: the next gateway waits for it and does not run into it.
 */
import pg from 'pg';
import { MigrationError } from './migration-error.ts';

/** Prisma's own key for its lock, so that a `prisma migrate deploy` elsewhere waits for us, too, and we for it. */
const PRISMA_LOCK = 72_707_369;
/** How long to wait for whoever else is migrating. */
export const LOCK_WAIT_MS = 120_000;
/** How long a script waits for a table: while it waits, every query of the running gateways on it waits behind. */
const TABLE_LOCK_WAIT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 10_000;

const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Connects on first use. The caller ends it, which gives the lock back. So does an error of `session.query`, as pg then
 * closes the connection: `requireLock` sees to it that no script runs after one.
 */
export function openSession(connection: pg.PoolConfig): pg.Pool {
  const session = new pg.Pool({
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    ...connection,
    application_name: 'gatehouse migrate',
    max: 1,
    min: 0,
    // The lock lives as long as the connection: nothing but its end may close it, however long a script takes.
    idleTimeoutMillis: 0,
    maxLifetimeSeconds: 0,
    maxUses: Number.POSITIVE_INFINITY,
    query_timeout: 0,
  });
  // A connection lost while idle shows in the next query; unheard, the event would end the process.
  session.on('error', () => undefined);
  return session;
}

/** Throws a MigrationError when somebody else holds the lock for all of `waitMs`. */
export async function lock(session: pg.Pool, waitMs: number): Promise<void> {
  await session.query(`SET statement_timeout = 0; SET lock_timeout = ${waitMs}`);
  try {
    await session.query('SELECT pg_advisory_lock($1)', [PRISMA_LOCK]);
  } catch (cause) {
    if (!(cause instanceof pg.DatabaseError) || cause.code !== LOCK_NOT_AVAILABLE) throw cause;
    throw new MigrationError(
      `Another gateway, or prisma migrate deploy, has been migrating this database for ${waitMs / 1_000} seconds: ` +
        'start again when it is done.',
      { cause },
    );
  }
  await session.query(SETTINGS);
}

/** The settings that every script begins with, whatever the role's, the database's or the last script's are. */
export const SETTINGS = `RESET ALL;
  SET search_path = public;
  SET statement_timeout = 0;
  SET idle_in_transaction_session_timeout = 0;
  SET lock_timeout = ${TABLE_LOCK_WAIT_MS}`;

const HOLDS_LOCK = `
  SELECT FROM pg_locks
  WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND (classid, objid, objsubid) = (0, ${PRISMA_LOCK}, 1)`;

/** The pool makes a closed connection anew, but not its lock: throws a MigrationError then. */
export async function requireLock(client: pg.ClientBase): Promise<void> {
  const { rowCount } = await client.query(HOLDS_LOCK);
  if (rowCount === null || rowCount === 0) {
    throw new MigrationError('The connection to the database was lost in the middle of migrating it: start again.');
  }
}
