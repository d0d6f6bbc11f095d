/** The lookup that every verification starts from: digests to what stands behind them, by the database's clock. */
import { type Plan, planNumbers } from '../domain/plan.ts';
import type { AdminRole } from '../domain/scope.ts';
import type { Environment } from '../domain/token.ts';
import type { SecretRecord } from '../domain/verification.ts';

/** One row of SECRETS_BY_DIGEST. */
export interface SecretRow {
  digest: Uint8Array;
  key_id: string;
  scopes: string[];
  environment: Environment;
  allowed_addresses: string[];
  expires_at: Date | null;
  expired: boolean;
  revoked_at: Date | null;
  admin_id: string;
  role: AdminRole;
  admin_name: string;
  admin_email: string;
  admin_created_at: Date;
  removed_at: Date | null;
  network_id: string;
  slug: string;
  suspended_at: Date | null;
  plan: Plan;
  requests_per_minute: number | null;
  network_requests_per_minute: number | null;
  cost_per_minute: number | null;
  monthly_quota: number | null;
  monthly_quota_enforced: boolean;
  month_requests: number;
  month: Date;
}

/**
 * $1: digests. LEAST ignores nulls: a secret ends with its key or before it. clock_timestamp() and not now(): inside
 * a transaction, now() is the time at which that began.
 */
export const SECRETS_BY_DIGEST = `
SELECT s.digest, s.key_id, k.scopes, k.environment::text AS environment, k.allowed_addresses,
       LEAST(s.expires_at, k.expires_at) AS expires_at,
       COALESCE(LEAST(s.expires_at, k.expires_at) <= clock_timestamp(), false) AS expired,
       k.revoked_at, a.id AS admin_id, a.role::text AS role, a.name AS admin_name, a.email AS admin_email,
       a.created_at AS admin_created_at, a.removed_at,
       n.id AS network_id, n.slug, n.suspended_at, n.plan::text AS plan,
       n.requests_per_minute, n.network_requests_per_minute, n.cost_per_minute,
       n.monthly_quota, n.monthly_quota_enforced, COALESCE(m.requests, 0)::float8 AS month_requests,
       date_trunc('month', clock_timestamp(), 'UTC') AS month
FROM secrets s
JOIN api_keys k ON k.id = s.key_id
JOIN admins a ON a.id = k.admin_id
JOIN networks n ON n.id = k.network_id
LEFT JOIN network_months m ON n.monthly_quota IS NOT NULL AND m.network_id = n.id
  AND m.month = date_trunc('month', clock_timestamp(), 'UTC')
WHERE s.digest = ANY($1::bytea[])`;

export function toSecretRecord(row: SecretRow): SecretRecord {
  return {
    digest: Buffer.from(row.digest),
    keyId: row.key_id,
    keyScopes: row.scopes,
    environment: row.environment,
    allowedAddresses: row.allowed_addresses,
    expiresAt: row.expires_at,
    expired: row.expired,
    revokedAt: row.revoked_at,
    adminId: row.admin_id,
    adminRole: row.role,
    adminName: row.admin_name,
    adminEmail: row.admin_email,
    adminCreatedAt: row.admin_created_at,
    adminRemovedAt: row.removed_at,
    networkId: row.network_id,
    networkSlug: row.slug,
    networkSuspendedAt: row.suspended_at,
    plan: row.plan,
    numbers: planNumbers(row.plan, {
      requestsPerMinute: row.requests_per_minute,
      networkRequestsPerMinute: row.network_requests_per_minute,
      costPerMinute: row.cost_per_minute,
    }),
    monthly: {
      quota: row.monthly_quota,
      enforced: row.monthly_quota_enforced,
      used: row.month_requests,
      start: row.month,
    },
  };
}
