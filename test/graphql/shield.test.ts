/** graphql-shield, the wall behind the check before execution: here that check is left out. */
import { graphql as execute, GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql';
import { describe, expect, test } from 'vitest';
import { NetworkReads } from '../../src/database/network-reads.ts';
import { CursorSigner } from '../../src/domain/cursor.ts';
import { GatehouseError } from '../../src/domain/errors.ts';
import { Keyring } from '../../src/domain/keyring.ts';
import { planNumbers } from '../../src/domain/plan.ts';
import { ALL_SCOPES, type Scope } from '../../src/domain/scope.ts';
import { digestOf } from '../../src/domain/token.ts';
import type { Principal } from '../../src/domain/verification.ts';
import { Context } from '../../src/graphql/context.ts';
import { AUTHENTICATED } from '../../src/graphql/directives.ts';
import { buildSchema, refuseUndeclared } from '../../src/graphql/schema.ts';
import { shieldRoots, wrappedFields } from '../../src/graphql/scopes.ts';
import { CallerServices } from '../../src/services/caller-services.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { TEST_SECRET } from '../support/gateway.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const bugs: unknown[] = [];
const schema = shieldRoots(buildSchema(), (bug) => bugs.push(bug));

/** A context as the gateway makes it, of a caller with these scopes. */
async function contextOf(scopes: Principal['scopes']): Promise<Context> {
  const { database } = suite;
  const { admin, apiKey, network, token } = await makeNetwork(database);
  const principal: Principal = {
    digest: digestOf(token),
    keyId: apiKey.id,
    adminId: admin.id,
    adminRole: 'OWNER',
    adminName: admin.name,
    adminEmail: admin.email,
    adminCreatedAt: admin.createdAt,
    networkId: network.id,
    networkSlug: network.slug,
    environment: 'LIVE',
    plan: 'STANDARD',
    numbers: planNumbers('STANDARD', network),
    scopes,
  };
  return new Context({
    requestId: 'req_test',
    principal,
    reads: new NetworkReads(database, network.id, new AbortController().signal),
    services: new CallerServices(database, principal, 'req_test'),
    cursors: new CursorSigner(new Keyring([TEST_SECRET])),
  });
}

const ROOTS: readonly (readonly [field: string, scopes: readonly Scope[], query: string])[] = [
  ['Query.me', [], '{ me { id } }'],
  ['Query.node', [], '{ node(id: "x") { id } }'],
  ['Query.nodes', [], '{ nodes(ids: []) { id } }'],
  ['Query.network', ['network:read'], '{ network { slug } }'],
  ['Query.members', ['members:read'], '{ members { nodes { id } } }'],
  ['Query.member', ['members:read'], '{ member(id: "x") { id } }'],
  ['Query.apiKeys', ['keys:read'], '{ apiKeys { nodes { id } } }'],
  ['Query.apiKey', ['keys:read'], '{ apiKey(id: "x") { id } }'],
  ['Mutation.createApiKey', ['keys:write'], 'mutation { createApiKey(input: { name: "x", scopes: [] }) { token } }'],
  ['Mutation.revokeApiKey', ['keys:write'], 'mutation { revokeApiKey(input: { id: "x" }) { userErrors { code } } }'],
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
    const contextValue = await contextOf(held);
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
    const result = await execute({ schema, source, contextValue: await contextOf(new Set(scopes)) });
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
      contextValue: await contextOf(scopes),
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
      contextValue: await contextOf(new Set(ALL_SCOPES)),
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
