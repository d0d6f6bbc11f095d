/** A document over a bound is refused with its figures before it is validated; one at the bound is let in. */
import { getIntrospectionQuery } from 'graphql';
import { describe, expect, test } from 'vitest';
import { makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

const TOKENS_MAX = 2_000;
const DEPTH_MAX = 15;
const ALIASES_MAX = 50;

async function ask(query: string) {
  const { token } = await makeNetwork(suite.database);
  return suite.call(token, query);
}

async function expectLetIn(query: string): Promise<void> {
  const reply = await ask(query);
  expect({ status: reply.status, errors: reply.body.errors }).toEqual({ status: 200, errors: undefined });
}

async function expectRefused(query: string, message: string, limit: object): Promise<void> {
  const { token } = await makeNetwork(suite.database);
  // The second time, the document comes from the cache. And it is refused to those as well who read only JSON.
  for (const accept of ['application/graphql-response+json', 'application/graphql-response+json', 'application/json']) {
    const reply = await suite.call(token, query, { headers: { accept } });
    expect(reply.status).toBe(400);
    expect(reply.body).not.toHaveProperty('data');
    expect(reply.body.errors).toEqual([
      {
        message,
        extensions: { code: 'QUERY_TOO_EXPENSIVE', status: 400, requestId: reply.headers.get('x-request-id'), limit },
      },
    ]);
  }
}

/** A query of so many tokens: 19 of them are around the list. */
function ofTokens(count: number): string {
  return `{ apiKeys(filter: { status: [${'ACTIVE '.repeat(count - 19)}] }) { nodes { id } } }`;
}

/** `me { apiKey { createdByKey { … id } } }` of so many levels. */
function ofDepth(levels: number): string {
  const between = levels - 3;
  return `{ me { apiKey { ${'createdByKey { '.repeat(between)} id ${'} '.repeat(between)} } } }`;
}

function ofAliases(count: number): string {
  return `{ me { ${Array.from({ length: count }, (_, index) => `a${index}: id`).join(' ')} } }`;
}

describe('tokens', () => {
  test('2,000 are let in', () => expectLetIn(ofTokens(TOKENS_MAX)));

  test('2,001 are refused', () =>
    expectRefused(ofTokens(TOKENS_MAX + 1), 'Query is more than 2000 tokens long: at most 2000 are let in', {
      name: 'tokens',
      max: TOKENS_MAX,
    }));

  test('comments, commas and blanks are none', () =>
    expectLetIn(`# ${'a '.repeat(5_000)}\n${ofTokens(TOKENS_MAX).replaceAll('ACTIVE ', 'ACTIVE,,, \t')}`));

  test('as many as a body can hold cost no more than the first 2,000', async () => {
    const reply = await ask(`{ me { ${'id '.repeat(300_000)} } }`);
    expect(reply.body.errors?.[0]?.extensions.code).toBe('QUERY_TOO_EXPENSIVE');
  });
});

describe('levels', () => {
  const refusal = (levels: number) =>
    [
      `Query is ${levels} levels deep: at most 15 are let in`,
      { name: 'depth', max: DEPTH_MAX, actual: levels },
    ] as const;

  test('15 are let in', () => expectLetIn(ofDepth(DEPTH_MAX)));

  test('16 are refused', () => expectRefused(ofDepth(DEPTH_MAX + 1), ...refusal(16)));

  test('are counted through fragments, in whatever order these stand', async () => {
    const through = (
      levels: number,
    ) => `fragment B on ApiKey { createdByKey { id } } { me { apiKey { ${'createdByKey { '.repeat(levels - 5)} ...A ${'} '.repeat(levels - 5)} } } }
      fragment A on ApiKey { createdByKey { ...B } }`;
    await expectLetIn(through(DEPTH_MAX));
    await expectRefused(through(DEPTH_MAX + 1), ...refusal(16));
  });

  test('inline fragments are none', () => expectLetIn(`{ me { ${'... { '.repeat(200)} id ${'} '.repeat(200)} } }`));

  test('of an operation that is not chosen count', async () => {
    const { token } = await makeNetwork(suite.database);
    const query = `query A { me { id } } query B ${ofDepth(DEPTH_MAX + 1)}`;
    const reply = await fetch(`${suite.url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ query, operationName: 'A' }),
    });
    expect(await reply.json()).toMatchObject({ errors: [{ extensions: { limit: { name: 'depth', actual: 16 } } }] });
  });

  test('of GraphiQL’s own question for the schema are few enough, and its tokens too', async () => {
    await expectLetIn(
      getIntrospectionQuery({ inputValueDeprecation: true, specifiedByUrl: true, schemaDescription: true }),
    );
  });
});

test.for([
  ['fields', '{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }'],
  ['interfaces', '{ __schema { types { possibleTypes { interfaces { possibleTypes { interfaces { name } } } } } } }'],
] as const)('a question for the schema that goes round and round its %s is refused', async ([, query]) => {
  const reply = await ask(query);
  expect(reply.status).toBe(400);
  expect(reply.body.errors?.[0]).toMatchObject({
    message: 'Maximum introspection depth exceeded',
    extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
  });
});

describe('aliases', () => {
  const refusal = (aliases: number) =>
    [
      `Query is ${aliases} aliases long: at most 50 are let in`,
      { name: 'aliases', max: ALIASES_MAX, actual: aliases },
    ] as const;

  test('50 are let in', () => expectLetIn(ofAliases(ALIASES_MAX)));

  test('51 are refused', () => expectRefused(ofAliases(ALIASES_MAX + 1), ...refusal(51)));

  test('count each time that the fragment they stand in is spread', async () => {
    const fields = (prefix: string, count: number) =>
      Array.from({ length: count }, (_, index) => `${prefix}${index}: id`).join(' ');
    const spread = (times: number) => `{ me { ${'...A '.repeat(times)} } } fragment A on Viewer { ${fields('a', 10)} }`;
    await expectLetIn(spread(5));
    await expectRefused(spread(6), ...refusal(60));
  });

  test('of fragments that spread each other twice, ever again, are counted without walking them', async () => {
    // 2^60 aliases: whoever counts them one by one does not come back.
    const fragments = Array.from(
      { length: 60 },
      (_, index) => `fragment F${index} on Viewer { ...F${index + 1} ...F${index + 1} }`,
    );
    const query = `{ me { ...F0 } } ${fragments.join(' ')} fragment F60 on Viewer { a: id }`;
    await expectRefused(query, ...refusal(2 ** 60));
  });
});

describe('fragments', () => {
  test.for([
    ['itself', '{ me { ...A } } fragment A on Viewer { id ...A }'],
    [
      'one that spreads it',
      '{ me { ...A } } fragment A on Viewer { ...B } fragment B on Viewer { ...C } fragment C on Viewer { ...A }',
    ],
    ['itself, in a field of its own', '{ me { apiKey { ...A } } } fragment A on ApiKey { createdByKey { ...A } }'],
  ] as const)('one that spreads %s is refused', async ([, query]) => {
    const reply = await ask(query);
    expect(reply.status).toBe(400);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining('Cannot spread fragment "A" within itself'),
      extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
    });
  });

  test('that spread each other twice, ever again, without an alias, are answered', async () => {
    const fragments = Array.from(
      { length: 60 },
      (_, index) => `fragment F${index} on Viewer { ...F${index + 1} ...F${index + 1} }`,
    );
    await expectLetIn(`{ me { ...F0 } } ${fragments.join(' ')} fragment F60 on Viewer { id }`);
  });
});

test.for([
  ['one', '[{ "query": "{ me { id } }" }]'],
  ['none', '[]'],
  ['many', JSON.stringify(Array(1_000).fill({ query: '{ me { id } }' }))],
] as const)('a batch of %s is refused', async ([, body]) => {
  const { token } = await makeNetwork(suite.database);
  for (const accept of ['application/graphql-response+json', 'application/json']) {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept };
    const reply = await fetch(`${suite.url}/graphql`, { method: 'POST', headers, body });
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({
      errors: [{ message: 'Batching is not supported.', extensions: { code: 'BAD_USER_INPUT' } }],
    });
  }
});
