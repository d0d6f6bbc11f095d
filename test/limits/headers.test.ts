// What the headers say, parsed as the draft has it, against what is then really let in; and who pays for what.
import { randomUUID } from 'node:crypto';
import { parseList } from 'structured-headers';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { ALL_SCOPES } from '../../src/domain/scope.ts';
import { mintToken } from '../../src/domain/token.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { graphql } from '../support/client.ts';
import { makeKey, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { post, type RawReply, type RawRequest, send } from '../support/raw-http.ts';
import { mistyped } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';
import { ME, refusedUnread } from './flood.ts';

const suite = useGateway();
const redisUrl = inject('redisUrl');
/** Ten points, all of them used. */
const TEN_POINTS = '{ __schema { queryType { name } } }';

interface Policy {
  readonly name: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** A header as a client of the draft reads it. Throws where it is no list of structured fields. */
function fieldsOf(header: string | string[] | undefined | null): Policy[] {
  return parseList(String(header)).map(([item, parameters]) => {
    if (typeof item !== 'string') throw new Error('a policy’s name is a string');
    return { name: item, parameters: Object.fromEntries(parameters) };
  });
}

/** What is left, by limit. */
function leftOf({ headers }: Pick<RawReply, 'headers'>): Record<string, number> {
  const fields = fieldsOf(headers['ratelimit']);
  for (const { parameters } of fields) {
    expect(parameters).toEqual({ r: expect.any(Number), t: expect.any(Number) });
    expect(Number(parameters['t'])).toBeLessThanOrEqual(61);
  }
  return Object.fromEntries(fields.map(({ name, parameters }) => [name, Number(parameters['r'])]));
}

function network(requestsPerMinute: number, costPerMinute = 10_000): Promise<TestNetwork> {
  return makeNetwork(suite.database, {
    network: { plan: 'CUSTOM', requestsPerMinute, networkRequestsPerMinute: 2_000, costPerMinute },
  });
}

const ask = (token: string, query = ME) => send(suite.url, post(token, query));

test('an answer, a refusal and a 429 alike name every limit with its quota and window, and what is left of it', async () => {
  const { token } = await network(3, 500);
  const replies = [await ask(token), await ask(token, '{ nope }'), await ask(token, '{'), await ask(token)];
  expect(replies.map(({ status }) => status)).toEqual([200, 422, 400, 429]);
  for (const { headers } of replies) {
    expect(fieldsOf(headers['ratelimit-policy'])).toEqual([
      { name: 'requests', parameters: { q: 3, w: 60 } },
      { name: 'network-requests', parameters: { q: 2_000, w: 60 } },
      { name: 'cost', parameters: { q: 500, w: 60, qu: 'points' } },
    ]);
  }
  expect(replies.map((reply) => leftOf(reply)['requests'])).toEqual([2, 1, 0, 0]);
  expect(replies.map((reply) => leftOf(reply)['network-requests'])).toEqual([1_999, 1_998, 1_997, 1_997]);
  const refused = replies[3];
  const t = fieldsOf(refused?.headers['ratelimit'])[0]?.parameters['t'];
  expect(Number(refused?.headers['retry-after'])).toBeLessThanOrEqual(Number(t));
});

test.for([
  ['requests', ME, 1],
  ['cost', TEN_POINTS, 10],
] as const)('as many as the header says are left of %s are let in, and not one more', async ([name, query, each]) => {
  const { token } = await network(name === 'cost' ? 1_000 : 20, name === 'cost' ? 200 : 10_000);
  const first = await ask(token, query);
  const left = (leftOf(first)[name] ?? 0) / each;
  expect(left).toBe(19);
  for (let sent = 1; sent <= left; sent += 1) {
    const reply = await ask(token, query);
    expect([reply.status, leftOf(reply)[name]]).toEqual([200, (left - sent) * each]);
  }
  expect((await ask(token, query)).status).toBe(429);
});

test('who waits exactly as long as Retry-After says is let in, and who comes two seconds early is not', async () => {
  const clock = { nowMs: 1_234.5 };
  const gateway = await startTestGateway({}, { limitsClock: () => clock.nowMs });
  onTestFinished(() => gateway.close());
  const waits = async (early: number, query: string, limits: readonly [number, number]) => {
    const { token } = await network(...limits);
    const askIt = () => send(gateway.url, post(token, query));
    const first = await askIt();
    const refused = await askIt();
    clock.nowMs += (Number(refused.headers['retry-after']) - early) * 1_000;
    const after = await askIt();
    return [first.status, refused.status, after.status];
  };
  expect(await waits(0, ME, [1, 10_000])).toEqual([200, 429, 200]);
  expect(await waits(2, ME, [1, 10_000])).toEqual([200, 429, 429]);
  expect(await waits(0, TEN_POINTS, [100, 10])).toEqual([200, 429, 200]);
  expect(await waits(2, TEN_POINTS, [100, 10])).toEqual([200, 429, 429]);
});

test('as many requests as a key may make in a minute are refused for what they ask; more, unread, until their window opens', async () => {
  const clock = { nowMs: 0 };
  const gateway = await startTestGateway({ METRICS_PORT: '0' }, { limitsClock: () => clock.nowMs });
  onTestFinished(() => gateway.close());
  const { token } = await network(5, 10);
  const refusals = async (count: number) => {
    const all: unknown[] = [];
    for (let sent = 0; sent < count; sent += 1) {
      const { status, text } = await send(gateway.url, post(token, TEN_POINTS));
      all.push(status === 200 ? 200 : JSON.parse(text).errors[0].extensions.limit.name);
      clock.nowMs += 1_000;
    }
    return all;
  };
  expect(await refusals(7)).toEqual([200, 'cost', 'cost', 'cost', 'cost', 'cost', 'refused-requests']);
  expect(await refusedUnread(gateway.url, token)).toBe(429);
  // Whatever it is: a cheap one, too.
  const refused = await send(gateway.url, post(token, '{ __typename }'));
  const { message, extensions } = JSON.parse(refused.text).errors[0];
  expect(message).toMatch(/^Rate limit exceeded: 5 requests that a limit refused in any 60 seconds for this key; try/);
  expect(extensions.limit).toMatchObject({ name: 'refused-requests', scope: 'key', max: 5, remaining: 0 });
  expect(leftOf(refused)).toEqual({ requests: 4, 'network-requests': 1_999, cost: 0, 'refused-requests': 0 });
  // The first of them came in the second 1, and is gone in the second 62.
  expect(refused.headers['retry-after']).toBe('55');
  clock.nowMs += 54_000;
  expect((await send(gateway.url, post(token, TEN_POINTS))).status).toBe(429);
  clock.nowMs += 1_000;
  expect((await send(gateway.url, post(token, TEN_POINTS))).status).toBe(200);
});

test('when the network’s limit is reached, each key is told its own figures', async () => {
  const made = await makeNetwork(suite.database, {
    network: { plan: 'CUSTOM', requestsPerMinute: 100, networkRequestsPerMinute: 10, costPerMinute: 10_000 },
  });
  const { token: other } = await makeKey(suite.database, made.network.id, { adminId: made.admin.id });
  for (let sent = 0; sent < 7; sent += 1) await ask(made.token);
  for (let sent = 0; sent < 3; sent += 1) await ask(other);
  for (const _ of [1, 2]) {
    for (const [token, requests] of [
      [made.token, 93],
      [other, 97],
    ] as const) {
      const refused = await ask(token);
      expect([refused.status, leftOf(refused)]).toEqual([
        429,
        { requests, 'network-requests': 0, cost: 10_000 - (100 - requests) },
      ]);
      expect(JSON.parse(refused.text).errors[0].extensions.limit).toMatchObject({
        name: 'network-requests',
        scope: 'network',
        max: 10,
      });
    }
  }
});

describe('a token that is refused says nothing of limits and charges nobody:', () => {
  const expire = `UPDATE api_keys SET expires_at = now() - interval '1 ms' WHERE id = $1`;
  const cases: readonly (readonly [string, (own: TestNetwork) => Promise<string | null> | string | null])[] = [
    ['none', () => null],
    ['malformed', () => 'nonsense'],
    ['mistyped', ({ token }) => mistyped(token)],
    ['unknown', () => mintToken('LIVE')],
    ['expired', ({ token, apiKey }) => suite.database.pool.query(expire, [apiKey.id]).then(() => token)],
    [
      'revoked',
      ({ token, apiKey }) => revokeApiKey(suite.database, COMMAND_LINE, apiKey.networkId, apiKey.id).then(() => token),
    ],
  ];

  test.for(cases)('%s', async ([, tokenOf]) => {
    const own = await network(100);
    const { token: other } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    const refused = await tokenOf(own);
    for (let sent = 0; sent < 20; sent += 1) {
      const { status, headers, text } = await send(suite.url, post(refused, ME));
      expect([status, headers['ratelimit'], headers['ratelimit-policy']]).toEqual([401, undefined, undefined]);
      expect(JSON.parse(text)).not.toHaveProperty('extensions');
    }
    expect(leftOf(await ask(other))).toMatchObject({ requests: 99, 'network-requests': 1_999 });
  });
});

describe('a refusal of a valid token costs one request and no points:', () => {
  const EXPENSIVE = `{ ${Array.from({ length: 20 }, (_, index) => index)
    .map((page) => `p${page}: members(first: 250) { nodes { id } }`)
    .join(' ')} }`;
  const query =
    (text: string, variables: object = {}) =>
    (token: string): RawRequest => ({
      ...post(token, text),
      body: JSON.stringify({ query: text, variables }),
    });
  const big = 'x'.repeat(1_100_000);
  const cases: readonly (readonly [string, string, (token: string) => RawRequest])[] = [
    ['a scope that is missing', 'FORBIDDEN', query('{ auditEvents: apiKeys { nodes { id } } }')],
    ['no such network', 'NOT_FOUND', (token) => ({ ...post(token, ME), path: '/networks/there-is-none/graphql' })],
    ['what does not parse', 'GRAPHQL_PARSE_FAILED', query('{ me { id }')],
    ['what is not in the schema', 'GRAPHQL_VALIDATION_FAILED', query('{ nope }')],
    ['a variable that is missing', 'BAD_USER_INPUT', query('query ($id: ID!) { member(id: $id) { id } }')],
    ['a cursor of nobody', 'BAD_USER_INPUT', query('{ members(first: 5, after: "x") { nodes { id } } }')],
    ['a query that is too expensive', 'QUERY_TOO_EXPENSIVE', query(EXPENSIVE)],
    ['a body that is no JSON', 'GRAPHQL_PARSE_FAILED', (token) => ({ ...post(token, ME), body: '{' })],
    ['a body in pieces that is too large', 'PAYLOAD_TOO_LARGE', (token) => ({ ...post(token, ME), body: [big, big] })],
    ['a body that says it is too large', 'PAYLOAD_TOO_LARGE', (token) => ({ ...post(token, ME), body: big })],
  ];

  test.for(cases)('%s', async ([, code, request]) => {
    const scopes = ALL_SCOPES.filter((scope) => scope !== 'keys:read');
    const { token } = await makeNetwork(suite.database, {
      scopes,
      network: { plan: 'CUSTOM', requestsPerMinute: 100, networkRequestsPerMinute: 2_000, costPerMinute: 10_000 },
    });
    const reply = await send(suite.url, request(token));
    expect(JSON.parse(reply.text).errors[0].extensions.code).toBe(code);
    expect(leftOf(reply)).toMatchObject({ requests: 99, 'network-requests': 1_999 });
    expect(leftOf(await ask(token, '{ __typename }'))).toEqual({
      requests: 98,
      'network-requests': 1_998,
      cost: 10_000,
    });
  });
});

test('a 429 costs nothing, neither the key nor its network', async () => {
  const made = await network(3);
  const { token: other } = await makeKey(suite.database, made.network.id, { adminId: made.admin.id });
  const statuses: number[] = [];
  for (let sent = 0; sent < 20; sent += 1) statuses.push((await ask(made.token)).status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(3);
  expect(leftOf(await ask(other))['network-requests']).toBe(2_000 - 4);
});

describe.for([
  ['one gateway in memory', 1, {}],
  ['two gateways on one Redis', 2, { REDIS_URL: redisUrl, REDIS_PREFIX: `test-${randomUUID()}:` }],
] as const)('%s:', ([, count, settings]) => {
  test.skipIf(count > 1 && redisUrl === '')(
    'a plan that is changed counts at the next request, also for a key that was refused, at every gateway',
    async () => {
      const gateways: TestGateway[] = [];
      for (let started = 0; started < count; started += 1) gateways.push(await startTestGateway(settings));
      onTestFinished(async () => {
        for (const gateway of gateways) await gateway.close();
      });
      const { token, network: made } = await network(2);
      const set = (requests: number) =>
        suite.database.prisma.network.update({ where: { id: made.id }, data: { requestsPerMinute: requests } });
      const statuses = async (sends: number) => {
        const all: number[] = [];
        for (let sent = 0; sent < sends; sent += 1) {
          all.push((await send(gateways[sent % count]?.url ?? '', post(token, ME))).status);
        }
        return all;
      };
      expect(await statuses(5)).toEqual([200, 200, 429, 429, 429]);
      await set(4);
      expect(await statuses(4)).toEqual([200, 200, 429, 429]);
      await set(3);
      expect(await statuses(2)).toEqual([429, 429]);
      await set(5);
      expect(await statuses(3)).toEqual([200, 429, 429]);
    },
  );
});

test('measure mode refuses nothing, and counts and tells all the same', async () => {
  const gateway = await startTestGateway({ LIMITS_MODE: 'measure', METRICS_PORT: '0' });
  try {
    const { token } = await network(3, 50);
    for (let sent = 0; sent < 10; sent += 1) {
      const reply = await send(gateway.url, post(token, TEN_POINTS));
      expect(reply.status).toBe(200);
      expect(leftOf(reply)).toMatchObject({ requests: Math.max(0, 2 - sent), cost: Math.max(0, 40 - 10 * sent) });
    }
    const { cost } = await graphql(gateway.url, token, ME);
    expect(cost).toMatchObject({ limit: 50, remaining: 0 });
    const metricsUrl = String(gateway.log.find(({ msg }) => msg === 'metrics')?.['url']);
    expect(await (await fetch(metricsUrl)).text()).toMatch(/^gatehouse_limited_requests_total\{limit="requests"\} 8$/m);
  } finally {
    await gateway.close();
  }
});

test('measure mode tells of a request that costs more than one may ask for at once, which no window knows', async () => {
  const gateway = await startTestGateway({ LIMITS_MODE: 'measure', QUERY_MAX_COST: '15', METRICS_PORT: '0' });
  onTestFinished(() => gateway.close());
  const { token } = await network(100);
  const ask = (query: string) => send(gateway.url, post(token, query));
  for (const query of [TEN_POINTS, '{ members(first: 60) { nodes { id } } }'])
    expect((await ask(query)).status).toBe(200);
  const limits = () => gateway.log.filter(({ msg }) => msg === 'request').map(({ limit }) => limit);
  await expect.poll(limits).toEqual([null, 'cost-at-once']);
  const metricsUrl = String(gateway.log.find(({ msg }) => msg === 'metrics')?.['url']);
  expect(await (await fetch(metricsUrl)).text()).toMatch(
    /^gatehouse_limited_requests_total\{limit="cost-at-once"\} 1$/m,
  );
});

const PLACES: readonly (readonly [string, Record<string, string>])[] = [
  ['in memory', {}],
  ['in Redis (left out without TEST_REDIS_URL)', { REDIS_URL: redisUrl, REDIS_PREFIX: `test-${randomUUID()}:` }],
];

describe.for(PLACES.filter(([, { REDIS_URL }]) => REDIS_URL !== ''))('windows %s:', ([, settings]) => {
  test('me.rateLimit shows every window, those of fields that this request does not use, too', async () => {
    const gateway = await startTestGateway(settings);
    onTestFinished(() => gateway.close());
    const { token } = await makeNetwork(suite.database, { network: { plan: 'STANDARD', monthlyQuota: 1_000 } });
    const create = `mutation { createApiKey(input: { name: "made", scopes: [] }) { token } }`;
    const WINDOWS = '{ me { rateLimit { remaining windows { name scope limit remaining resetAt } } } }';
    const shown = async () => {
      const { rateLimit } = (await graphql(gateway.url, token, WINDOWS)).body.data.me;
      const left = rateLimit.windows.map(({ name, remaining }: { name: string; remaining: number }) => [
        name,
        remaining,
      ]);
      return { ...Object.fromEntries(left), resetAt: rateLimit.windows.at(-1).resetAt };
    };
    const before = await shown();
    expect(before).toMatchObject({ requests: 99, 'network-requests': 999, cost: 9_999, month: 999, createApiKey: 10 });
    await graphql(gateway.url, token, create);
    const after = await shown();
    expect(after).toMatchObject({ requests: 97, month: 997, createApiKey: 9 });
    expect(Date.parse(after.resetAt)).toBeGreaterThan(Date.now() + 55_000);
    // Looking uses nothing.
    expect(await shown()).toMatchObject({ requests: 96, createApiKey: 9 });
  });

  test('points that a query did not use, and fields that never ran, are there again', async () => {
    const gateway = await startTestGateway(settings);
    onTestFinished(() => gateway.close());
    const { token } = await makeNetwork(suite.database, { network: { plan: 'STANDARD' } });
    const WINDOWS = '{ me { rateLimit { windows { name remaining } } } }';
    const left = async (): Promise<Record<string, number>> => {
      const { windows } = (await graphql(gateway.url, token, WINDOWS)).body.data.me.rateLimit;
      return Object.fromEntries(
        windows.map(({ name, remaining }: { name: string; remaining: number }) => [name, remaining]),
      );
    };
    // 64 points asked for, one used: the network has no members.
    const reply = await graphql(gateway.url, token, '{ members(first: 250) { nodes { id } } }');
    expect(reply.cost).toMatchObject({ requested: 64, actual: 1 });
    // Nobody waits for it; each look costs a point.
    await expect.poll(async () => 10_000 - ((await left())['cost'] ?? 0)).toBeLessThan(40);
    // The first alias throws the whole answer away, so that the others never run.
    const uses = [0, 1, 2].map(
      (index) => `a${index}: createApiKey(input: { name: "n${index}", scopes: [], expiresAt: $at }) { token }`,
    );
    const failed = await graphql(gateway.url, token, `mutation($at: DateTime) { ${uses.join(' ')} }`, {
      variables: { at: 'never' },
    });
    expect(failed.body.data).toBeUndefined();
    await expect.poll(async () => (await left())['createApiKey']).toBe(10);
  });
});
