// Windows in Redis: the very scripts on a clock that the test moves, against a log of all that was charged; and the way
// there and back, in real time.
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import type { Charge, Receipt, Taken } from '../../src/limits/limiter.ts';
import { readTaken, scripts, takeArguments } from '../../src/limits/redis-script.ts';
import { RedisWindows } from '../../src/limits/redis-windows.ts';
import { openRedisProxy } from '../support/redis-proxy.ts';
import { type Clock, runAgainstLog, steps, type WindowsUnderTest } from './windows-model.ts';

const url = inject('redisUrl');
const PREFIX = `test-${randomUUID()}:`;
/** Redis's clock can't be moved: the same scripts take the time from their last argument. */
const {
  take: takeScript,
  giveBack,
  heartbeat,
} = scripts(`
local nowMs = tonumber(ARGV[#ARGV])
local second = math.floor(nowMs / 1000)
`);

// Left out where TEST_REDIS_URL names no Redis.
describe.skipIf(url === '')('on a Redis', () => {
  const client = createClient({ url });

  beforeAll(async () => {
    await client.connect();
  });

  afterAll(async () => {
    for await (const keys of client.scanIterator({ MATCH: `${PREFIX}*`, COUNT: 10_000 })) {
      if (keys.length > 0) await client.unlink(keys);
    }
    client.destroy();
  });

  const run = async (script: string, keys: readonly string[], values: readonly (string | number)[]) => {
    const reply: unknown = await client.sendCommand([
      'EVAL',
      script,
      String(keys.length),
      ...keys,
      ...values.map(String),
    ]);
    return [reply].flat().map(Number);
  };

  /** The scripts as windows, by the clock of the test. */
  function windowsAt(clock: Clock): WindowsUnderTest {
    const group = `${PREFIX}{${randomUUID()}}:`;
    return {
      async take(requests) {
        const { keys, values } = takeArguments(requests);
        const answer = await run(
          takeScript,
          keys.map((key) => group + key),
          [...values, clock.nowMs],
        );
        return readTaken(group, requests, answer);
      },
      async giveBack({ redisSecond }, key, amount) {
        await run(giveBack, [group + key], [(await redisSecond) ?? 0, amount]);
      },
    };
  }

  test('never more than the limit in any 60 seconds, released at most a second late, all windows or none, and every figure true', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2_000_000_000_000 }), steps(1_000_000, 1), async (nowMs, all) => {
        const clock = { nowMs };
        await runAgainstLog(windowsAt(clock), clock, all);
      }),
      { numRuns: 300 },
    );
  });

  test('should Redis’s clock step back, nothing is forgotten and nothing let in too early', async () => {
    const clock = { nowMs: 1_000_000 };
    const windows = windowsAt(clock);
    const take = async () => (await windows.take([{ charges: [{ key: 'k', max: 3, amount: 1 }], force: false }]))[0];
    for (const nowMs of [1_000_000, 970_000, 985_000]) {
      clock.nowMs = nowMs;
      expect((await take())?.granted).toBe(true);
    }
    for (const nowMs of [985_000, 1_000_000, 1_060_999]) {
      clock.nowMs = nowMs;
      expect((await take())?.granted).toBe(false);
    }
    clock.nowMs = 1_061_000;
    expect(await take()).toMatchObject({ granted: true, windows: [{ used: 1 }] });
  });

  test('a window in use all the time holds no more than its seconds, and what is looked at nothing', async () => {
    const clock = { nowMs: 0 };
    const windows = windowsAt(clock);
    for (let second = 1; second <= 200; second += 1) {
      clock.nowMs = second * 1_000;
      const [taken] = await windows.take([{ charges: [{ key: 'k', max: 61, amount: 1 }], force: false }]);
      expect(taken?.receipt).not.toBeNull();
    }
    for await (const keys of client.scanIterator({ MATCH: `${PREFIX}*:k`, COUNT: 10_000 })) {
      for (const key of keys) expect(await client.hLen(key)).toBeLessThanOrEqual(61 + 3);
    }
  });

  describe('who beats', () => {
    const beats = () => {
      const key = `${PREFIX}{${randomUUID()}}gateways`;
      return (nowMs: number, gateway: string, state: string) => run(heartbeat, [key], [gateway, state, nowMs]);
    };
    const START_MS = 1_000_000_000;

    test('is counted, and gone ten seconds after the last beat', async () => {
      const beat = beats();
      expect((await beat(START_MS, 'a', 'new'))[0]).toBe(1);
      expect((await beat(START_MS + 1_000, 'b', 'new'))[0]).toBe(2);
      expect((await beat(START_MS + 1_000, 'b', 'known'))[0]).toBe(2);
      expect((await beat(START_MS + 10_000, 'b', 'known'))[0]).toBe(2);
      expect((await beat(START_MS + 10_001, 'b', 'known'))[0]).toBe(1);
    });

    test('for the first time has let nothing in, and takes nothing from what is complete', async () => {
      const beat = beats();
      expect((await beat(START_MS, 'a', 'new'))[1]).toBe(START_MS);
      await beat(START_MS, 'a', 'incomplete');
      expect((await beat(START_MS + 5_000, 'b', 'new'))[1]).toBe(5_000);
      expect((await beat(START_MS + 6_000, 'b', 'known'))[1]).toBe(6_000);
    });

    test('incomplete makes it so for all, from then on', async () => {
      const beat = beats();
      await beat(START_MS, 'a', 'new');
      await beat(START_MS, 'b', 'new');
      expect((await beat(START_MS + 1_000, 'b', 'incomplete'))[1]).toBe(0);
      expect((await beat(START_MS + 2_000, 'a', 'known'))[1]).toBe(1_000);
      expect((await beat(START_MS + 3_000, 'b', 'known'))[1]).toBe(2_000);
      expect((await beat(START_MS + 4_000, 'a', 'incomplete'))[1]).toBe(0);
      expect((await beat(START_MS + 5_000, 'b', 'known'))[1]).toBe(1_000);
    });

    test('and was known, but is not here any more, tells that Redis has lost what it knew', async () => {
      const beat = beats();
      await beat(START_MS, 'a', 'new');
      expect((await beat(START_MS + 1_000, 'b', 'known'))[1]).toBe(0);
    });
  });

  describe('in real time', () => {
    async function openWindows(address: string, prefix = PREFIX): Promise<RedisWindows> {
      const windows = new RedisWindows(address, prefix, randomUUID(), () => undefined);
      await windows.connect();
      onTestFinished(() => windows.close());
      return windows;
    }

    /** One request in a step. */
    async function take(windows: RedisWindows, group: string, charges: readonly Charge[], force: boolean) {
      const [taken] = await windows.take(group, [{ charges, force }]);
      if (taken === undefined) throw new Error('it was not decided');
      return taken;
    }

    const charges: Charge[] = [
      { key: 'requests', max: 3, amount: 1 },
      { key: 'cost', max: 100, amount: 40 },
    ];
    const receiptOf = ({ receipt }: Taken): Receipt => {
      if (receipt === null) throw new Error('it was not counted');
      return receipt;
    };

    test('counts, refuses whole, and tells what is left and when', async () => {
      const windows = await openWindows(url);
      const group = randomUUID();
      for (const used of [1, 2]) {
        const taken = await take(windows, group, charges, false);
        expect(taken.granted).toBe(true);
        expect(taken.windows.map((window) => window.used)).toEqual([used, used * 40]);
        for (const { resetMs } of taken.windows) expect(resetMs).toBeGreaterThan(59_000);
        for (const { resetMs } of taken.windows) expect(resetMs).toBeLessThanOrEqual(61_000);
      }
      const refused = await take(windows, group, charges, false);
      expect(refused).toMatchObject({
        granted: false,
        receipt: null,
        windows: [{ used: 2, retryMs: 0 }, { used: 80 }],
      });
      expect(refused.windows[1]?.retryMs).toBeGreaterThan(58_000);
      expect(await take(windows, group, charges, true)).toMatchObject({
        granted: false,
        windows: [{ used: 3 }, { used: 120 }],
      });
    });

    test('gives back what was not used, once, and never more than is there', async () => {
      const windows = await openWindows(url);
      const group = randomUUID();
      const used = async () =>
        (await take(windows, group, [{ key: 'cost', max: 100, amount: 0 }], false)).windows[0]?.used;
      const receipt = receiptOf(await take(windows, group, charges, false));
      await windows.giveBack(receipt, 'cost', 30);
      expect(await used()).toBe(10);
      await windows.giveBack(receipt, 'cost', 30);
      expect(await used()).toBe(0);
      await windows.giveBack(receipt, 'cost', 30);
      expect(await used()).toBe(0);
      await take(windows, group, charges, false);
      expect(await used()).toBe(40);
    });

    test('counts amounts that no integer of Redis holds as a full window, and goes on', async () => {
      const windows = await openWindows(url);
      const group = randomUUID();
      const huge = [{ key: 'cost', max: 100, amount: 1e21 }];
      for (const _ of [1, 2]) expect((await take(windows, group, huge, true)).granted).toBe(false);
      await windows.giveBack(receiptOf(await take(windows, group, huge, true)), 'cost', 1e21);
      expect((await take(windows, group, charges, false)).granted).toBe(false);
    });

    test('keeps all keys of a network in one place of a cluster, and none for longer than it is needed', async () => {
      const windows = await openWindows(url);
      const group = randomUUID();
      await take(windows, group, charges, false);
      await take(windows, group, [{ key: 'looked at', max: 5, amount: 0 }], false);
      const found = (await client.keys(`${PREFIX}*${group}*`)).toSorted();
      expect(found).toEqual([`${PREFIX}{${group}}:cost`, `${PREFIX}{${group}}:requests`]);
      for (const key of found) {
        const seconds = await client.ttl(key);
        expect(seconds).toBeGreaterThanOrEqual(61);
        expect(seconds).toBeLessThanOrEqual(62);
      }
      await windows.heartbeat('new');
      expect(await client.ttl(`${PREFIX}{gateways}`)).toBeGreaterThan(55);
    });

    test('decides all windows of a request in one round trip, also the first after its script was forgotten', async () => {
      const proxy = await openRedisProxy(url);
      const windows = await openWindows(proxy.url);
      const group = randomUUID();
      await take(windows, group, charges, false);
      proxy.sent.length = 0;
      await take(windows, group, charges, false);
      expect(proxy.sent.join('').match(/^\*\d+\r$/gm)).toHaveLength(1);
      expect(proxy.sent.join('')).toMatch(/^\*\d+\r\n\$7\r\nEVALSHA\r\n/);

      await client.sendCommand(['SCRIPT', 'FLUSH']);
      expect(await take(windows, group, charges, false)).toMatchObject({
        granted: false,
        windows: [{ used: 2 }, { used: 80 }],
      });
      await client.sendCommand(['SCRIPT', 'FLUSH']);
      const all = await Promise.all(Array.from({ length: 50 }, () => take(windows, randomUUID(), charges, false)));
      expect(all.every(({ granted }) => granted)).toBe(true);
    });

    test('1,000 steps at once on two connections let in exactly the limit', async () => {
      const both = [await openWindows(url), await openWindows(url)];
      const group = randomUUID();
      const asked = Array.from({ length: 1_000 }, (_, index) =>
        take(both[index % 2] as RedisWindows, group, [{ key: 'k', max: 100, amount: 1 }], false),
      );
      const taken = await Promise.all(asked);
      expect(taken.filter(({ granted }) => granted)).toHaveLength(100);
    });

    test('leaves when it is closed, and gateways with another prefix are others', async () => {
      const [one, other] = [await openWindows(url, `${PREFIX}x:`), await openWindows(url, `${PREFIX}x:`)];
      const third = await openWindows(url, `${PREFIX}y:`);
      await one.heartbeat('new');
      expect((await other.heartbeat('new')).gateways).toBe(2);
      expect((await third.heartbeat('new')).gateways).toBe(1);
      await one.close();
      expect((await other.heartbeat('known')).gateways).toBe(1);
    });

    test('is closed soon also where Redis says nothing any more', async () => {
      const proxy = await openRedisProxy(url);
      const windows = await openWindows(proxy.url);
      proxy.silent = true;
      const begun = performance.now();
      await windows.close();
      expect(performance.now() - begun).toBeLessThan(2_000);
    });
  });
});
