/** Which members a list has, and in which order: the inputs, and what the database is asked for them. */
import type { Member } from '../../database/generated/client.ts';
import type { KeysetCondition } from '../../database/keyset.ts';
import { EMAIL_KEY, EMAIL_LOOKUP, MEMBERS } from '../../database/tables.ts';
import { type EmailIdentity, emailIdentity } from '../../domain/email-identity.ts';
import { badInput } from '../../domain/errors.ts';
import {
  CUSTOM_FIELD_NAME_MAX_CHARACTERS,
  CUSTOM_FIELDS_MAX_BYTES,
  EMAIL_MAX_CHARACTERS,
  NAME_MAX_CHARACTERS,
} from '../../domain/member.ts';
import { characters, fold, hasControlCharacters, isWellFormed } from '../../domain/text.ts';
import { builder } from '../builder.ts';
import type { ListSpec } from '../connection.ts';
import { requiresScopes } from '../directives.ts';
import { MemberRoleEnum, MemberStatusEnum, OrderDirectionEnum } from './enums.ts';
import { atMost, FILTER_VALUES_MAX } from './filter.ts';

const CUSTOM_FILTERS_MAX = 10;
/** What the index knows of the inside of a text is three characters in a row. A shorter text is looked for at the beginning alone. */
const CONTAINED_MIN_CHARACTERS = 3;

const TimeRange = builder.inputType('TimeRange', {
  description: 'Times from one moment to another; without one of the two it is open on that side.',
  fields: (t) => ({
    from: t.field({ type: 'DateTime', description: 'This moment and later ones.' }),
    before: t.field({ type: 'DateTime', description: 'Earlier moments than this.' }),
  }),
});

const CustomFieldFilter = builder.inputType('CustomFieldFilter', {
  description: 'A custom field that has a value.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'The name of the custom field, as it is written.' }),
    equals: t.field({
      type: 'JSON',
      required: true,
      description: 'A string, a number or a boolean: equal in type and value, texts in case too.',
    }),
  }),
});

const CONTAINED = `without regard to case; where it is shorter than ${CONTAINED_MIN_CHARACTERS} characters, at the beginning alone.`;

export const MemberFilter = builder.inputType('MemberFilter', {
  description: 'Which members: those that satisfy every field that is given. In a list, any one of its values will do.',
  fields: (t) => ({
    role: t.field({ type: [MemberRoleEnum], description: 'Members in any of these roles.' }),
    status: t.field({ type: [MemberStatusEnum], description: 'Members of any of these.' }),
    tags: t.stringList({
      description: `Members with any of these tags, as they are written; at most ${FILTER_VALUES_MAX}.`,
    }),
    externalId: t.stringList({ description: `As they are written; at most ${FILTER_VALUES_MAX}.` }),
    email: t.stringList({
      description: `Whole addresses, without regard to case and to how a domain is spelled; at most ${FILTER_VALUES_MAX}.`,
      extensions: requiresScopes('members:email'),
    }),
    nameContains: t.string({ description: `Text in the name, ${CONTAINED}` }),
    emailContains: t.string({
      description: `Text in the address, ${CONTAINED}`,
      extensions: requiresScopes('members:email'),
    }),
    customFields: t.field({
      type: [CustomFieldFilter],
      description: `Members that have all of these; at most ${CUSTOM_FILTERS_MAX}.`,
    }),
    createdAt: t.field({ type: TimeRange, description: 'When they joined.' }),
    updatedAt: t.field({ type: TimeRange, description: 'When they were last changed.' }),
    lastActiveAt: t.field({ type: TimeRange, description: 'Who was never active is in no range.' }),
  }),
});

const MemberOrderField = builder.enumType('MemberOrderField', {
  description: 'What members can be sorted by; the id decides among equals.',
  values: {
    ID: { description: 'In the order in which they were added to Gatehouse. A pull in this order misses nothing.' },
    CREATED_AT: { description: 'When they joined.' },
    UPDATED_AT: { description: 'When they were last changed.' },
    NAME: { description: 'By name, without regard to case, character by character (Unicode code points).' },
    LAST_ACTIVE_AT: { description: 'When they were last active. Never counts as earlier than any time: ASC, first.' },
  },
});

