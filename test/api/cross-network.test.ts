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
  readonly auditEvent: string;
  readonly externalId: string;
  readonly name: string;
  readonly tag: string;
  readonly position: string;
  /** Cursors, by list and order: `members.NAME`. */
  readonly cursors: Readonly<Record<string, string>>;
}

type Values = Readonly<Record<string, unknown>>;
interface Attempt {
  readonly query: string;
  /** What is asked with the other network's things, and what with things that never were. */
  readonly variables: (things: Things) => Values;
}

const KEY_ORDERS = ['ID', 'CREATED_AT', 'NAME'] as const;
const LISTS = [
  ['members', 'Member', [...KEY_ORDERS, 'UPDATED_AT', 'LAST_ACTIVE_AT']],
  ['apiKeys', 'ApiKey', KEY_ORDERS],
] as const;
const NODE =
  'id __typename ... on Network { slug } ... on Admin { email } ... on ApiKey { name } ... on Member { email } ... on AuditEvent { action }';
const TYPES = ['network', 'admin', 'apiKey', 'member', 'auditEvent'] as const;
/** Lists of the record: each with its order, which is no argument but of the first. */
const RECORD_LISTS = [
  ['auditEvents', 'id'],
  ['authenticationFailures', 'count'],
  ['refusedAttempts', 'count'],
] as const;

