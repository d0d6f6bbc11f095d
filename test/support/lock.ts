/** Locks that a test holds in the database, to stop a request where it wants it. */
import type pg from 'pg';

export interface Lock {
  /** Until so many sessions wait for what is locked, directly. */
  untilAwaited(sessions?: number): Promise<void>;
  /** A statement in the transaction that holds the lock. */
  run(statement: string, values?: unknown[]): Promise<void>;
  /** Commits and lets go. Idempotent. */
  release(): Promise<void>;
}

const POLL_MS = 5;

/** Runs a statement such as `LOCK TABLE members` or `SELECT … FOR UPDATE` in a transaction that stays open. */
export async function hold(pool: pg.Pool, statement: string, values: unknown[] = []): Promise<Lock> {
  const session = await pool.connect();
  let held = true;
  const release = async () => {
    if (!held) return;
    held = false;
    await session.query('COMMIT');
    session.release();
  };
  await session.query('BEGIN');
  const { rows } = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  await session.query(statement, values);
  return {
    // By another session: inside a transaction, pg_stat_activity does not change.
    async untilAwaited(sessions = 1) {
      const waiting = 'SELECT pid FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))';
      while (((await pool.query(waiting, [rows[0]?.pid])).rowCount ?? 0) < sessions) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    },
    async run(text, parameters = []) {
      await session.query(text, parameters);
    },
    release,
  };
}
