/**
 * Writing what was counted, in one statement, which PostgreSQL does whole or not at all. Hours and days are added up in
 * it together with the minutes, so their totals are exact at every moment, however late a flush is: there is no job that
 * rolls minutes up and could have passed them by.
 *
 * A flush whose answer was lost may be sent again: each gateway process numbers its own, and the database keeps the
 * number of the last one that it took. A second copy waits for the first to end and then adds nothing.
 */
import type { Database } from '../../database/database.ts';
import { prepare, run } from '../../database/prepared.ts';
import { coarseAddress } from '../../domain/coarse-address.ts';
import type { UsageBuffer } from './buffer.ts';

export interface Flush {
  /** Of this gateway process: a UUID. */
  readonly gatewayId: string;
  /** Rises by one with each flush of the process. */
  readonly sequence: number;
  readonly counted: UsageBuffer;
}

export interface Flushed {
  /** False where the database had taken this flush already. */
  readonly taken: boolean;
  /** Digests whose last use is not written, because somebody else was changing their key just then. */
  readonly busy: readonly Buffer[];
}

/**
 * Counts are written in the order of their keys, so that the flushes of two gateways wait for each other and do not lock
 * each other up. For keys and secrets, which others change in orders of their own, a flush does not wait at all: nobody's
 * revocation or deletion can run into a deadlock with it. A gateway's clock may be ahead of the database's: nothing is
 * counted or used in the future.
 */
const FLUSH = `
WITH flush AS (
  INSERT INTO usage_flushes AS f (gateway_id, sequence) VALUES ($1::uuid, $2::int)
  ON CONFLICT (gateway_id) DO UPDATE SET sequence = excluded.sequence, flushed_at = clock_timestamp()
  WHERE f.sequence < excluded.sequence
  RETURNING clock_timestamp() AS now
), used AS (
  SELECT u.digest, u.key_id, u.network_id, LEAST(u.minute, date_trunc('minute', now, 'UTC')) AS minute,
         u.requests, u.errors, u.limited, u.cost, LEAST(u.last_at, now)::timestamptz(3) AS last_at, u.address
  FROM flush, unnest($3::bytea[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::bigint[], $8::bigint[], $9::bigint[],
                     $10::bigint[], $11::timestamptz[], $12::text[])
    AS u (digest, key_id, network_id, minute, requests, errors, limited, cost, last_at, address)
), counted AS (
  INSERT INTO usage_counts AS c (network_id, key_id, bucket, starts_at, requests, errors, limited, cost)
  SELECT network_id, key_id, bucket, starts_at, sum(requests), sum(errors), sum(limited), sum(cost)
  FROM used, LATERAL (VALUES ('MINUTE'::usage_bucket, minute), ('HOUR', date_trunc('hour', minute, 'UTC')),
                             ('DAY', date_trunc('day', minute, 'UTC'))) AS b (bucket, starts_at)
  GROUP BY network_id, key_id, bucket, starts_at HAVING sum(requests) > 0
  ORDER BY key_id, bucket, starts_at
  ON CONFLICT (key_id, bucket, starts_at) DO UPDATE SET
    requests = c.requests + excluded.requests, errors = c.errors + excluded.errors,
    limited = c.limited + excluded.limited, cost = c.cost + excluded.cost
), latest AS (
  SELECT DISTINCT ON (key_id) key_id, last_at, address FROM used ORDER BY key_id, last_at DESC
), locked AS (
  SELECT k.id FROM api_keys k JOIN latest ON latest.key_id = k.id FOR NO KEY UPDATE OF k SKIP LOCKED
), keys AS (
  UPDATE api_keys k SET
    last_used_at = GREATEST(k.last_used_at, latest.last_at),
    last_used_address = CASE WHEN k.last_used_at > latest.last_at THEN k.last_used_address ELSE latest.address END
  FROM latest, locked WHERE k.id = locked.id AND latest.key_id = locked.id
  RETURNING k.id
), latest_of_secrets AS (
  SELECT digest, max(last_at) AS last_at FROM used JOIN keys ON keys.id = used.key_id GROUP BY digest
), locked_secrets AS (
  SELECT s.digest FROM secrets s JOIN latest_of_secrets l ON l.digest = s.digest FOR NO KEY UPDATE OF s SKIP LOCKED
), secrets_used AS (
  UPDATE secrets s SET last_used_at = GREATEST(s.last_used_at, l.last_at)
  FROM latest_of_secrets l, locked_secrets WHERE s.digest = locked_secrets.digest AND l.digest = locked_secrets.digest
  RETURNING s.digest
), failed AS (
  INSERT INTO authentication_failures AS a (id, network_id, key_id, reason, minute, count)
  SELECT gen_random_uuid(), network_id, key_id, reason, LEAST(minute, date_trunc('minute', now, 'UTC')) AS minute, sum(n)
  FROM flush, unnest($13::uuid[], $14::uuid[], $15::text[], $16::timestamptz[], $17::int[])
    AS u (key_id, network_id, reason, minute, n)
  GROUP BY 2, 3, 4, 5 ORDER BY key_id, reason, 5
  ON CONFLICT (key_id, reason, minute) DO UPDATE SET count = a.count + excluded.count
), refused AS (
  INSERT INTO refused_attempts AS a (id, network_id, key_id, action, code, minute, count)
  SELECT gen_random_uuid(), network_id, key_id, action, code, LEAST(minute, date_trunc('minute', now, 'UTC')) AS minute, sum(n)
  FROM flush, unnest($18::uuid[], $19::uuid[], $20::text[], $21::text[], $22::timestamptz[], $23::int[])
    AS u (key_id, network_id, action, code, minute, n)
  GROUP BY 2, 3, 4, 5, 6 ORDER BY key_id, action, code, 6
  ON CONFLICT (key_id, action, code, minute) DO UPDATE SET count = a.count + excluded.count
)
SELECT ARRAY(
  SELECT DISTINCT used.digest FROM used JOIN secrets s ON s.digest = used.digest
  WHERE used.digest NOT IN (SELECT digest FROM secrets_used)
) AS busy FROM flush`;

