/** Requests a network and month, by UTC. */
import type { Pool } from './database.ts';
import { prepare, run } from './prepared.ts';

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

// The networks are locked against deletion, in one order for all, so that a row of one that goes fails nothing.
const ADD = `
WITH given AS (
  SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::int[]) AS given (network_id, month, requests)
), alive AS (
  SELECT n.id, n.monthly_quota FROM networks n WHERE n.id = ANY($1::uuid[]) ORDER BY n.id FOR KEY SHARE
), added AS (
  INSERT INTO network_months AS kept (network_id, month, requests)
  SELECT g.network_id, g.month, g.requests FROM given g JOIN alive ON alive.id = g.network_id
  ORDER BY g.network_id, g.month
  ON CONFLICT (network_id, month) DO UPDATE SET requests = kept.requests + excluded.requests
  RETURNING kept.network_id, kept.month, kept.requests
)
SELECT a.network_id, a.month, a.requests::float8 AS requests, alive.monthly_quota AS quota
FROM added a JOIN alive ON alive.id = a.network_id`;

interface Row {
  readonly network_id: string;
  readonly month: Date;
  readonly requests: number;
  readonly quota: number | null;
}

/** Adds to the counts; gives the new totals. What is of a network that is gone is dropped. */
export async function addToMonths(pool: Pool, added: readonly MonthAddition[]): Promise<MonthTotal[]> {
  const values = [
    added.map(({ networkId }) => networkId),
    added.map(({ month }) => month),
    added.map(({ requests }) => requests),
  ];
  const rows = await run<Row & Record<string, unknown>>(pool, prepare(ADD), values);
  return rows.map(({ network_id: networkId, month, requests, quota }) => ({ networkId, month, requests, quota }));
}
