// Requests that come together share a step; what each is told is its own.
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { ChargedRequest, Taken } from '../../src/limits/limiter.ts';
import { Steps } from '../../src/limits/steps.ts';

const requestOf = (amount: number): ChargedRequest => ({ charges: [{ key: 'k', max: 1_000, amount }], force: false });
const takenOf = ({ charges: [charge] }: ChargedRequest): Taken => ({
  granted: true,
  windows: [{ max: 1_000, used: charge?.amount ?? 0, resetMs: 0, retryMs: 0 }],
  receipt: null,
});

function open() {
  const sizes: [string, number][] = [];
  const steps = new Steps(async (group, requests) => {
    sizes.push([group, requests.length]);
    await turn();
    return requests.map(takenOf);
  });
  const used = async (group: string, amount: number) => (await steps.take(group, requestOf(amount))).windows[0]?.used;
  return { sizes, steps, used };
}

test('what one event lets go on is decided in one step a network, and each hears of itself', async () => {
  const { sizes, used } = open();
  const event = Promise.resolve();
  const asked = [1, 2, 3, 4, 5].map((amount) => event.then(() => used(amount % 2 === 0 ? 'even' : 'odd', amount)));
  expect(await Promise.all(asked)).toEqual([1, 2, 3, 4, 5]);
  expect(sizes).toEqual([
    ['odd', 3],
    ['even', 2],
  ]);
});

test('who comes in a later turn of the loop is not waited for', async () => {
  const { sizes, used } = open();
  const first = used('g', 1);
  await turn();
  expect(sizes).toEqual([['g', 1]]);
  expect(await Promise.all([first, used('g', 2)])).toEqual([1, 2]);
  expect(sizes).toEqual([
    ['g', 1],
    ['g', 1],
  ]);
});

test('a step has at most fifty requests', async () => {
  const { sizes, used } = open();
  const amounts = Array.from({ length: 120 }, (_, index) => index);
  expect(await Promise.all(amounts.map((amount) => used('g', amount)))).toEqual(amounts);
  expect(sizes.map(([, size]) => size)).toEqual([50, 50, 20]);
});

test('a step that fails, fails for all of it, and for nobody after', async () => {
  let fails = true;
  const steps = new Steps(async (_group, requests) => {
    if (fails) throw new Error('Redis is gone');
    return requests.map(takenOf);
  });
  const outcomes = await Promise.allSettled([steps.take('g', requestOf(1)), steps.take('g', requestOf(2))]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  fails = false;
  expect(await steps.take('g', requestOf(3))).toMatchObject({ windows: [{ used: 3 }] });
});
