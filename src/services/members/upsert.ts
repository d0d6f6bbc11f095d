/** Writing many members at once, each known by externalId, else by address: as an import does, with a result for each. */
import type { Database } from '../../database/database.ts';
import { type Fault, isMemberColumn, type ParsedMember, parseMemberFields, REQUIRED } from '../../domain/member.ts';
import { type Outcome, refused, type UserError } from '../../domain/user-error.ts';
import type { Origin } from '../actor.ts';
import type { Memo } from '../idempotency.ts';
import type { WriteTransaction } from '../transaction.ts';
import { auditDetails, type BatchRecord, type PlanOptions, planBatch, type RecordOutcome } from './plan-batch.ts';
import { loadMembers, storeMembers } from './store-batch.ts';
import { writeMembers } from './write-members.ts';

export const UPSERT_MAX_MEMBERS = 1_000;

/** A member's fields as they were typed, by name. */
export interface TypedMember {
  readonly fields: ReadonlyMap<string, unknown>;
  /** Null: none are given. */
  readonly customFields: unknown;
}

export type UpsertedMember =
  | { readonly kind: 'created' | 'updated' | 'unchanged'; readonly id: string }
  | { readonly kind: 'rejected'; readonly errors: readonly UserError[] };

export type UpsertedMembers = Outcome<{ readonly results: readonly UpsertedMember[] }>;

const MEMO: Memo<readonly UpsertedMember[]> = {
  save: (results) => results,
  restore: async (saved) => saved as readonly UpsertedMember[],
};

/** Results stand in the order of the members. All that is not rejected commits together. */
export async function upsertMembers(
  database: Database,
  origin: Origin,
  networkId: string,
  typed: readonly TypedMember[],
): Promise<UpsertedMembers> {
  if (typed.length > UPSERT_MAX_MEMBERS) return refused([TOO_MANY]);
  const results = await writeMembers(
    database,
    origin,
    networkId,
    (transaction) => upsert(transaction, networkId, typed),
    MEMO,
  );
  return { ok: true, results };
}

const TOO_MANY: UserError = {
  code: 'TOO_LONG',
  message: `At most ${UPSERT_MAX_MEMBERS} members at a time`,
  field: ['input', 'members'],
};

async function upsert(
  { prisma, audit, now, newId }: WriteTransaction,
  networkId: string,
  typed: readonly TypedMember[],
): Promise<readonly UpsertedMember[]> {
  const parsed = typed.map((member, line) => ({ line, ...parse(member, now) }));
  const records = parsed.map(
    ({ line, member }): BatchRecord => (member === null ? { line, fault: '' } : { line, member }),
  );
  const plan = planBatch(records, await loadMembers(prisma, networkId, records), AS_GIVEN, newId);
  await storeMembers(prisma, networkId, plan);
  const subject = { type: 'Member', id: null } as const;
  const details = auditDetails(plan);
  if (plan.created + plan.updated > 0) await audit({ networkId, action: 'members.upserted', subject, details });
  return plan.outcomes.map((outcome, index) => resultOf(outcome, parsed[index]?.faults ?? []));
}

const AS_GIVEN: PlanOptions = { isTextual: false, isNameOptional: false };

function parse(member: TypedMember, now: Date) {
  const parsed = parseTyped(member, now);
  if (!parsed.ok) return { member: null, faults: parsed.faults };
  const { email, externalId } = parsed.member;
  const isNamed = email !== undefined || typeof externalId === 'string';
  return isNamed ? { member: parsed.member, faults: [] } : { member: null, faults: [NOT_NAMED] };
}

const NOT_NAMED: Fault = { field: 'externalId', reason: `${REQUIRED}, or an email` };

export function parseTyped({ fields, customFields }: TypedMember, now: Date): ParsedMember {
  const custom = customEntries(customFields);
  if (custom === null) return { ok: false, faults: [{ field: 'customFields', reason: 'must be an object' }] };
  const parsed = parseMemberFields(fields, custom, now);
  const externalId = fields.get('externalId');
  // What members are known by is not lost by a program's empty cell.
  if (typeof externalId !== 'string' || externalId.trim() !== '') return parsed;
  const blank: Fault = { field: 'externalId', reason: 'must not be blank; null erases it' };
  return { ok: false, faults: parsed.ok ? [blank] : [blank, ...parsed.faults] };
}

/** Null where it is no object. */
function customEntries(customFields: unknown): [string, unknown][] | null {
  if (customFields === null || customFields === undefined) return [];
  if (typeof customFields !== 'object' || Array.isArray(customFields)) return null;
  return Object.entries(customFields);
}

function resultOf(outcome: RecordOutcome, faults: readonly Fault[]): UpsertedMember {
  if (outcome.kind !== 'rejected') return { kind: outcome.kind, id: outcome.id };
  const path = ['input', 'members', String(outcome.line)];
  if (faults.length > 0) return { kind: 'rejected', errors: faults.map((fault) => userErrorOf(fault, path)) };
  const code = outcome.isConflict ? 'MEMBER_CONFLICT' : 'INVALID';
  return { kind: 'rejected', errors: [{ code, message: outcome.reason, field: path }] };
}

export function userErrorOf({ field, reason }: Fault, path: readonly string[]): UserError {
  const isCustom = field !== 'customFields' && !isMemberColumn(field);
  const parents = isCustom ? [...path, 'customFields'] : path;
  return { code: 'INVALID', message: `${field}: ${reason}`, field: [...parents, field] };
}
