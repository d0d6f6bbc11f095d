import { describe, expect, test } from 'vitest';
import { UnknownDigests } from '../../src/access/unknown-digests.ts';

const REMEMBERED_MS = 10_000;
const REMEMBERED_MAX = 10_000;

/** With a clock that stands still until it is told. */
function make() {
  const clock = { ms: 5_000 };
  return { clock, digests: new UnknownDigests(() => clock.ms) };
}

describe('a digest that was found unknown', () => {
  test('is remembered for ten seconds, and not longer', () => {
    const { clock, digests } = make();
    expect(digests.has('a')).toBe(false);
    digests.add('a');
    expect(digests.has('a')).toBe(true);
    clock.ms += REMEMBERED_MS - 1;
    expect(digests.has('a')).toBe(true);
    clock.ms += 1;
    expect(digests.has('a')).toBe(false);
  });

  test('is not remembered longer for being asked after', () => {
    const { clock, digests } = make();
    digests.add('a');
    for (let asked = 0; asked < 10; asked += 1) {
      clock.ms += REMEMBERED_MS / 10;
      digests.has('a');
    }
    expect(digests.has('a')).toBe(false);
  });

  test('makes no other one known', () => {
    const { digests } = make();
    digests.add('a');
    expect(['b', '', 'A', '__proto__', 'size'].some((digest) => digests.has(digest))).toBe(false);
  });

  test('is forgotten for newer ones past 10,000, the oldest first: a flood takes no more memory', () => {
    const { digests } = make();
    const flood = Array.from({ length: REMEMBERED_MAX + 3 }, (_, index) => `digest ${index}`);
    for (const digest of flood) digests.add(digest);
    expect(flood.filter((digest) => !digests.has(digest))).toEqual(flood.slice(0, 3));
  });
});
