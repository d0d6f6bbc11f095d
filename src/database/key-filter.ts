/** Which keys: one meaning for a list and for a revocation of many. */
import type { KeyStatus } from '../domain/api-key.ts';
import type { Environment } from '../domain/token.ts';
import type { KeysetPage } from './keyset.ts';

export type Condition = KeysetPage['conditions'][number];

/** A key that satisfies every field that is given. In a list, any one of its values will do. Ids are UUIDs. */
export interface KeyFilter {
  readonly status?: readonly KeyStatus[] | undefined;
  readonly environment?: readonly Environment[] | undefined;
  readonly scope?: readonly string[] | undefined;
  /** The admins for whom they act. */
  readonly adminId?: readonly string[] | undefined;
  /** The keys that they were made with. */
  readonly makerKeyId?: readonly string[] | undefined;
  readonly expiresBefore?: Date | undefined;
  /** Not used since then; one that never was used counts from its making. */
  readonly unusedSince?: Date | undefined;
  /** Folded (domain/text.ts). */
  readonly nameContains?: string | undefined;
}

/** By the clock of the statement's start, as `KeyRow.expired` is. */
const STATUS =
  "CASE WHEN revoked_at IS NOT NULL THEN 'REVOKED' WHEN expires_at <= statement_timestamp() THEN 'EXPIRED' ELSE 'ACTIVE' END";

const SQL: { readonly [Field in keyof Required<KeyFilter>]: string } = {
  status: `${STATUS} = ANY($?::text[])`,
  environment: 'environment = ANY($?::key_environment[])',
  scope: 'scopes && $?::text[]',
  adminId: 'admin_id = ANY($?::uuid[])',
  makerKeyId: "(created_by_kind = 'KEY' AND created_by_id = ANY($?::uuid[]))",
  expiresBefore: 'expires_at < $?::timestamptz',
  unusedSince: 'COALESCE(last_used_at, created_at) < $?::timestamptz',
  nameContains: 'strpos(name_folded, $?::text) > 0',
};

/** Lists are sorted and without doubles, so that cursors do not depend on how a filter is spelled. */
export function keyConditions(filter: KeyFilter): Condition[] {
  return (Object.keys(SQL) as (keyof KeyFilter)[]).flatMap((field) => {
    const value = filter[field];
    if (value === undefined) return [];
    return [{ sql: SQL[field], value: Array.isArray(value) ? [...new Set(value)].sort() : value }];
  });
}
