// A limit is a limit, whatever the concurrency and however many gateways there are.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { makeKey, makeNetwork, openTestDatabase, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway, TEST_SECRET } from '../support/gateway.ts';
import { startGatewayProgram } from '../support/program.ts';
import { CONNECTIONS, flood, limitsOf, ME, refusedUnread, type Target } from './flood.ts';

const redisUrl = inject('redisUrl');
const OF_KEY = 'requests of the key: 100';
const OF_NETWORK = 'network-requests of the network: 1000';

let database: Database;

beforeAll(async () => {
  database = await openTestDatabase();
});

afterAll(() => database.close());

/** In this process. */
async function start(count: number, settings: Record<string, string> = {}): Promise<string[]> {
  const gateways = await Promise.all(
    Array.from({ length: count }, () => startTestGateway({ LOG_LEVEL: 'warn', ...settings })),
  );
  onTestFinished(async () => {
    await Promise.all(gateways.map((gateway) => gateway.close()));
  });
  return gateways.map(({ url }) => url);
}

/** Each a process of its own. */
async function startPrograms(count: number, settings: Record<string, string>): Promise<string[]> {
  const all = { DATABASE_URL: inject('databaseUrl'), GATEHOUSE_SECRETS: TEST_SECRET, LOG_LEVEL: 'warn', ...settings };
  const programs = Array.from({ length: count }, () => startGatewayProgram(all));
  onTestFinished(async () => {
    await Promise.all(programs.map((program) => program.kill('SIGTERM')));
  });
  return Promise.all(programs.map(({ url }) => url));
}

/** One Redis for the gateways of one test. */
function sharing(): Record<string, string> {
  return { REDIS_URL: redisUrl, REDIS_PREFIX: `test-${randomUUID()}:` };
}

function standard(): Promise<TestNetwork> {
  return makeNetwork(database, { network: { plan: 'STANDARD' } });
}

/** Every key at every gateway. */
function targets(urls: readonly string[], tokens: readonly string[]): Target[] {
  return tokens.flatMap((token) => urls.map((url) => ({ url, token })));
}

async function moreKeys({ network, admin }: TestNetwork, count: number): Promise<string[]> {
  const tokens: string[] = [];
  for (let made = 0; made < count; made += 1)
    tokens.push((await makeKey(database, network.id, { adminId: admin.id })).token);
  return tokens;
}

const PLACES = [
  ['one gateway in memory', () => start(1)],
  ['one gateway on a Redis', () => start(1, sharing())],
  ['two gateways on one Redis', () => start(2, sharing())],
  ['four gateways on one Redis', () => start(4, sharing())],
  // Beside this one, PostgreSQL, Redis and the tests of other files they are more than two cores carry: with a thousand
  // connections Redis does not always have its turn within the time that a decision waits, and what is promised holds while
  // it answers.
  ['two gateways as processes on one Redis', () => startPrograms(2, sharing()), 128],
] as const;

// Without TEST_REDIS_URL, what needs a Redis is left out.
const places = PLACES.filter(([name]) => redisUrl !== '' || !name.includes('Redis'));

describe.for(places)('%s', ([, open, connections = CONNECTIONS]) => {
  test.for([1_000, 5_000])('%i requests at once of a key that may make 100: 100 are let in', async (count) => {
    const [urls, { token }] = await Promise.all([open(), standard()]);
    const flooded = await flood(targets(urls, [token]), count, ME, connections);
    expect(flooded.statuses).toEqual({ 200: 100, 429: count - 100 });
    expect(limitsOf(flooded)).toEqual([OF_KEY]);
  });

  test('more keys do not make more quota, and a network at its ceiling does not slow another', async () => {
    const [urls, network, neighbour] = await Promise.all([open(), standard(), standard()]);
    const tokens = [network.token, ...(await moreKeys(network, 14))];
    const [flooded, beside] = await Promise.all([
      flood(targets(urls, tokens), 1_500, ME, connections),
      flood(targets(urls, [neighbour.token]), 90),
    ]);
    expect(flooded.statuses).toEqual({ 200: 1_000, 429: 500 });
    expect(limitsOf(flooded)).toContain(OF_NETWORK);
    expect(beside.statuses).toEqual({ 200: 90 });
    const after = await flood(targets(urls, [neighbour.token]), 20);
    expect(after.statuses).toEqual({ 200: 10, 429: 10 });
    expect(limitsOf(after)).toEqual([OF_KEY]);
    const [late = ''] = await moreKeys(network, 1);
    expect(limitsOf(await flood(targets(urls, [late]), 10))).toEqual([OF_NETWORK]);
    // What is refused is no work: nothing of it is read, let alone parsed.
    for (const url of urls) expect(await refusedUnread(url, late)).toBe(429);
  });

  test('points are let in up to their limit, and what was refused for them has cost none and no request', async () => {
    const [urls, { token }] = await Promise.all([
      open(),
      makeNetwork(database, {
        network: { plan: 'CUSTOM', requestsPerMinute: 300, networkRequestsPerMinute: 3_000, costPerMinute: 100 },
      }),
    ]);
    // Ten points each, and nothing that is given back.
    const query = '{ __schema { queryType { name } } }';
    const flooded = await flood(targets(urls, [token]), 300, query, connections);
    expect(flooded.statuses).toEqual({ 200: 10, 429: 290 });
    expect(limitsOf(flooded)).toEqual(['cost of the key: 100']);
    const free = await flood(targets(urls, [token]), 400, '{ __typename }', connections);
    expect(free.statuses).toEqual({ 200: 290, 429: 110 });
    expect(limitsOf(free)).toEqual(['requests of the key: 300']);
  });
});

test.skipIf(redisUrl === '')('a gateway that is restarted inside a window lets in what is left of it', async () => {
  const settings = sharing();
  const { token } = await standard();
  const all = { DATABASE_URL: inject('databaseUrl'), GATEHOUSE_SECRETS: TEST_SECRET, LOG_LEVEL: 'warn', ...settings };
  const first = startGatewayProgram(all);
  const before = await flood([{ url: await first.url, token }], 60);
  await first.kill('SIGKILL');
  const second = startGatewayProgram(all);
  const after = await flood([{ url: await second.url, token }], 200, ME, 64);
  await second.kill('SIGTERM');
  expect([before.statuses, after.statuses]).toEqual([{ 200: 60 }, { 200: 40, 429: 160 }]);
});
