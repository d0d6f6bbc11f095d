/** Errors that are the caller's to mend: their code, their status by media type, and nothing twice. */
import { describe, expect, test } from 'vitest';
import { expectCharged } from '../support/charges.ts';
import { replyOf } from '../support/client.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

const GRAPHQL = 'application/graphql-response+json';
const JSON_TYPE = 'application/json';

interface Wrong {
  readonly body: string;
  readonly code: string;
  readonly message: RegExp;
  /** What it would have cost, where that was known before it was found wrong. */
  readonly points?: number;
}

const FIRST = 'query($first: Int) { members(first: $first) { nodes { id } } }';
/** What is wrong with a well-formed request: 200 to a caller that reads only JSON, as GraphQL over HTTP has it. */
const REQUESTS: Readonly<Record<string, Wrong>> = {
  'a document that is no GraphQL': document('{ me {', 'GRAPHQL_PARSE_FAILED', /^Syntax Error/),
  'an empty document': document('', 'GRAPHQL_PARSE_FAILED', /^Syntax Error: Unexpected <EOF>/),
  'a field that there is not': document('{ you { id } }', 'GRAPHQL_VALIDATION_FAILED', /^Cannot query field "you"/),
  'an operation that there is not': document('{ me { id } }', 'BAD_USER_INPUT', /operation/, {
    operationName: 'Other',
  }),
  'two operations and no name': document('query A { me { id } } query B { me { id } }', 'BAD_USER_INPUT', /operation/),
  'a subscription': document('subscription { me { id } }', 'BAD_USER_INPUT', /subscription/),
  'a variable of the wrong type': {
    ...document(FIRST, 'BAD_USER_INPUT', /^Variable "\$first"/, { variables: { first: 'x' } }),
    points: 2,
  },
  'a variable that is missing': {
    ...document('query($id: ID!) { apiKey(id: $id) { id } }', 'BAD_USER_INPUT', /^Variable "\$id"/),
    points: 1,
  },
  'a mutation of two, and a variable that is missing': {
    ...document(
      'mutation($i: RevokeApiKeyInput!) { a: revokeApiKey(input: $i) { userErrors { code } } b: revokeApiKey(input: $i) { userErrors { code } } }',
      'BAD_USER_INPUT',
      /^Variable "\$i"/,
    ),
    points: 20,
  },
};

/** What is no well-formed request: 400 to everybody. */
const MALFORMED: Readonly<Record<string, Wrong>> = {
  'no JSON': { body: '{ "query": ', code: 'BAD_USER_INPUT', message: /JSON/ },
  'an empty body': { body: '', code: 'BAD_USER_INPUT', message: /JSON/ },
  'a JSON that is no object': { body: '"{ me { id } }"', code: 'BAD_USER_INPUT', message: /object/ },
  'a null': { body: 'null', code: 'BAD_USER_INPUT', message: /object/ },
  'no query': { body: '{ "qeury": "{ me { id } }" }', code: 'BAD_USER_INPUT', message: /qeury|query/ },
  'a query that is no text': { body: '{ "query": 7 }', code: 'BAD_USER_INPUT', message: /"query"/ },
  'variables that are no object': {
    body: '{ "query": "{ me { id } }", "variables": [7] }',
    code: 'BAD_USER_INPUT',
    message: /"variables"/,
  },
  'an operationName that is no text': {
    body: '{ "query": "{ me { id } }", "operationName": 7 }',
    code: 'BAD_USER_INPUT',
    message: /`operationName`/,
  },
  'extensions that are no object': {
    body: '{ "query": "{ me { id } }", "extensions": "x" }',
    code: 'BAD_USER_INPUT',
    message: /"extensions"/,
  },
};

function document(query: string, code: string, message: RegExp, more: object = {}): Wrong {
  return { body: JSON.stringify({ query, ...more }), code, message };
}

async function ask(body: string, accept: string) {
  const { token } = await makeNetwork(suite.database);
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept };
  const reply = await fetch(`${suite.url}/graphql`, { method: 'POST', headers, body });
  return { ...(await replyOf(reply)), type: reply.headers.get('content-type') };
}

async function expectRefused(
  { body, code, message, points = 0 }: Wrong,
  accept: string,
  status: number,
): Promise<void> {
  const reply = await ask(body, accept);
  expect({ status: reply.status, type: reply.type }).toEqual({ status, type: `${accept}; charset=utf-8` });
  expect(Object.keys(reply.body)).toEqual(['errors']);
  expect(reply.body.errors).toHaveLength(1);
  expect(reply.body.errors?.[0]).toMatchObject({
    message: expect.stringMatching(message),
    extensions: { code, status: 400, requestId: reply.headers.get('x-request-id') },
  });
  expectCharged(reply, { requested: points, actual: 0 });
}

describe('a wrong request', () => {
  test.for(Object.entries(REQUESTS))('%s: 400', ([, wrong]) => expectRefused(wrong, GRAPHQL, 400));
  test.for(Object.entries(REQUESTS))('%s: 200 to a caller that reads only JSON', ([, wrong]) =>
    expectRefused(wrong, JSON_TYPE, 200),
  );
});

