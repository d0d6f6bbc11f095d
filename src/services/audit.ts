/** The record of changes: one event in the transaction of each. Never a secret, never a member's personal data. */
import type { Prisma } from '../database/generated/client.ts';
import { newUuid } from '../domain/id.ts';
import { type Actor, actorId } from './actor.ts';

export type AuditAction =
  | 'network.created'
  | 'network.updated'
  | 'network.suspended'
  | 'network.resumed'
  | 'network.deleted'
  | 'admin.created'
  | 'admin.removed'
  | 'key.created'
  | 'key.revoked'
  | 'members.imported';

export interface AuditEntry {
  readonly networkId: string;
  readonly action: AuditAction;
  /** On what: the UUID of a thing of this type; null where the event is about many. */
  readonly subject: { readonly type: 'Network' | 'Admin' | 'ApiKey' | 'Member'; readonly id: string | null };
  /** What changed: before and after, or counts. */
  readonly details: Prisma.InputJsonObject;
}

export async function record(
  prisma: Prisma.TransactionClient,
  actor: Actor,
  requestId: string | null,
  entry: AuditEntry,
): Promise<void> {
  await prisma.auditEvent.create({
    data: {
      id: newUuid(),
      networkId: entry.networkId,
      action: entry.action,
      actorKind: actor.kind,
      actorId: actorId(actor),
      subjectType: entry.subject.type,
      subjectId: entry.subject.id,
      details: entry.details,
      requestId,
    },
  });
}
