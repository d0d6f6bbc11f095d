// A payload shows no more than the query of its type.
import {
  GraphQLInterfaceType,
  GraphQLObjectType,
  type GraphQLOutputType,
  GraphQLSchema,
  GraphQLString,
  getNamedType,
  isLeafType,
  isObjectType,
} from 'graphql';
import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { AUTHENTICATED, CALLERS_OWN, type Declaration, requiresScopes } from '../../src/graphql/directives.ts';
import { refuseOpenPayloads } from '../../src/graphql/payload-scopes.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { makeKey, makeMembers, makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

describe('a mutation with only the scope to write', () => {
  const KEY = 'apiKey { id }';
  const CASES = {
    createApiKey: ['keys:write', 'keys:read', `createApiKey(input: { name: "x", scopes: [] }) { ${KEY} }`],
    updateApiKey: ['keys:write', 'keys:read', `updateApiKey(input: { id: "KEY", note: "x" }) { ${KEY} }`],
    rotateApiKey: ['keys:write', 'keys:read', `rotateApiKey(input: { id: "KEY", overlapSeconds: 0 }) { ${KEY} }`],
    endApiKeyOverlap: ['keys:write', 'keys:read', `endApiKeyOverlap(input: { id: "KEY" }) { ${KEY} }`],
    revokeApiKey: ['keys:write', 'keys:read', `revokeApiKey(input: { id: "KEY" }) { ${KEY} }`],
    revokeApiKeys: ['keys:write', 'keys:read', `revokeApiKeys(input: { ids: ["KEY"] }) { results { ${KEY} } }`],
    upsertMembers: [
      'members:write',
      'members:read',
      'upsertMembers(input: { members: [{ externalId: "x", name: "x" }] }) { results { member { id } } }',
    ],
    updateMember: [
      'members:write',
      'members:read',
      'updateMember(input: { id: "MEMBER", name: "x" }) { member { id } }',
    ],
  } as const;

  test('is tried with every mutation whose payload gives an object that queries give, too', () => {
    const mutations = Object.values(buildSchema().getMutationType()?.getFields() ?? {});
    const giving = mutations.filter(({ type }) =>
      objectsBelow(type).some((name) => ['ApiKey', 'Member'].includes(name)),
    );
    // A caller sees its own key without any scope, as `me` shows it.
    const names = giving.map(({ name }) => name).filter((name) => name !== 'revokeCurrentApiKey');
    expect(names.sort()).toEqual(Object.keys(CASES).sort());
  });

  test.for(Object.values(CASES))('%s does not show what %s guards: %s', async ([write, read, asked]) => {
    const own = await makeNetwork(suite.database);
    const { token } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id, scopes: [write] });
    const victim = await makeKey(suite.database, own.network.id, { adminId: own.admin.id, scopes: [] });
    const [member] = await makeMembers(suite.database, own.network.id, 1);
    const query = asked
      .replace('KEY', toId('ApiKey', victim.apiKey.id))
      .replace('MEMBER', toId('Member', member?.id ?? ''));
    const before = await stateOf(own.network.id);
    for (const document of [
      `mutation { ${query} }`,
      `mutation { again: ${query.replace(' { id }', ' { ...F }')} } fragment F on ${read === 'keys:read' ? 'ApiKey' : 'Member'} { id }`,
    ]) {
      const { status, body } = await suite.call(token, document);
      expect({ status, missing: body.errors?.[0]?.extensions['missingScopes'], data: body.data }).toEqual({
        status: 403,
        missing: [read],
        data: undefined,
      });
    }
    expect(await stateOf(own.network.id)).toEqual(before);
  });

  test('does its work all the same where the object is not asked for', async () => {
    const own = await makeNetwork(suite.database, { scopes: ['keys:write'] });
    const { body } = await suite.call(
      own.token,
      'mutation { createApiKey(input: { name: "x", scopes: [] }) { token userErrors { code } } }',
    );
    expect(body.data.createApiKey).toEqual({ token: expect.stringMatching(/^gk_live_/), userErrors: [] });
  });

  test('finds no keys by a filter', async () => {
    const { token } = await makeNetwork(suite.database, { scopes: ['keys:write'] });
    const query = 'mutation { revokeApiKeys(input: { filter: { name: "secret" } }) { revokedCount } }';
    const { body } = await suite.call(token, query);
    expect(body.errors?.[0]?.extensions['missingScopes']).toEqual(['keys:read']);
  });

  test('is not shown again, under an Idempotency-Key, what it may no longer see', async () => {
    const own = await makeNetwork(suite.database);
    const query = 'mutation { createApiKey(input: { name: "again", scopes: [] }) { apiKey { id } } }';
    const headers = { 'idempotency-key': 'payload-scopes' };
    expect((await suite.call(own.token, query, { headers })).status).toBe(200);
    await suite.database.prisma.apiKey.update({ where: { id: own.apiKey.id }, data: { scopes: ['keys:write'] } });
    const again = await suite.call(own.token, query, { headers });
    expect([again.status, again.body.data]).toEqual([403, undefined]);
  });

  async function stateOf(networkId: string): Promise<unknown> {
    const { prisma } = suite.database;
    const where = { networkId };
    return {
      keys: await prisma.apiKey.findMany({ where, orderBy: { id: 'asc' }, omit: { lastUsedAt: true } }),
      members: await prisma.member.findMany({ where }),
      events: await prisma.auditEvent.count({ where }),
    };
  }
});

