/** The lists of the record: the audit trail, and what was refused, as SQL reads and filters them. */
import type { AuditEvent, AuthenticationFailure, RefusedAttempt } from './generated/client.ts';
import type { KeysetPage, KeysetTable } from './keyset.ts';

export const AUDIT_EVENTS = {
  name: 'audit_events',
  columns: {
    id: 'id',
    networkId: 'network_id',
    action: 'action',
    actorKind: 'actor_kind',
    actorId: 'actor_id',
    adminId: 'admin_id',
    subjectType: 'subject_type',
    subjectId: 'subject_id',
    details: 'details',
    requestId: 'request_id',
    address: 'address',
    userAgent: 'user_agent',
    createdAt: 'created_at',
    keepUntil: 'keep_until',
  },
  orders: { CREATED_AT: { property: 'createdAt', type: 'timestamptz' } },
} as const satisfies KeysetTable<AuditEvent>;

const BY_MINUTE = { MINUTE: { property: 'minute', type: 'timestamptz' } } as const;

export const AUTHENTICATION_FAILURES = {
  name: 'authentication_failures',
  columns: { id: 'id', networkId: 'network_id', keyId: 'key_id', reason: 'reason', minute: 'minute', count: 'count' },
  orders: BY_MINUTE,
} as const satisfies KeysetTable<AuthenticationFailure>;

export const REFUSED_ATTEMPTS = {
  name: 'refused_attempts',
  columns: {
    id: 'id',
    networkId: 'network_id',
    keyId: 'key_id',
    action: 'action',
    code: 'code',
    minute: 'minute',
    count: 'count',
  },
  orders: BY_MINUTE,
} as const satisfies KeysetTable<RefusedAttempt>;

/** Which events: those that satisfy all that is given. Ids are UUIDs. */
export interface AuditFilter {
  readonly actions?: readonly string[] | undefined;
  readonly actorKinds?: readonly string[] | undefined;
  /** A key as the actor, or an admin: in person and by every key that acted for the admin. */
  readonly actor?: { readonly type: 'ApiKey' | 'Admin'; readonly id: string } | undefined;
  readonly subjectTypes?: readonly string[] | undefined;
  readonly subjectId?: string | undefined;
  /** From then on. */
  readonly since?: Date | undefined;
  /** Before then. */
  readonly until?: Date | undefined;
}

type Conditions = KeysetPage['conditions'];

export function auditConditions(filter: AuditFilter): Conditions {
  const { actions, actorKinds, actor, subjectTypes, subjectId, since, until } = filter;
  const actorSql = actor?.type === 'Admin' ? 'admin_id = $?::uuid' : `(actor_kind = 'KEY' AND actor_id = $?::uuid)`;
  return given([
    ['action = ANY($?::text[])', sorted(actions)],
    ['actor_kind = ANY($?::actor_kind[])', sorted(actorKinds)],
    [actorSql, actor?.id, { isIndexed: true }],
    ['subject_type = ANY($?::text[])', sorted(subjectTypes)],
    ['subject_id = $?::uuid', subjectId, { isIndexed: true }],
    ['created_at >= $?::timestamptz', since, { reach: { property: 'createdAt', compare: '>=' } }],
    ['created_at < $?::timestamptz', until, { reach: { property: 'createdAt', compare: '<' } }],
  ]);
}

/** Of the two lists of refusals: those of a key (a UUID), in minutes that begin from `since` on and before `until`. */
export function refusalConditions(filter: {
  readonly keyId?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
}): Conditions {
  return given([
    ['key_id = $?::uuid', filter.keyId],
    ['minute >= $?::timestamptz', filter.since, { reach: { property: 'minute', compare: '>=' } }],
    ['minute < $?::timestamptz', filter.until, { reach: { property: 'minute', compare: '<' } }],
  ]);
}

type Given = readonly [sql: string, value: unknown, by?: Pick<Conditions[number], 'isIndexed' | 'reach'>];

function given(conditions: readonly Given[]): Conditions {
  return conditions.flatMap(([sql, value, by]) => (value === undefined ? [] : [{ sql, value, ...by }]));
}

/** One order, so that a cursor is good for the same filter however it is written. */
function sorted(values: readonly string[] | undefined): readonly string[] | undefined {
  return values === undefined ? undefined : [...new Set(values)].sort();
}