export const MemberOrder = builder.inputType('MemberOrder', {
  description: 'How members are sorted.',
  fields: (t) => ({
    field: t.field({ type: MemberOrderField, required: true, defaultValue: 'ID' }),
    direction: t.field({ type: OrderDirectionEnum, required: true, defaultValue: 'ASC' }),
  }),
});

const LAST_ACTIVE = "COALESCE(last_active_at, '-infinity'::timestamptz)";

type FilterInput = typeof MemberFilter.$inferInput;
type OrderInput = typeof MemberOrder.$inferInput;

const PLACES: Record<OrderInput['field'], ListSpec<Member>['placeOf']> = {
  ID: (member) => [member.id],
  CREATED_AT: (member) => [member.createdAt, member.id],
  UPDATED_AT: (member) => [member.updatedAt, member.id],
  NAME: (member) => [member.nameFolded, member.id],
  LAST_ACTIVE_AT: (member) => [member.lastActiveAt, member.id],
};

export function memberList(
  filter: FilterInput | null | undefined,
  orderBy: OrderInput | null | undefined,
): Omit<ListSpec<Member>, 'wanted'> {
  const order = orderBy?.field ?? 'ID';
  return {
    table: MEMBERS,
    order,
    descending: orderBy?.direction === 'DESC',
    conditions: filter ? conditionsOf(filter) : [],
    placeOf: PLACES[order],
  };
}

/** What an address is looked up by; null for what PostgreSQL would refuse to look for. */
export function addressToFind(typed: string): EmailIdentity | null {
  return isFindable(typed) ? emailIdentity(typed) : null;
}

function isFindable(text: string): boolean {
  return !hasControlCharacters(text) && isWellFormed(text);
}

type Conditions = readonly KeysetCondition[];

/** As the migration `member_terms` has them: any of these values, the kind in front. */
function anyTerm(prefix: '' | 'role\n' | 'status\n', values: readonly string[]): NonNullable<KeysetCondition['terms']> {
  const sql = 'public.member_value_terms($1::uuid, $?::text[])';
  return { match: '&&', sql, value: values.map((value) => `${prefix}${value}`) };
}

function conditionsOf(filter: FilterInput): Conditions {
  const { role, status, tags, externalId, email } = filter;
  return [
    ...anyOf('role', role, (values) => ({
      sql: 'role = ANY($?::member_role[])',
      value: values,
      terms: anyTerm('role\n', values),
    })),
    ...anyOf('status', status, (values) => ({
      sql: 'status = ANY($?::member_status[])',
      value: values,
      terms: anyTerm('status\n', values),
    })),
    ...anyOf('tags', tags?.filter(isFindable), (values) => ({
      sql: 'tags && $?::text[]',
      value: values,
      terms: anyTerm('', values),
    })),
    ...anyOf('externalId', externalId?.filter(isFindable), (values) => ({
      sql: 'external_id = ANY($?::text[])',
      value: values,
      lookup: { column: 'external_id', type: 'text' },
    })),
    ...anyEmail(email?.filter(isFindable)),
    ...containing('nameContains', 'name', filter.nameContains, NAME_MAX_CHARACTERS),
    ...containing('emailContains', 'email', filter.emailContains, EMAIL_MAX_CHARACTERS),
    ...customFields(filter.customFields),
    ...between('createdAt', 'created_at', filter.createdAt),
    ...between('updatedAt', 'updated_at', filter.updatedAt),
    // The column as its index has it; and by itself, because there, never is earlier than any time.
    ...between('lastActiveAt', `last_active_at IS NOT NULL AND ${LAST_ACTIVE}`, filter.lastActiveAt),
  ];
}

