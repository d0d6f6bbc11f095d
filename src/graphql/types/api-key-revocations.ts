/** The ways to end keys: one, several, the caller's own. */
import { KEYS_A_CALL_MAX, LAST_USED_LAG_MAX_SECONDS, NO_SUCH_KEY } from '../../domain/api-key.ts';
import { uuidOf } from '../../domain/id.ts';
import type { UserError } from '../../domain/user-error.ts';
import type { FoundKey } from '../../services/caller-services.ts';
import { builder } from '../builder.ts';
import type { Context } from '../context.ts';
import { AUTHENTICATED, CALLERS_OWN, cost, declare, listSize, requiresScopes, WRITE_POINTS } from '../directives.ts';
import { ApiKeyRef } from './api-key.ts';
import { KEY_ID, type KeyPayload, keyField, payloadOf, REASON, WRITE } from './api-key-mutations.ts';
import { ApiKeyFilter, keyFilter } from './api-keys.ts';
import { userErrorsField } from './user-error.ts';

const COUNT = 'How many keys this call has ended, their line included. One that had ended does not count.';
const INCLUDE_CREATED =
  'Also the keys that were made with it, those whose present token was given to it by a rotation, and so on with them.';

const RevokeApiKeyInput = builder.inputType('RevokeApiKeyInput', {
  description: 'Which key to end.',
  fields: (t) => ({
    id: t.id({ required: true, description: KEY_ID }),
    reason: t.string({ description: REASON }),
    includeCreated: t.boolean({ required: true, defaultValue: false, description: INCLUDE_CREATED }),
  }),
});

const RevokeApiKeyPayload = builder
  .objectRef<KeyPayload & { readonly revokedCount: number }>('RevokeApiKeyPayload')
  .implement({
    description: 'The revoked key, or why there is none.',
    fields: (t) => ({
      apiKey: keyField(t),
      revokedCount: t.exposeInt('revokedCount', { description: COUNT }),
      userErrors: userErrorsField(t),
    }),
  });

builder.mutationField('revokeApiKey', (t) =>
  t.field({
    type: RevokeApiKeyPayload,
    description:
      'Ends a key for good; no key that may do more than the caller. When this answers, its token is refused everywhere. ' +
      'Revoking a revoked key changes nothing.',
    extensions: WRITE,
    args: { input: t.arg({ type: RevokeApiKeyInput, required: true }) },
    async resolve(_root, { input: { id, reason, includeCreated } }, { services }) {
      const uuid = uuidOf('ApiKey', id);
      const options = { reason: reason ?? null, includeCreated };
      const outcome = uuid === null ? NO_SUCH_KEY : await services.revokeApiKey(uuid, options);
      return { ...payloadOf(outcome), revokedCount: outcome.ok ? outcome.revokedCount : 0 };
    },
  }),
);

const RevokeCurrentApiKeyInput = builder.inputType('RevokeCurrentApiKeyInput', {
  description: 'How the key of the token that is sent is to end.',
  fields: (t) => ({ reason: t.string({ description: REASON }) }),
});

const RevokeCurrentApiKeyPayload = builder.objectRef<KeyPayload>('RevokeCurrentApiKeyPayload').implement({
  description: "The caller's key, which has ended.",
  fields: (t) => ({
    apiKey: t.field({
      type: ApiKeyRef,
      nullable: true,
      description: 'It needs no scope: `me` shows every caller its own key.',
      extensions: CALLERS_OWN,
      resolve: ({ apiKey }) => apiKey,
    }),
    userErrors: userErrorsField(t),
  }),
});

builder.mutationField('revokeCurrentApiKey', (t) =>
  t.field({
    type: RevokeCurrentApiKeyPayload,
    description: 'Ends the key whose token is sent, for good: for whoever is done with it, or has lost it.',
    extensions: declare(AUTHENTICATED, cost(WRITE_POINTS)),
    args: { input: t.arg({ type: RevokeCurrentApiKeyInput }) },
    resolve: async (_root, { input }, { services }) =>
      payloadOf(await services.revokeCurrentApiKey({ reason: input?.reason ?? null })),
  }),
);

const RevokeApiKeysInput = builder.inputType('RevokeApiKeysInput', {
  description: 'Which keys to end: either by their ids or by a filter.',
  fields: (t) => ({
    ids: t.idList({ description: `At most ${KEYS_A_CALL_MAX}: ${KEY_ID}.` }),
    filter: t.field({
      type: ApiKeyFilter,
      extensions: requiresScopes('keys:read'),
      description:
        `Those of the keys that are not revoked that it finds, the oldest ${KEYS_A_CALL_MAX} of them, but never the ` +
        "caller's own, and none that may do more than the caller. At least one of its fields must be given; `unusedSince` must lie " +
        `${LAST_USED_LAG_MAX_SECONDS} seconds back, since uses are written that much later at the most.`,
    }),
    reason: t.string({ description: REASON }),
    includeCreated: t.boolean({ required: true, defaultValue: false, description: INCLUDE_CREATED }),
  }),
});

