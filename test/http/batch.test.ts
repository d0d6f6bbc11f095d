/** Several operations in one body: each is one request of its own to the limits, all share the bound of cost. */
import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { expectUncharged } from '../support/charges.ts';
import { type Reply, replyOf } from '../support/client.ts';
import { makeMembers, makeNetwork, PLENTY } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const tight = useGateway({ QUERY_MAX_BATCH: '3', QUERY_MAX_COST: '64' });
const GRAPHQL = 'application/graphql-response+json';
const ME = { query: '{ me { role } }' };
const SCOPED = { query: '{ members { nodes { id } } }' };
/** For what comes a moment after an answer: generous, for a busy machine. */
const POLL = { timeout: 10_000 };

interface BatchReply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function post(url: string, token: string | null, body: unknown, accept: string = GRAPHQL): Promise<BatchReply> {
  const authorization: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  const reply = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, ...authorization },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: reply.status, headers: reply.headers, text: await reply.text() };
}

type Answered = { data?: unknown; errors?: Reply['body']['errors']; extensions: { cost: Reply['cost'] } };

/** What each operation was answered. */
function answersOf({ text }: BatchReply): Answered[] {
  const answers = JSON.parse(text);
  expect(answers).toBeInstanceOf(Array);
  return answers;
}

const codesOf = (reply: BatchReply) => answersOf(reply).map(({ errors }) => errors?.[0]?.extensions.code ?? null);
const remainingRequests = (headers: Headers) => Number(/^"requests";r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]);

describe('how many operations', () => {
  test.for([
    ['one, of at most ten', suite, 1],
    ['ten, of at most ten', suite, 10],
    ['three, of at most three', tight, 3],
  ] as const)('%s: all are answered, in their order', async ([, gateway, count]) => {
    const { token } = await makeNetwork(gateway.database);
    const operations = Array.from({ length: count }, (_, index) => ({ query: `{ a${index}: me { role } }` }));
    const reply = await post(gateway.url, token, operations);
    expect([reply.status, reply.headers.get('content-type')]).toEqual([200, `${GRAPHQL}; charset=utf-8`]);
    expect(answersOf(reply).map(({ data }) => data)).toEqual(
      operations.map((_, index) => ({ [`a${index}`]: { role: 'OWNER' } })),
    );
    for (const { extensions } of answersOf(reply)) expect(extensions.cost).toMatchObject({ requested: 1, actual: 1 });
  });

  test.for([
    ['eleven, of at most ten', suite, 10],
    ['four, of at most three', tight, 3],
  ] as const)('%s: each is refused, and all count as one request', async ([, gateway, max]) => {
    const { token } = await makeNetwork(gateway.database);
    for (const accept of [GRAPHQL, 'application/json']) {
      const reply = await post(gateway.url, token, Array(max + 1).fill(ME), accept);
      expect(reply.status).toBe(400);
      expect(reply.headers.get('content-type')).toBe(`${GRAPHQL}; charset=utf-8`);
      expect(answersOf(reply)).toHaveLength(max + 1);
      for (const answer of answersOf(reply)) {
        expect(answer).toMatchObject({
          errors: [
            {
              message: `Query is a batch of ${max + 1} operations: at most ${max} are let in`,
              extensions: { code: 'QUERY_TOO_EXPENSIVE', limit: { name: 'batch', max, actual: max + 1 } },
            },
          ],
          extensions: { cost: { requested: 0, actual: 0 } },
        });
        expect(answer).not.toHaveProperty('data');
      }
    }
    expect(remainingRequests((await post(gateway.url, token, ME)).headers)).toBe(PLENTY.requestsPerMinute - 3);
  });

  test('none: refused', async () => {
    const { token } = await makeNetwork(suite.database);
    for (const body of ['[]', ' \n[ ]']) {
      const reply = await post(suite.url, token, body);
      expect(reply.status).toBe(422);
      expect(JSON.parse(reply.text)).toMatchObject({
        errors: [{ message: 'A batch must hold at least one operation', extensions: { code: 'BAD_USER_INPUT' } }],
      });
    }
  });

  test('as many as a body can hold are refused like one too many, in an answer that is no longer than the body', async () => {
    const { token } = await makeNetwork(suite.database);
    const reply = await post(suite.url, token, `[${Array(300_000).fill('{}').join(',')}]`);
    expect([reply.status, answersOf(reply)[0]?.errors?.[0]?.extensions['limit']]).toEqual([
      400,
      { name: 'batch', max: 10, actual: 300_000 },
    ]);
    expect(answersOf(reply)).toHaveLength(1_000);
    expect(reply.text.length).toBeLessThan(1_048_576);
  });
});

