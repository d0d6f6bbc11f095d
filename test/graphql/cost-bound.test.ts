/** What one request may cost: known before any of it runs, from the schema and from what it asks for, to the point. */
import { describe, expect, test } from 'vitest';
import { type Asked, expectLetIn, expectTooExpensive } from '../support/bounds.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { recordStatements } from '../support/statements.ts';
import { useGateway } from '../support/suite.ts';

const MAX = 64;
const suite = useGateway();
const tight = useGateway({ QUERY_MAX_COST: String(MAX) });
/** With bounds so wide that fragments reach more fields than are counted. */
const wide = useGateway({ QUERY_MAX_ALIASES: '10000', QUERY_MAX_COST: '1000000000' });
const statements = recordStatements();

/** At the bound of 64 points as it stands; one point over with `me` beside it. A member is a quarter, a key 1. */
const AT_BOUND: Readonly<Record<string, (more: string) => Asked>> = {
  'first: 250': (more) => ({ query: `{ members(first: 250) { nodes { id name } } ${more} }` }),
  'last: 250': (more) => ({ query: `{ members(last: 250) { nodes { id } } ${more} }` }),
  edges: (more) => ({
    query: `{ members(first: 250) { edges { cursor node { id } } pageInfo { endCursor } } ${more} }`,
  }),
  'nodes and edges at once, which are the same rows': (more) => ({
    query: `{ members(first: 250) { nodes { id } edges { node { id } } } ${more} }`,
  }),
  aliases: (more) => ({
    query: `{ a: members(first: 124) { nodes { id } } b: members(first: 124) { nodes { id } } ${more} }`,
  }),
  'a list below a list': (more) => ({
    query: `{ members(first: 50) { nodes { network { slug } } } ${more} }`,
  }),
  'objects below a list': (more) => ({
    query: `{ apiKeys(first: 31) { nodes { createdBy { id } } } __typename network { slug } ${more} }`,
  }),
  'a list of ids': (more) => ({ query: `{ nodes(ids: [${'"x" '.repeat(64)}]) { id } ${more} }` }),
  'a list of ids in a variable': (more) => ({
    query: `query($ids: [ID!]!) { nodes(ids: $ids) { id } ${more} }`,
    variables: { ids: Array(64).fill('x') },
  }),
  'a variable': (more) => ({
    query: `query($first: Int) { members(first: $first) { nodes { id } } ${more} }`,
    variables: { first: 250 },
  }),
  'a variable’s default': (more) => ({
    query: `query($first: Int = 250) { members(first: $first) { nodes { id } } ${more} }`,
  }),
  'a variable in place of its default': (more) => ({
    query: `query($first: Int = 1) { members(first: $first) { nodes { id } } ${more} }`,
    variables: { first: 250 },
  }),
  fragments: (more) => ({
    query: `fragment N on Member { id } { ...Q ${more} } fragment C on MemberConnection { ... { nodes { ...N } } }
      fragment Q on Query { members(first: 250) { ...C } }`,
  }),
  'fields that merge into one': (more) => ({
    query: `{ members(first: 250) { nodes { id } } ...A ...A ${more} } fragment A on Query { members(first: 250) { nodes { name } } }`,
  }),
  'a part that is skipped': (more) => ({
    query: `query($no: Boolean!) { members(first: 250) { nodes { id network @include(if: $no) { slug } } } apiKeys @skip(if: true) { nodes { id } } ${more} }`,
    variables: { no: false },
  }),
  'a type that an object may be of, the dearest of them': (more) => ({
    query: `{ nodes(ids: [${'"x" '.repeat(32)}]) { ... on Member { network { slug } } ... on ApiKey { createdBy { id } } } ${more} }`,
  }),
};

describe('at the bound', () => {
  test.for(Object.entries(AT_BOUND))('%s: let in, and charged exactly that', async ([, of]) => {
    await expectLetIn(tight, of(''));
    const { token } = await makeNetwork(tight.database);
    const { query, variables } = of('');
    const reply = await tight.call(token, query, variables === undefined ? {} : { variables });
    expect(reply.cost?.requested).toBe(MAX);
  });

  test.for(Object.entries(AT_BOUND))('%s: one point over is refused, and nothing of it runs', async ([, of]) => {
    statements.length = 0;
    const message = `Query costs ${MAX + 1} points: at most ${MAX} are let in at once`;
    const limit = { name: 'cost', max: MAX, actual: MAX + 1 };
    await expectTooExpensive(tight, of('me { id }'), message, limit, MAX + 1);
    // Of the network that is made, and of the token: nothing of what was asked for.
    expect(statements.filter((text) => /FROM members|FROM api_keys WHERE/.test(text))).toEqual([]);
  });
});

test('1,000 points by default: exactly that is let in, a point more is not', async () => {
  const query = (
    keys: number,
  ) => `{ ${['a', 'b', 'c'].map((name) => `${name}: members(first: 250) { nodes { network { slug } } }`).join(' ')}
    apiKeys(first: ${keys}) { nodes { id } } }`;
  await expectLetIn(suite, { query: query(58) });
  const message = 'Query costs 1001 points: at most 1000 are let in at once';
  const limit = { name: 'cost', max: 1_000, actual: 1_001 };
  await expectTooExpensive(suite, { query: query(59) }, message, limit, 1_001);
});

test('a plan’s points a minute bound it, too: what never fits is no wait', async () => {
  const numbers = { plan: 'CUSTOM', requestsPerMinute: 100, costPerMinute: MAX - 1 } as const;
  const { token } = await makeNetwork(suite.database, { network: numbers });
  const reply = await suite.call(token, '{ members(first: 250) { nodes { id } } }');
  expect([reply.status, reply.headers.get('retry-after')]).toEqual([400, null]);
  expect(reply.body.errors?.[0]).toMatchObject({
    message: `Query costs ${MAX} points: at most ${MAX - 1} are let in at once`,
    extensions: { code: 'QUERY_TOO_EXPENSIVE', limit: { name: 'cost', max: MAX - 1, actual: MAX } },
  });
});

test('what is too much to count is refused without being counted', async () => {
  const levels = 12;
  const fragments = Array.from(
    { length: levels },
    (_, index) =>
      `fragment F${index} on ApiKey { a: createdByKey { ...F${index + 1} } b: createdByKey { ...F${index + 1} } }`,
  );
  const query = `{ me { apiKey { ...F0 } } } ${fragments.join(' ')} fragment F${levels} on ApiKey { id name status }`;
  const message = 'Query has too many fields to count: at most 100000000 are let in at once';
  await expectTooExpensive(wide, { query }, message, { name: 'cost', max: 100_000_000 }, Number.MAX_SAFE_INTEGER);
});

test.for([
  ['-1', 1],
  ['0', 1],
  ['251', 64],
  ['2147483647', 251],
  ['99999999999', 251],
  ['null', 51],
  ['"250"', 51],
] as const)('a page of %s: refused or answered in its own words, never by a bug', async ([first, mostPoints]) => {
  const { network, token } = await makeNetwork(suite.database);
  await makeMembers(suite.database, network.id, 1);
  const literal = await suite.call(token, `{ members(first: ${first}) { nodes { id } } }`);
  const query = 'query($first: Int) { members(first: $first) { nodes { id } } }';
  const inVariable = await suite.call(token, query, { variables: { first: JSON.parse(first) } });
  for (const { status, cost } of [literal, inVariable]) {
    expect([200, 294, 400, 422]).toContain(status);
    expect(cost?.requested).toBeLessThanOrEqual(mostPoints);
    expect(cost?.actual).toBeLessThanOrEqual(2);
  }
  expect(suite.gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
});
