/** Errors that are the caller's to mend: their code, their status by media type, and nothing twice. */
import { describe, expect, test } from 'vitest';
import { expectCharged } from '../support/charges.ts';
import { replyOf } from '../support/client.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { sendBytes } from '../support/raw-http.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

const GRAPHQL = 'application/graphql-response+json';
const JSON_TYPE = 'application/json';

interface Wrong {
  readonly body: string;
  readonly code: string;
  readonly message: RegExp;
  /** 422 where absent. */
  readonly status?: number;
  /** What it would have cost, where that was known before it was found wrong. */
  readonly points?: number;
}

const FIRST = 'query($first: Int) { members(first: $first) { nodes { id } } }';
/** What is wrong with a well-formed request. */
const REQUESTS: Readonly<Record<string, Wrong>> = {
  'a document that is no GraphQL': { ...document('{ me {', 'GRAPHQL_PARSE_FAILED', /^Syntax Error/), status: 400 },
  'an empty document': {
    ...document('', 'GRAPHQL_PARSE_FAILED', /^Syntax Error: Unexpected <EOF>/),
    status: 400,
  },
  'a field that there is not': document('{ you { id } }', 'GRAPHQL_VALIDATION_FAILED', /^Cannot query field "you"/),
  'an operation that there is not': document(
    'query A { me { id } }',
    'BAD_USER_INPUT',
    /^Unknown operation named "Other"$/,
    {
      operationName: 'Other',
    },
  ),
  'two operations and no name': document(
    'query A { me { id } } query B { me { id } }',
    'BAD_USER_INPUT',
    /^The document has several operations/,
  ),
  'fragments alone': document('fragment F on Viewer { id }', 'BAD_USER_INPUT', /^The document has no operation$/),
  'a subscription': document('subscription { me { id } }', 'BAD_USER_INPUT', /subscription/),
  'a variable of the wrong type': {
    ...document(FIRST, 'BAD_USER_INPUT', /^Variable "\$first"/, { variables: { first: 'x' } }),
    points: 2,
  },
  'a variable that is missing': {
    ...document('query($id: ID!) { apiKey(id: $id) { id } }', 'BAD_USER_INPUT', /^Variable "\$id"/),
    points: 1,
  },
  'a wrong variable of which the longest answer would be too long': document(
    'mutation($m: [UpsertMember!]!) { upsertMembers(input: { members: $m }) { results { member { customFields } } } }',
    'BAD_USER_INPUT',
    /^Variable "\$m" of non-null type/,
    { variables: { m: null } },
  ),
  'a wrong variable beside what costs too much': {
    ...document(
      `query($id: ID!) { apiKey(id: $id) { id } ${'abcdefghijklmnopqrs'.replaceAll(/./g, ' $&: members(first: 250) { totalCount nodes { id } }')} }`,
      'BAD_USER_INPUT',
      /^Variable "\$id"/,
    ),
    points: 1_227,
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

/** What is no well-formed request. */
const MALFORMED: Readonly<Record<string, Wrong>> = {
  'no JSON': { body: '{ "query": ', code: 'GRAPHQL_PARSE_FAILED', message: /JSON/, status: 400 },
  'an empty body': { body: '', code: 'GRAPHQL_PARSE_FAILED', message: /JSON/, status: 400 },
  'a JSON that is no object': { body: '"{ me { id } }"', code: 'BAD_USER_INPUT', message: /object/ },
  'a null': { body: 'null', code: 'BAD_USER_INPUT', message: /object/ },
  'no query': { body: '{ "qeury": "{ me { id } }" }', code: 'BAD_USER_INPUT', message: /^`query` is missing/ },
  'a query that is no text': { body: '{ "query": 7 }', code: 'BAD_USER_INPUT', message: /^`query` must be a string$/ },
  'variables that are no object': {
    body: '{ "query": "{ me { id } }", "variables": [7] }',
    code: 'BAD_USER_INPUT',
    message: /^`variables` must be an object$/,
  },
  'an operationName that is no text': {
    body: '{ "query": "{ me { id } }", "operationName": 7 }',
    code: 'BAD_USER_INPUT',
    message: /^`operationName` must be a string$/,
  },
  'extensions that are no object': {
    body: '{ "query": "{ me { id } }", "extensions": "x" }',
    code: 'BAD_USER_INPUT',
    message: /^`extensions` must be an object$/,
  },
};

function document(query: string, code: string, message: RegExp, more: object = {}): Wrong {
  return { body: JSON.stringify({ query, ...more }), code, message };
}

async function ask(body: string, accept: string, knownToken?: string) {
  const token = knownToken ?? (await makeNetwork(suite.database)).token;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept };
  const reply = await fetch(`${suite.url}/graphql`, { method: 'POST', headers, body });
  return { ...(await replyOf(reply)), type: reply.headers.get('content-type') };
}

/** A refusal is of GraphQL's own media type, whatever its caller prefers. */
async function expectRefused({ body, code, message, status = 422, points = 0 }: Wrong, accept: string): Promise<void> {
  const reply = await ask(body, accept);
  expect({ status: reply.status, type: reply.type }).toEqual({ status, type: `${GRAPHQL}; charset=utf-8` });
  expect(Object.keys(reply.body)).toEqual(['errors']);
  expect(reply.body.errors).toHaveLength(1);
  expect(reply.body.errors?.[0]).toMatchObject({
    message: expect.stringMatching(message),
    extensions: { code, status, requestId: reply.headers.get('x-request-id') },
  });
  expectCharged(reply, { requested: points, actual: 0 });
}

describe.for([GRAPHQL, JSON_TYPE, '*/*'])('to a caller that accepts %s', (accept) => {
  test.for(Object.entries(REQUESTS))('%s is refused, without data', ([, wrong]) => expectRefused(wrong, accept));
  test.for(Object.entries(MALFORMED))('%s is refused as no request', ([, wrong]) => expectRefused(wrong, accept));
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
        errors: [
          {
            message: `\`${name}\` is not JSON`,
            extensions: { code: 'GRAPHQL_PARSE_FAILED', status: 400, field: name },
          },
        ],
      });
    }
    expect(suite.gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe('an argument’s value that is found wrong only when its field is about to run is the caller’s, and no bug', () => {
  test.for([
    ['a null in spite of its default', 'query($x: ID = "key_1") { apiKey(id: $x) { id } }', { apiKey: null }],
    [
      'a null in an input field',
      'query($x: MemberOrderField = ID) { members(orderBy: { field: $x }) { nodes { id } } }',
      null,
    ],
  ] as const)('%s', async ([, query, data]) => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, query, { variables: { x: null } });
    expect(reply.status).toBe(294);
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
  expect(reply.status).toBe(422);
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

describe('data beside errors is a partial success', () => {
  test.for([
    [GRAPHQL, 294, GRAPHQL],
    [JSON_TYPE, 200, JSON_TYPE],
    ['*/*', 200, JSON_TYPE],
    [`${GRAPHQL}, ${JSON_TYPE};q=0.9`, 294, GRAPHQL],
    [`${GRAPHQL};q=0.9, ${JSON_TYPE}`, 200, JSON_TYPE],
  ] as const)('to a caller that accepts %s: %i', async ([accept, status, type]) => {
    for (const query of ['{ me { id } member { id } }', '{ members(first: 251) { nodes { id } } }']) {
      const reply = await ask(JSON.stringify({ query }), accept);
      expect([reply.status, reply.type]).toEqual([status, `${type}; charset=utf-8`]);
      expect(reply.body).toHaveProperty('data');
      expect(reply.body.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', status: 422 });
    }
  });
});

test('what failed beside data says which field it was', async () => {
  const { token } = await makeNetwork(suite.database);
  const reply = await suite.call(token, '{ me { id } member { id } }');
  expect(reply.body.data).toEqual({ me: { id: expect.any(String) }, member: null });
  expect(reply.body.errors?.[0]).toMatchObject({
    path: ['member'],
    extensions: { code: 'BAD_USER_INPUT', status: 422 },
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
    [' , ,', JSON_TYPE],
    ['*/*', JSON_TYPE],
    ['*', JSON_TYPE],
    ['application/*', JSON_TYPE],
    ['text/html, */*;q=0.1', JSON_TYPE],
    ['text/html, image/gif, *; q=.2, */*; q=.2', JSON_TYPE],
    [GRAPHQL, GRAPHQL],
    ['APPLICATION/GRAPHQL-RESPONSE+JSON; charset=utf-8', GRAPHQL],
    [`${JSON_TYPE}, ${GRAPHQL}`, JSON_TYPE],
    [`${GRAPHQL}, ${JSON_TYPE}`, GRAPHQL],
    [`${JSON_TYPE};q=0.9, ${GRAPHQL}`, GRAPHQL],
    [`${JSON_TYPE}, ${GRAPHQL};q=0.9`, JSON_TYPE],
    [`${GRAPHQL};q=0, ${JSON_TYPE};q=0.1`, JSON_TYPE],
    [`*/*, ${GRAPHQL}`, GRAPHQL],
    [`${GRAPHQL}, application/*`, GRAPHQL],
    [`${JSON_TYPE};q=0, */*`, GRAPHQL],
    [`${GRAPHQL};q=0, */*`, JSON_TYPE],
    [`${GRAPHQL};q=0.1, */*;q=0.9`, JSON_TYPE],
    [`application/*;q=0, */*, ${GRAPHQL}`, GRAPHQL],
    [`${JSON_TYPE};q=x, ${GRAPHQL};q=0.1`, GRAPHQL],
    [`${JSON_TYPE};q=2, ${GRAPHQL};q=0.1`, GRAPHQL],
    [`;q=1, ${GRAPHQL}`, GRAPHQL],
  ] as const)('%j: %s', async ([accept, type]) => {
    const { status, type: given } = await ask('{ "query": "{ me { id } }" }', accept);
    expect({ status, given }).toEqual({ status: 200, given: `${type}; charset=utf-8` });
  });

  test('of several Accept fields together', async () => {
    const { token } = await makeNetwork(suite.database);
    const head = `GET /graphql?query=%7Bme%7Bid%7D%7D HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}`;
    const fields = `Accept: text/html\r\nAccept: ${JSON_TYPE};q=0.5\r\nAccept: ${GRAPHQL}`;
    const text = await sendBytes(suite.url, `${head}\r\n${fields}\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toContain(`content-type: ${GRAPHQL}; charset=utf-8`);
  });
});

describe('a caller that accepts neither type gets 406, and nothing is run', () => {
  const CREATE = 'mutation { createApiKey(input: { name: "unseen", scopes: [] }) { token } }';

  test.for([
    'text/html',
    'text/html, image/*;q=0.8',
    'application',
    'application/xml',
    `${JSON_TYPE};q=0, ${GRAPHQL};q=0`,
    '*/*;q=0',
    'application/*;q=0, */*',
    `${JSON_TYPE};q=x`,
    'nonsense;;',
  ])('%s', async (accept) => {
    const { network, token } = await makeNetwork(suite.database);
    const reply = await ask(JSON.stringify({ query: CREATE }), accept, token);
    expect([reply.status, reply.type]).toEqual([406, `${GRAPHQL}; charset=utf-8`]);
    expect(reply.body).toEqual({
      errors: [
        {
          message: `Not acceptable: accept ${GRAPHQL} or ${JSON_TYPE}`,
          extensions: { code: 'NOT_ACCEPTABLE', status: 406, requestId: reply.headers.get('x-request-id') },
        },
      ],
    });
    expectCharged(reply, { requested: 0, actual: 0 });
    expect(await suite.database.prisma.apiKey.count({ where: { networkId: network.id, name: 'unseen' } })).toBe(0);
  });

  test('by GET as well; who is not known is told that first', async () => {
    const { token } = await makeNetwork(suite.database);
    const url = `${suite.url}/graphql?query=%7Bme%7Bid%7D%7D`;
    const headers = { accept: 'image/png', authorization: `Bearer ${token}` };
    expect((await fetch(url, { headers })).status).toBe(406);
    expect((await fetch(url, { headers: { accept: 'image/png' } })).status).toBe(401);
  });
});

describe('an operation that was refused before anything of it was resolved keeps its own status', () => {
  test.for([
    ['alone', '{ members { nodes { id } } }', [], 403],
    ['in a fragment', 'query { ...F } fragment F on Query { members { nodes { id } } }', [], 403],
  ] as const)('%s', async ([, query, scopes, status]) => {
    const { token } = await makeNetwork(suite.database, { scopes });
    for (const accept of [GRAPHQL, JSON_TYPE]) {
      const reply = await ask(JSON.stringify({ query }), accept, token);
      expect([reply.status, reply.type]).toEqual([status, `${GRAPHQL}; charset=utf-8`]);
      expect(reply.body).not.toHaveProperty('data');
    }
  });

  test.for([GRAPHQL, JSON_TYPE])(
    'while it ran, too, where it has one root field: 410 to one that accepts %s',
    async (accept) => {
      const { token, position } = await lostPosition();
      for (const query of [
        `{ memberChanges(after: "${position}") { position } }`,
        `query { ...F } fragment F on Query { a: memberChanges(after: "${position}") { position } ... { a: memberChanges(after: "${position}") { hasMore } } }`,
      ]) {
        const reply = await ask(JSON.stringify({ query }), accept, token);
        expect([reply.status, reply.type]).toEqual([410, `${GRAPHQL}; charset=utf-8`]);
        expect(Object.keys(reply.body)).toEqual(['errors']);
        expect(reply.body.errors?.[0]).toMatchObject({
          path: [expect.any(String)],
          extensions: { code: 'POSITION_EXPIRED' },
        });
      }
    },
  );

  test.for([
    [GRAPHQL, 294],
    [JSON_TYPE, 200],
  ] as const)(
    'and not where another root field may have been resolved: to one that accepts %s, %i',
    async ([accept, status]) => {
      const { token, position } = await lostPosition();
      const query = `{ me { id } memberChanges(after: "${position}") { position } }`;
      const reply = await ask(JSON.stringify({ query }), accept, token);
      expect([reply.status, reply.type]).toEqual([status, `${accept}; charset=utf-8`]);
      expect(reply.body.data).toBeNull();
      expect(reply.body.errors?.[0]?.extensions).toMatchObject({ code: 'POSITION_EXPIRED', status: 410 });
    },
  );

  /** A position from before a deletion that is forgotten by now. */
  async function lostPosition(): Promise<{ token: string; position: string }> {
    const { network, token } = await makeNetwork(suite.database);
    await makeMembers(suite.database, network.id, 1);
    const { body } = await suite.call(token, '{ memberChanges { position } }');
    const { pool } = suite.database;
    await makeMembers(suite.database, network.id, 1);
    await pool.query('UPDATE member_feeds SET floor = position WHERE network_id = $1', [network.id]);
    return { token, position: body.data.memberChanges.position };
  }
});
