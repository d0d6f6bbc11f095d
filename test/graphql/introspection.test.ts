/** The schema is for valid tokens, as deep as a client needs it, and for nobody where the setting says so. */
import { getIntrospectionQuery } from 'graphql';
import { describe, expect, test } from 'vitest';
import { expectLetIn, expectTooExpensive } from '../support/bounds.ts';
import { expectUncharged } from '../support/charges.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { type Suite, useGateway } from '../support/suite.ts';

const suite = useGateway();
const shallow = useGateway({ QUERY_MAX_INTROSPECTION_DEPTH: '5', QUERY_MAX_DEPTH: '3' });
const closed = useGateway({ QUERY_INTROSPECTION: 'off' });

const WHOLE = getIntrospectionQuery({ inputValueDeprecation: true, specifiedByUrl: true, schemaDescription: true });

/** Questions for the schema of so many levels, `__schema` or `__type` being the first. */
const WAYS: Readonly<Record<string, (levels: number) => string>> = {
  __schema: (levels) => `{ __schema { types { fields { ${ofType(levels - 3)} } } } }`,
  __type: (levels) => `{ __type(name: "Query") { fields { ${ofType(levels - 2)} } } }`,
  'an alias': (levels) => `{ x: __type(name: "Query") { fields { ${ofType(levels - 2)} } } }`,
  fragments: (levels) => `fragment T on __Type { fields { ...F } } query { ...Q }
    fragment Q on Query { __type(name: "Query") { ...T } } fragment F on __Field { ${ofType(levels - 2)} }`,
};

function ofType(levels: number): string {
  const between = levels - 2;
  return `type { ${'ofType { '.repeat(between)} name ${'} '.repeat(between)} }`;
}

describe.each([
  ['by default', suite, 15],
  ['as it is set', shallow, 5],
] as const)('levels in the schema, %s', (_how, gateway, max) => {
  test.for(Object.entries(WAYS))('%s: the bound is let in', ([, of]) => expectLetIn(gateway, { query: of(max) }));

  test.for(Object.entries(WAYS))('%s: one over is refused', async ([, of]) => {
    const message = `Query is ${max + 1} levels deep in the schema: at most ${max} are let in`;
    const limit = { name: 'introspectionDepth', max, actual: max + 1 };
    await expectTooExpensive(gateway, { query: of(max + 1) }, message, limit);
  });
});

test('GraphiQL’s own question for the schema is within every bound', () => expectLetIn(suite, { query: WHOLE }));

test.for([
  ['fields', '{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }'],
  ['interfaces', '{ __schema { types { possibleTypes { interfaces { possibleTypes { interfaces { name } } } } } } }'],
] as const)('a question for the schema that goes round and round its %s is refused', async ([, query]) => {
  const { token } = await makeNetwork(suite.database);
  const reply = await suite.call(token, query);
  expect(reply.status).toBe(422);
  expect(reply.body.errors?.[0]).toMatchObject({
    message: 'Maximum introspection depth exceeded',
    extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
  });
});

/** Wrong documents for which graphql-js would guess at names of the schema: fields, arguments, types, values, inputs. */
const MISTYPED = [
  '{ mee { id } }',
  '{ me { nam } }',
  '{ members(frst: 1) { nodes { id } } }',
  '{ members { nodes { ... on Membr { id } } } }',
  '{ members(orderBy: { feild: ID }) { nodes { id } } }',
  '{ members(orderBy: { field: IDD }) { nodes { id } } }',
  'query($x: MemberOrdr) { members(orderBy: $x) { nodes { id } } }',
  'mutation { createApiKey(input: { nme: "x", name: "x", scopes: [MEMBERS_RED] }) { token } }',
  '{ me { id @skip(iff: true) } }',
];

describe('with QUERY_INTROSPECTION=off', () => {
  test.for([
    ['the whole schema', WHOLE],
    ['__schema', '{ __schema { queryType { name } } }'],
    ['__type', '{ __type(name: "Member") { name } }'],
    [
      '__type beside others, in a fragment',
      '{ me { id } ...A } fragment A on Query { x: __type(name: "Member") { name } }',
    ],
  ] as const)('%s is not to be had', async ([, query]) => {
    const { token } = await makeNetwork(closed.database);
    const reply = await closed.call(token, query);
    expect(reply.status).toBe(422);
    expect(reply.body).not.toHaveProperty('data');
    for (const error of reply.body.errors ?? []) {
      expect(error).toMatchObject({
        message: expect.stringMatching(/^GraphQL introspection (has been disabled|is not allowed)/),
        extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
      });
    }
    expect(reply.body.errors?.length).toBeGreaterThan(0);
  });

  test('__typename is: it tells nothing that the document does not', async () => {
    const { token } = await makeNetwork(closed.database);
    expect((await closed.call(token, '{ __typename me { __typename } }')).body).toEqual({
      data: { __typename: 'Query', me: { __typename: 'Viewer' } },
    });
  });

  test.for(MISTYPED)('nobody is told what was meant by %s', async (query) => {
    expect(await meant(suite, query)).toMatch(/Did you mean/);
    expect(await meant(closed, query)).not.toMatch(/Did you mean/);
  });

  test.for([
    ['an enum', 'query($x: MemberOrderField!) { members(orderBy: { field: $x }) { nodes { id } } }', 'IDD'],
    ['an input object', 'query($x: MemberOrder) { members(orderBy: $x) { nodes { id } } }', { feild: 'ID' }],
  ] as const)('nor by %s in a variable', async ([, query, x]) => {
    expect(await meant(suite, query, { x })).toMatch(/Did you mean/);
    expect(await meant(closed, query, { x })).not.toMatch(/Did you mean/);
  });

  test('every refusal still says what is wrong, the second time, too', async () => {
    for (let time = 0; time < 2; time += 1) {
      expect(await meant(closed, '{ mee { id } }')).toBe('Cannot query field "mee" on type "Query".');
    }
  });
});

/** All that a refusal says. */
async function meant(gateway: Suite, query: string, variables: Record<string, unknown> = {}): Promise<string> {
  const { token } = await makeNetwork(gateway.database);
  const { body } = await gateway.call(token, query, { variables });
  expect(body).not.toHaveProperty('data');
  return body.errors?.map(({ message }) => message).join('\n') ?? '';
}

describe('without a valid token', () => {
  test.for([
    ['the schema', WHOLE],
    ['a mistyped field', '{ mee { id } }'],
    ['what is no GraphQL', '{{{'],
    ['what is over every bound', `{ me { ${'a: id '.repeat(5_000)} } }`],
    ['a batch', null],
  ] as const)('nothing of a document is looked at: %s', async ([, query]) => {
    for (const token of [null, 'nonsense', `gk_live_${'0'.repeat(49)}`]) {
      const headers: Record<string, string> = { 'content-type': 'application/json' };
      if (token !== null) headers['authorization'] = `Bearer ${token}`;
      const body =
        query === null ? `[${Array(50).fill('{"query":"{ me { id } }"}').join(',')}]` : JSON.stringify({ query });
      const reply = await fetch(`${suite.url}/graphql`, { method: 'POST', headers, body });
      expect(reply.status).toBe(401);
      const { errors, ...rest } = (await reply.json()) as { errors: { extensions: { code: string } }[] };
      expect([errors.length, errors[0]?.extensions.code, rest]).toEqual([1, 'UNAUTHORIZED', {}]);
      expectUncharged({ cost: null, headers: reply.headers });
    }
  });
});
