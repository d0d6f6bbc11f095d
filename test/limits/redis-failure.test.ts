// Redis gone, slow, flapping, forgetting, full: a gateway goes on within its share, says so, and comes back by itself.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { RedisConnection, UNANSWERED_MAX_BYTES } from '../../src/limits/redis-connection.ts';
import { makeKey, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { openRedisProxy } from '../support/redis-proxy.ts';
import { HAS_REDIS_SERVER, type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { countBy, flood, type Target } from './flood.ts';
import { type Decision, decide, LIMIT, openOne, ownRedis, until } from './limiters.ts';
import { mostInAnyMinute, type Sent, steadily } from './steady-load.ts';

/** What Redis takes in a test where nobody may wait for it. */
const SLOW_MS = 10_000;
const DEGRADED = 'limits are decided by this gateway alone, within its share';
const SHARED = 'limits are shared through Redis again';

let database: Database;

beforeAll(async () => {
  database = await openTestDatabase();
});

afterAll(() => database.close());

async function token(): Promise<string> {
  return (await makeNetwork(database, { network: { plan: 'STANDARD' } })).token;
}

async function start(count: number, redisUrl: string): Promise<TestGateway[]> {
  const settings = { REDIS_URL: redisUrl, REDIS_PREFIX: `test-${randomUUID()}:`, METRICS_PORT: '0', LOG_LEVEL: 'info' };
  const gateways: TestGateway[] = [];
  // One after the other: each has seen those before it.
  for (let started = 0; started < count; started += 1) gateways.push(await startTestGateway(settings));
  onTestFinished(async () => {
    await Promise.all(gateways.map((gateway) => gateway.close()));
  });
  if (count > 1) await delay(1_200); // for a beat of each
  return gateways;
}

function targets(gateways: readonly TestGateway[], bearer: string): Target[] {
  return gateways.map(({ url }) => ({ url, token: bearer }));
}

/** Each change of the limiter that a gateway has logged, in order. */
function changes({ log }: TestGateway): unknown[] {
  return log.map(({ msg }) => msg).filter((message) => message === DEGRADED || message === SHARED);
}

/** What readyz and the metrics say. */
async function said({
  url,
  log,
}: TestGateway): Promise<{ readyz: number; status: string; limiter: string; degraded: string }> {
  const response = await fetch(`${url}/readyz`);
  const { status, checks } = (await response.json()) as { status: string; checks: { limiter: string } };
  const metricsUrl = String(log.find(({ msg }) => msg === 'metrics')?.['url']);
  const metrics = await (await fetch(metricsUrl)).text();
  const degraded = /^gatehouse_limiter_degraded (\d)$/m.exec(metrics)?.[1] ?? '';
  return { readyz: response.status, status, limiter: checks.limiter, degraded };
}

const HEALTHY = { readyz: 200, status: 'ready', limiter: 'ok', degraded: '0' };
const ALONE = { readyz: 200, status: 'degraded', limiter: 'degraded', degraded: '1' };

/** All were answered, by 200 or 429; gives how many by 200. */
function letIn(sent: readonly Sent[]): number {
  const counts = countBy(sent.map(({ status }) => status));
  const { 200: served = 0, 429: refused = 0 } = counts;
  expect(served + refused, JSON.stringify(counts)).toBe(sent.length);
  return served;
}

describe.skipIf(!HAS_REDIS_SERVER)('with a redis-server of its own (left out where there is none)', () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await startRedisServer();
  });

  test('a gateway whose Redis is killed under load and comes back empty lets in its limit, and no more', async () => {
    const own = await ownRedis();
    const [gateways, bearer] = await Promise.all([start(1, own.url), token()]);
    const [gateway] = gateways as [TestGateway];
    await until(async () => isDeepStrictEqual(await said(gateway), HEALTHY));
    const load = steadily(targets(gateways, bearer), 3_000, 100);
    await delay(400);
    await own.kill();
    await until(async () => (await said(gateway)).limiter === 'degraded');
    expect(await said(gateway)).toEqual(ALONE);
    await delay(500);
    await own.start();
    expect(letIn(await load)).toBe(LIMIT);
    // Back, but not yet seen a whole window.
    expect(await said(gateway)).toEqual(ALONE);
    expect(changes(gateway)).toEqual([DEGRADED]);
  });

  test('two gateways whose Redis is killed and comes back empty let in their limit, which is a share each', async () => {
    const own = await ownRedis();
    const [gateways, bearer] = await Promise.all([start(2, own.url), token()]);
    const load = steadily(targets(gateways, bearer), 3_000, 200);
    await delay(200);
    await own.kill();
    await delay(500);
    await own.start();
    const served = letIn(await load);
    expect(served).toBe(LIMIT);
    for (const gateway of gateways) expect(changes(gateway)).toEqual([DEGRADED]);
    // By the share, a fresh key has half of its limit at each.
    const fresh = await flood(targets(gateways, await token()), 400);
    expect(fresh.statuses).toEqual({ 200: LIMIT, 429: 300 });
  });

  test('a Redis that has thrown away keys of others: noticed within seconds, though it has lost no window of ours', async () => {
    const own = await ownRedis();
    const limiter = await openOne(own.url);
    await until(() => limiter.status === 'ok');
    await delay(1_200); // for a beat that knows how many there were before
    const fill = `for i = 1, 4000 do redis.call('SET', KEYS[1] .. i, string.rep('x', 1000)) end`;
    await own.command('EVAL', fill, '1', 'junk');
    await delay(1_200); // the gateway's own keys are asked for in every beat, these never again
    await own.command('CONFIG', 'SET', 'maxmemory-samples', '64', 'maxmemory-policy', 'allkeys-lru');
    await own.command('CONFIG', 'SET', 'maxmemory', '4mb');
    await own.command('SET', 'one more', 'x');
    await until(() => limiter.status === 'degraded');
  });

  test('a Redis that answers seconds late: decided in time, all but once without waiting', async () => {
    const proxy = await openRedisProxy(redis.url);
    const limiter = await openOne(proxy.url);
    await until(() => limiter.status === 'ok');
    expect((await decide(limiter)).granted).toBe(true);
    proxy.delayMs = 2_000;
    const decisions: Decision[] = [];
    for (let made = 0; made < 299; made += 1) {
      decisions.push(await decide(limiter));
      await delay(10);
    }
    expect(decisions.filter(({ granted }) => granted)).toHaveLength(LIMIT - 1);
    expect(decisions.filter(({ isLate }) => isLate)).toEqual([]);
    expect(decisions.filter(({ hasWaited }) => hasWaited).length).toBeLessThanOrEqual(3);
    expect(limiter.status).toBe('degraded');
  });

  test('a gateway at work, whose Redis falls silent: what waits is decided in time, and together', async () => {
    const proxy = await openRedisProxy(redis.url);
    const limiter = await openOne(proxy.url);
    await until(() => limiter.status === 'ok');
    // Works for 6 ms in every 7, as a gateway does with a few hundred requests a second: no timer is on time.
    const busy = setInterval(() => {
      const end = performance.now() + 6;
      while (performance.now() < end);
    }, 1);
    onTestFinished(() => clearInterval(busy));
    for (let made = 0; made < 20; made += 1) expect((await decide(limiter)).granted).toBe(true);
    expect(limiter.status).toBe('ok');
    proxy.silent = true;
    const waiting: Promise<Decision>[] = [];
    for (let sent = 0; sent < 200; sent += 1) {
      waiting.push(decide(limiter));
      await delay(2);
    }
    const decisions = await Promise.all(waiting);
    expect(decisions.filter(({ granted }) => granted)).toHaveLength(LIMIT - 20);
    expect(decisions.filter(({ isLate }) => isLate)).toEqual([]);
    expect(decisions.filter(({ hasWaited }) => hasWaited).length).toBeLessThan(decisions.length / 2);
  });

  test('a connection that swallows all that is sent is replaced, and no answer is taken for another’s', async () => {
    const proxy = await openRedisProxy(redis.url);
    let lost = 0;
    const connection = new RedisConnection(proxy.url, () => (lost += 1), 500);
    onTestFinished(() => connection.close());
    await connection.connect();
    expect(await connection.send(['ECHO', 'one'])).toBe('one');
    proxy.silenceOpen();
    // Asked again and again, as by a heartbeat: what is sent does not count as an answer.
    const asked = Array.from({ length: 8 }, async (_, index) => {
      await delay(index * 150);
      return connection.send(['ECHO', String(index)]).catch(() => 'lost');
    });
    const answers = await Promise.all(asked);
    for (const [index, answer] of answers.entries()) expect(['lost', String(index)]).toContain(answer);
    expect(answers[0]).toBe('lost');
    await until(async () => (await connection.send(['ECHO', 'two']).catch(() => null)) === 'two');
    expect(lost).toBeGreaterThanOrEqual(1);
    await until(() => proxy.open === 1);
  });

  test('a Redis that accepts connections and says nothing: tried again and again, one connection at a time', async () => {
    const proxy = await openRedisProxy(redis.url);
    proxy.silent = true;
    const connection = new RedisConnection(proxy.url, () => undefined, 500);
    onTestFinished(() => connection.close());
    void connection.connect();
    await until(() => proxy.opened >= 2, 20_000);
    expect(proxy.open).toBeLessThanOrEqual(2);
    await expect(connection.send(['PING'])).rejects.toThrow();
    proxy.silent = false;
    await until(() => connection.isReady, 20_000);
    expect(await connection.send(['ECHO', 'there'])).toBe('there');
  });

  test('what waits for a Redis that does not answer is bounded in bytes', async () => {
    const proxy = await openRedisProxy(redis.url);
    const connection = new RedisConnection(proxy.url, () => undefined, 2_000);
    onTestFinished(() => connection.close());
    await connection.connect();
    proxy.silenceOpen();
    const megabyte = 'x'.repeat(1_048_576);
    const sent = Array.from({ length: 40 }, () =>
      connection.send(['ECHO', megabyte]).then(
        () => 'answered',
        (error: Error) => error.message,
      ),
    );
    const refused = (await Promise.all(sent)).filter((message) => message === 'too much waits for Redis');
    expect(refused).toHaveLength(40 - Math.floor(UNANSWERED_MAX_BYTES / (megabyte.length + 4)));
    await until(() => connection.isReady);
    expect(await connection.send(['ECHO', 'again'])).toBe('again');
  });

  test.for([
    [
      'slow by seconds',
      (proxy: Awaited<ReturnType<typeof openRedisProxy>>) => Object.assign(proxy, { delayMs: SLOW_MS }),
    ],
    [
      'silent on connections that stay open',
      (proxy: Awaited<ReturnType<typeof openRedisProxy>>) => Object.assign(proxy, { silent: true }),
    ],
  ] as const)('many requests at once while Redis falls %s: the limit, and no more', async ([, breakIt]) => {
    const proxy = await openRedisProxy(redis.url);
    const [gateways, bearer] = await Promise.all([start(1, proxy.url), token()]);
    const [gateway] = gateways as [TestGateway];
    const load = steadily(targets(gateways, bearer), 1_500, 250);
    await delay(100);
    breakIt(proxy);
    const sent = await load;
    expect(letIn(sent)).toBe(LIMIT);
    // Nobody waited for Redis; how long a busy machine takes without it is another matter.
    expect(Math.max(...sent.map(({ sentMs, gotMs }) => gotMs - sentMs))).toBeLessThan(SLOW_MS / 2);
    expect(await said(gateway)).toEqual(ALONE);
    expect(changes(gateway)).toEqual([DEGRADED]);
  });

  test('a connection that breaks again and again: the limit, one line in the log, and never a fault', async () => {
    const proxy = await openRedisProxy(redis.url);
    const [gateways, bearer] = await Promise.all([start(1, proxy.url), token()]);
    const load = steadily(targets(gateways, bearer), 4_000, 100);
    for (let flap = 0; flap < 6; flap += 1) {
      await delay(300);
      proxy.cut();
      await delay(300);
      proxy.mend();
    }
    expect(letIn(await load)).toBe(LIMIT);
    for (const gateway of gateways) expect(changes(gateway)).toEqual([DEGRADED]);
  });

  test('a Redis that throws keys away for want of memory: a gateway notices and keeps to its limit', async () => {
    const own = await ownRedis();
    const [gateways, bearer] = await Promise.all([start(1, own.url), token()]);
    const [gateway] = gateways as [TestGateway];
    await own.command('CONFIG', 'SET', 'maxmemory', '3mb', 'maxmemory-policy', 'allkeys-random');
    const load = steadily(targets(gateways, bearer), 3_000, 150);
    for (let junk = 0; junk < 40; junk += 1) {
      await own.command(
        'EVAL',
        `for i = 1, 200 do redis.call('SET', KEYS[1] .. i, string.rep('x', 1000)) end`,
        '1',
        `junk ${junk} `,
      );
      await delay(30);
    }
    expect(letIn(await load)).toBe(LIMIT);
    expect(await said(gateway)).toEqual(ALONE);
    expect(changes(gateway)).toEqual([DEGRADED]);
  });

  test('a Redis that is emptied under load: one gateway keeps to its limit, and so do two', async () => {
    const own = await ownRedis();
    const [both, single] = [await start(2, own.url), await start(1, own.url)];
    const [one, two] = [await token(), await token()];
    const loads = [steadily(targets(single, one), 2_500, 150), steadily(targets(both, two), 2_500, 200)];
    for (let emptied = 0; emptied < 5; emptied += 1) {
      await delay(200);
      await own.command('FLUSHALL');
    }
    const [ofSingle = [], ofBoth = []] = await Promise.all(loads);
    expect(letIn(ofSingle)).toBe(LIMIT);
    expect(letIn(ofBoth)).toBe(LIMIT);
    for (const gateway of [...both, ...single]) expect(changes(gateway)).toEqual([DEGRADED]);
  });

  test.for([
    ['out of memory', ['CONFIG', 'SET', 'maxmemory', '1', 'maxmemory-policy', 'noeviction'], /OOM/],
    ['read-only', ['REPLICAOF', '127.0.0.1', '1'], /READONLY/],
  ] as const)(
    'a Redis that is %s: the limit by the gateway’s share, and the reason in the log',
    async ([, command, reason]) => {
      const own = await ownRedis();
      const [gateways, bearer] = await Promise.all([start(1, own.url), token()]);
      const [gateway] = gateways as [TestGateway];
      const load = steadily(targets(gateways, bearer), 2_000, 150);
      await delay(200);
      await own.command(...command);
      expect(letIn(await load)).toBe(LIMIT);
      expect(await said(gateway)).toEqual(ALONE);
      expect(changes(gateway)).toEqual([DEGRADED]);
      expect(gateway.log.find(({ msg }) => msg === DEGRADED)?.['reason']).toMatch(reason);
    },
  );

  test('a gateway that starts without its Redis serves at once, by its share, and says so; and stops without complaint', async () => {
    const own = await ownRedis();
    await own.kill();
    const begun = performance.now();
    const gateway = await startTestGateway({ REDIS_URL: own.url, METRICS_PORT: '0' });
    expect(performance.now() - begun).toBeLessThan(5_000);
    const flooded = await flood(targets([gateway], await token()), 200);
    expect(flooded.statuses).toEqual({ 200: LIMIT, 429: 100 });
    expect(await said(gateway)).toEqual(ALONE);
    expect(changes(gateway)).toEqual([DEGRADED]);
    const closing = performance.now();
    await gateway.close();
    expect(performance.now() - closing).toBeLessThan(2_000);
    expect(changes(gateway)).toEqual([DEGRADED]);
  });

  // Once more where it fails: over so long a time a busy machine may keep a Redis from its turn, and a minute begins anew.
  test('after an outage two gateways go back to Redis by themselves, after a whole window and without a burst', {
    retry: 1,
    timeout: 120_000,
  }, async () => {
    const own = await ownRedis();
    const gateways = await start(2, own.url);
    const made = await makeNetwork(database, { network: { plan: 'STANDARD' } });
    const { token: atOne } = await makeKey(database, made.network.id, { adminId: made.admin.id });
    const DURATION_MS = 75_000;
    const [one] = gateways as [TestGateway];
    // Beside them one with a Redis that is well, at its limit all the time: it must see nothing wrong in that.
    const well = await start(1, redis.url);
    const loads = [
      steadily(targets(gateways, made.token), DURATION_MS, 10),
      steadily(targets([one], atOne), DURATION_MS, 5),
      steadily(targets(well, await token()), DURATION_MS, 10),
    ];
    // Where the test fails before they end, it is its own failure that counts.
    for (const load of loads) load.catch(() => undefined);
    await delay(1_000);
    await own.kill();
    await delay(1_500);
    await own.start();
    const backMs = performance.now();
    const areAll = async (limiter: string) =>
      (await Promise.all(gateways.map(said))).every((each) => each.limiter === limiter);
    expect(await areAll('degraded')).toBe(true);
    await until(() => areAll('ok'), 70_000);
    expect(performance.now() - backMs).toBeGreaterThan(60_000);
    const [shared = [], single = [], atWell = []] = await Promise.all(loads);
    for (const sent of [shared, atWell]) expect(letIn(sent)).toBeGreaterThan(LIMIT);
    // Half of its limit while there was no Redis, and more after.
    expect(letIn(single)).toBeGreaterThan(LIMIT / 2);
    // A share each while there was none.
    expect(mostInAnyMinute(shared)).toBeLessThanOrEqual(LIMIT);
    // Since Redis decides again, for both together: no more than the limit, with what the shares let in before.
    expect(mostInAnyMinute(shared.filter(({ sentMs }) => sentMs > backMs + 3_000))).toBeLessThanOrEqual(LIMIT);
    expect(mostInAnyMinute(single)).toBeLessThanOrEqual(LIMIT);
    expect(mostInAnyMinute(atWell)).toBeLessThanOrEqual(LIMIT);
    // On a machine so busy that a Redis has no turn for 40 ms, falling back is right; coming back has to follow.
    for (const gateway of well) expect([[], [DEGRADED], [DEGRADED, SHARED]]).toContainEqual(changes(gateway));
    for (const gateway of gateways) {
      expect(changes(gateway)).toEqual([DEGRADED, SHARED]);
      expect(await said(gateway)).toEqual(HEALTHY);
    }
  });
});
