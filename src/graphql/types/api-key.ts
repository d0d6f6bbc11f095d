import type { KeyRow } from '../../database/tables.ts';
import { hasEnded, statusOf } from '../../domain/api-key.ts';
import { uuidOf } from '../../domain/id.ts';
import { isScope } from '../../domain/scope.ts';
import { builder } from '../builder.ts';
import type { Context } from '../context.ts';
import { requiresScopes } from '../directives.ts';
import { AdminRef } from './admin.ts';
import { KeyEnvironmentEnum, KeyStatusEnum, ScopeEnum } from './enums.ts';

interface PreviousToken {
  readonly redactedToken: string;
  readonly expiresAt: Date;
  readonly lastUsedAt: Date | null;
}

const PreviousTokenRef = builder.objectRef<PreviousToken>('PreviousToken').implement({
  description: 'The token that a rotation replaced, while it still works.',
  fields: (t) => ({
    redactedToken: t.exposeString('redactedToken', { description: 'Its start and its last four characters.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'When it ends.' }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Whether something still sends it. Null: nothing has, as far as is known.',
    }),
  }),
});

export const ApiKeyRef = builder.objectRef<KeyRow>('ApiKey');

builder.node(ApiKeyRef, {
  id: { resolve: ({ id }) => id },
  description: 'An API key: who may call, and what they may do. Its token is shown once, when it is made.',
  extensions: requiresScopes('keys:read'),
  fields: (t) => ({
    name: t.exposeString('name', {
      description: "Unique among the network's keys that are neither revoked nor expired.",
    }),
    note: t.exposeString('note', { nullable: true, description: 'For people: what the key is for.' }),
    redactedToken: t.exposeString('redactedToken', { description: "The token's start and its last four characters." }),
    previousToken: t.field({
      type: PreviousTokenRef,
      nullable: true,
      description: 'The token before the last rotation, while it still works; null where there is none.',
      resolve: previousTokenOf,
    }),
    status: t.field({ type: KeyStatusEnum, description: 'Whether it works.', resolve: statusOf }),
    scopes: t.field({
      type: [ScopeEnum],
      description:
        "What the key was given. What it may do is that within its admin's present role: see `Viewer.scopes`.",
      resolve: (key) => key.scopes.filter(isScope),
    }),
    environment: t.expose('environment', { type: KeyEnvironmentEnum, description: 'A LIVE key or a TEST key.' }),
    allowedAddresses: t.stringList({
      description: 'From where it may be used: addresses and blocks of them (CIDR). An empty list: from everywhere.',
      resolve: (key) => key.allowedAddresses,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    createdBy: t.field({
      type: AdminRef,
      nullable: true,
      description: 'The admin whom the key acts for, and on whose authority it was made.',
      resolve: (key, _args, { loaders }) => loaders.admin.load(key.adminId),
    }),
    createdByKey: t.field({
      type: ApiKeyRef,
      nullable: true,
      description: 'The key that this one was made with; null where it was made otherwise, or that one was deleted.',
      resolve: (key, _args, context) => actingKey(context, key.createdByKind, key.createdById),
    }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true, description: 'Null: never.' }),
    lastUsedAt: t.expose('lastUsedAt', { type: 'DateTime', nullable: true, description: 'Null: not yet.' }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was revoked; null: it was not.',
    }),
    revokedReason: t.exposeString('revokedReason', {
      nullable: true,
      description: 'Why it was revoked, as whoever did it said: text to be shown as it is, never as HTML or a link.',
    }),
    revokedBy: t.field({
      type: AdminRef,
      nullable: true,
      description:
        'The admin on whose authority the key was revoked; null where the operator or the report of a ' +
        'leak did it, or where the key that did it has been deleted since: the audit trail has it still.',
      resolve: async (key, _args, context) => {
        const acting = await actingKey(context, key.revokedByKind, key.revokedById);
        return acting === null ? null : context.loaders.admin.load(acting.adminId);
      },
    }),
  }),
});

async function actingKey({ loaders }: Context, kind: KeyRow['revokedByKind'], id: string | null) {
  return kind === 'KEY' && id !== null ? loaders.apiKey.load(id) : null;
}

async function previousTokenOf(key: KeyRow, _args: object, { loaders }: Context): Promise<PreviousToken | null> {
  if (hasEnded(key)) return null;
  const previous = await loaders.previousSecret.load(key.id);
  if (previous === null || key.expiresAt === null || previous.expiresAt < key.expiresAt) return previous;
  return { ...previous, expiresAt: key.expiresAt };
}

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
