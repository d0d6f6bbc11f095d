/**
 * What a batch of records does to the members that are there, worked out in memory: as if its records were written one
 * after the other, in the order of their lines. Pure, so that a batch can be planned again when it must be retried.
 */
import { isDeepStrictEqual } from 'node:util';
import { keysOf } from '../../domain/email-identity.ts';
import { toId } from '../../domain/id.ts';
import {
  type Json,
  type MemberFields,
  type MemberRole,
  type MemberStatus,
  mergeCustomFields,
  type Parsed,
  REQUIRED,
} from '../../domain/member.ts';
import { fold } from '../../domain/text.ts';
import { cellText } from './csv-cell.ts';
import { type Lines, linesOf } from './source.ts';

/** A member as it is stored. */
export interface StoredMember {
  readonly id: string;
  readonly externalId: string | null;
  readonly name: string;
  readonly nameFolded: string;
  readonly email: string;
  readonly emailFolded: string;
  /** Null: the folded address, or not worked out yet (database/email-identity.ts). */
  readonly emailIdentity: string | null;
  readonly role: MemberRole;
  readonly status: MemberStatus;
  readonly avatarUrl: string | null;
  readonly location: string | null;
  readonly tags: readonly string[];
  readonly timeZone: string | null;
  readonly permalink: string | null;
  readonly customFields: Readonly<Record<string, Json>>;
  /** Null: the moment at which it is stored. */
  readonly createdAt: Date | null;
  readonly lastActiveAt: Date | null;
}

/** A record of the batch: a member's fields, or why it is rejected. */
export type BatchRecord = (Lines & { readonly member: MemberFields }) | (Lines & { readonly fault: string });

export interface RejectedLine extends Lines {
  readonly reason: string;
}

/** What became of one record, with the lines of the record. */
export type RecordOutcome = Lines & Happened;

type Happened =
  | { readonly kind: 'created' | 'updated' | 'unchanged'; readonly id: string }
  | { readonly kind: 'rejected'; readonly reason: string; readonly isConflict: boolean };

export interface BatchPlan {
  readonly inserts: readonly StoredMember[];
  readonly updates: readonly StoredMember[];
  /** Ids among the updates whose address or externalId another one takes over: they must let go of it first. */
  readonly displaced: readonly string[];
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly rejected: readonly RejectedLine[];
  /** One for each record, in their order. */
  readonly outcomes: readonly RecordOutcome[];
  /** The names of the fields that an update changed, of whichever member. */
  readonly changedFields: readonly string[];
}

export interface PlanOptions {
  /** Whether the records come from CSV, where every custom value is a text. */
  readonly isTextual: boolean;
  /** Whether a new member may come without a name, and then gets one that stands in for it. */
  readonly isNameOptional: boolean;
}

/** `newId`: for members that are new. */
export function planBatch(
  records: readonly BatchRecord[],
  existing: readonly StoredMember[],
  options: PlanOptions,
  newId: () => string,
): BatchPlan {
  const planner = new Planner(existing, options, newId);
  for (const record of records) planner.take(record);
  return planner.plan();
}

/** A member under way. `before` is null for a new one. */
interface Draft {
  readonly before: StoredMember | null;
  member: StoredMember;
  isChanged: boolean;
}

class Planner {
  readonly #options: PlanOptions;
  readonly #newId: () => string;
  /** By the keys of the address (domain/email-identity.ts). */
  readonly #byEmail = new Map<string, Draft>();
  readonly #byExternalId = new Map<string, Draft>();
  readonly #drafts: Draft[] = [];
  readonly #outcomes: RecordOutcome[] = [];
  readonly #changedFields = new Set<string>();
  #created = 0;
  #updated = 0;
  #unchanged = 0;

  constructor(existing: readonly StoredMember[], options: PlanOptions, newId: () => string) {
    this.#options = options;
    this.#newId = newId;
    for (const member of existing) this.#add({ before: member, member, isChanged: false });
  }

  take(record: BatchRecord): void {
    const happened = 'fault' in record ? rejected(record.fault, false) : this.#apply(record.member);
    this.#outcomes.push({ ...linesOf(record), ...happened });
  }

  plan(): BatchPlan {
    const changed = this.#drafts.filter((draft) => draft.isChanged);
    return {
      inserts: changed.filter((draft) => draft.before === null).map((draft) => draft.member),
      updates: changed.filter((draft) => draft.before !== null).map((draft) => draft.member),
      displaced: displaced(changed),
      created: this.#created,
      updated: this.#updated,
      unchanged: this.#unchanged,
      rejected: this.#outcomes.flatMap((each) =>
        each.kind === 'rejected' ? [{ ...linesOf(each), reason: each.reason }] : [],
      ),
      outcomes: this.#outcomes,
      changedFields: [...this.#changedFields].sort(),
    };
  }