describe('what is wrong in it', () => {
  test.for(['[', '[{"query":"{ me { role } }"}', '[{"query":}]', '[]]', '[{}] []'])(
    'no JSON, %s: 400',
    async (body) => {
      const { token } = await makeNetwork(suite.database);
      const reply = await post(suite.url, token, body);
      expect([reply.status, JSON.parse(reply.text).errors[0].message]).toEqual([400, 'POST body sent invalid JSON.']);
    },
  );

  test.for([
    ['a batch in a batch', [ME]],
    ['an empty batch in a batch', []],
    ['a number', 7],
    ['a null', null],
    ['a text', '{ me { role } }'],
    ['no query', {}],
    ['a query that is no text', { query: 7 }],
  ] as const)('%s is refused by itself, and those beside it are answered', async ([, wrong]) => {
    const { token } = await makeNetwork(suite.database);
    const reply = await post(suite.url, token, [ME, wrong, ME]);
    expect([reply.status, codesOf(reply)]).toEqual([294, [null, 'BAD_USER_INPUT', null]]);
    expect(remainingRequests(reply.headers)).toBe(PLENTY.requestsPerMinute - 3);
    expect(suite.gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe('its status and headers', () => {
  test('are each operation’s where all are alike', async () => {
    const { token } = await makeNetwork(suite.database, { scopes: [] });
    const reply = await post(suite.url, token, [SCOPED, SCOPED]);
    expect([reply.status, codesOf(reply)]).toEqual([403, ['FORBIDDEN', 'FORBIDDEN']]);
    expect(reply.headers.get('www-authenticate')).toBe('Bearer error="insufficient_scope", scope="members:read"');
  });

  test('are those of a partial success, and nobody’s challenge, where they differ', async () => {
    const { token } = await makeNetwork(suite.database, { scopes: [] });
    const operations = [ME, SCOPED, { query: '{' }, { query: '{ you }' }];
    const legacy = await post(suite.url, token, operations, 'application/json');
    expect([legacy.status, legacy.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
    const reply = await post(suite.url, token, operations);
    expect(reply.headers.get('content-type')).toBe(`${GRAPHQL}; charset=utf-8`);
    expect([reply.status, codesOf(reply)]).toEqual([
      294,
      [null, 'FORBIDDEN', 'GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED'],
    ]);
    expect(reply.headers.get('www-authenticate')).toBeNull();
    expect(reply.headers.get('cache-control')).toBe('no-store');
    for (const { extensions } of answersOf(reply).slice(1)) {
      expect(extensions.cost).toMatchObject({ requested: 0, actual: 0 });
    }
  });

  test('tell what is left after the last operation', async () => {
    const { token } = await makeNetwork(suite.database);
    const reply = await post(suite.url, token, [ME, ME, ME, ME]);
    expect(remainingRequests(reply.headers)).toBe(PLENTY.requestsPerMinute - 4);
  });

  test('of an unknown caller: one 401, and nothing of the batch was looked at', async () => {
    const reply = await post(suite.url, null, '[{"query":');
    expect(reply.status).toBe(401);
    expectUncharged(await replyOf(new Response(reply.text, { headers: reply.headers })));
  });

  test('in the access log it is one line, with the points of all and the first that went wrong', async () => {
    const { network, token } = await makeNetwork(suite.database);
    await makeMembers(suite.database, network.id, 4);
    const reply = await post(suite.url, token, [
      { query: 'query First { me { role } }' },
      SCOPED,
      { query: '{ you }' },
    ]);
    const requestId = reply.headers.get('x-request-id');
    const lines = () => suite.gateway.log.filter((line) => line['requestId'] === requestId);
    await expect.poll(lines, POLL).toHaveLength(1);
    expect(lines()[0]).toMatchObject({
      operation: 'First',
      points: 1 + 2,
      code: 'GRAPHQL_VALIDATION_FAILED',
      status: 294,
    });
  });
});

describe('limits', () => {
  const STANDARD = { network: { plan: 'STANDARD' } } as const;

  test('each operation is a request: the hundredth is let in, the next is not', async () => {
    const { token } = await makeNetwork(suite.database, STANDARD);
    for (let sent = 0; sent < 90; sent += 10) {
      expect((await post(suite.url, token, Array(10).fill(ME))).status).toBe(200);
    }
    expect((await post(suite.url, token, Array(5).fill(ME))).status).toBe(200);
    const last = await post(suite.url, token, Array(7).fill(ME));
    expect(codesOf(last)).toEqual([null, null, null, null, null, 'RATE_LIMITED', 'RATE_LIMITED']);
    expect([last.status, remainingRequests(last.headers)]).toEqual([294, 0]);
    expect(last.headers.get('retry-after')).toMatch(/^[1-9]\d?$/);
    const refused = await post(suite.url, token, [ME, ME]);
    expect([refused.status, codesOf(refused)]).toEqual([429, ['RATE_LIMITED', 'RATE_LIMITED']]);
    // Now it is known before a body is read.
    const again = await post(suite.url, token, [ME, ME, ME]);
    expect([again.status, codesOf(again)]).toEqual([429, Array(3).fill('RATE_LIMITED')]);
    expect(again.headers.get('retry-after')).toMatch(/^[1-9]\d?$/);
    expect((await post(suite.url, token, ME)).text).toMatch(/^\{/);
    expect((await post(suite.url, token, '[]')).text).toMatch(/^\{/);
  });

  test('a field’s own limit counts through all of them', async () => {
    const { network, token } = await makeNetwork(suite.database, STANDARD);
    const create = (name: string) => ({
      query: `mutation { createApiKey(input: { name: "${name}", scopes: [] }) { userErrors { code } } }`,
    });
    const first = await post(
      suite.url,
      token,
      Array.from({ length: 10 }, (_, index) => create(`key ${index}`)),
    );
    expect(codesOf(first)).toEqual(Array(10).fill(null));
    const second = await post(suite.url, token, [create('eleventh'), create('twelfth')]);
    expect([second.status, codesOf(second)]).toEqual([429, ['RATE_LIMITED', 'RATE_LIMITED']]);
    expect(await suite.database.prisma.apiKey.count({ where: { networkId: network.id } })).toBe(11);
  });

  test('the bound of cost is the whole batch’s: 64 points are let in, the next operation is not', async () => {
    const { token } = await makeNetwork(tight.database);
    const half = { query: '{ members(first: 124) { nodes { id } } }' };
    const whole = await post(tight.url, token, [half, half]);
    expect([whole.status, codesOf(whole)]).toEqual([200, [null, null]]);
    const over = await post(tight.url, token, [half, half, ME]);
    expect([over.status, codesOf(over)]).toEqual([294, [null, null, 'QUERY_TOO_EXPENSIVE']]);
    const [, , refused] = answersOf(over);
    expect(refused?.errors?.[0]).toMatchObject({
      message: 'Query costs 1 points: at most 0 are let in at once',
      extensions: { limit: { name: 'cost', max: 0, actual: 1 } },
    });
    // One that is too dear leaves the rest its share.
    const dear = { query: '{ members(first: 250) { nodes { id } } me { id } }' };
    expect(codesOf(await post(tight.url, token, [dear, half, half]))).toEqual(['QUERY_TOO_EXPENSIVE', null, null]);
  });
});

describe('mutations', () => {
  test('run one after the other, in their order', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const reply = await post(
      suite.url,
      token,
      Array.from({ length: 10 }, (_, index) => ({
        query: 'mutation Make($name: String!) { createApiKey(input: { name: $name, scopes: [] }) { apiKey { id } } }',
        variables: { name: `key ${index}` },
      })),
    );
    expect(codesOf(reply)).toEqual(Array(10).fill(null));
    const made = await suite.database.prisma.apiKey.findMany({
      where: { networkId: network.id, name: { startsWith: 'key ' } },
      orderBy: { id: 'asc' },
    });
    expect(made.slice(-10).map(({ name }) => name)).toEqual(Array.from({ length: 10 }, (_, index) => `key ${index}`));
  });

  test('a token that revokes itself in the middle writes nothing after it', async () => {
    const { apiKey, network, token } = await makeNetwork(suite.database);
    const id = toId('ApiKey', apiKey.id);
    const create = { query: 'mutation { createApiKey(input: { name: "after", scopes: [] }) { token } }' };
    const revoke = { query: `mutation { revokeApiKey(input: { id: "${id}" }) { userErrors { code } } }` };
    const reply = await post(suite.url, token, [revoke, create]);
    expect(codesOf(reply)).toEqual([null, 'TOKEN_EXPIRED']);
    expect(await suite.database.prisma.apiKey.count({ where: { networkId: network.id, name: 'after' } })).toBe(0);
  });
});
