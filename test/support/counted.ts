/** What was counted of a network, as its tables have it, and a gateway that writes it often. */
import { expect } from 'vitest';
import type { Database } from '../../src/database/database.ts';

/** A flush interval for tests that wait for one, in milliseconds. */
export const FLUSH_SETTINGS = { USAGE_FLUSH_INTERVAL_MS: '50' };

export interface Counted {
  readonly requests: number;
  readonly errors: number;
  readonly limited: number;
  readonly cost: number;
}

/** The totals of a network, or of one of its keys, by the length of the bucket. */
export async function totals(
  { pool }: Pick<Database, 'pool'>,
  where: { readonly networkId: string } | { readonly keyId: string },
): Promise<Record<'MINUTE' | 'HOUR' | 'DAY', Counted>> {
  const [column, id] = 'keyId' in where ? ['key_id', where.keyId] : ['network_id', where.networkId];
  const { rows } = await pool.query(
    `SELECT bucket, sum(requests)::int AS requests, sum(errors)::int AS errors, sum(limited)::int AS limited,
            sum(cost)::int AS cost
     FROM usage_counts WHERE ${column} = $1 GROUP BY bucket`,
    [id],
  );
  const none = { requests: 0, errors: 0, limited: 0, cost: 0 };
  const found = Object.fromEntries(rows.map(({ bucket, ...counted }) => [bucket, counted]));
  return { MINUTE: none, HOUR: none, DAY: none, ...found };
}

/** Waits until so many requests of a network, or of a key, are written; all buckets agree then. */
export async function untilCounted(
  database: Pick<Database, 'pool'>,
  where: { readonly networkId: string } | { readonly keyId: string },
  requests: number,
): Promise<Counted> {
  const read = () => totals(database, where);
  await expect.poll(async () => (await read()).MINUTE.requests, { timeout: 15_000, interval: 20 }).toBe(requests);
  const { MINUTE, HOUR, DAY } = await read();
  expect([HOUR, DAY]).toEqual([MINUTE, MINUTE]);
  return MINUTE;
}