  #apply(fields: MemberFields): Happened {
    const match = this.#match(fields);
    if ('reason' in match) return rejected(match.reason, true);
    const draft = match.value;
    const { isTextual, isNameOptional } = this.#options;
    const member =
      draft === null
        ? newMember(fields, this.#newId(), isNameOptional)
        : changedMember(draft.member, fields, isTextual);
    if ('reason' in member) return rejected(member.reason, false);
    const { id } = member.value;
    if (draft === null) {
      this.#create(member.value);
      return { kind: 'created', id };
    }
    const changed = changedFields(draft.member, member.value);
    if (changed.length === 0) {
      this.#unchanged += 1;
      return { kind: 'unchanged', id };
    }
    for (const field of changed) this.#changedFields.add(field);
    this.#update(draft, member.value);
    return { kind: 'updated', id };
  }

  /** The member that a record is about: by externalId, else by address; null for a new one. */
  #match({ externalId, emailLookups }: MemberFields): Parsed<Draft | null> {
    const lookup = emailLookups.find((key) => this.#byEmail.has(key));
    const byEmail = lookup === undefined ? null : (this.#byEmail.get(lookup) ?? null);
    if (typeof externalId !== 'string') return { value: byEmail };
    const byExternalId = this.#byExternalId.get(externalId) ?? null;
    if (byExternalId === null) {
      if (byEmail === null || byEmail.member.externalId === null) return { value: byEmail };
      return { reason: 'email: belongs to a member with another externalId' };
    }
    if (byEmail === null || byEmail === byExternalId) return { value: byExternalId };
    return { reason: 'externalId and email: belong to two different members' };
  }

  #create(member: StoredMember): void {
    this.#created += 1;
    this.#add({ before: null, member, isChanged: true });
  }

  #update(draft: Draft, member: StoredMember): void {
    this.#updated += 1;
    for (const key of emailKeys(draft.member)) this.#byEmail.delete(key);
    if (draft.member.externalId !== null) this.#byExternalId.delete(draft.member.externalId);
    draft.member = member;
    draft.isChanged = true;
    this.#index(draft);
  }

  #add(draft: Draft): void {
    this.#drafts.push(draft);
    this.#index(draft);
  }

  #index(draft: Draft): void {
    for (const key of emailKeys(draft.member)) this.#byEmail.set(key, draft);
    if (draft.member.externalId !== null) this.#byExternalId.set(draft.member.externalId, draft);
  }
}

/** What an audit event says of a batch: figures and names of fields, nobody's data. */
export function auditDetails({ created, updated, unchanged, rejected, changedFields }: BatchPlan) {
  return { created, updated, unchanged, rejected: rejected.length, changedFields: [...changedFields] };
}

export function emailKeys({ emailFolded, emailIdentity }: StoredMember): readonly string[] {
  return keysOf(emailFolded, emailIdentity);
}

function rejected(reason: string, isConflict: boolean): Happened {
  return { kind: 'rejected', reason, isConflict };
}

/** The names of the fields that differ, as callers know them. */
export function changedFields(before: StoredMember, after: StoredMember): string[] {
  const names = Object.keys(after) as (keyof StoredMember)[];
  return names.filter((name) => !DERIVED.test(name) && !isDeepStrictEqual(before[name], after[name]));
}

/** What is worked out from a field that callers know. */
const DERIVED = /Folded$|^emailIdentity$/;

const PLACEHOLDER_CHARACTERS = 6;

/**
 * What a member is called of whom only the address is known: "Member 4h9zqk", with the end of their id. Not a part of the
 * address, which a token with members:read alone may not see while it sees every name; and not a number, which would have
 * to be counted in turn with all other writers.
 */
function placeholderName(id: string): string {
  return `Member ${toId('Member', id).slice(-PLACEHOLDER_CHARACTERS)}`;
}

/** The reason names the field. */
function newMember(fields: MemberFields, id: string, isNameOptional: boolean): Parsed<StoredMember> {
  const { email, emailFolded } = fields;
  const name = fields.name ?? (isNameOptional ? placeholderName(id) : undefined);
  if (email === undefined || emailFolded === undefined) return { reason: `email: ${REQUIRED} of a new member` };
  if (name === undefined) return { reason: `name: ${REQUIRED} of a new member` };
  const customFields = merged({}, fields.customFields);
  if ('reason' in customFields) return customFields;
  return {
    value: {
      id,
      email,
      emailFolded,
      emailIdentity: fields.emailIdentity ?? null,
      name,
      nameFolded: fields.nameFolded ?? fold(name),
      externalId: orKept(fields.externalId, null),
      role: fields.role ?? 'MEMBER',
      status: fields.status ?? 'ACTIVE',
      avatarUrl: orKept(fields.avatarUrl, null),
      location: orKept(fields.location, null),
      tags: orKept(fields.tags, []),
      timeZone: orKept(fields.timeZone, null),
      permalink: orKept(fields.permalink, null),
      customFields: customFields.value,
      createdAt: fields.createdAt ?? null,
      lastActiveAt: orKept(fields.lastActiveAt, null),
    },
  };
}

