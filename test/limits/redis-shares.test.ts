// Several gateways that lose their Redis: what each lets in by itself is no more, together, than the limit.
import { describe, expect, test } from 'vitest';
import type { Limiter } from '../../src/limits/limiter.ts';
import { HAS_REDIS_SERVER } from '../support/redis-server.ts';
import { decide, inTurn, LIMIT, openOne, openSeveral, ownRedis, until } from './limiters.ts';

describe.skipIf(!HAS_REDIS_SERVER)('with a redis-server of its own (left out where there is none)', () => {
  test('a window that Redis loses when four gateways have filled it together: none of them lets in one more', async () => {
    const own = await ownRedis();
    const limiters = await openSeveral(4, own.url, 'lost:');
    expect(await inTurn(limiters, 2 * LIMIT)).toBe(LIMIT);
    for (let lost = 0; lost < 3; lost += 1) {
      await own.command('DEL', 'lost:{network}:k');
      expect(await inTurn(limiters, LIMIT)).toBe(0);
    }
    expect(limiters.map(({ status }) => status)).toEqual(Array(4).fill('degraded'));
  });

  test('a gateway that has just come is known to the others before it lets anybody in: without Redis they share', async () => {
    const own = await ownRedis();
    const limiters = [await openOne(own.url, 'come:'), await openOne(own.url, 'come:')];
    await own.kill();
    await until(() => limiters.every(({ status }) => status === 'degraded'));
    expect(limiters.map(({ gateways }) => gateways)).toEqual([2, 2]);
    expect(await inTurn(limiters, 2 * LIMIT)).toBe(LIMIT);
  });

  test('what others were let in for, as Redis said last, is not let in again without it', async () => {
    const own = await ownRedis();
    const limiters = await openSeveral(2, own.url, 'others:');
    const [one, other] = limiters as [Limiter, Limiter];
    expect([await inTurn([one], 80), await inTurn([other], 10)]).toEqual([80, 10]);
    await own.kill();
    await until(() => limiters.every(({ status }) => status === 'degraded'));
    expect([await inTurn([one], LIMIT), await inTurn([other], LIMIT)]).toEqual([0, LIMIT - 90]);
  });

  test('without Redis, gateways share what a limit has, and let in none of a limit that is smaller than they are many', async () => {
    const own = await ownRedis();
    const limiters = await openSeveral(4, own.url, 'small:');
    await own.kill();
    await until(() => limiters.every(({ status }) => status === 'degraded'));
    const letIn = async (key: string, max: number) => {
      const decisions = limiters.flatMap((limiter) => [decide(limiter, key, max), decide(limiter, key, max)]);
      return (await Promise.all(decisions)).filter(({ granted }) => granted).length;
    };
    expect([await letIn('three', 3), await letIn('four', 4), await letIn('seven', 7)]).toEqual([0, 4, 4]);
  });

  test('a gateway that starts without its Redis takes the share of as many gateways as it is told there are', async () => {
    const own = await ownRedis();
    await own.kill();
    const limiter = await openOne(own.url, 'told:', 4);
    expect([limiter.gateways, await inTurn([limiter], LIMIT)]).toEqual([4, LIMIT / 4]);
  });
});
