// A figure that cannot be read is no limit's absence: not of Redis, not of the database.
import { randomUUID } from 'node:crypto';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { addToMonths } from '../../src/database/months.ts';
import { UnreadableValueError } from '../../src/domain/unreadable.ts';
import { MemoryLimiter } from '../../src/limits/memory-limiter.ts';
import { readTaken } from '../../src/limits/redis-script.ts';
import { RedisWindows } from '../../src/limits/redis-windows.ts';
import { makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { startTestGateway } from '../support/gateway.ts';
import { flood } from './flood.ts';

const CHARGE = { key: 'requests', max: 3, amount: 1 };
const REQUEST = { charges: [CHARGE], force: false };
const url = inject('redisUrl');

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

describe('an answer of Redis', () => {
  test('is read as it was given', () => {
    expect(readTaken('g', [REQUEST], [5, 1, 2, 61_000, 0])).toMatchObject([
      { granted: true, windows: [{ used: 2, resetMs: 61_000, retryMs: 0 }] },
    ]);
  });

  test.each([
    ['nothing', []],
    ['too few figures', [5, 1, 2]],
    ['what is no number', [5, 1, Number.NaN, 61_000, 0]],
    ['what is below zero', [5, 1, -2, 61_000, 0]],
    ['what has no end', [5, 1, Number.POSITIVE_INFINITY, 61_000, 0]],
  ])('that holds %s is an error, after which this gateway decides alone', (_, answer) => {
    expect(() => readTaken('g', [REQUEST], answer)).toThrow(UnreadableValueError);
  });
});

test.each([
  ['max', { ...CHARGE, max: Number.NaN }],
  ['amount', { ...CHARGE, amount: Number.NaN }],
])('a window in memory refuses a %s that is no number', async (_, charge) => {
  const limiter = new MemoryLimiter(() => 0);
  expect(limiter.take('g', [charge], false).granted).toBe(false);
  await limiter.close();
});

test('a month’s total that is past what can be counted exactly is an error, and not a month without a quota', async () => {
  const { network } = await makeNetwork(database, { network: { plan: 'STANDARD', monthlyQuota: 10 } });
  const month = new Date('2026-05-01T00:00:00Z');
  const data = { networkId: network.id, month, requests: BigInt(Number.MAX_SAFE_INTEGER) };
  await database.prisma.networkMonth.create({ data });
  const added = [{ networkId: network.id, month, requests: 1 }];
  await expect(addToMonths(database.pool, added, { counterId: randomUUID(), sequence: 1 })).rejects.toThrow(
    'network_months.requests cannot be read',
  );
});

// Left out where TEST_REDIS_URL names no Redis.
describe.skipIf(url === '')('a window in Redis', () => {
  const client = createClient({ url });
  const prefix = `test-${randomUUID()}:`;
  beforeAll(async () => {
    await client.connect();
  });
  afterAll(async () => {
    for await (const keys of client.scanIterator({ MATCH: `${prefix}*`, COUNT: 10_000 })) {
      if (keys.length > 0) await client.unlink(keys);
    }
    client.destroy();
  });

  const poisons = ['nan', '-nan', 'inf', '-1000', 'many', ''];
  test.each(['t', 'n', 'o'].flatMap((field) => poisons.map((value) => [field, value] as const)))(
    'whose %s is "%s" refuses to decide',
    async (field, value) => {
      const windows = new RedisWindows(url, prefix, randomUUID(), () => undefined);
      await windows.connect();
      onTestFinished(() => windows.close());
      const group = randomUUID();
      await windows.take(group, [REQUEST]);
      await client.hSet(`${prefix}{${group}}:${CHARGE.key}`, field, value);
      await expect(windows.take(group, [REQUEST])).rejects.toThrow('cannot be read');
    },
  );

  test('that somebody else has overwritten lets in no more than the limit, and the log says why', async () => {
    const gateway = await startTestGateway({ REDIS_URL: url, REDIS_PREFIX: prefix });
    onTestFinished(() => gateway.close());
    const { apiKey, network, token } = await makeNetwork(database, { network: { plan: 'STANDARD' } });
    const target = [{ url: gateway.url, token }];
    const before = await flood(target, 1);
    await client.hSet(`${prefix}{${network.id}}:${apiKey.id}:requests`, 't', 'nan');
    const after = await flood(target, 150);
    expect([before.statuses, after.statuses]).toEqual([{ 200: 1 }, { 200: 99, 429: 51 }]);
    const reasons = gateway.log.map(({ reason }) => reason).filter((reason) => reason !== undefined);
    expect(reasons).toContainEqual(expect.stringContaining('a window or a charge cannot be read'));
  });
});
