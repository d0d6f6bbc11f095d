/** Usage as it was counted, of one network: one query, for any number of keys. */
import type pg from 'pg';
import type { UsageFigures, UsageRange } from '../domain/usage.ts';
import { prepare, run } from './prepared.ts';

/** What is in one bucket; buckets without a request have no row. */
export interface UsageRow extends UsageFigures {
  /** A UUID; of a whole network it is null. */
  readonly keyId: string | null;
  readonly startsAt: Date;
}

// As doubles: sums of bigint are numeric, which pg reads as text. They are exact up to 2^53.
const FIGURES = ['requests', 'errors', 'limited', 'cost'].map((name) => `sum(${name})::float8 AS ${name}`).join(', ');
// The planner does not see the values (parameters.ts): what is common among them in other networks is none of this one's.
const RANGE = `network_id = $1 AND bucket = (SELECT $2::usage_bucket)
  AND starts_at >= (SELECT $3::timestamptz) AND starts_at < (SELECT $4::timestamptz)`;

const OF_KEYS = `
SELECT key_id AS "keyId", starts_at AS "startsAt", ${FIGURES} FROM usage_counts
WHERE ${RANGE} AND key_id = ANY((SELECT $5::uuid[])::uuid[]) GROUP BY key_id, starts_at ORDER BY starts_at, key_id`;

const OF_NETWORK = `
SELECT NULL AS "keyId", starts_at AS "startsAt", ${FIGURES} FROM usage_counts
WHERE ${RANGE} GROUP BY starts_at ORDER BY starts_at`;

/** `keyIds`: null for the network as a whole, keys that are deleted included. */
export function usageRows(
  pool: pg.Pool,
  networkId: string,
  { bucket, since, until }: UsageRange,
  keyIds: readonly string[] | null,
): Promise<UsageRow[]> {
  const range = [networkId, bucket, since, until];
  if (keyIds === null) return run<UsageRow & pg.QueryResultRow>(pool, prepare(OF_NETWORK), range);
  return run<UsageRow & pg.QueryResultRow>(pool, prepare(OF_KEYS), [...range, keyIds]);
}

const PAGE_KEYS = 500;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

const BY_KEY = `
SELECT u.*, (SELECT name FROM api_keys k WHERE k.id = u."keyId" AND k.network_id = $1) AS name FROM (
  SELECT key_id AS "keyId", ${FIGURES} FROM usage_counts WHERE ${RANGE} AND key_id > $5::uuid
  GROUP BY key_id ORDER BY key_id LIMIT ${PAGE_KEYS}
) AS u ORDER BY u."keyId"`;

/** What a key was used in a range. */
export interface KeyUsage extends UsageFigures {
  readonly keyId: string;
  /** Null where the key is deleted. */
  readonly name: string | null;
}

/** All keys of a network that were used, by id, a page at a time. */
export async function* usageByKey(
  pool: pg.Pool,
  networkId: string,
  { bucket, since, until }: UsageRange,
): AsyncGenerator<KeyUsage[]> {
  let after = FIRST_ID;
  for (;;) {
    const values = [networkId, bucket, since, until, after];
    const page = await run<KeyUsage & pg.QueryResultRow>(pool, prepare(BY_KEY), values);
    yield page;
    after = page.at(-1)?.keyId ?? after;
    if (page.length < PAGE_KEYS) return;
  }
}
