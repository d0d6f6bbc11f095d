import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { ANSWER_MAX_BYTES_MIN } from '../../src/domain/answer-size.ts';
import { toId } from '../../src/domain/id.ts';
import { CUSTOM_FIELDS_MAX_BYTES } from '../../src/domain/member.ts';
import { unboundedFields } from '../../src/graphql/answer-bound.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { graphql, type Reply } from '../support/client.ts';
import { makeMembers, makeNetwork, openTestDatabase, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { post, send } from '../support/raw-http.ts';

/** The least that the setting may be: what is bounded here is bounded alike where it is more. */
const MAX = ANSWER_MAX_BYTES_MIN;
const PAGE = 250;

let database: Database;
let large: TestNetwork;
let ids: string[];
let least: TestNetwork;

/** Custom fields of as many bytes as they may have. */
const LONGEST = { text: 'x'.repeat(CUSTOM_FIELDS_MAX_BYTES - '{"text":""}'.length) };

beforeAll(async () => {
  database = await openTestDatabase();
  large = await makeNetwork(database);
  const members = await makeMembers(database, large.network.id, PAGE, () => ({
    customFields: LONGEST,
    location: '\u0001'.repeat(200),
  }));
  ids = members.map(({ id }) => toId('Member', id));
  least = await makeNetwork(database);
  await makeMembers(database, least.network.id, 1, () => ({
    name: '\u{1f600}'.repeat(200),
    avatarUrl: `https://example.test/${'ä'.repeat(2_000)}`,
    location: '\u0001'.repeat(200),
    timeZone: 'x'.repeat(64),
    permalink: `https://example.test/${'ä'.repeat(2_000)}`,
    externalId: '"'.repeat(200),
    tags: Array.from({ length: 50 }, (_, at) => `${at} ${'\u{1f600}'.repeat(47)}`),
    customFields: LONGEST,
  }));
});

afterAll(() => database.close());

const ALIASED = Array.from({ length: 50 }, (_, at) => `a${at}: customFields`).join(' ');

describe.each([
  ['whose plan is kept from its first time', '0'],
  ['whose plan is made each time', '1000000'],
])('of a query %s', (_, QUERY_COMPILE_AFTER) => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startTestGateway({ ANSWER_MAX_BYTES: String(MAX), QUERY_COMPILE_AFTER });
  });
  afterAll(() => gateway.close());

  const ask = (query: string, variables: Record<string, unknown> = {}) =>
    graphql(gateway.url, large.token, query, { variables });

  test.for([
    ['rows that are read', `{ members(first: ${PAGE}) { nodes { customFields } } }`],
    [
      'the changes of members',
      `query ($after: String!) { memberChanges(after: $after, first: ${PAGE}) { changes { member { customFields } } } }`,
    ],
    ['aliases that show one value often', `{ members(first: 10) { nodes { ${ALIASED} } } }`],
    [
      'aliases of a list',
      `{ members(first: 20) { ${Array.from({ length: 20 }, (_, at) => `a${at}: nodes { customFields }`).join(' ')} } }`,
    ],
    [
      'one member that is loaded once and shown often',
      'query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Member { customFields } } }',
    ],
    [
      'several lists',
      `{ ${Array.from({ length: 10 }, (_, at) => `a${at}: members(first: 10) { nodes { customFields } }`).join(' ')} }`,
    ],
    ['names of the caller’s own', `{ members(first: ${PAGE}) { nodes { ${'n'.repeat(10_000)}: id } } }`],
    ['names of the type', `{ members(first: ${PAGE}) { nodes { ${'n'.repeat(10_000)}: __typename } } }`],
    [
      'characters that JSON writes six times as long',
      `{ members(first: ${PAGE}) { nodes { ${['a', 'b', 'c', 'd', 'e'].map((name) => `${name}: location`).join(' ')} } } }`,
    ],
    [
      'paths of errors',
      `{ members(first: ${PAGE}) { nodes { ${'n'.repeat(8_000)}: network { usage(bucket: MINUTE, since: "1990-01-01T00:00:00Z") { requests } } } } }`,
    ],
    ['the schema', `{ __schema { types { fields { ${'n'.repeat(10_000)}: name } } } }`],
  ] as const)('too much of %s is stopped, with the figures, and costs what it asked for', async ([what, query]) => {
    const variables =
      what === 'the changes of members'
        ? { after: (await ask('{ memberChanges { position } }')).body.data.memberChanges.position }
        : { ids: Array.from({ length: PAGE }, () => ids[0]) };
    if ('after' in variables) {
      await database.prisma.member.updateMany({
        where: { networkId: large.network.id },
        data: { name: `renamed for ${QUERY_COMPILE_AFTER}` },
      });
    }
    const reply = await ask(query, variables);
    expect(refusalIn(reply)).toEqual({
      status: 400,
      code: 'QUERY_TOO_EXPENSIVE',
      limit: { name: 'answer-bytes', max: MAX },
    });
    expect(reply.body.errors?.[0]?.message).toMatch(/: ask for fewer objects at once, or for fewer of their fields$/);
    expect(reply.cost?.actual).toBe(reply.cost?.requested);
    expect(gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('the largest member fits, with as many aliases as there may be', async () => {
    const all =
      'id externalId name email role status avatarUrl location tags timeZone permalink createdAt updatedAt lastActiveAt';
    const { status, body } = await graphql(
      gateway.url,
      least.token,
      `{ members(first: 1) { nodes { ${all} ${ALIASED} } } }`,
    );
    expect(status).toBe(200);
    expect(body.data.members.nodes[0].a49).toEqual(LONGEST);
  });

  test('what just fits is answered whole', async () => {
    const fitting = Math.floor((MAX - 300) / (CUSTOM_FIELDS_MAX_BYTES + 30));
    const { status, body } = await ask(`{ members(first: ${fitting}) { nodes { customFields } } }`);
    expect(status).toBe(200);
    expect(body.data.members.nodes).toEqual(Array(fitting).fill({ customFields: LONGEST }));
    expect((await ask(`{ members(first: ${fitting + 2}) { nodes { customFields } } }`)).status).toBe(400);
  });

  test('a batch is one answer: what does not fit any more is stopped, and the rest is told', async () => {
    const query = '{ members(first: 40) { nodes { customFields } } }';
    const body = JSON.stringify([{ query }, { query }, { query: '{ me { role } }' }]);
    const reply = await send(gateway.url, { ...post(large.token, ''), body });
    expect(reply.status).toBe(294);
    expect(Buffer.byteLength(reply.text)).toBeLessThan(MAX);
    const [first, second, third] = JSON.parse(reply.text);
    expect(first.data.members.nodes).toHaveLength(40);
    expect(second).toMatchObject({ errors: [{ extensions: { code: 'QUERY_TOO_EXPENSIVE', limit: { max: MAX } } }] });
    expect(second).not.toHaveProperty('data');
    expect(third).toMatchObject({ data: { me: { role: 'OWNER' } } });
  });

  test('errors that each quote what is long are told in short', async () => {
    const name = 'n'.repeat(50_000);
    const query = `query ${name} { ${Array.from({ length: 20 }, (_, at) => `a${at}: apiKey(id: $v${at}) { id }`).join(' ')} }`;
    const reply = await send(gateway.url, post(large.token, query));
    expect(reply.status).toBe(422);
    expect(JSON.parse(reply.text).errors).toHaveLength(20);
    expect(reply.text.length).toBeLessThan(100_000);
  });

  test('a mutation whose answer could be too long is refused before it changes anything', async () => {
    const made = await makeNetwork(database);
    const members = (count: number) =>
      Array.from({ length: count }, (_, at) => ({
        name: `M ${at}`,
        email: `m${at}@example.test`,
        customFields: LONGEST,
      }));
    const query = `mutation ($members: [UpsertMember!]!) {
      upsertMembers(input: { members: $members }) { results { member { customFields } } }
    }`;
    const call = (count: number) => graphql(gateway.url, made.token, query, { variables: { members: members(count) } });
    const refused = await call(50);
    expect(refusalIn(refused)).toEqual({
      status: 400,
      code: 'QUERY_TOO_EXPENSIVE',
      limit: { name: 'answer-bytes', max: MAX },
    });
    expect(refused.body.errors?.[0]?.message).toContain('Nothing was changed: send fewer items at once');
    expect(refused.cost).toMatchObject({ actual: 0 });
    expect(await database.prisma.member.count({ where: { networkId: made.network.id } })).toBe(0);
    const told = await call(20);
    expect(told.status).toBe(200);
    expect(told.body.data.upsertMembers.results).toEqual(Array(20).fill({ member: { customFields: LONGEST } }));
  });

  test('a mutation in a batch has its room before it runs, whatever was told before it', async () => {
    const query = '{ members(first: 60) { nodes { customFields } } }';
    const note = 'n'.repeat(1_000);
    const create = (name: string) =>
      `mutation { createApiKey(input: { name: "${name}", scopes: [], note: "${note}" }) { ${Array.from({ length: 10 }, (_, at) => `k${at}: apiKey { note }`).join(' ')} token userErrors { message } } }`;
    const body = JSON.stringify([{ query }, { query: create(`late ${QUERY_COMPILE_AFTER}`) }]);
    const reply = JSON.parse((await send(gateway.url, { ...post(large.token, ''), body })).text);
    expect(reply[0].data.members.nodes).toHaveLength(60);
    expect(reply[1]).toMatchObject({ errors: [{ extensions: { code: 'QUERY_TOO_EXPENSIVE' } }] });
    const where = { networkId: large.network.id, name: { startsWith: 'late' } };
    expect(await database.prisma.apiKey.count({ where })).toBe(0);
    const alone = await ask(create(`soon ${QUERY_COMPILE_AFTER}`));
    expect(alone.body.data.createApiKey.k9).toEqual({ note });
  });
});

test('how long each text is that a mutation’s answer can show is known', () => {
  expect(unboundedFields(buildSchema())).toEqual([]);
});

function refusalIn({ status, body }: Reply): object {
  expect(body).not.toHaveProperty('data');
  expect(body.errors).toHaveLength(1);
  const [error] = body.errors ?? [];
  if (error === undefined) throw new Error('there is no error');
  const { name, max, actual } = error.extensions['limit'] as { name: string; max: number; actual: number };
  expect(actual).toBeGreaterThan(max);
  return { status, code: error.extensions.code, limit: { name, max } };
}
