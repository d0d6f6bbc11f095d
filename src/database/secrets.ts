/** The lookup that every verification starts from: digests to what stands behind them, by the database's clock. */
import { PLANS, planNumbers } from '../domain/plan.ts';
import { ADMIN_ROLES } from '../domain/scope.ts';
import { ENVIRONMENTS } from '../domain/token.ts';
import {
  orNull,
  readBoolean,
  readCount,
  readEpochMs,
  readText,
  readTexts,
  readWord,
  UnreadableValueError,
} from '../domain/unreadable.ts';
import type { SecretRecord } from '../domain/verification.ts';
import { DATABASE_NOW_MS } from './clock.ts';
import { epochMs } from './times.ts';

/** One row of SECRETS_BY_DIGEST, as pg or Prisma reads it: nothing is believed before `toSecretRecord` has read it. */
export interface SecretRow {
  readonly digest: Uint8Array;
  readonly [column: string]: unknown;
}

/**
 * $1: digests. LEAST ignores nulls: a secret ends with its key or before it. clock_timestamp() and not now(): inside
 * a transaction, now() is the time at which that began.
 */
export const SECRETS_BY_DIGEST = `
SELECT s.digest, s.key_id, k.scopes, k.environment::text AS environment, k.allowed_addresses,
       ${epochMs('LEAST(s.expires_at, k.expires_at)')} AS expires_ms,
       COALESCE(LEAST(s.expires_at, k.expires_at) <= clock_timestamp(), false) AS expired,
       ${epochMs('k.revoked_at')} AS revoked_ms, a.id AS admin_id, a.role::text AS role, a.name AS admin_name,
       a.email AS admin_email, ${epochMs('a.created_at')} AS admin_created_ms, ${epochMs('a.removed_at')} AS removed_ms,
       n.id AS network_id, n.slug, ${epochMs('n.suspended_at')} AS suspended_ms, n.plan::text AS plan,
       n.requests_per_minute, n.network_requests_per_minute, n.cost_per_minute,
       n.monthly_quota, n.monthly_quota_enforced, COALESCE(m.requests, 0) AS month_requests,
       ${epochMs("date_trunc('month', clock_timestamp(), 'UTC')")} AS month_ms, ${DATABASE_NOW_MS} AS now_ms
FROM secrets s
JOIN api_keys k ON k.id = s.key_id
JOIN admins a ON a.id = k.admin_id
JOIN networks n ON n.id = k.network_id
LEFT JOIN network_months m ON n.monthly_quota IS NOT NULL AND m.network_id = n.id
  AND m.month = date_trunc('month', clock_timestamp(), 'UTC')
WHERE s.digest = ANY($1::bytea[])`;

/** The database's time as it looked, in milliseconds since 1970. */
export function nowOf(row: SecretRow): number {
  return readEpochMs(row['now_ms'], "The database's time").getTime();
}

/** Throws UnreadableValueError, which names the column, for a row that no decision can rest on. */
export function toSecretRecord(row: SecretRow): SecretRecord {
  const plan = readWord(PLANS, row['plan'], 'networks.plan');
  return {
    digest: readDigest(row),
    keyId: readText(row['key_id'], 'secrets.key_id'),
    keyScopes: readTexts(row['scopes'], 'api_keys.scopes'),
    environment: readWord(ENVIRONMENTS, row['environment'], 'api_keys.environment'),
    allowedAddresses: readTexts(row['allowed_addresses'], 'api_keys.allowed_addresses'),
    expiresAt: orNull(readEpochMs, row['expires_ms'], 'expires_at of a secret and its key'),
    expired: readBoolean(row['expired'], 'expires_at of a secret and its key'),
    revokedAt: orNull(readEpochMs, row['revoked_ms'], 'api_keys.revoked_at'),
    adminId: readText(row['admin_id'], 'api_keys.admin_id'),
    adminRole: readWord(ADMIN_ROLES, row['role'], 'admins.role'),
    adminName: readText(row['admin_name'], 'admins.name'),
    adminEmail: readText(row['admin_email'], 'admins.email'),
    adminCreatedAt: readEpochMs(row['admin_created_ms'], 'admins.created_at'),
    adminRemovedAt: orNull(readEpochMs, row['removed_ms'], 'admins.removed_at'),
    networkId: readText(row['network_id'], 'api_keys.network_id'),
    networkSlug: readText(row['slug'], 'networks.slug'),
    networkSuspendedAt: orNull(readEpochMs, row['suspended_ms'], 'networks.suspended_at'),
    plan,
    numbers: planNumbers(plan, {
      requestsPerMinute: orNull(readCount, row['requests_per_minute'], 'networks.requests_per_minute'),
      networkRequestsPerMinute: orNull(
        readCount,
        row['network_requests_per_minute'],
        'networks.network_requests_per_minute',
      ),
      costPerMinute: orNull(readCount, row['cost_per_minute'], 'networks.cost_per_minute'),
    }),
    monthly: {
      quota: orNull(readCount, row['monthly_quota'], 'networks.monthly_quota'),
      enforced: readBoolean(row['monthly_quota_enforced'], 'networks.monthly_quota_enforced'),
      used: readCount(row['month_requests'], 'network_months.requests'),
      start: readEpochMs(row['month_ms'], "the database's month"),
    },
  };
}

const DIGEST_BYTES = 32;

function readDigest({ digest }: SecretRow): Buffer {
  if (!(digest instanceof Uint8Array) || digest.length !== DIGEST_BYTES)
    throw new UnreadableValueError('secrets.digest');
  return Buffer.from(digest);
}
