/** graphql-shield, the wall behind the check before execution: here that check is left out. */
import { graphql as execute, GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql';
import { describe, expect, test } from 'vitest';
import { GatehouseError } from '../../src/domain/errors.ts';
import { ALL_SCOPES, type Scope } from '../../src/domain/scope.ts';
import { AUTHENTICATED } from '../../src/graphql/directives.ts';
import { buildSchema, refuseUndeclared } from '../../src/graphql/schema.ts';
import { shieldRoots, wrappedFields } from '../../src/graphql/scopes.ts';
import { makeContext } from '../support/context.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const bugs: unknown[] = [];
const schema = shieldRoots(buildSchema(), (bug) => bugs.push(bug));

const ROOTS: readonly (readonly [field: string, scopes: readonly Scope[], query: string])[] = [
  ['Query.me', [], '{ me { id } }'],
  ['Query.node', [], '{ node(id: "x") { id } }'],
  ['Query.nodes', [], '{ nodes(ids: []) { id } }'],
  ['Query.network', ['network:read'], '{ network { slug } }'],
  ['Query.auditEvents', ['audit:read'], '{ auditEvents { nodes { id } } }'],
  ['Query.authenticationFailures', ['audit:read'], '{ authenticationFailures { nodes { count } } }'],
  ['Query.refusedAttempts', ['audit:read'], '{ refusedAttempts { nodes { count } } }'],
  ['Query.members', ['members:read'], '{ members { nodes { id } } }'],
  ['Query.memberChanges', ['members:read'], '{ memberChanges { position } }'],
  ['Query.member', ['members:read'], '{ member(id: "x") { id } }'],
  ['Query.apiKeys', ['keys:read'], '{ apiKeys { nodes { id } } }'],
  ['Query.apiKey', ['keys:read'], '{ apiKey(id: "x") { id } }'],
  [
    'Mutation.upsertMembers',
    ['members:write'],
    'mutation { upsertMembers(input: { members: [] }) { userErrors { code } } }',
  ],
  ['Mutation.updateMember', ['members:write'], 'mutation { updateMember(input: { id: "x" }) { userErrors { code } } }'],
  ['Mutation.deleteMembers', ['members:write'], 'mutation { deleteMembers(input: { ids: [] }) { deletedIds } }'],
  ['Mutation.createApiKey', ['keys:write'], 'mutation { createApiKey(input: { name: "x", scopes: [] }) { token } }'],
  ['Mutation.updateApiKey', ['keys:write'], 'mutation { updateApiKey(input: { id: "x" }) { userErrors { code } } }'],
  [
    'Mutation.rotateApiKey',
    ['keys:write'],
    'mutation { rotateApiKey(input: { id: "x", overlapSeconds: 0 }) { userErrors { code } } }',
  ],
  [
    'Mutation.endApiKeyOverlap',
    ['keys:write'],
    'mutation { endApiKeyOverlap(input: { id: "x" }) { userErrors { code } } }',
  ],
  ['Mutation.revokeApiKey', ['keys:write'], 'mutation { revokeApiKey(input: { id: "x" }) { userErrors { code } } }'],
  ['Mutation.revokeApiKeys', ['keys:write'], 'mutation { revokeApiKeys(input: { ids: [] }) { userErrors { code } } }'],
  ['Mutation.revokeCurrentApiKey', [], 'mutation { revokeCurrentApiKey { userErrors { code } } }'],
  ['Mutation.deleteApiKey', ['keys:write'], 'mutation { deleteApiKey(input: { id: "x" }) { userErrors { code } } }'],
];

describe('shield alone', () => {
  test('has a rule for every root field there is', () => {
    const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
    const fields = roots.flatMap((root) =>
      Object.keys(root?.getFields() ?? {}).map((field) => `${root?.name}.${field}`),
    );
    expect(ROOTS.map(([field]) => field).sort()).toEqual(fields.sort());
  });

  test.for(ROOTS.filter(([, scopes]) => scopes.length > 0))('refuses %s without %j', async ([, scopes, source]) => {
    const held = new Set(ALL_SCOPES.filter((scope) => !scopes.includes(scope)));
    const contextValue = await makeContext(suite.database, held);
    const result = await execute({ schema, source, contextValue });
    const [error] = result.errors ?? [];
    expect(error?.originalError).toBeInstanceOf(GatehouseError);
    expect(error?.originalError).toMatchObject({
      code: 'FORBIDDEN',
      details: { extensions: { missingScopes: scopes } },
    });
    expect(Object.values(result.data ?? {}).every((value) => value === null)).toBe(true);
    expect(await suite.database.prisma.apiKey.count({ where: { networkId: contextValue.principal.networkId } })).toBe(
      1,
    );
  });

  test.for(ROOTS)('lets %s through with %j', async ([, scopes, source]) => {
    const result = await execute({ schema, source, contextValue: await makeContext(suite.database, new Set(scopes)) });
    expect(result.errors).toBeUndefined();
  });

  test('wraps root fields and no other', () => {
    const plain = buildSchema();
    const wrapped = wrappedFields(
      plain,
      shieldRoots(plain, () => undefined),
    );
    expect(wrapped.sort()).toEqual(ROOTS.map(([field]) => field).sort());
  });

  test('denies where its rule throws, and reports that as a bug', async () => {
    const broken = new Error('scopes are broken');
    const scopes = Object.assign(new Set<Scope>(), {
      has: () => {
        throw broken;
      },
    });
    bugs.length = 0;
    const result = await execute({
      schema,
      source: '{ members { nodes { id } } }',
      contextValue: await makeContext(suite.database, scopes),
    });
    expect(result.errors?.[0]?.originalError).toMatchObject({ code: 'FORBIDDEN' });
    expect(result.data).toBeNull();
    expect(bugs).toEqual([broken]);
  });

  test('denies a root field that declares nothing', async () => {
    const undeclared = new GraphQLSchema({
      query: new GraphQLObjectType({
        name: 'Query',
        fields: {
          open: { type: GraphQLString, resolve: () => 'open', extensions: AUTHENTICATED },
          forgotten: { type: GraphQLString, resolve: () => 'secret' },
        },
      }),
    });
    const shielded = shieldRoots(undeclared, (bug) => bugs.push(bug));
    const result = await execute({
      schema: shielded,
      source: '{ open forgotten }',
      contextValue: await makeContext(suite.database, new Set(ALL_SCOPES)),
    });
    expect(result.data).toEqual({ open: 'open', forgotten: null });
    expect(result.errors?.[0]?.originalError).toMatchObject({ code: 'FORBIDDEN' });
  });
});

describe('the gateway does not start', () => {
  const declared = { type: GraphQLString, extensions: AUTHENTICATED };
  const forgotten = { type: GraphQLString };
  const object = (name: string, fields: object) => new GraphQLObjectType({ name, fields: fields as never });

  test('while a root field declares neither scopes nor @authenticated, and says which', () => {
    const lax = new GraphQLSchema({
      query: object('Query', { declared, forgotten }),
      mutation: object('Mutation', { forgottenToo: forgotten }),
      subscription: object('Subscription', { forgottenAsWell: forgotten }),
    });
    expect(() => refuseUndeclared(lax)).toThrow(
      /neither @requiresScopes nor @authenticated: Query\.forgotten, Mutation\.forgottenToo, Subscription\.forgottenAsWell$/,
    );
  });

  test('but does where all of them do', () => {
    const strict = new GraphQLSchema({ query: object('Query', { declared }) });
    expect(() => refuseUndeclared(strict)).not.toThrow();
  });

  test('while a scope that is declared does not exist', () => {
    const extensions = { directives: { requiresScopes: { scopes: ['members:red'] } } };
    const mistyped = new GraphQLSchema({ query: object('Query', { a: { type: GraphQLString, extensions } }) });
    expect(() => refuseUndeclared(mistyped)).toThrow(/members:red/);
  });
});
