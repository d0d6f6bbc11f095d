/**
 * Two networks, and everything that a caller can name in one tried with the other's token: the answer is, byte for
 * byte but for its request id, the answer for what does not exist.
 */
import { type GraphQLInputType, getNamedType, isInputObjectType } from 'graphql';
import { describe, expect, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { makeKey, makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { post, send } from '../support/raw-http.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

interface Things {
  readonly network: string;
  readonly admin: string;
  readonly apiKey: string;
  readonly apiKeyName: string;
  readonly member: string;
  readonly email: string;
  /** Cursors, by list and order: `members.NAME`. */
  readonly cursors: Readonly<Record<string, string>>;
}

type Values = Readonly<Record<string, unknown>>;
interface Attempt {
  readonly query: string;
  /** What is asked with the other network's things, and what with things that never were. */
  readonly variables: (things: Things) => Values;
}

const ORDERS = ['ID', 'CREATED_AT', 'NAME'] as const;
const LISTS = [
  ['members', 'Member'],
  ['apiKeys', 'ApiKey'],
] as const;
const NODE =
  'id __typename ... on Network { slug } ... on Admin { email } ... on ApiKey { name } ... on Member { email }';
const TYPES = ['network', 'admin', 'apiKey', 'member'] as const;

/** By the argument or input field that is tried: every one that can name something. */
const ATTEMPTS: Readonly<Record<string, Attempt>> = {
  'member(id:)': { query: 'query($id: ID) { member(id: $id) { name } }', variables: ({ member }) => ({ id: member }) },
  'member(email:)': {
    query: 'query($email: String) { member(email: $email) { name } }',
    variables: ({ email }) => ({ email }),
  },
  'members(filter.email:)': {
    query: 'query($email: [String!]) { members(filter: { email: $email }) { nodes { id } pageInfo { hasNextPage } } }',
    variables: ({ email }) => ({ email: [email] }),
  },
  'apiKey(id:)': { query: 'query($id: ID!) { apiKey(id: $id) { name } }', variables: ({ apiKey }) => ({ id: apiKey }) },
  'revokeApiKey(input.id:)': {
    query:
      'mutation($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { name } userErrors { code message field } } }',
    variables: ({ apiKey }) => ({ id: apiKey }),
  },
  ...Object.fromEntries(
    TYPES.map((type): [string, Attempt] => [
      `node(id:) of ${type}`,
      { query: `query($id: ID!) { node(id: $id) { ${NODE} } }`, variables: (things) => ({ id: things[type] }) },
    ]),
  ),
  'nodes(ids:)': {
    query: `query($ids: [ID!]!) { nodes(ids: $ids) { ${NODE} } }`,
    variables: (things) => ({ ids: TYPES.map((type) => things[type]) }),
  },
  ...Object.fromEntries(
    LISTS.flatMap(([list, type]) =>
      ORDERS.flatMap((order) =>
        ['after', 'before'].map((argument): [string, Attempt] => [
          `${list}(${argument}:) by ${order}`,
          {
            query: `query($cursor: String!, $orderBy: ${type}Order) {
              ${list}(${argument}: $cursor, orderBy: $orderBy) { nodes { id } pageInfo { hasNextPage hasPreviousPage } }
            }`,
            variables: ({ cursors }) => ({ cursor: cursors[`${list}.${order}`], orderBy: { field: order } }),
          },
        ]),
      ),
    ),
  ),
};

/** Arguments and input fields that take an id, an address or a cursor, but name nothing that exists: they are typed in. */
const NAMES_NOTHING = ['createApiKey(input.name:)'];

describe('what is another network’s answers like what does not exist', () => {
  test.for(Object.keys(ATTEMPTS))('%s', async (name) => {
    const { query, variables } = ATTEMPTS[name] ?? { query: '', variables: () => ({}) };
    const [a, b] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const [ofA, ofB] = [await makeThings(a), await makeThings(b)];
    const before = await Promise.all([read(a), read(b)]);
    for (const [{ token }, own, others] of [[a, ofA, ofB] as const, [b, ofB, ofA] as const]) {
      const theirs = await answer(token, query, variables(others));
      const nothings = await answer(token, query, variables(await nothing(own)));
      expect(theirs).toBe(nothings);
    }
    expect(await Promise.all([read(a), read(b)])).toEqual(before);
    // The same question about what is the caller's own has another answer: it is the network that makes the difference.
    expect(await answer(a.token, query, variables(ofA))).not.toBe(await answer(a.token, query, variables(ofB)));
  });

  test('a key’s name is taken in its own network alone', async () => {
    const [a, b] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const query =
      'mutation($name: String!) { createApiKey(input: { name: $name, scopes: [] }) { userErrors { code } } }';
    const theirs = await answer(a.token, query, { name: b.apiKey.name });
    expect(theirs).toBe(await answer(a.token, query, { name: 'a name that nobody uses' }));
    expect(theirs).not.toBe(await answer(a.token, query, { name: a.apiKey.name }));
  });

  test('lists, and what hangs on them, hold nothing of another network', async () => {
    const [a, b] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    await Promise.all([makeThings(a), makeThings(b)]);
    const query = `{ me { id networkId apiKey { id createdBy { id } } } network { id slug }
      members(first: 250) { nodes { id email network { id } } } apiKeys(first: 250) { nodes { id name createdBy { id } } } }`;
    const [ofA, ofB] = [await answer(a.token, query, {}), await answer(b.token, query, {})];
    const ids = (text: string): readonly string[] => text.match(/(?:net|adm|key|mem)_[0-9a-z]{26}/g) ?? [];
    expect(ids(ofA).length).toBeGreaterThan(8);
    expect(ids(ofA).filter((id) => ids(ofB).includes(id))).toEqual([]);
  });

  test('the matrix tries every argument that can name something', () => {
    const named = Object.values(buildSchema().getQueryType()?.getFields() ?? {})
      .concat(Object.values(buildSchema().getMutationType()?.getFields() ?? {}))
      .flatMap((field) =>
        field.args.flatMap((argument) =>
          pathsOf(argument.name, argument.type).map((path) => `${field.name}(${path}:)`),
        ),
      );
    const tried = [...Object.keys(ATTEMPTS), ...NAMES_NOTHING].map((name) => name.replace(/ .*/, ''));
    expect(named.sort()).toEqual([...new Set(tried)].sort());
  });
});

/** The paths of the strings and ids in an argument: `input.id`. Enums and numbers name nothing. */
function pathsOf(path: string, type: GraphQLInputType): string[] {
  const named = getNamedType(type);
  if (isInputObjectType(named)) {
    return Object.values(named.getFields()).flatMap((field) => pathsOf(`${path}.${field.name}`, field.type));
  }
  return ['ID', 'String'].includes(named.name) ? [path] : [];
}

/** Three members and three keys, their ids, and the cursors of the second of each. */
async function makeThings({ admin, network, token }: TestNetwork): Promise<Things> {
  const members = await makeMembers(suite.database, network.id, 3);
  for (let made = 1; made < 3; made += 1) await makeKey(suite.database, network.id, { adminId: admin.id });
  const keys = await suite.database.prisma.apiKey.findMany({
    where: { networkId: network.id },
    orderBy: { id: 'asc' },
  });
  const cursors: Record<string, string> = {};
  for (const [list, type] of LISTS) {
    for (const order of ORDERS) {
      const query = `query($orderBy: ${type}Order) { ${list}(orderBy: $orderBy) { edges { cursor } } }`;
      const reply = await suite.call(token, query, { variables: { orderBy: { field: order } } });
      cursors[`${list}.${order}`] = reply.body.data[list].edges[1].cursor;
    }
  }
  return {
    network: toId('Network', network.id),
    admin: toId('Admin', admin.id),
    apiKey: toId('ApiKey', keys[1]?.id ?? ''),
    apiKeyName: keys[1]?.name ?? '',
    member: toId('Member', members[1]?.id ?? ''),
    email: members[1]?.email ?? '',
    cursors,
  };
}

/** Things that never were, of the same form; cursors of the caller's own, spoiled. */
async function nothing({ cursors }: Things): Promise<Things> {
  return {
    network: toId('Network', newUuid()),
    admin: toId('Admin', newUuid()),
    apiKey: toId('ApiKey', newUuid()),
    apiKeyName: 'never made',
    member: toId('Member', newUuid()),
    email: 'never.was@example.test',
    cursors: Object.fromEntries(Object.entries(cursors).map(([list, cursor]) => [list, spoiled(cursor)])),
  };
}

function spoiled(cursor: string): string {
  const bytes = Buffer.from(cursor, 'base64url');
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  return bytes.toString('base64url');
}

/** Status, headers and body, but for what is each answer's own. */
async function answer(token: string, query: string, variables: Values): Promise<string> {
  const { status, headers, text } = await send(suite.url, {
    ...post(token, query),
    body: JSON.stringify({ query, variables }),
  });
  const requestId = String(headers['x-request-id']);
  const { date: _date, ...kept } = headers;
  return JSON.stringify([status, kept, text]).replaceAll(requestId, 'req');
}

/** All that a network's own token can read. */
async function read({ token }: TestNetwork): Promise<string> {
  return answer(
    token,
    '{ apiKeys { nodes { id name status } } members { nodes { id name email } } network { name } }',
    {},
  );
}
