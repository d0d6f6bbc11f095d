/** Locks that a test holds in the database, to stop a request where it wants it. */
import type pg from 'pg';

export interface Lock {
  /** How many sessions wait for what is locked. */
  awaiting(): Promise<number>;
  /** Until so many sessions wait for what is locked. Throws where that does not come about. */
  untilAwaited(sessions?: number): Promise<void>;
  /** A statement in the transaction that holds the lock. */
  run(statement: string, values?: unknown[]): Promise<void>;
  /** Commits and lets go. Idempotent. */
  release(): Promise<void>;
}

const POLL_MS = 5;
const AWAITED_TIMEOUT_MS = 10_000;

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
  // Asked by another session: inside a transaction, pg_stat_activity does not change.
  const waiting = 'SELECT pid FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))';
  const awaiting = async () => (await pool.query(waiting, [rows[0]?.pid])).rowCount ?? 0;
  return {
    awaiting,
    async untilAwaited(sessions = 1) {
      const deadline = Date.now() + AWAITED_TIMEOUT_MS;
      while ((await awaiting()) < sessions) {
        if (Date.now() > deadline) throw new Error('nobody waits for the lock');
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    },
    async run(text, parameters = []) {
      await session.query(text, parameters);
    },
    release,
  };
}
