/**
 * The database's clock, as a gateway knows it between two answers: what is stored or told to callers goes by it, so that a
 * gateway whose own clock is wrong makes no keys of the future. Never for a decision about access: those compare on the
 * database itself.
 */
import type pg from 'pg';
import { readEpochMs } from '../domain/unreadable.ts';
import { epochMs } from './times.ts';

/** SQL: the database's time, read by `readEpochMs`. */
export const DATABASE_NOW_MS = epochMs('clock_timestamp()');

export class DatabaseClock {
  /** What the database's time is ahead of this process's monotonic clock. */
  #offsetMs: number | null = null;

  /** Takes note of what the database has just answered, in milliseconds since 1970. */
  observe(databaseMs: number): void {
    if (!Number.isFinite(databaseMs)) throw new TypeError("the database's time cannot be read");
    this.#offsetMs = databaseMs - performance.now();
  }

  /** Milliseconds since 1970, late by what the last answer took to arrive. Throws before there was one. */
  now(): number {
    if (this.#offsetMs === null) throw new TypeError("the database's time is not known yet");
    return Math.floor(performance.now() + this.#offsetMs);
  }

  /** Asks the database. */
  async read(pool: Pick<pg.Pool, 'query'>): Promise<void> {
    const { rows } = await pool.query<{ now: unknown }>(`SELECT ${DATABASE_NOW_MS} AS now`);
    this.observe(readEpochMs(rows[0]?.now, "The database's time").getTime());
  }
}
