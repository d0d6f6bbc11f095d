/** The audit trail's words: what a change can be called, and what it can be of. */
import { toId } from './id.ts';

/** Every change that is on record. */
export const AUDIT_ACTIONS = {
  'network.created': 'The operator made the network.',
  'network.updated': 'Its slug, name, plan or numbers were changed.',
  'network.suspended': 'None of its tokens is let in from then on.',
  'network.resumed': 'Its suspension was ended.',
  'network.deleted': 'Its members were deleted batch by batch, and at last the network itself.',
  'admin.created': 'An admin was made.',
  'admin.removed':
    'An admin was removed; each key that acted for the admin ended with that, and has a `key.revoked` of its own.',
  'key.created': 'A key was made.',
  'key.updated': "A key's name, note, scopes, expiry or allowed addresses were changed.",
  'key.rotated': 'A key got a new token; the old one may live on for a while.',
  'key.overlap_ended': 'The token before a rotation was ended before its time.',
  'key.revoked': 'A key was ended.',
  'key.leaked': 'A token was reported as leaked, and ended.',
  'key.deleted': 'A key that was revoked or had expired was deleted; its events and its usage stay.',
  'members.imported': 'A batch of members was written: how many, and which fields were changed.',
  'members.upserted': 'Members were created or changed by a program: how many, and which fields were changed.',
  'member.updated': 'A member was changed: which fields.',
  'members.deleted': 'Members were deleted by a program: how many.',
} as const;
export type AuditAction = keyof typeof AUDIT_ACTIONS;

export function isAuditAction(text: string): text is AuditAction {
  return Object.hasOwn(AUDIT_ACTIONS, text);
}

/** What a change can be of: the types that have ids. */
export const AUDIT_SUBJECTS = ['Network', 'Admin', 'ApiKey', 'Member'] as const;
export type AuditSubject = (typeof AUDIT_SUBJECTS)[number];

/** What an event has of who made a change, and of what: UUIDs with their types. */
export interface AuditParties {
  readonly actorKind: string;
  readonly actorId: string | null;
  readonly subjectType: string;
  readonly subjectId: string | null;
}

/** The public id of who made the change; null for the operator, and for whoever reports a leak. */
export function actorIdOf({ actorKind, actorId }: AuditParties): string | null {
  return actorId === null ? null : toId(actorKind === 'ADMIN' ? 'Admin' : 'ApiKey', actorId);
}

/** The public id of what was changed; null where that was many things. */
export function subjectIdOf({ subjectType, subjectId }: AuditParties): string | null {
  const type = AUDIT_SUBJECTS.find((each) => each === subjectType);
  return type === undefined || subjectId === null ? null : toId(type, subjectId);
}

/** Also the default of the column `audit_events.keep_until`, for whoever writes without a setting. */
export const AUDIT_RETENTION_DEFAULT_DAYS = 730;
