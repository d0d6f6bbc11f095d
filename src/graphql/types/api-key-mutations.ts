/** What can be done to keys. */
import type { KeyRow } from '../../database/tables.ts';
import {
  ALLOWED_ADDRESSES_MAX,
  KEY_NAME_MAX_CHARACTERS,
  KEY_NOTE_MAX_CHARACTERS,
  NO_SUCH_KEY,
  OVERLAP_MAX_SECONDS,
  REASON_MAX_CHARACTERS,
  TOKEN_ALREADY_SHOWN,
} from '../../domain/api-key.ts';
import { badInput } from '../../domain/errors.ts';
import { toId, uuidOf } from '../../domain/id.ts';
import type { Outcome, UserError } from '../../domain/user-error.ts';
import { builder, type ObjectFields } from '../builder.ts';
import { cost, declare, rateLimit, requiresScopes, WRITE_POINTS } from '../directives.ts';
import { ApiKeyRef } from './api-key.ts';
import { KeyEnvironmentEnum, ScopeEnum } from './enums.ts';
import { userErrorsField } from './user-error.ts';

export interface KeyPayload {
  readonly apiKey: KeyRow | null;
  readonly userErrors: readonly UserError[];
}

type TokenPayload = KeyPayload & { readonly token: string | null };

export function payloadOf<Value extends { readonly apiKey: KeyRow }>(outcome: Outcome<Value>): KeyPayload {
  return outcome.ok ? { apiKey: outcome.apiKey, userErrors: [] } : { apiKey: null, userErrors: outcome.errors };
}

function tokenPayloadOf(outcome: Outcome<{ readonly apiKey: KeyRow; readonly token: string | null }>): TokenPayload {
  if (!outcome.ok) return { ...payloadOf(outcome), token: null };
  const { apiKey, token } = outcome;
  return { apiKey, token, userErrors: token === null ? [TOKEN_ALREADY_SHOWN] : [] };
}

/** `apiKey` of a payload: it takes the scope of its type, as the query `apiKey` does (see ../payload-scopes.ts). */
export function keyField<Payload extends KeyPayload>(t: ObjectFields<Payload>) {
  const description = 'The key as it is now. It needs `keys:read`; the change itself does not.';
  return t.field({ type: ApiKeyRef, nullable: true, description, resolve: ({ apiKey }) => apiKey });
}

/** The payload of a mutation of one key. */
function keyPayload(name: string, description: string) {
  return builder.objectRef<KeyPayload>(name).implement({
    description,
    fields: (t) => ({ apiKey: keyField(t), userErrors: userErrorsField(t) }),
  });
}

function tokenPayload(name: string, description: string) {
  return builder.objectRef<TokenPayload>(name).implement({
    description,
    fields: (t) => ({
      apiKey: keyField(t),
      token: t.exposeString('token', {
        nullable: true,
        description: 'The token, shown this once: it is not stored and cannot be shown again.',
      }),
      userErrors: userErrorsField(t),
    }),
  });
}

const NAME = `1 to ${KEY_NAME_MAX_CHARACTERS} characters, unique among the network's keys that are neither revoked nor expired, without control characters and what cannot be seen.`;
const NOTE = `For people: what the key is for, at most ${KEY_NOTE_MAX_CHARACTERS} characters.`;
const ADDRESSES = `From where it may be used: up to ${ALLOWED_ADDRESSES_MAX} addresses or blocks (CIDR), IPv4 and IPv6; none: from everywhere.`;
export const REASON = `Why, for people: at most ${REASON_MAX_CHARACTERS} characters.`;
export const KEY_ID = '`key_…`';

/** The `extensions` of a change of keys. */
export const WRITE = declare(requiresScopes('keys:write'), cost(WRITE_POINTS));
/** And of making them: so many a minute. */
const MAKES_KEYS = declare(WRITE, rateLimit(10));

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'What a new key is to be.',
  fields: (t) => ({
    name: t.string({ required: true, description: NAME }),
    note: t.string({ description: NOTE }),
    scopes: t.field({
      type: [ScopeEnum],
      required: true,
      description: 'What the key may do. None that the caller lacks; an empty list leaves `me` alone.',
    }),
    expiresAt: t.field({
      type: 'DateTime',
      description: "When the key ends, a minute to ten years ahead, and not after the caller's own; absent: never.",
    }),
    environment: t.field({
      type: KeyEnvironmentEnum,
      required: true,
      defaultValue: 'LIVE',
      description: 'A TEST key makes TEST keys alone.',
    }),
    allowedAddresses: t.stringList({ description: `${ADDRESSES} Within the caller's own, where it has such.` }),
  }),
});

builder.mutationField('createApiKey', (t) =>
  t.field({
    type: tokenPayload('CreateApiKeyPayload', 'The new key with its token, or why there is none.'),
    description: `Makes a key that acts for the caller's admin. Its token is in the answer and nowhere else, ever.`,
    extensions: MAKES_KEYS,
    args: { input: t.arg({ type: CreateApiKeyInput, required: true }) },
    async resolve(_root, { input }, { services }) {
      const { note = null, expiresAt = null, allowedAddresses } = input;
      const given = { ...input, note, expiresAt, allowedAddresses: allowedAddresses ?? [] };
      return tokenPayloadOf(await services.createApiKey(given));
    },
  }),
);