describe('what is no request at all', () => {
  test.for(Object.entries(MALFORMED))('%s: 400', ([, wrong]) => expectRefused(wrong, GRAPHQL, 400));
  test.for(Object.entries(MALFORMED))('%s: 400 to a caller that reads only JSON', ([, wrong]) =>
    expectRefused(wrong, JSON_TYPE, 400),
  );
});

describe('in a query string, JSON that is none', () => {
  test.for(['variables', 'extensions'])('as %s: 400, and no bug', async (name) => {
    const { token } = await makeNetwork(suite.database);
    const query = new URLSearchParams({ query: '{ me { id } }', [name]: '{bad' });
    for (const accept of [GRAPHQL, JSON_TYPE]) {
      const reply = await fetch(`${suite.url}/graphql?${query}`, {
        headers: { authorization: `Bearer ${token}`, accept },
      });
      expect(reply.status).toBe(400);
      expect(await reply.json()).toMatchObject({
        errors: [{ message: `\`${name}\` is not JSON`, extensions: { field: name } }],
      });
    }
    expect(suite.gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe('an argument’s value that is found wrong only when its field is about to run is the caller’s, and no bug', () => {
  test.for([
    ['a null in spite of its default', 'query($x: ID = "key_1") { apiKey(id: $x) { id } }', { apiKey: null }, 200],
    [
      'a null in an input field',
      'query($x: MemberOrderField = ID) { members(orderBy: { field: $x }) { nodes { id } } }',
      null,
      400,
    ],
  ] as const)('%s', async ([, query, data, status]) => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, query, { variables: { x: null } });
    expect(reply.status).toBe(status);
    expect(reply.body.data).toEqual(data);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringMatching(/^Argument /),
      extensions: { code: 'BAD_USER_INPUT' },
    });
    expect(suite.gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

test('a null for what @include looks at is refused before anything runs', async () => {
  const { token } = await makeNetwork(suite.database);
  const query = 'query($x: Boolean = true) { me { id @include(if: $x) } }';
  const reply = await suite.call(token, query, { variables: { x: null } });
  expect(reply.status).toBe(400);
  expect(reply.body).not.toHaveProperty('data');
  expect(reply.body.errors).toMatchObject([
    {
      message: 'The variable of `@include` must be true or false, not null',
      extensions: { code: 'BAD_USER_INPUT', field: 'include' },
    },
  ]);
});

test('the same wrong document is refused in the same words every time', async () => {
  for (const query of ['{ me {', '{ you { id } }', '{ me { id(x: 1) } you }']) {
    const bodies: string[] = [];
    for (let time = 0; time < 3; time += 1) {
      const { headers, body } = await ask(JSON.stringify({ query }), GRAPHQL);
      bodies.push(JSON.stringify(body).replaceAll(String(headers.get('x-request-id')), 'req'));
    }
    expect(new Set(bodies).size).toBe(1);
  }
});

test('an answer with data has the status 200, whatever failed beside them', async () => {
  const { token } = await makeNetwork(suite.database);
  const reply = await suite.call(token, '{ me { id } member { id } }');
  expect(reply.status).toBe(200);
  expect(reply.body.data).toEqual({ me: { id: expect.any(String) }, member: null });
  expect(reply.body.errors?.[0]).toMatchObject({
    path: ['member'],
    extensions: { code: 'BAD_USER_INPUT', status: 400 },
  });
});

test('several errors all come back, each with the request’s id', async () => {
  const { token } = await makeNetwork(suite.database);
  const reply = await suite.call(token, '{ a: member { id } b: member { id } }');
  const requestId = reply.headers.get('x-request-id');
  expect(reply.body.errors?.map(({ path, extensions }) => [path, extensions.requestId])).toEqual([
    [['a'], requestId],
    [['b'], requestId],
  ]);
});

describe('the answer’s media type is the one that the caller likes best', () => {
  test.for([
    ['', JSON_TYPE],
    ['*/*', JSON_TYPE],
    ['text/html', JSON_TYPE],
    ['application/*', JSON_TYPE],
    [GRAPHQL, GRAPHQL],
    ['APPLICATION/GRAPHQL-RESPONSE+JSON; charset=utf-8', GRAPHQL],
    [`${JSON_TYPE}, ${GRAPHQL}`, JSON_TYPE],
    [`${GRAPHQL}, ${JSON_TYPE}`, GRAPHQL],
    [`${JSON_TYPE};q=0.9, ${GRAPHQL}`, GRAPHQL],
    [`${JSON_TYPE}, ${GRAPHQL};q=0.9`, JSON_TYPE],
    [`${GRAPHQL};q=0, ${JSON_TYPE};q=0.1`, JSON_TYPE],
  ] as const)('%j: %s', async ([accept, type]) => {
    const { status, type: given } = await ask('{ "query": "{ me { id } }" }', accept);
    expect({ status, given }).toEqual({ status: 200, given: `${type}; charset=utf-8` });
  });
});
