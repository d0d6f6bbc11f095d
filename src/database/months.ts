/** Requests a network and month, by UTC. */
import { orNull, readCount, readEpochMs, readText } from '../domain/unreadable.ts';
import type { Pool } from './database.ts';
import { prepare, run } from './prepared.ts';
import { epochMs } from './times.ts';

export interface MonthAddition {
  readonly networkId: string;
  /** The month's first moment. */
  readonly month: Date;
  readonly requests: number;
}

export interface MonthTotal extends MonthAddition {
  /** The network's quota at that moment; null: none. */
  readonly quota: number | null;
}

/** Which flush it is: one whose answer was lost may be sent again, the same, and is added once (see services/usage/flush.ts). */
export interface MonthFlush {
  /** Of whoever counts: a UUID. */
  readonly counterId: string;
  /** Rises by one with each flush of the counter. */
  readonly sequence: number;
}

// The networks are locked against deletion, in one order for all, so that a row of one that goes fails nothing.
const ADD = `
WITH flush AS (
  INSERT INTO usage_flushes AS f (gateway_id, sequence) VALUES ($4::uuid, $5::int)
  ON CONFLICT (gateway_id) DO UPDATE SET sequence = excluded.sequence, flushed_at = clock_timestamp()
  WHERE f.sequence < excluded.sequence
  RETURNING 1 AS taken
), given AS (
  SELECT given.* FROM flush, unnest($1::uuid[], $2::timestamptz[], $3::int[]) AS given (network_id, month, requests)
), alive AS (
  SELECT n.id, n.monthly_quota FROM networks n WHERE n.id = ANY($1::uuid[]) ORDER BY n.id FOR KEY SHARE
), added AS (
  INSERT INTO network_months AS kept (network_id, month, requests)
  SELECT g.network_id, g.month, g.requests FROM given g JOIN alive ON alive.id = g.network_id
  ORDER BY g.network_id, g.month
  ON CONFLICT (network_id, month) DO UPDATE SET requests = kept.requests + excluded.requests
  RETURNING kept.network_id, kept.month, kept.requests
)
SELECT a.network_id, ${epochMs('a.month')} AS month_ms, a.requests, alive.monthly_quota AS quota
FROM added a JOIN alive ON alive.id = a.network_id
UNION ALL
SELECT m.network_id, ${epochMs('m.month')}, m.requests, n.monthly_quota
FROM unnest($1::uuid[], $2::timestamptz[]) AS given (network_id, month)
JOIN network_months m USING (network_id, month) JOIN networks n ON n.id = m.network_id
WHERE NOT EXISTS (SELECT FROM flush)`;

/**
 * Adds to the counts; gives the new totals. What is of a network that is gone is dropped. Throws UnreadableValueError: a
 * quota that cannot be compared would be none.
 */
export async function addToMonths(
  pool: Pool,
  added: readonly MonthAddition[],
  flush: MonthFlush,
): Promise<MonthTotal[]> {
  const values = [
    added.map(({ networkId }) => networkId),
    added.map(({ month }) => month),
    added.map(({ requests }) => requests),
    flush.counterId,
    flush.sequence,
  ];
  const rows = await run<Record<string, unknown>>(pool, prepare(ADD), values);
  return rows.map((row) => ({
    networkId: readText(row['network_id'], 'network_months.network_id'),
    month: readEpochMs(row['month_ms'], 'network_months.month'),
    requests: readCount(row['requests'], 'network_months.requests'),
    quota: orNull(readCount, row['quota'], 'networks.monthly_quota'),
  }));
}
