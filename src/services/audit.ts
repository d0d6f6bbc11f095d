/** The record of changes: one event in the transaction of each. Never a secret, never a member's personal data. */
import type { Prisma } from '../database/generated/client.ts';
import type { AuditAction, AuditSubject } from '../domain/audit.ts';
import { shownUserAgent } from '../domain/redaction.ts';
import { actorId, type Origin } from './actor.ts';

export interface AuditEntry {
  readonly networkId: string;
  readonly action: AuditAction;
  /** On what: the UUID of a thing of this type; null where the event is about many. */
  readonly subject: { readonly type: AuditSubject; readonly id: string | null };
  /** What changed: before and after, or counts. */
  readonly details: Prisma.InputJsonObject;
}

/** Rows of one statement: each has a dozen values, and a statement takes 32,767. */
const EVENTS_A_STATEMENT = 1_000;

/** They are on record in the order in which they are given. `newId`: the transaction's. */
export async function record(
  prisma: Prisma.TransactionClient,
  origin: Origin,
  entries: readonly AuditEntry[],
  newId: () => string,
): Promise<void> {
  for (let from = 0; from < entries.length; from += EVENTS_A_STATEMENT) {
    const data = entries
      .slice(from, from + EVENTS_A_STATEMENT)
      .map((entry) => ({ id: newId(), ...rowOf(origin, entry) }));
    await prisma.auditEvent.createMany({ data });
  }
}

function rowOf({ actor, requestId, address, userAgent }: Origin, entry: AuditEntry) {
  return {
    networkId: entry.networkId,
    action: entry.action,
    actorKind: actor.kind,
    actorId: actorId(actor),
    adminId: actor.kind === 'KEY' ? actor.principal.adminId : null,
    subjectType: entry.subject.type,
    subjectId: entry.subject.id,
    details: entry.details,
    requestId,
    address,
    userAgent: shownUserAgent(userAgent),
  };
}
