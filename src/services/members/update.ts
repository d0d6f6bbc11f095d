/** Changing one member, known by id: what is not given stays. */
import type { Database } from '../../database/database.ts';
import type { MemberFields } from '../../domain/member.ts';
import { type Outcome, refused, type UserError } from '../../domain/user-error.ts';
import type { Origin } from '../actor.ts';
import type { Memo } from '../idempotency.ts';
import type { WriteTransaction } from '../transaction.ts';
import { changedFields, changedMember, emailKeys, type StoredMember } from './plan-batch.ts';
import { loadMember, loadMembers, storeMembers } from './store-batch.ts';
import { parseTyped, type TypedMember, userErrorOf } from './upsert.ts';
import { writeMembers } from './write-members.ts';

/** `id`: the member's UUID. */
export type UpdatedMember = Outcome<{ readonly id: string }>;

const MEMO: Memo<UpdatedMember> = {
  save: (outcome) => outcome,
  restore: async (saved) => saved as UpdatedMember,
};

export const NO_SUCH_MEMBER = refused([
  { code: 'NOT_FOUND', message: 'There is no such member', field: ['input', 'id'] },
]);

/** `id`: a UUID. */
export function updateMember(
  database: Database,
  origin: Origin,
  networkId: string,
  id: string,
  typed: TypedMember,
): Promise<UpdatedMember> {
  return writeMembers(database, origin, networkId, (transaction) => update(transaction, networkId, id, typed), MEMO);
}

async function update(
  { prisma, audit, now }: WriteTransaction,
  networkId: string,
  id: string,
  typed: TypedMember,
): Promise<UpdatedMember> {
  const before = await loadMember(prisma, networkId, id);
  if (before === null) return NO_SUCH_MEMBER;
  const parsed = parseTyped(typed, now);
  if (!parsed.ok) return refused(parsed.faults.map((fault) => userErrorOf(fault, ['input'])));
  const after = changedMember(before, parsed.member, false);
  if ('reason' in after) return refused([{ code: 'INVALID', message: after.reason, field: ['input', 'customFields'] }]);
  const others = await loadMembers(prisma, networkId, [{ line: 0, member: parsed.member }]);
  const taken = takenBy(
    others.filter((other) => other.id !== id),
    before,
    parsed.member,
  );
  if (taken.length > 0) return refused(taken);
  const changed = changedFields(before, after.value);
  if (changed.length === 0) return { ok: true, id };
  await storeMembers(prisma, networkId, { inserts: [], updates: [after.value], displaced: [] });
  const subject = { type: 'Member', id } as const;
  await audit({ networkId, action: 'member.updated', subject, details: { changedFields: changed } });
  return { ok: true, id };
}

function takenBy(others: readonly StoredMember[], before: StoredMember, fields: MemberFields): UserError[] {
  const errors: UserError[] = [];
  const { emailFolded, emailLookups, externalId } = fields;
  // A member keeps the address that it has, even while another one has its mailbox (`gatehouse member conflicts`).
  const isMoved = emailFolded !== before.emailFolded;
  if (isMoved && others.some((other) => emailKeys(other).some((key) => emailLookups.includes(key)))) {
    errors.push({ code: 'EMAIL_TAKEN', message: 'email: belongs to another member', field: ['input', 'email'] });
  }
  if (typeof externalId === 'string' && others.some((other) => other.externalId === externalId)) {
    const message = 'externalId: belongs to another member';
    errors.push({ code: 'EXTERNAL_ID_TAKEN', message, field: ['input', 'externalId'] });
  }
  return errors;
}
