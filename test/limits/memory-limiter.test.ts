// Windows in memory, on a clock that the test moves, against a log of all that was charged.
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import type { Charge, ChargedRequest } from '../../src/limits/limiter.ts';
import { MemoryLimiter } from '../../src/limits/memory-limiter.ts';
import { type Clock, runAgainstLog, steps } from './windows-model.ts';

const GROUP = 'a network';

function limiterAt(nowMs: number): { limiter: MemoryLimiter; clock: Clock } {
  const clock = { nowMs };
  const limiter = new MemoryLimiter(() => clock.nowMs);
  onTestFinished(() => limiter.close());
  return { limiter, clock };
}

const one = (key: string, max: number, amount = 1): Charge[] => [{ key, max, amount }];

test('never more than the limit in any 60 seconds, released at most a second late, all windows or none, and every figure true', async () => {
  const start = fc.oneof(
    fc.constant(0),
    fc.integer({ min: 0, max: 4_000_000 }).map((quarters) => quarters / 4),
  );
  await fc.assert(
    fc.asyncProperty(start, steps(10_000_000, 0.25), async (startMs, all) => {
      const { limiter, clock } = limiterAt(startMs);
      const windows = {
        take: (requests: readonly ChargedRequest[]) =>
          requests.map(({ charges, force }) => limiter.take(GROUP, charges, force)),
        giveBack: limiter.giveBack.bind(limiter),
      };
      await runAgainstLog(windows, clock, all);
    }),
    { numRuns: 2_000 },
  );
});

test('a second before it is told to come back, a caller may still be refused; at the time it is let in', () => {
  const { limiter, clock } = limiterAt(5_000);
  expect(limiter.take(GROUP, one('k', 1), false).granted).toBe(true);
  clock.nowMs += 10_000;
  const retryMs = limiter.take(GROUP, one('k', 1), false).windows[0]?.retryMs ?? 0;
  expect(retryMs).toBe(51_000);
  clock.nowMs += retryMs - 1_000;
  expect(limiter.take(GROUP, one('k', 1), false).granted).toBe(false);
  clock.nowMs += 1_000;
  expect(limiter.take(GROUP, one('k', 1), false).granted).toBe(true);
});

test('what never fits is refused for a window’s length, and counted only by force', () => {
  const { limiter } = limiterAt(0);
  const refused = limiter.take(GROUP, one('k', 5, 6), false);
  expect(refused).toMatchObject({ granted: false, receipt: null, windows: [{ used: 0, retryMs: 61_000 }] });
  expect(limiter.take(GROUP, one('k', 5, 6), true)).toMatchObject({ granted: false, windows: [{ used: 6 }] });
});

test('amounts past what a bucket holds are capped, never wrapped around to little', () => {
  const { limiter } = limiterAt(0);
  for (const amount of [2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) limiter.take(GROUP, one('k', 1, amount), true);
  expect(limiter.take(GROUP, one('k', 1_000_000_000), false).granted).toBe(false);
});

test('what is given back twice takes nothing from another second, and never goes below nothing', () => {
  const { limiter, clock } = limiterAt(0);
  const { receipt } = limiter.take(GROUP, one('k', 10, 3), false);
  clock.nowMs += 1_000;
  limiter.take(GROUP, one('k', 10, 4), false);
  if (receipt === null) throw new Error('it was not counted');
  for (const _ of [1, 2]) limiter.giveBack(receipt, 'k', 3);
  expect(limiter.take(GROUP, one('k', 10, 0), false).windows[0]?.used).toBe(4);
  clock.nowMs += 200_000;
  limiter.giveBack(receipt, 'k', 3);
  expect(limiter.take(GROUP, one('k', 10, 1), false).windows[0]?.used).toBe(1);
});

test('idle windows are forgotten and their memory serves the next ones', () => {
  const { limiter, clock } = limiterAt(0);
  const fill = (round: number) => {
    for (let key = 0; key < 5_000; key += 1) limiter.take(GROUP, one(`${round} ${key}`, 10), false);
  };
  fill(0);
  const { bucketBytes } = limiter.size;
  expect(limiter.size.windows).toBe(5_000);
  for (let round = 1; round <= 10; round += 1) {
    clock.nowMs += 61_000;
    // Its sweep comes with the next step.
    limiter.take(GROUP, one(`${round} sweep`, 10), false);
    clock.nowMs += 61_000;
    fill(round);
    expect(limiter.size.windows).toBeLessThanOrEqual(5_001);
    expect(limiter.size.bucketBytes).toBeLessThanOrEqual(bucketBytes * 1.25);
  }
  clock.nowMs += 122_000;
  limiter.take(GROUP, one('last', 10), false);
  clock.nowMs += 61_000;
  limiter.take(GROUP, one('last', 10), false);
  expect(limiter.size.windows).toBe(1);
});

test('a window that goes on being used outlives its neighbours with all that is in it', () => {
  const { limiter, clock } = limiterAt(0);
  let used = 0;
  for (let second = 0; second < 400; second += 1) {
    clock.nowMs = second * 1_000;
    used = limiter.take(GROUP, one('busy', 1_000), false).windows[0]?.used ?? 0;
    limiter.take(GROUP, one(`idle ${second}`, 10), false);
  }
  expect(used).toBe(61);
  expect(limiter.size.windows).toBeLessThanOrEqual(1 + 2 * 61);
});

test('no window is forgotten before it is empty, whenever it was made', () => {
  for (let quarter = 0; quarter < 4 * 130; quarter += 1) {
    const { limiter, clock } = limiterAt(quarter * 250);
    limiter.take(GROUP, one('k', 1), false);
    // Others are used all the while, and the limiter sweeps.
    for (let ageMs = 250; ageMs < 60_000; ageMs += 250) {
      clock.nowMs = quarter * 250 + ageMs;
      limiter.take(GROUP, one('other', 1_000), false);
    }
    expect(limiter.take(GROUP, one('k', 1), false).granted, `made at ${quarter * 250} ms`).toBe(false);
  }
});

test('who only looks makes no window', () => {
  const { limiter } = limiterAt(0);
  for (let key = 0; key < 100; key += 1) limiter.take(GROUP, one(`k${key}`, 10, 0), false);
  for (let key = 0; key < 100; key += 1) limiter.take(GROUP, one(`r${key}`, 1, 2), false);
  expect(limiter.size.windows).toBe(0);
});

test('a step costs the same however much a window holds', () => {
  const { limiter, clock } = limiterAt(0);
  // Of a hundred rounds the quickest: whatever else the machine does then has not come between.
  const quickestMs = (key: string) => {
    const rounds = Array.from({ length: 100 }, () => {
      const begun = performance.now();
      for (let step = 0; step < 200; step += 1) limiter.take(GROUP, one(key, 2_000_000_000), false);
      return performance.now() - begun;
    });
    return Math.min(...rounds);
  };
  const fewMs = quickestMs('few');
  for (let second = 0; second < 60; second += 1) {
    clock.nowMs += 1_000;
    for (let step = 0; step < 5_000; step += 1) limiter.take(GROUP, one('many', 2_000_000_000, 1_000), false);
  }
  const { bucketBytes } = limiter.size;
  expect(quickestMs('many')).toBeLessThan(fewMs * 5);
  expect(limiter.size.bucketBytes).toBe(bucketBytes);
});
