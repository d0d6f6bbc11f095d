/**
 * What was found behind a bearer token, as a value. A denial is an outcome, not an exception; `refusalOf` turns it into
 * the refusal that the caller sees.
 */
import { GatehouseError } from './errors.ts';
import type { Plan, PlanNumbers } from './plan.ts';
import { type AdminRole, effectiveScopes, type Scope } from './scope.ts';
import type { Environment } from './token.ts';

/** A secret with its key, admin and network, as one lookup finds them. Times are the database's; flags by its clock. */
export interface SecretRecord {
  readonly digest: Buffer;
  readonly keyId: string;
  readonly keyScopes: readonly string[];
  readonly environment: Environment;
  readonly expiresAt: Date | null;
  readonly expired: boolean;
  readonly revokedAt: Date | null;
  readonly adminId: string;
  readonly adminRole: AdminRole;
  readonly adminName: string;
  readonly adminEmail: string;
  readonly adminCreatedAt: Date;
  readonly adminRemovedAt: Date | null;
  readonly networkId: string;
  readonly networkSlug: string;
  readonly networkSuspendedAt: Date | null;
  readonly plan: Plan;
  readonly numbers: PlanNumbers;
}

/** Who is calling: one key, acting for one admin, in one network. */
export interface Principal {
  readonly digest: Buffer;
  readonly keyId: string;
  readonly adminId: string;
  readonly adminRole: AdminRole;
  readonly adminName: string;
  readonly adminEmail: string;
  readonly adminCreatedAt: Date;
  readonly networkId: string;
  readonly networkSlug: string;
  readonly environment: Environment;
  readonly plan: Plan;
  readonly numbers: PlanNumbers;
  /** The key's scopes within its admin's present role. */
  readonly scopes: ReadonlySet<Scope>;
}

export type Denial =
  | { readonly status: 'missing' }
  | { readonly status: 'malformed' }
  | { readonly status: 'unknown' }
  | { readonly status: 'expired'; readonly at: Date }
  | { readonly status: 'revoked'; readonly at: Date }
  | { readonly status: 'suspended' };

export type Verification = { readonly status: 'valid'; readonly principal: Principal } | Denial;

/** The rule itself. `record` is null where no such digest is stored. */
export function judge(record: SecretRecord | null): Verification {
  if (record === null) return { status: 'unknown' };
  const endedAt = record.revokedAt ?? record.adminRemovedAt;
  if (endedAt !== null) return { status: 'revoked', at: endedAt };
  if (record.expired && record.expiresAt !== null) return { status: 'expired', at: record.expiresAt };
  if (record.networkSuspendedAt !== null) return { status: 'suspended' };
  return { status: 'valid', principal: principalOf(record) };
}

function principalOf(record: SecretRecord): Principal {
  const { digest, keyId, networkId, networkSlug, environment, plan, numbers } = record;
  const { adminId, adminRole, adminName, adminEmail, adminCreatedAt } = record;
  const admin = { adminId, adminRole, adminName, adminEmail, adminCreatedAt };
  const scopes = effectiveScopes(record.keyScopes, adminRole);
  return { digest, keyId, ...admin, networkId, networkSlug, environment, plan, numbers, scopes };
}

/** The refusal of each denial, with RFC 6750's challenge. */
export function refusalOf(denial: Denial): GatehouseError {
  switch (denial.status) {
    case 'missing':
      // RFC 6750, 3.1: a request without credentials gets no error code.
      return unauthorized(
        'UNAUTHORIZED',
        'Missing Authorization header: send `Authorization: Bearer <token>`',
        'Bearer',
      );
    case 'malformed':
      return unauthorized(
        'UNAUTHORIZED',
        'Invalid token format: send `Authorization: Bearer gk_live_…`, the whole token as it was shown',
      );
    case 'unknown':
      return unauthorized('UNAUTHORIZED', 'Invalid API token');
    case 'expired':
      return unauthorized('TOKEN_EXPIRED', `API token expired at ${denial.at.toISOString()}`);
    case 'revoked':
      return unauthorized('TOKEN_EXPIRED', `API token was revoked at ${denial.at.toISOString()}`);
    case 'suspended':
      return forbidden('Forbidden: this network is suspended');
  }
}

const INVALID_TOKEN = 'Bearer error="invalid_token"';

function unauthorized(
  code: 'UNAUTHORIZED' | 'TOKEN_EXPIRED',
  message: string,
  challenge = INVALID_TOKEN,
): GatehouseError {
  return new GatehouseError(code, message, { headers: { 'www-authenticate': challenge } });
}

/** The caller is known and may not. `missing` names the scopes that would do (RFC 6750, 3.1: insufficient_scope). */
export function forbidden(message: string, missing: readonly Scope[] = []): GatehouseError {
  const scope = missing.length === 0 ? '' : `, scope="${missing.join(' ')}"`;
  return new GatehouseError('FORBIDDEN', message, {
    headers: { 'www-authenticate': `Bearer error="insufficient_scope"${scope}` },
    ...(missing.length === 0 ? {} : { extensions: { missingScopes: missing } }),
  });
}