const RevokeApiKeysResult = builder.objectRef<KeyPayload>('RevokeApiKeysResult').implement({
  description: 'What became of one of the keys.',
  extensions: cost(0),
  fields: (t) => ({
    apiKey: keyField(t),
    userErrors: userErrorsField(t, { description: 'Why this one was not ended. It kept none of the others from it.' }),
  }),
});

interface RevokePayload {
  readonly results: readonly KeyPayload[];
  readonly revokedCount: number;
  readonly hasMore: boolean;
  readonly userErrors: readonly UserError[];
}

const RevokeApiKeysPayload = builder.objectRef<RevokePayload>('RevokeApiKeysPayload').implement({
  description: 'What became of the keys, each for itself.',
  fields: (t) => ({
    results: t.field({
      type: [RevokeApiKeysResult],
      extensions: listSize({ assumedSize: KEYS_A_CALL_MAX }),
      description: 'One for each id, in the order of the ids; or for each key that the filter found.',
      resolve: ({ results }) => [...results],
    }),
    revokedCount: t.exposeInt('revokedCount', { description: COUNT }),
    hasMore: t.exposeBoolean('hasMore', { description: 'Whether the filter finds more of them: call again.' }),
    userErrors: userErrorsField(t, { description: 'What is wrong with the whole: then nothing was changed.' }),
  }),
});

builder.mutationField('revokeApiKeys', (t) =>
  t.field({
    type: RevokeApiKeysPayload,
    description:
      'Ends several keys for good, at once; none that may do more than the caller. When this answers, their tokens are refused everywhere.',
    extensions: WRITE,
    args: { input: t.arg({ type: RevokeApiKeysInput, required: true }) },
    resolve: (_root, { input }, context) => revokeSeveral(input, context),
  }),
);

type SeveralInput = typeof RevokeApiKeysInput.$inferInput;

async function revokeSeveral(input: SeveralInput, { services }: Context): Promise<RevokePayload> {
  const wrong = (errors: readonly UserError[]): RevokePayload => ({
    results: [],
    revokedCount: 0,
    hasMore: false,
    userErrors: errors,
  });
  const { ids, filter, reason, includeCreated } = input;
  const fault = faultOf(input);
  if (fault !== null) return wrong([fault]);
  const uuids = ids?.map((id) => uuidOf('ApiKey', id)) ?? null;
  const which =
    uuids === null ? { filter: keyFilter(filter) } : { keyIds: [...new Set(uuids)].filter((uuid) => uuid !== null) };
  const outcome = await services.revokeApiKeys(which, { reason: reason ?? null, includeCreated });
  if (!outcome.ok) return wrong(outcome.errors);
  const found = new Map<string | null, FoundKey>(outcome.keys.map((key) => [key.id, key]));
  const results = (uuids ?? [...found.keys()]).map((uuid, index): KeyPayload => {
    const { apiKey = null, error = null } = found.get(uuid) ?? {};
    if (apiKey !== null) return { apiKey, userErrors: [] };
    return { apiKey: null, userErrors: atIndex(error === null ? NO_SUCH_KEY.errors : [error], index) };
  });
  return { results, revokedCount: outcome.revokedCount, hasMore: outcome.hasMore, userErrors: [] };
}

function faultOf({ ids, filter }: SeveralInput): UserError | null {
  if ((ids == null) === (filter == null)) {
    return { code: 'INVALID', message: 'Give either `ids` or `filter`', field: ['input'] };
  }
  if (ids != null) {
    if (ids.length <= KEYS_A_CALL_MAX) return null;
    const message = `\`ids\` takes at most ${KEYS_A_CALL_MAX} ids, not ${ids.length}`;
    return { code: 'TOO_LONG', message, field: ['input', 'ids'] };
  }
  if (Object.values(keyFilter(filter)).some((value) => value !== undefined)) return null;
  const message = 'Give at least one field of `filter`: an empty one would end every key';
  return { code: 'BLANK', message, field: ['input', 'filter'] };
}

function atIndex(errors: readonly UserError[], index: number): readonly UserError[] {
  return errors.map((error) => ({ ...error, field: ['input', 'ids', String(index)] }));
}