/** The reason names the field. */
export function changedMember(member: StoredMember, fields: MemberFields, isTextual: boolean): Parsed<StoredMember> {
  const existing = withoutShadowed(member.customFields, fields);
  const given = isTextual ? withoutSameText(existing, fields.customFields) : fields.customFields;
  const customFields = given.size === 0 ? { value: existing } : merged(existing, given);
  if ('reason' in customFields) return customFields;
  return {
    value: {
      id: member.id,
      email: fields.email ?? member.email,
      emailFolded: fields.emailFolded ?? member.emailFolded,
      emailIdentity: changedIdentity(member, fields),
      name: fields.name ?? member.name,
      nameFolded: fields.nameFolded ?? member.nameFolded,
      externalId: orKept(fields.externalId, member.externalId),
      role: fields.role ?? member.role,
      status: fields.status ?? member.status,
      avatarUrl: orKept(fields.avatarUrl, member.avatarUrl),
      location: orKept(fields.location, member.location),
      tags: fields.tags ?? member.tags,
      timeZone: orKept(fields.timeZone, member.timeZone),
      permalink: orKept(fields.permalink, member.permalink),
      customFields: customFields.value,
      createdAt: fields.createdAt ?? member.createdAt,
      lastActiveAt: orKept(fields.lastActiveAt, member.lastActiveAt),
    },
  };
}

/**
 * With the same folded address it stays as it is stored: where that is null, another member may have this mailbox, and only
 * the job that works identities out looks for it (fill-identities.ts).
 */
function changedIdentity(member: StoredMember, { emailFolded, emailIdentity }: MemberFields): string | null {
  return emailFolded === undefined || emailFolded === member.emailFolded
    ? member.emailIdentity
    : (emailIdentity ?? null);
}

/** What a record gives; what is there, where it gives nothing. Null erases. */
function orKept<Value>(given: Value | undefined, kept: Value): Value {
  return given === undefined ? kept : given;
}

/** Fields that were custom fields of some members before they were fields. */
const ONCE_CUSTOM = ['timeZone', 'permalink'] as const;

/**
 * A custom field that has the name of a field, from before there was that field, makes way for it. Nobody could erase it
 * otherwise, because no custom field may be written under that name any more.
 */
function withoutShadowed(existing: StoredMember['customFields'], fields: MemberFields): Readonly<Record<string, Json>> {
  const shadowed = ONCE_CUSTOM.filter((name) => fields[name] !== undefined && Object.hasOwn(existing, name));
  if (shadowed.length === 0) return existing;
  return Object.fromEntries(Object.entries(existing).filter(([name]) => !shadowed.some((each) => each === name)));
}

function merged(
  existing: StoredMember['customFields'],
  given: MemberFields['customFields'],
): Parsed<StoredMember['customFields']> {
  const customFields = mergeCustomFields(existing, given);
  return 'reason' in customFields ? { reason: `customFields: ${customFields.reason}` } : customFields;
}

/** A number that comes back from CSV as the text that it was exported as stays a number. */
function withoutSameText(
  existing: Readonly<Record<string, Json>>,
  given: ReadonlyMap<string, Json>,
): ReadonlyMap<string, Json> {
  const differing = [...given].filter(
    ([name, text]) => !Object.hasOwn(existing, name) || cellText(existing[name] ?? null) !== text,
  );
  return differing.length === given.size ? given : new Map(differing);
}

function displaced(changed: readonly Draft[]): string[] {
  const moved = changed.filter(({ before, member }) => before !== null && differ(before, member));
  const emails = new Set(moved.flatMap((draft) => emailKeys(draft.member)));
  const externalIds = new Set(moved.map((draft) => draft.member.externalId));
  const isTakenOver = ({ before, member }: Draft): boolean => {
    if (before === null) return false;
    const own = emailKeys(member);
    const email = emailKeys(before).some((key) => !own.includes(key) && emails.has(key));
    const externalId = before.externalId !== null && before.externalId !== member.externalId;
    return email || (externalId && externalIds.has(before.externalId));
  };
  return moved.filter(isTakenOver).map((draft) => draft.member.id);
}

function differ(before: StoredMember, after: StoredMember): boolean {
  return before.emailFolded !== after.emailFolded || before.externalId !== after.externalId;
}
