/** The ways to end keys: one, several, the caller's own. */
import type { KeyRow } from '../../database/tables.ts';
import { KEYS_A_CALL_MAX, LAST_USED_LAG_MAX_SECONDS, NO_SUCH_KEY } from '../../domain/api-key.ts';
import { uuidOf } from '../../domain/id.ts';
import { refused, type UserError } from '../../domain/user-error.ts';
import { builder } from '../builder.ts';
import type { Context } from '../context.ts';
import { AUTHENTICATED, cost, declare, listSize, WRITE_POINTS } from '../directives.ts';
import { KEY_ID, type KeyPayload, keyField, keyPayload, payloadOf, REASON, WRITE } from './api-key-mutations.ts';
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
      'Ends a key for good. When this answers, its token is refused everywhere. Revoking a revoked key changes nothing.',
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

builder.mutationField('revokeCurrentApiKey', (t) =>
  t.field({
    type: keyPayload('RevokeCurrentApiKeyPayload', "The caller's key, which has ended."),
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
      description:
        `Those of the keys that are not revoked that it finds, the oldest ${KEYS_A_CALL_MAX} of them, but never the ` +
        "caller's own. At least one of its fields must be given; `unusedSince` must lie " +
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
    description: 'Ends several keys for good, at once. When this answers, their tokens are refused everywhere.',
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
  const rows = new Map<string | null, KeyRow | null>(outcome.keys.map(({ id, apiKey }) => [id, apiKey]));
  const results = (uuids ?? [...rows.keys()]).map((uuid, index): KeyPayload => {
    const apiKey = rows.get(uuid) ?? null;
    return { apiKey, userErrors: apiKey === null ? noSuchKey(index) : [] };
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

function noSuchKey(index: number): readonly UserError[] {
  const { errors } = NO_SUCH_KEY;
  return refused(errors.map((error) => ({ ...error, field: ['input', 'ids', String(index)] }))).errors;
}