/** Sorted and without doubles, so that cursors do not depend on how a filter is spelled. */
function anyOf(
  field: string,
  values: readonly string[] | null | undefined,
  condition: (values: readonly string[]) => KeysetCondition,
): Conditions {
  if (values === null || values === undefined) return [];
  atMost(values.length, field);
  return [condition(sortedSet(values))];
}

function sortedSet(values: readonly string[]): readonly string[] {
  return [...new Set(values)].sort();
}

/** Each address by all keys under which its mailbox may be stored. */
function anyEmail(addresses: readonly string[] | undefined): Conditions {
  if (addresses === undefined) return [];
  atMost(addresses.length, 'email');
  const value = sortedSet(addresses.flatMap((address) => emailIdentity(address).lookups));
  return [{ sql: `${EMAIL_KEY} = ANY($?::text[])`, value, lookup: EMAIL_LOOKUP }];
}

function containing(
  field: string,
  column: 'name' | 'email',
  typed: string | null | undefined,
  max: number,
): Conditions {
  if (typed === null || typed === undefined) return [];
  const length = characters(typed);
  if (length < 1 || length > max) {
    throw badInput(`\`filter.${field}\` must have 1 to ${max} characters, not ${length}`, `filter.${field}`);
  }
  if (!isFindable(typed)) throw badInput(`\`filter.${field}\` must not hold control characters`, `filter.${field}`);
  const folded = fold(typed);
  const text = folded.replaceAll(/[\\%_]/g, String.raw`\$&`);
  const pattern = characters(folded) < CONTAINED_MIN_CHARACTERS ? `${text}%` : `%${text}%`;
  const sql = `public.member_text_terms($1::uuid, '${column}', $?::text)`;
  return [{ sql: `${column}_folded LIKE $?::text`, value: pattern, terms: { match: '@>', sql, value: folded } }];
}

function customFields(filters: FilterInput['customFields']): Conditions {
  atMost(filters?.length ?? 0, 'customFields', CUSTOM_FILTERS_MAX);
  return (filters ?? []).flatMap(({ name, equals }, index) => {
    const field = `filter.customFields.${index}`;
    if (characters(name) > CUSTOM_FIELD_NAME_MAX_CHARACTERS || !isFindable(name)) {
      throw badInput(`\`${field}.name\` is no name of a custom field`, `${field}.name`);
    }
    const value = JSON.stringify(scalarOf(equals, `${field}.equals`));
    // Containment is what the index knows. Of a scalar it is equality.
    const fields = `{${JSON.stringify(name)}:${value}}`;
    const sql = 'public.member_field_terms($1::uuid, $?::jsonb)';
    return [{ sql: 'custom_fields @> $?::jsonb', value: fields, terms: { match: '@>', sql, value: fields } }];
  });
}

function scalarOf(value: unknown, field: string): string | number | boolean {
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return value;
  const isText = typeof value === 'string' && isWellFormed(value) && !value.includes('\0');
  if (isText && value.length <= CUSTOM_FIELDS_MAX_BYTES) return value;
  throw badInput(
    `\`${field}\` must be a string of up to ${CUSTOM_FIELDS_MAX_BYTES} characters, a number or a boolean`,
    field,
  );
}

/** `field`: the property, too. */
function between(field: string, column: string, range: FilterInput['createdAt']): Conditions {
  const { from = null, before = null } = range ?? {};
  if (from !== null && before !== null && from >= before) {
    throw badInput(`\`filter.${field}.from\` must be earlier than \`before\``, `filter.${field}.from`);
  }
  return [
    ...(from === null ? [] : [timeCondition(field, column, '>=', from)]),
    ...(before === null ? [] : [timeCondition(field, column, '<', before)]),
  ];
}

function timeCondition(property: string, column: string, compare: '<' | '>=', value: Date): KeysetCondition {
  return { sql: `${column} ${compare} $?::timestamptz`, value, reach: { property, compare } };
}