test('the values that payloads tell without an object are these, and no others', () => {
  const schema = buildSchema();
  const payloads = Object.values(schema.getMutationType()?.getFields() ?? {}).map(
    ({ type }) => getNamedType(type).name,
  );
  const values = Object.values(schema.getTypeMap())
    .filter((type) => isObjectType(type) && (payloads.includes(type.name) || /Result$/.test(type.name)))
    .flatMap((type) => (isObjectType(type) ? Object.values(type.getFields()) : []))
    .filter(({ type }) => isLeafType(getNamedType(type)))
    .map(({ name }) => name);
  // Counts, the outcome, ids of what the caller named or made: what else there is needs a declaration of its own.
  const TOLD = ['deletedId', 'deletedIds', 'hasMore', 'id', 'outcome', 'revokedCount', 'token'];
  expect([...new Set(values)].sort()).toEqual(TOLD);
});

describe('a schema is refused where a payload', () => {
  const secret = (extensions?: Declaration) =>
    new GraphQLObjectType({
      name: 'Secret',
      ...(extensions && { extensions }),
      fields: { text: { type: GraphQLString } },
    });

  function refuse(
    secretType: GraphQLObjectType,
    field: { type: GraphQLOutputType; extensions?: Declaration },
    between = false,
  ) {
    const result = new GraphQLObjectType({ name: 'Result', fields: { secret: field } });
    const payload = new GraphQLObjectType({
      name: 'Payload',
      fields: between ? { result: { type: result } } : { secret: field },
    });
    const schema = new GraphQLSchema({
      query: new GraphQLObjectType({ name: 'Query', fields: { secret: { type: secretType } } }),
      mutation: new GraphQLObjectType({
        name: 'Mutation',
        fields: { write: { type: payload, extensions: requiresScopes('keys:write') } },
      }),
      types: [secretType],
    });
    return () => refuseOpenPayloads(schema);
  }

  test('gives an object of a type with scopes to any valid token', () => {
    const type = secret(requiresScopes('keys:read'));
    expect(refuse(type, { type, extensions: AUTHENTICATED })).toThrow(/Payload\.secret: Secret/);
    expect(refuse(type, { type, extensions: AUTHENTICATED }, true)).toThrow(/Result\.secret: Secret/);
    expect(refuse(type, { type, extensions: requiresScopes('keys:write') })).toThrow(/Payload\.secret: Secret/);
  });

  test('gives an object of a type that queries give and that declares nothing', () => {
    const type = secret();
    expect(refuse(type, { type })).toThrow(/Payload\.secret: Secret/);
    expect(refuse(type, { type, extensions: requiresScopes('keys:read') })).not.toThrow();
  });

  test('gives an interface that has such an object, without saying what it needs', () => {
    const node = new GraphQLInterfaceType({ name: 'Node', fields: { text: { type: GraphQLString } } });
    const type = new GraphQLObjectType({
      name: 'Secret',
      interfaces: [node],
      extensions: requiresScopes('keys:read'),
      fields: { text: { type: GraphQLString } },
    });
    expect(refuse(type, { type: node })).toThrow(/Payload\.secret: Node/);
    expect(refuse(type, { type: node, extensions: requiresScopes('keys:read') })).not.toThrow();
  });

  test('and not where the type’s scopes count, or what is shown is the caller’s own', () => {
    const type = secret(requiresScopes('keys:read'));
    expect(refuse(type, { type })).not.toThrow();
    expect(refuse(type, { type, extensions: CALLERS_OWN })).not.toThrow();
  });

  test('so that ours has no such payload', () => {
    expect(() => refuseOpenPayloads(buildSchema())).not.toThrow();
  });
});

/** The names of the object types that an answer of this type can hold, down to the first that a query gives by itself. */
function objectsBelow(type: GraphQLOutputType): string[] {
  const named = getNamedType(type);
  if (!isObjectType(named)) return [];
  if (['ApiKey', 'Member'].includes(named.name)) return [named.name];
  return Object.values(named.getFields()).flatMap((field) => objectsBelow(field.type));
}