/** By the argument or input field that is tried: every one that can name something. */
const ATTEMPTS: Readonly<Record<string, Attempt>> = {
  'member(id:)': { query: 'query($id: ID) { member(id: $id) { name } }', variables: ({ member }) => ({ id: member }) },
  'member(email:)': {
    query: 'query($email: String) { member(email: $email) { name } }',
    variables: ({ email }) => ({ email }),
  },
  'members(filter.email:)': membersBy('email', ({ email }) => [email]),
  'members(filter.externalId:)': membersBy('externalId', ({ externalId }) => [externalId]),
  'members(filter.tags:)': membersBy('tags', ({ tag }) => [tag]),
  'members(filter.nameContains:)': membersBy('nameContains', ({ name }) => name),
  'members(filter.emailContains:)': membersBy('emailContains', ({ email }) => email.slice(0, -3)),
  'members(filter.customFields.name:)': membersBy('customFields', ({ tag }) => [{ name: tag, equals: tag }]),
  'memberChanges(after:)': {
    query: 'query($after: String!) { memberChanges(after: $after) { changes { id } position hasMore } }',
    variables: ({ position }) => ({ after: position }),
  },
  'apiKey(id:)': { query: 'query($id: ID!) { apiKey(id: $id) { name } }', variables: ({ apiKey }) => ({ id: apiKey }) },
  ...Object.fromEntries(
    [
      ['createdBy', 'ID', ({ admin }: Things) => [admin]],
      ['createdByKey', 'ID', ({ apiKey }: Things) => [apiKey]],
      ['name', 'String', ({ apiKeyName }: Things) => apiKeyName],
    ].flatMap(([field, type, value]): [string, Attempt][] => {
      const declared = field === 'name' ? 'String' : `[${type}!]`;
      const variables = (things: Things) => ({ value: (value as (of: Things) => unknown)(things) });
      const list = 'apiKeys(filter: { FIELD: $value }) { nodes { id } pageInfo { hasNextPage } }';
      const end = 'revokeApiKeys(input: { filter: { FIELD: $value } }) { results { apiKey { id } } revokedCount }';
      return [
        [
          `apiKeys(filter.${field}:)`,
          { query: `query($value: ${declared}) { ${list.replace('FIELD', String(field))} }`, variables },
        ],
        [
          `revokeApiKeys(input.filter.${field}:)`,
          { query: `mutation($value: ${declared}) { ${end.replace('FIELD', String(field))} }`, variables },
        ],
      ];
    }),
  ),
  ...Object.fromEntries(
    [
      ['updateApiKey', 'name: "new"', 'apiKey { name }'],
      ['rotateApiKey', 'overlapSeconds: 60', 'apiKey { name } token'],
      ['endApiKeyOverlap', '', 'apiKey { name }'],
      ['deleteApiKey', '', 'deletedId'],
    ].map(([field, more, wanted]): [string, Attempt] => [
      `${field}(input.id:)`,
      {
        query: `mutation($id: ID!) { ${field}(input: { id: $id ${more} }) { ${wanted} userErrors { code message field } } }`,
        variables: ({ apiKey }) => ({ id: apiKey }),
      },
    ]),
  ),
  'revokeApiKeys(input.ids:)': {
    query: `mutation($ids: [ID!]) { revokeApiKeys(input: { ids: $ids }) {
      results { apiKey { name } userErrors { code message field } } revokedCount hasMore userErrors { code } } }`,
    variables: ({ apiKey }) => ({ ids: [apiKey] }),
  },
  'revokeApiKey(input.id:)': {
    query:
      'mutation($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { name } userErrors { code message field } } }',
    variables: ({ apiKey }) => ({ id: apiKey }),
  },
  'updateMember(input.id:)': {
    query:
      'mutation($id: ID!) { updateMember(input: { id: $id, name: "x" }) { member { id } userErrors { code message field } } }',
    variables: ({ member }) => ({ id: member }),
  },
  'deleteMembers(input.ids:)': {
    query: 'mutation($ids: [ID!]!) { deleteMembers(input: { ids: $ids }) { deletedIds } }',
    variables: ({ member }) => ({ ids: [member] }),
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
    LISTS.flatMap(([list, type, orders]) =>
      orders.flatMap((order) =>
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

/** The same for the lists of the record. */
const RECORD_ATTEMPTS: Readonly<Record<string, Attempt>> = {
  'auditEvents(filter.actorId:)': {
    query: 'query($id: ID) { auditEvents(filter: { actorId: $id }) { nodes { id } pageInfo { hasNextPage } } }',
    variables: ({ apiKey }) => ({ id: apiKey }),
  },
  'auditEvents(filter.actorId:) of an admin': {
    query: 'query($id: ID) { auditEvents(filter: { actorId: $id }) { nodes { id } pageInfo { hasNextPage } } }',
    variables: ({ admin }) => ({ id: admin }),
  },
  'auditEvents(filter.subjectId:)': {
    query: 'query($id: ID) { auditEvents(filter: { subjectId: $id }) { nodes { id } pageInfo { hasNextPage } } }',
    variables: ({ apiKey }) => ({ id: apiKey }),
  },
  ...Object.fromEntries(
    (['authenticationFailures', 'refusedAttempts'] as const).map((list): [string, Attempt] => [
      `${list}(filter.keyId:)`,
      {
        query: `query($id: ID) { ${list}(filter: { keyId: $id }) { nodes { count } pageInfo { hasNextPage } } }`,
        variables: ({ apiKey }) => ({ id: apiKey }),
      },
    ]),
  ),
  ...Object.fromEntries(
    RECORD_LISTS.flatMap(([list, field]) =>
      ['after', 'before'].map((argument): [string, Attempt] => [
        `${list}(${argument}:)`,
        {
          query: `query($cursor: String!) { ${list}(${argument}: $cursor) { nodes { ${field} } pageInfo { hasNextPage } } }`,
          variables: ({ cursors }) => ({ cursor: cursors[list] }),
        },
      ]),
    ),
  ),
};

const ALL_ATTEMPTS = { ...ATTEMPTS, ...RECORD_ATTEMPTS };

/** Totals too: a count tells of a row as well as the row does. */
function membersBy(field: string, value: (things: Things) => unknown): Attempt {
  return {
    query:
      'query($filter: MemberFilter) { members(filter: $filter) { totalCount nodes { id } pageInfo { hasNextPage } } }',
    variables: (things) => ({ filter: { [field]: value(things) } }),
  };
}

/** Arguments and input fields that take an id, an address or a cursor, but name nothing that exists: they are typed in. */
const WRITTEN = ['email', 'name', 'externalId', 'avatarUrl', 'location', 'tags', 'timeZone', 'permalink'];
const NAMES_NOTHING = [
  ...['name', 'note', 'allowedAddresses'].flatMap((field) => [
    `createApiKey(input.${field}:)`,
    `updateApiKey(input.${field}:)`,
  ]),
  ...['revokeApiKey', 'revokeApiKeys', 'revokeCurrentApiKey'].map((field) => `${field}(input.reason:)`),
  'auditEvents(filter.action:)',
  ...WRITTEN.map((field) => `upsertMembers(input.members.${field}:)`),
  ...WRITTEN.map((field) => `updateMember(input.${field}:)`),
];

describe('what is another network’s answers like what does not exist', () => {
  test.for(Object.keys(ALL_ATTEMPTS))('%s', async (name) => {
    const { query, variables } = ALL_ATTEMPTS[name] ?? { query: '', variables: () => ({}) };
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
    const tried = [...Object.keys(ALL_ATTEMPTS), ...NAMES_NOTHING].map((name) => name.replace(/ .*/, ''));
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
async function makeThings({ admin, apiKey, network, token }: TestNetwork): Promise<Things> {
  const mark = newUuid();
  const begun = await suite.call(token, '{ memberChanges { position } }');
  const members = await makeMembers(suite.database, network.id, 3, (index) => ({
    externalId: `crm-${mark}-${index}`,
    name: `Member ${index} ${mark}`,
    tags: [mark],
    customFields: { [mark]: mark },
    ...(index === 1 ? { lastActiveAt: new Date() } : {}),
  }));
  for (let made = 1; made < 3; made += 1) await makeKey(suite.database, network.id, { adminId: admin.id });
  const keys = await suite.database.prisma.apiKey.findMany({
    where: { networkId: network.id },
    orderBy: { id: 'asc' },
  });
  // The third was made with the second.
  const made = { createdByKind: 'KEY' as const, createdById: keys[1]?.id ?? null };
  await suite.database.prisma.apiKey.update({ where: { id: keys[2]?.id ?? '' }, data: made });
  const auditEvent = await makeRecord(network.id, admin.id, keys[1]?.id ?? '', apiKey.id);
  const cursors: Record<string, string> = {};
  for (const [list] of RECORD_LISTS) {
    const reply = await suite.call(token, `{ ${list} { edges { cursor } } }`);
    cursors[list] = reply.body.data[list].edges[1].cursor;
  }
  for (const [list, type, orders] of LISTS) {
    for (const order of orders) {
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
    auditEvent: toId('AuditEvent', auditEvent),
    externalId: members[1]?.externalId ?? '',
    name: members[1]?.name ?? '',
    tag: members[1]?.tags[0] ?? '',
    position: begun.body.data.memberChanges.position,
    cursors,
  };
}

/** What two keys did and were refused, two of each; an event's id. */
async function makeRecord(networkId: string, adminId: string, ...keyIds: readonly string[]): Promise<string> {
  const { prisma } = suite.database;
  const auditEvent = newUuid();
  // A recent one: other gateways on this database forget what is old.
  const minute = new Date(Math.floor(Date.now() / 60_000) * 60_000);
  for (const [at, keyId] of keyIds.entries()) {
    const id = at === 0 ? auditEvent : newUuid();
    const subject = { subjectType: 'ApiKey', subjectId: keyId };
    await prisma.auditEvent.create({
      data: { id, networkId, action: 'key.created', actorKind: 'KEY', actorId: keyId, adminId, ...subject },
    });
    await prisma.authenticationFailure.create({
      data: { id: newUuid(), networkId, keyId, reason: 'expired', minute, count: 1 },
    });
    await prisma.refusedAttempt.create({
      data: { id: newUuid(), networkId, keyId, action: 'createApiKey', code: 'FORBIDDEN', minute, count: 1 },
    });
  }
  return auditEvent;
}

/** Things that never were, of the same form; cursors of the caller's own, spoiled. */
async function nothing({ cursors, position }: Things): Promise<Things> {
  return {
    network: toId('Network', newUuid()),
    admin: toId('Admin', newUuid()),
    apiKey: toId('ApiKey', newUuid()),
    apiKeyName: 'never made',
    member: toId('Member', newUuid()),
    email: 'never.was@example.test',
    auditEvent: toId('AuditEvent', newUuid()),
    externalId: 'never was',
    name: 'never was',
    tag: 'never was',
    position: spoiled(position),
    cursors: Object.fromEntries(Object.entries(cursors).map(([list, cursor]) => [list, spoiled(cursor)])),
  };
}

function spoiled(cursor: string): string {
  const bytes = Buffer.from(cursor, 'base64url');
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  return bytes.toString('base64url');
}

/** Status, headers and body, but for what is each answer's own: what is left of the limits after each request is. */
async function answer(token: string, query: string, variables: Values): Promise<string> {
  const { status, headers, text } = await send(suite.url, {
    ...post(token, query),
    body: JSON.stringify({ query, variables }),
  });
  const requestId = String(headers['x-request-id']);
  const { date: _date, ratelimit, ...kept } = headers;
  expect(ratelimit).toMatch(/^"requests";r=\d+;t=\d+, "network-requests";r=\d+;t=\d+, "cost";r=\d+;t=\d+/);
  const { extensions, ...answered } = JSON.parse(text);
  const { requested, actual, limit } = extensions.cost;
  return JSON.stringify([status, kept, answered, requested, actual, limit]).replaceAll(requestId, 'req');
}

/** All that a network's own token can read. */
async function read({ token }: TestNetwork): Promise<string> {
  return answer(
    token,
    '{ apiKeys { nodes { id name status } } members { nodes { id name email } } network { name } }',
    {},
  );
}