export async function writeFlush(database: Pick<Database, 'pool'>, flush: Flush): Promise<Flushed> {
  const { requests, failures, attempts } = flush.counted;
  const values = [
    flush.gatewayId,
    flush.sequence,
    ...columns(
      [...requests.values()],
      [
        ({ digest }) => digest,
        ({ keyId }) => keyId,
        ({ networkId }) => networkId,
        ({ minuteMs }) => time(minuteMs),
        (entry) => entry.requests,
        ({ errors }) => errors,
        ({ limited }) => limited,
        ({ cost }) => cost,
        ({ lastAtMs }) => time(lastAtMs),
        ({ lastAddress }) => (lastAddress === null ? null : coarseAddress(lastAddress)),
      ],
    ),
    ...columns(
      [...failures.values()],
      [
        ({ keyId }) => keyId,
        ({ networkId }) => networkId,
        ({ reason }) => reason,
        ({ minuteMs }) => time(minuteMs),
        ({ count }) => count,
      ],
    ),
    ...columns(
      [...attempts.values()],
      [
        ({ keyId }) => keyId,
        ({ networkId }) => networkId,
        ({ action }) => action,
        ({ code }) => code,
        ({ minuteMs }) => time(minuteMs),
        ({ count }) => count,
      ],
    ),
  ];
  const [row] = await run<{ busy: Buffer[] }>(database.pool, prepare(FLUSH), values);
  return { taken: row !== undefined, busy: row?.busy ?? [] };
}

function columns<Entry>(entries: readonly Entry[], cells: readonly ((entry: Entry) => unknown)[]): unknown[][] {
  return cells.map((cell) => entries.map(cell));
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
