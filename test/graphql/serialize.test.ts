/** A long answer is written in slices, and is the same text. */
import { describe, expect, test } from 'vitest';
import { joined, RawJson } from '../../src/domain/json-size.ts';
import { SLICE_MS, Slices, Turns } from '../../src/domain/turns.ts';
import { serialize, type Written } from '../../src/graphql/serialize.ts';

const MAX_BYTES = 16 * 1_048_576;
const RAW = new RawJson('{"level":[1,"ü"]}');
const CALLER = { networkId: 'n', keyId: 'k' };

/** `stepMs`: how much the clock goes on each time that it is looked at. */
function slicesOf(stepMs: number) {
  const clock = { ms: 0, turns: 0 };
  const turns = new Turns({
    now: () => (clock.ms += stepMs),
    defer: setImmediate,
    afterWork: setImmediate,
    onTurn: () => (clock.turns += 1),
  });
  return { clock, slices: new Slices(turns, CALLER) };
}

const rows = (count: number, text: string) =>
  Array.from({ length: count }, (_, n) => ({ id: `${n}`, n, text, none: null }));

const VALUES: readonly [string, object][] = [
  ['nothing', {}],
  ['no data', { data: null, extensions: { cost: 1 } }],
  ['lists of every length', { data: Object.fromEntries([0, 1, 2, 7, 8, 9, 250].map((n) => [`l${n}`, rows(n, 'x')])) }],
  ['long items', { data: { members: { edges: rows(40, 'ü'.repeat(20_000)).map((node) => ({ node })) } } }],
  ['lists in lists', { data: { a: [[1, [2, null]], [], [[['deep']]]] } }],
  ['deep objects', { data: { a: { b: { c: { d: { e: { f: { g: [1, { h: rows(20, 'y') }] } } } } } } } }],
  [
    'what JSON leaves out or rewrites',
    { a: undefined, b: [undefined, null], c: Number.NaN, d: new Date(0), '"': '\u2028"' },
  ],
  ['text that is JSON already', { data: { members: rows(40, 'x').map((row) => ({ ...row, raw: RAW })) } }],
  ['keys of every kind', { data: Object.assign(Object.create(null), { ['__proto__x']: 1, '': 2, toJSON: 3 }) }],
];

const textOf = ({ parts }: Written) => String(joined(parts));

describe('a result as JSON', () => {
  test.each(VALUES)('is that of JSON.stringify, without slices: %s', async (_, value) => {
    const written = await serialize(value, null, MAX_BYTES);
    expect(textOf(written)).toBe(JSON.stringify(value));
    expect(written.bytes).toBe(Buffer.byteLength(JSON.stringify(value)));
  });

  test.each(VALUES)('is that of JSON.stringify, in one go: %s', async (_, value) => {
    const { slices, clock } = slicesOf(0);
    const written = await serialize(value, slices, MAX_BYTES);
    expect(textOf(written)).toBe(JSON.stringify(value));
    expect(written.bytes).toBe(Buffer.byteLength(JSON.stringify(value)));
    expect(clock.turns).toBe(0);
  });

  test.each(VALUES)('is that of JSON.stringify, in slices: %s', async (_, value) => {
    const { slices } = slicesOf(SLICE_MS);
    const written = await serialize(value, slices, MAX_BYTES);
    expect(textOf(written)).toBe(JSON.stringify(value));
    expect(written.bytes).toBe(Buffer.byteLength(JSON.stringify(value)));
  });

  test('gives way to others while it is written', async () => {
    const { slices, clock } = slicesOf(SLICE_MS);
    await serialize({ data: { members: rows(250, 'x'.repeat(1_000)) } }, slices, MAX_BYTES);
    expect(clock.turns).toBeGreaterThan(30);
  });

  test.each([
    ['in one go', 0],
    ['in slices', SLICE_MS],
  ])('is broken off once it has more bytes than it may, %s', async (_, stepMs) => {
    const { slices } = slicesOf(stepMs);
    const written = await serialize({ data: { members: rows(10_000, 'ü'.repeat(1_000)) } }, slices, 1_000_000);
    expect(written.bytes).toBeGreaterThan(1_000_000);
    expect(written.bytes).toBeLessThan(3_000_000);
  });
});
