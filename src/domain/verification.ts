/**
 * What was found behind a bearer token, as a value. A denial is an outcome, not an exception; `refusalOf` turns it into
 * the refusal that the caller sees.
 */
import { type Address, isWithin } from './address.ts';
import { GatehouseError } from './errors.ts';
import { blocksOf } from './key-power.ts';
import type { Monthly } from './month.ts';
import type { Plan, PlanNumbers } from './plan.ts';
import { type AdminRole, effectiveScopes, type Scope } from './scope.ts';
import type { Environment } from './token.ts';
import { orNull, readBoolean, readDate, readTexts, UnreadableValueError } from './unreadable.ts';

/** A secret with its key, admin and network, as one lookup finds them. Times are the database's; flags by its clock. */
export interface SecretRecord {
  readonly digest: Buffer;
  readonly keyId: string;
  readonly keyScopes: readonly string[];
  readonly environment: Environment;
  /** Blocks as they are stored. None: from everywhere. */
  readonly allowedAddresses: readonly string[];
  /** When the secret ends, with its key or before it. */
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
  readonly monthly: Monthly;
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
  readonly allowedAddresses: readonly string[];
  /** When the secret ends, with its key or before it. */
  readonly expiresAt: Date | null;
  readonly plan: Plan;
  readonly numbers: PlanNumbers;
  readonly monthly: Monthly;
  /** The key's scopes within its admin's present role. */
  readonly scopes: ReadonlySet<Scope>;
}

/** Whose a refused token is, for the record alone: UUIDs. */
export type RefusedKey = Pick<SecretRecord, 'keyId' | 'networkId'>;

export type Denial =
  | { readonly status: 'missing' }
  | { readonly status: 'malformed' }
  | { readonly status: 'unknown' }
  | KnownDenial;

/** Of a token that is stored. */
type KnownDenial = { readonly key: RefusedKey } & (
  | { readonly status: 'expired'; readonly at: Date }
  | { readonly status: 'revoked'; readonly at: Date }
  | { readonly status: 'suspended' }
  | { readonly status: 'address not allowed'; readonly address: Address | null }
);

export type Verification = { readonly status: 'valid'; readonly principal: Principal } | Denial;

/**
 * The rule itself. `record` is null where no such digest is stored; `address` where the caller's is not known. Throws
 * UnreadableValueError where a value that it rests on cannot be read.
 */
export function judge(record: SecretRecord | null, address: Address | null): Verification {
  if (record === null) return { status: 'unknown' };
  const { keyId, networkId } = record;
  const key = { keyId, networkId };
  const ends = endsOf(record);
  const endedAt = ends.revokedAt ?? ends.adminRemovedAt;
  if (endedAt !== null) return { status: 'revoked', at: endedAt, key };
  if (ends.expiredAt !== null) return { status: 'expired', at: ends.expiredAt, key };
  if (ends.networkSuspendedAt !== null) return { status: 'suspended', key };
  if (!isAllowedFrom(address, record.allowedAddresses)) return { status: 'address not allowed', address, key };
  return { status: 'valid', principal: principalOf(record) };
}

/** What ends a token, each null where it has not. */
function endsOf(record: SecretRecord) {
  const expiresAt = orNull(readDate, record.expiresAt, 'when a token expires');
  const expired = readBoolean(record.expired, 'whether a token has expired');
  if (expired && expiresAt === null) throw new UnreadableValueError('when a token expired');
  return {
    revokedAt: orNull(readDate, record.revokedAt, 'when a token was revoked'),
    adminRemovedAt: orNull(readDate, record.adminRemovedAt, 'when an admin was removed'),
    expiredAt: expired ? expiresAt : null,
    networkSuspendedAt: orNull(readDate, record.networkSuspendedAt, 'when a network was suspended'),
  };
}

function isAllowedFrom(address: Address | null, allowed: readonly string[]): boolean {
  const texts = readTexts(allowed, 'the allowed addresses of a key');
  return texts.length === 0 || (address !== null && isWithin(address, blocksOf(texts)));
}

function principalOf(record: SecretRecord): Principal {
  const { digest, keyId, networkId, networkSlug, plan, numbers, monthly } = record;
  const { environment, allowedAddresses, expiresAt } = record;
  const { adminId, adminRole, adminName, adminEmail, adminCreatedAt } = record;
  const admin = { adminId, adminRole, adminName, adminEmail, adminCreatedAt };
  const scopes = effectiveScopes(record.keyScopes, adminRole);
  const bounds = { environment, allowedAddresses, expiresAt };
  return { digest, keyId, ...admin, networkId, networkSlug, ...bounds, plan, numbers, monthly, scopes };
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
    case 'address not allowed':
      return forbidden(
        `Forbidden: this token may not be used from ${denial.address ?? 'an address that is not known'}`,
      );
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
