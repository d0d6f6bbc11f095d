/** The event loop in slices, on a clock and a loop of the test's own. */
import { describe, expect, test } from 'vitest';
import type { Caller } from '../../src/domain/fair-queue.ts';
import { SLICE_MS, Slices, Turns } from '../../src/domain/turns.ts';

const GREEDY: Caller = { networkId: 'greedy', keyId: 'greedy' };
const QUIET: Caller = { networkId: 'quiet', keyId: 'quiet' };

/** What the turn's caller does, it does in the microtasks that follow. */
async function waitForWork(): Promise<void> {
  for (let tick = 0; tick < 10; tick += 1) await Promise.resolve();
}

function loopOf() {
  const loop = { ms: 0, deferred: [] as (() => void)[], order: [] as string[] };
  const turns = new Turns({
    now: () => loop.ms,
    defer: (run) => loop.deferred.push(run),
    afterWork: (run) => void waitForWork().then(run),
    onTurn: ({ keyId }) => loop.order.push(keyId),
  });
  const round = async () => {
    for (const run of loop.deferred.splice(0)) run();
    for (let turn = 0; turn < 10; turn += 1) await waitForWork();
  };
  return { loop, turns, round };
}

describe('turns', () => {
  test('begin at once while a round of the event loop has time left', () => {
    const { loop, turns } = loopOf();
    expect(turns.begin(GREEDY)).toBeNull();
    loop.ms += SLICE_MS - 1;
    expect(turns.begin(QUIET)).toBeNull();
  });

  test('wait for a later round where this one has lasted for a slice', async () => {
    const { loop, turns, round } = loopOf();
    expect(turns.begin(GREEDY)).toBeNull();
    loop.ms += SLICE_MS;
    expect(turns.begin(QUIET)).toBeInstanceOf(Promise);
    await round();
    expect(loop.order).toEqual(['quiet']);
    await round();
    expect([turns.begin(GREEDY), loop.deferred.length]).toEqual([null, 1]);
  });

  test('share a round while they are short, and each in its turn', async () => {
    const { loop, turns, round } = loopOf();
    expect(turns.begin(GREEDY)).toBeNull();
    loop.ms += SLICE_MS;
    const short = [GREEDY, GREEDY, GREEDY, QUIET].map(async (caller) => {
      await turns.begin(caller);
      loop.ms += SLICE_MS / 4;
    });
    await round();
    expect(loop.order).toEqual(['greedy', 'quiet', 'greedy', 'greedy']);
    await Promise.all(short);
  });

  test('put a quiet caller behind one slice of a greedy one, however many it has waiting', async () => {
    const { loop, turns, round } = loopOf();
    const work = async (left: number): Promise<void> => {
      const slices = new Slices(turns, GREEDY);
      for (let slice = 0; slice < left; slice += 1) {
        await slices.next();
        loop.ms += SLICE_MS;
        expect(slices.isOver).toBe(true);
      }
    };
    const all = Array.from({ length: 100 }, () => work(10));
    await round();
    const quiet = turns.begin(QUIET);
    expect(quiet).not.toBeNull();
    await round();
    await round();
    expect(loop.order.slice(0, 3)).toEqual(['greedy', 'greedy', 'quiet']);
    await quiet;
    // And the greedy one is served all the same, one slice a round.
    while (loop.deferred.length > 0) await round();
    await Promise.all(all);
    expect(loop.order.filter((name) => name === 'greedy')).toHaveLength(1_000);
  });
});
