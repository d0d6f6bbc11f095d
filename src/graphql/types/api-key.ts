import type { ApiKey } from '../../database/generated/client.ts';
import { API_KEYS } from '../../database/tables.ts';
import { NO_SUCH_KEY } from '../../domain/api-key.ts';
import { uuidOf } from '../../domain/id.ts';
import { isScope } from '../../domain/scope.ts';
import type { UserError } from '../../domain/user-error.ts';
import { builder } from '../builder.ts';
import { connect, type ListSpec } from '../connection.ts';
import type { Context } from '../context.ts';
import { AUTHENTICATED, requiresScopes } from '../directives.ts';
import { AdminRef } from './admin.ts';
import { KeyEnvironmentEnum, KeyStatusEnum, OrderDirectionEnum, ScopeEnum } from './enums.ts';
import { connectionType, pageArgs } from './page.ts';
import { UserErrorRef } from './user-error.ts';

export const ApiKeyRef = builder.prismaNode('ApiKey', {
  id: { field: 'id' },
  description: 'An API key: who may call, and what they may do. Its token is shown once, when it is made.',
  extensions: requiresScopes('keys:read'),
  fields: (t) => ({
    name: t.exposeString('name', { description: "Unique among the network's keys that are not revoked." }),
    redactedToken: t.exposeString('redactedToken', { description: "The token's start and its last four characters." }),
    status: t.field({ type: KeyStatusEnum, resolve: statusOf }),
    scopes: t.field({
      type: [ScopeEnum],
      description:
        "What the key was given. What it may do is that within its admin's present role: see `Viewer.scopes`.",
      resolve: (key) => key.scopes.filter(isScope),
    }),
    environment: t.expose('environment', { type: KeyEnvironmentEnum }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    createdBy: t.field({
      type: AdminRef,
      nullable: true,
      description: 'The admin whom the key acts for, and on whose authority it was made.',
      resolve: (key, _args, { loaders }) => loaders.admin.load(key.adminId),
    }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true, description: 'Null: never.' }),
    lastUsedAt: t.expose('lastUsedAt', { type: 'DateTime', nullable: true, description: 'Null: not yet.' }),
    revokedAt: t.expose('revokedAt', { type: 'DateTime', nullable: true }),
    revokedBy: t.field({
      type: AdminRef,
      nullable: true,
      description: 'The admin on whose authority the key was revoked; null where the operator did it.',
      resolve: async (key, _args, context) => {
        const acting = await actingKey(context, key.revokedByKind, key.revokedById);
        return acting === null ? null : context.loaders.admin.load(acting.adminId);
      },
    }),
  }),
});

function actingKey({ loaders }: Context, kind: ApiKey['revokedByKind'], id: string | null) {
  return kind === 'KEY' && id !== null ? loaders.apiKey.load(id) : null;
}

builder.prismaObjectField(ApiKeyRef, 'createdByKey', (t) =>
  t.field({
    type: ApiKeyRef,
    nullable: true,
    description: 'The key that this one was made with; null where it was made otherwise.',
    resolve: (key, _args, context) => actingKey(context, key.createdByKind, key.createdById),
  }),
);

function statusOf(key: ApiKey): 'ACTIVE' | 'EXPIRED' | 'REVOKED' {
  if (key.revokedAt !== null) return 'REVOKED';
  return key.expiresAt !== null && key.expiresAt.getTime() <= Date.now() ? 'EXPIRED' : 'ACTIVE';
}

const ApiKeyFilter = builder.inputType('ApiKeyFilter', {
  description: 'Which keys: those that satisfy every field that is given. In a list, any one of its values will do.',
  fields: (t) => ({
    status: t.field({ type: [KeyStatusEnum] }),
    environment: t.field({ type: [KeyEnvironmentEnum] }),
  }),
});

const ApiKeyOrderField = builder.enumType('ApiKeyOrderField', {
  description: 'What keys can be sorted by; the id decides among equals.',
  values: {
    ID: { description: 'In the order in which they were made.' },
    CREATED_AT: { description: 'When they were made.' },
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
    extensions: requiresScopes('keys:read'),
    args: { ...pageArgs, filter: t.arg({ type: ApiKeyFilter }), orderBy: t.arg({ type: ApiKeyOrder }) },
    resolve: (_root, { filter, orderBy, ...page }, context) => connect(context, keyList(filter, orderBy), page),
  }),
);

builder.queryField('apiKey', (t) =>
  t.field({
    type: ApiKeyRef,
    nullable: true,
    description: 'One key; null where the network has none of this id.',
    extensions: requiresScopes('keys:read'),
    args: { id: t.arg.id({ required: true, description: '`key_…`' }) },
    resolve: (_root, { id }, { loaders }) => {
      const uuid = uuidOf('ApiKey', id);
      return uuid === null ? null : loaders.apiKey.load(uuid);
    },
  }),
);