const UpdateApiKeyInput = builder.inputType('UpdateApiKeyInput', {
  description: 'What is to change of a key. What is left out stays.',
  fields: (t) => ({
    id: t.id({ required: true, description: KEY_ID }),
    name: t.string({ description: NAME }),
    note: t.string({ description: `${NOTE} Null: none.` }),
    scopes: t.field({ type: [ScopeEnum], description: 'All of its scopes from now on. None that the caller lacks.' }),
    expiresAt: t.field({ type: 'DateTime', description: 'When the key ends; null: never.' }),
    allowedAddresses: t.stringList({ description: ADDRESSES }),
  }),
});

builder.mutationField('updateApiKey', (t) =>
  t.field({
    type: keyPayload('UpdateApiKeyPayload', 'The key as it is now, or why nothing has changed.'),
    description:
      'Changes a key that works; no key that may do more than the caller. When this answers, the change holds everywhere.',
    extensions: WRITE,
    args: { input: t.arg({ type: UpdateApiKeyInput, required: true }) },
    async resolve(_root, { input }, { services }) {
      const { id, note, expiresAt } = input;
      const changes = {
        name: given(input.name, 'name'),
        note,
        scopes: given(input.scopes, 'scopes'),
        expiresAt,
        allowedAddresses: given(input.allowedAddresses, 'allowedAddresses'),
      };
      const uuid = uuidOf('ApiKey', id);
      return payloadOf(uuid === null ? NO_SUCH_KEY : await services.updateApiKey(uuid, changes));
    },
  }),
);

/** A null could mean "none" or "leave it", and one of them would be a surprise. */
function given<Value>(value: Value | null | undefined, field: string): Value | undefined {
  if (value === null) throw badInput(`\`${field}\` must not be null: leave it out where it is to stay`, field);
  return value;
}

const RotateApiKeyInput = builder.inputType('RotateApiKeyInput', {
  description: 'Which key gets a new token, and how long the old one goes on.',
  fields: (t) => ({
    id: t.id({ required: true, description: KEY_ID }),
    overlapSeconds: t.int({
      required: true,
      description: `How long the old token still works: 0 to ${OVERLAP_MAX_SECONDS} seconds (7 days).`,
    }),
  }),
});

builder.mutationField('rotateApiKey', (t) =>
  t.field({
    type: tokenPayload('RotateApiKeyPayload', 'The key with its new token, or why there is none.'),
    description:
      'Gives a key a new token; its id, name, scopes, end, usage and history stay. The old token works on for the ' +
      'overlap (see `ApiKey.previousToken`); one that is left from a rotation before ends at once. Only a key of the same ' +
      'admin that may do no less gets it. A key that rotates itself without overlap and loses the answer has lost its token.',
    extensions: WRITE,
    args: { input: t.arg({ type: RotateApiKeyInput, required: true }) },
    async resolve(_root, { input }, { services, loaders }) {
      const uuid = uuidOf('ApiKey', input.id);
      const outcome = uuid === null ? NO_SUCH_KEY : await services.rotateApiKey(uuid, input.overlapSeconds);
      // A mutation before it in the same operation may have shown another one as the previous token.
      if (uuid !== null) loaders.previousSecret.clear(uuid);
      return tokenPayloadOf(outcome);
    },
  }),
);

const EndApiKeyOverlapInput = builder.inputType('EndApiKeyOverlapInput', {
  description: "Which key's previous token is to end.",
  fields: (t) => ({ id: t.id({ required: true, description: KEY_ID }) }),
});

builder.mutationField('endApiKeyOverlap', (t) =>
  t.field({
    type: keyPayload('EndApiKeyOverlapPayload', 'The key as it is now.'),
    description:
      'Ends the token that lives on from a rotation, at once and everywhere; not that of a key that may do more than the ' +
      'caller. Without one it changes nothing.',
    extensions: WRITE,
    args: { input: t.arg({ type: EndApiKeyOverlapInput, required: true }) },
    async resolve(_root, { input }, { loaders, services }) {
      const uuid = uuidOf('ApiKey', input.id);
      const outcome = uuid === null ? NO_SUCH_KEY : await services.endApiKeyOverlap(uuid);
      // A mutation before it in the same operation may have shown the token that has ended now.
      if (uuid !== null) loaders.previousSecret.clear(uuid);
      return payloadOf(outcome);
    },
  }),
);

const DeleteApiKeyInput = builder.inputType('DeleteApiKeyInput', {
  description: 'Which key to remove.',
  fields: (t) => ({ id: t.id({ required: true, description: KEY_ID }) }),
});

interface DeletePayload {
  readonly deletedId: string | null;
  readonly userErrors: readonly UserError[];
}

const DeleteApiKeyPayload = builder.objectRef<DeletePayload>('DeleteApiKeyPayload').implement({
  description: 'The id of the key that is gone, or why it is not.',
  fields: (t) => ({
    deletedId: t.id({
      nullable: true,
      description: 'The id of the key that is gone; null where it was not deleted.',
      resolve: ({ deletedId }) => deletedId,
    }),
    userErrors: userErrorsField(t),
  }),
});

builder.mutationField('deleteApiKey', (t) =>
  t.field({
    type: DeleteApiKeyPayload,
    description:
      'Removes a revoked or expired key for good; no key that may do more than the caller. Its audit events and usage stay.',
    extensions: WRITE,
    args: { input: t.arg({ type: DeleteApiKeyInput, required: true }) },
    async resolve(_root, { input }, { services }) {
      const uuid = uuidOf('ApiKey', input.id);
      const outcome = uuid === null ? NO_SUCH_KEY : await services.deleteApiKey(uuid);
      if (!outcome.ok) return { deletedId: null, userErrors: outcome.errors };
      return { deletedId: toId('ApiKey', outcome.keyId), userErrors: [] };
    },
  }),
);
