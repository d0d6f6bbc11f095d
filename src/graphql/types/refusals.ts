/** What was refused, by the minute: tokens that were not let in, and changes of keys that were asked for in vain. */
import type { AuthenticationFailure, RefusedAttempt } from '../../database/generated/client.ts';
import type { KeysetTable } from '../../database/keyset.ts';
import { AUTHENTICATION_FAILURES, REFUSED_ATTEMPTS, refusalConditions } from '../../database/record-lists.ts';
import { badInput } from '../../domain/errors.ts';
import { toId, uuidOf } from '../../domain/id.ts';
import { builder, type ObjectFields } from '../builder.ts';
import { connect, type ListSpec } from '../connection.ts';
import { declare, requiresScopes } from '../directives.ts';
import { ApiKeyRef } from './api-key.ts';
import { connectionType, PAGE_SIZE, pageArgs } from './page.ts';

const MINUTE = 'The minute, by its start.';

/** Of which key: rows of a deleted key stay, and name it by its id. */
const keyFields = <Row extends { readonly keyId: string }>(t: ObjectFields<Row>) => ({
  keyId: t.id({ description: 'The id of the key.', resolve: ({ keyId }) => toId('ApiKey', keyId) }),
  apiKey: t.field({
    type: ApiKeyRef,
    nullable: true,
    description: 'The key; null where it is deleted.',
    resolve: ({ keyId }, _args, { loaders }) => loaders.apiKey.load(keyId),
  }),
});

const AuthenticationFailureRef = builder.objectRef<AuthenticationFailure>('AuthenticationFailure').implement({
  description: "Requests of a minute that brought a token of one of the network's keys and were not let in.",
  fields: (t) => ({
    ...keyFields(t),
    reason: t.exposeString('reason', {
      description:
        '`expired`, `revoked` (the key, or its admin was removed), `suspended` (the network) or `address not allowed`; a ' +
        'later release may know more.',
    }),
    minute: t.expose('minute', { type: 'DateTime', description: MINUTE }),
    count: t.exposeInt('count', { description: 'How many requests.' }),
  }),
});

const RefusedAttemptRef = builder.objectRef<RefusedAttempt>('RefusedAttempt').implement({
  description: 'Changes of keys that a key asked for in a minute and was refused.',
  fields: (t) => ({
    ...keyFields(t),
    action: t.exposeString('action', { description: 'The mutation, such as `createApiKey`.' }),
    code: t.exposeString('code', {
      description: 'Why: the code of the refusal, such as `FORBIDDEN`, or of the user error, such as `SCOPE_NOT_HELD`.',
    }),
    minute: t.expose('minute', { type: 'DateTime', description: MINUTE }),
    count: t.exposeInt('count', { description: 'How many times.' }),
  }),
});

const RefusalFilter = builder.inputType('RefusalFilter', {
  description: 'Which refusals: those that satisfy every field that is given.',
  fields: (t) => ({
    keyId: t.id({ description: '`key_…`, be it there still or not.' }),
    since: t.field({ type: 'DateTime', description: 'In minutes that begin at this moment or later.' }),
    until: t.field({ type: 'DateTime', description: 'In minutes that begin before this moment.' }),
  }),
});

const AuthenticationFailureConnection = connectionType('AuthenticationFailure', AuthenticationFailureRef);
const RefusedAttemptConnection = connectionType('RefusedAttempt', RefusedAttemptRef);

builder.queryField('authenticationFailures', (t) =>
  t.field({
    type: AuthenticationFailureConnection,
    description:
      "Requests with the network's own keys that were not let in, by key, reason and minute; the latest first.",
    extensions: declare(requiresScopes('audit:read'), PAGE_SIZE),
    args: { ...pageArgs, filter: t.arg({ type: RefusalFilter }) },
    resolve: (_root, { filter, ...page }, context) =>
      connect<AuthenticationFailure>(context, refusalList(AUTHENTICATION_FAILURES, filter), page),
  }),
);

builder.queryField('refusedAttempts', (t) =>
  t.field({
    type: RefusedAttemptConnection,
    description:
      'Changes of keys that were asked for and refused, by key, mutation, code and minute; the latest first.',
    extensions: declare(requiresScopes('audit:read'), PAGE_SIZE),
    args: { ...pageArgs, filter: t.arg({ type: RefusalFilter }) },
    resolve: (_root, { filter, ...page }, context) =>
      connect<RefusedAttempt>(context, refusalList(REFUSED_ATTEMPTS, filter), page),
  }),
);

type FilterInput = typeof RefusalFilter.$inferInput | null | undefined;

/** The latest first. */
function refusalList<Row extends AuthenticationFailure | RefusedAttempt>(
  table: KeysetTable<Row>,
  filter: FilterInput,
): ListSpec<Row> {
  const keyId = filter?.keyId == null ? undefined : uuidOf('ApiKey', filter.keyId);
  if (keyId === null) throw badInput('`keyId` must be the id of a key', 'keyId');
  return {
    table,
    wanted: null,
    order: 'MINUTE',
    descending: true,
    conditions: refusalConditions({ keyId, since: filter?.since ?? undefined, until: filter?.until ?? undefined }),
    placeOf: ({ minute, id }) => [minute, id],
  };
}
