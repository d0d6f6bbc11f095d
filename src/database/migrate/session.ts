/**
 * The one database session of a migration: a pool of exactly one connection, so that the lock, Prisma's engine and the
 * scripts share it. When a gateway is killed in the middle of a script, its server process goes on until the script
 * ends, and holds the lock until then: the next gateway waits for it and does not run into it.
 */
import pg from 'pg';
import { ConnectionPool } from '../connection-pool.ts';
import type { Limited } from '../pooled-client.ts';
import { sessionConfig } from '../session-client.ts';
import { type SessionSettings, sessionSettings, settingStatements } from '../session-settings.ts';
import { MigrationError } from './migration-error.ts';

/** Prisma's own key for its lock, so that a `prisma migrate deploy` elsewhere waits for us, too, and we for it. */
const PRISMA_LOCK = 72_707_369;
/** How long to wait for whoever else is migrating. */
export const LOCK_WAIT_MS = 120_000;
/** How long a script waits for a table: while it waits, every query of the running gateways on it waits behind. */
const TABLE_LOCK_WAIT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** For all that is neither a script nor a wait for the lock: what the engine reads of the catalog, and its records. */
const STATEMENT_MAX_MS = 60_000;
/** A gateway that is not heard of in the middle of a migration does not keep its tables locked for longer. */
const IDLE_IN_TRANSACTION_MAX_MS = 60_000;

const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Connects on first use. The caller ends it, which gives the lock back. So does an error of `session.query`, as pg then
 * closes the connection: `requireLock` sees to it that no script runs after one.
 */
export function openSession(connection: pg.PoolConfig): ConnectionPool {
  const session = new ConnectionPool({
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    ...sessionConfig(connection, settingsFor(TABLE_LOCK_WAIT_MS)),
    application_name: 'gatehouse migrate',
    max: 1,
    min: 0,
    // The lock lives as long as the connection: nothing but its end may close it, however long a script takes.
    idleTimeoutMillis: 0,
    maxLifetimeSeconds: 0,
    maxUses: Number.POSITIVE_INFINITY,
    query_timeout: 0,
    statementTimeoutMs: STATEMENT_MAX_MS,
  });
  // A connection lost while idle shows in the next query; unheard, the event would end the process.
  session.on('error', () => undefined);
  return session;
}

/** Throws a MigrationError when somebody else holds the lock for all of `waitMs`. */
export async function lock(session: pg.Pool, waitMs: number): Promise<void> {
  await session.query(settingStatements(settingsFor(waitMs)));
  try {
    const take: pg.QueryConfig & Limited = {
      text: 'SELECT pg_advisory_lock($1)',
      values: [PRISMA_LOCK],
      limit: { ms: waitMs },
    };
    await session.query(take);
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

/** A script may take as long as it needs, but waits for no table for long. */
function settingsFor(lockTimeoutMs: number): SessionSettings {
  return sessionSettings({
    statementTimeoutMs: 0,
    lockTimeoutMs,
    idleInTransactionTimeoutMs: IDLE_IN_TRANSACTION_MAX_MS,
  });
}

/** The settings that every script begins with, whatever the role's, the database's or the last script's are. */
export const SETTINGS = `RESET ALL; ${settingStatements(settingsFor(TABLE_LOCK_WAIT_MS))}`;

const HOLDS_LOCK = `
  SELECT pid FROM pg_locks
  WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND (classid, objid, objsubid) = (0, ${PRISMA_LOCK}, 1)`;

/**
 * The pool makes a closed connection anew, but not its lock: throws a MigrationError then. Returns the process id of the
 * server's side of the session.
 */
export async function requireLock(client: pg.ClientBase): Promise<number> {
  const { rows } = await client.query<{ pid: number }>(HOLDS_LOCK);
  const [session] = rows;
  if (session !== undefined) return session.pid;
  throw new MigrationError('The connection to the database was lost in the middle of migrating it: start again.');
}
