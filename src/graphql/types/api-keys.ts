/** The list of keys: its filter and its orders. */
import { type KeyFilter, keyConditions } from '../../database/key-filter.ts';
import { API_KEYS, type KeyRow } from '../../database/tables.ts';
import { badInput } from '../../domain/errors.ts';
import { type IdType, uuidOf } from '../../domain/id.ts';
import { characters, fold, hasControlCharacters, isWellFormed } from '../../domain/text.ts';
import { builder } from '../builder.ts';
import { connect, type ListSpec } from '../connection.ts';
import { declare, requiresScopes } from '../directives.ts';
import { ApiKeyRef } from './api-key.ts';
import { KeyEnvironmentEnum, KeyStatusEnum, OrderDirectionEnum, ScopeEnum } from './enums.ts';
import { atMost } from './filter.ts';
import { connectionType, PAGE_SIZE, pageArgs } from './page.ts';

const NAME_PART_MAX_CHARACTERS = 100;

export const ApiKeyFilter = builder.inputType('ApiKeyFilter', {
  description: 'Which keys: those that satisfy every field that is given. In a list, any one of its values will do.',
  fields: (t) => ({
    status: t.field({ type: [KeyStatusEnum], description: 'Whether they work.' }),
    environment: t.field({ type: [KeyEnvironmentEnum], description: 'LIVE keys or TEST keys.' }),
    scope: t.field({ type: [ScopeEnum], description: 'Keys that were given any of these.' }),
    createdBy: t.idList({ description: 'The admins for whom they act: `adm_…`.' }),
    createdByKey: t.idList({ description: 'The keys that they were made with: `key_…`.' }),
    expiresBefore: t.field({
      type: 'DateTime',
      description: 'Keys that end before then. One without an end never does.',
    }),
    unusedSince: t.field({
      type: 'DateTime',
      description: 'Keys that were not used since then; one that never was used counts from its making.',
    }),
    name: t.string({ description: 'A part of the name, without regard to case: at most 100 characters.' }),
  }),
});

const ApiKeyOrderField = builder.enumType('ApiKeyOrderField', {
  description: 'What keys can be sorted by; the id decides among equals.',
  values: {
    ID: { description: 'In the order in which they were made.' },
    CREATED_AT: { description: 'When they were made.' },
    LAST_USED_AT: { description: 'When they were last used. Those that never were count as longest ago.' },
    EXPIRES_AT: { description: 'When they end. Those that never do count as last.' },
    NAME: { description: 'By name, without regard to case, character by character (Unicode code points).' },
  },
});

const ApiKeyOrder = builder.inputType('ApiKeyOrder', {
  description: 'How keys are sorted.',
  fields: (t) => ({
    field: t.field({ type: ApiKeyOrderField, required: true, defaultValue: 'ID' }),
    direction: t.field({ type: OrderDirectionEnum, required: true, defaultValue: 'ASC' }),
  }),
});

const ApiKeyConnection = connectionType('ApiKey', ApiKeyRef);

builder.queryField('apiKeys', (t) =>
  t.field({
    type: ApiKeyConnection,
    description: "The network's keys, whoever made them, revoked ones too; by id where no order is given.",
    extensions: declare(requiresScopes('keys:read'), PAGE_SIZE),
    args: { ...pageArgs, filter: t.arg({ type: ApiKeyFilter }), orderBy: t.arg({ type: ApiKeyOrder }) },
    resolve: (_root, { filter, orderBy, ...page }, context) => connect(context, keyList(filter, orderBy), page),
  }),
);

type FilterInput = typeof ApiKeyFilter.$inferInput | null | undefined;
type OrderInput = typeof ApiKeyOrder.$inferInput | null | undefined;

const PLACES: Record<keyof typeof API_KEYS.orders, ListSpec<KeyRow>['placeOf']> = {
  ID: (key) => [key.id],
  CREATED_AT: (key) => [key.createdAt, key.id],
  LAST_USED_AT: (key) => [key.lastUsedAt, key.id],
  EXPIRES_AT: (key) => [key.expiresAt, key.id],
  NAME: (key) => [key.nameFolded, key.id],
};

function keyList(filter: FilterInput, orderBy: OrderInput): ListSpec<KeyRow> {
  const order = orderBy?.field ?? 'ID';
  return {
    table: API_KEYS,
    wanted: null,
    order,
    descending: orderBy?.direction === 'DESC',
    conditions: keyConditions(keyFilter(filter)),
    placeOf: PLACES[order],
  };
}

/** Throws BAD_USER_INPUT for a list or text over its bound. A null counts as left out. */
export function keyFilter(filter: FilterInput): KeyFilter {
  return {
    status: values(filter?.status, 'status'),
    environment: values(filter?.environment, 'environment'),
    scope: values(filter?.scope, 'scope'),
    adminId: uuids('Admin', filter?.createdBy, 'createdBy'),
    makerKeyId: uuids('ApiKey', filter?.createdByKey, 'createdByKey'),
    expiresBefore: filter?.expiresBefore ?? undefined,
    unusedSince: filter?.unusedSince ?? undefined,
    nameContains: namePart(filter?.name),
  };
}

function values<Value>(given: readonly Value[] | null | undefined, field: string): readonly Value[] | undefined {
  if (given == null) return undefined;
  const distinct = [...new Set(given)];
  atMost(distinct.length, field);
  return distinct;
}

/** What is no id of this type is nobody's: it finds nothing. */
function uuids(type: IdType, given: readonly string[] | null | undefined, field: string): string[] | undefined {
  return values(given, field)
    ?.map((id) => uuidOf(type, id))
    .filter((id) => id !== null);
}

function namePart(text: string | null | undefined): string | undefined {
  // An empty text is a part of every name: as if it were not given, so that it cannot stand for all keys.
  if (text == null || text === '') return undefined;
  const isSearchable =
    characters(text) <= NAME_PART_MAX_CHARACTERS && !hasControlCharacters(text) && isWellFormed(text);
  if (isSearchable) return fold(text);
  throw badInput(
    `\`filter.name\` takes at most ${NAME_PART_MAX_CHARACTERS} characters, and no control characters`,
    'filter.name',
  );
}