const PLACES: Record<'ID' | 'CREATED_AT' | 'NAME', ListSpec<ApiKey>['placeOf']> = {
  ID: (key) => [key.id],
  CREATED_AT: (key) => [key.createdAt, key.id],
  NAME: (key) => [key.nameFolded, key.id],
};

type FilterInput = typeof ApiKeyFilter.$inferInput | null | undefined;
type OrderInput = typeof ApiKeyOrder.$inferInput | null | undefined;

function keyList(filter: FilterInput, orderBy: OrderInput): ListSpec<ApiKey> {
  const order = orderBy?.field ?? 'ID';
  const descending = orderBy?.direction === 'DESC';
  return { table: API_KEYS, wanted: null, order, descending, conditions: conditionsOf(filter), placeOf: PLACES[order] };
}

/** A key's status, as SQL sees it. */
const STATUS = `CASE WHEN revoked_at IS NOT NULL THEN 'REVOKED' WHEN expires_at <= clock_timestamp() THEN 'EXPIRED' ELSE 'ACTIVE' END`;

function conditionsOf(filter: FilterInput): ListSpec<ApiKey>['conditions'] {
  const conditions: { sql: string; value: unknown }[] = [];
  if (filter?.status)
    conditions.push({ sql: `${STATUS} = ANY($?::text[])`, value: [...new Set(filter.status)].sort() });
  if (filter?.environment) {
    const value = [...new Set(filter.environment)].sort();
    conditions.push({ sql: 'environment = ANY($?::key_environment[])', value });
  }
  return conditions;
}

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'What a new key is to be.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: "1 to 100 characters, unique among the network's keys that are not revoked.",
    }),
    scopes: t.field({
      type: [ScopeEnum],
      required: true,
      description: 'What the key may do. None that the caller lacks; an empty list leaves `me` alone.',
    }),
    expiresAt: t.field({ type: 'DateTime', description: 'When the key ends, at most ten years ahead; absent: never.' }),
    environment: t.field({ type: KeyEnvironmentEnum, required: true, defaultValue: 'LIVE' }),
  }),
});

const RevokeApiKeyInput = builder.inputType('RevokeApiKeyInput', {
  description: 'Which key to end.',
  fields: (t) => ({ id: t.id({ required: true, description: '`key_…`' }) }),
});

interface KeyPayload {
  readonly apiKey: ApiKey | null;
  readonly userErrors: readonly UserError[];
}

const CreateApiKeyPayload = builder
  .objectRef<KeyPayload & { readonly token: string | null }>('CreateApiKeyPayload')
  .implement({
    description: 'The new key with its token, or what is wrong with the input.',
    fields: (t) => ({
      apiKey: t.field({
        type: ApiKeyRef,
        nullable: true,
        extensions: AUTHENTICATED,
        resolve: (payload) => payload.apiKey,
      }),
      token: t.exposeString('token', {
        nullable: true,
        description: 'What to send as `Authorization: Bearer …`. Shown this once: only its digest is kept.',
      }),
      userErrors: t.field({ type: [UserErrorRef], resolve: (payload) => [...payload.userErrors] }),
    }),
  });

const RevokeApiKeyPayload = builder.objectRef<KeyPayload>('RevokeApiKeyPayload').implement({
  description: 'The revoked key, or why there is none.',
  fields: (t) => ({
    apiKey: t.field({
      type: ApiKeyRef,
      nullable: true,
      extensions: AUTHENTICATED,
      resolve: (payload) => payload.apiKey,
    }),
    userErrors: t.field({ type: [UserErrorRef], resolve: (payload) => [...payload.userErrors] }),
  }),
});

builder.mutationField('createApiKey', (t) =>
  t.field({
    type: CreateApiKeyPayload,
    description: "Makes a key that acts for the caller's admin. Its token is in the answer and nowhere else, ever.",
    extensions: requiresScopes('keys:write'),
    args: { input: t.arg({ type: CreateApiKeyInput, required: true }) },
    async resolve(_root, { input }, { services }) {
      const outcome = await services.createApiKey({ ...input, expiresAt: input.expiresAt ?? null });
      if (!outcome.ok) return { apiKey: null, token: null, userErrors: outcome.errors };
      return { apiKey: outcome.apiKey, token: outcome.token, userErrors: [] };
    },
  }),
);

builder.mutationField('revokeApiKey', (t) =>
  t.field({
    type: RevokeApiKeyPayload,
    description:
      'Ends a key for good. When this answers, its token is refused everywhere. Revoking a revoked key changes nothing.',
    extensions: requiresScopes('keys:write'),
    args: { input: t.arg({ type: RevokeApiKeyInput, required: true }) },
    async resolve(_root, { input }, { services }) {
      const uuid = uuidOf('ApiKey', input.id);
      const outcome = uuid === null ? NO_SUCH_KEY : await services.revokeApiKey(uuid);
      return outcome.ok ? { apiKey: outcome.apiKey, userErrors: [] } : { apiKey: null, userErrors: outcome.errors };
    },
  }),
);
