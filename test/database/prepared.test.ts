/** Times come out of the hottest reads as they went in, whatever they are. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { run } from '../../src/database/prepared.ts';
import { openTestDatabase } from '../support/fixtures.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const TEXT = 'SELECT time FROM unnest($1::timestamptz[]) AS time';

async function read(times: readonly string[]): Promise<unknown[]> {
  const rows = await run<{ time: unknown }>(database.pool, { text: TEXT }, [times]);
  return rows.map(({ time }) => time);
}

test('any time of four-digit years, to the millisecond', async () => {
  const min = new Date('0001-01-01T00:00:00Z');
  const times = fc.array(fc.date({ min, max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }), {
    minLength: 50,
    maxLength: 200,
  });
  await fc.assert(
    fc.asyncProperty(times, async (given) => {
      expect(await read(given.map((time) => time.toISOString()))).toEqual(given);
    }),
    { numRuns: 20 },
  );
});

test('with fractions of any length: what is less than a millisecond is left out', async () => {
  const seconds = ['', '.1', '.12', '.123', '.1239', '.123456', '.001', '.0001', '.999999'];
  const wanted = [0, 100, 120, 123, 123, 123, 1, 0, 999].map((ms) => new Date(Date.UTC(2026, 1, 28, 23, 59, 59, ms)));
  expect(await read(seconds.map((fraction) => `2026-02-28T23:59:59${fraction}Z`))).toEqual(wanted);
});

test('and what is written otherwise, as pg reads it', async () => {
  const [forever, before, ancient, far, none] = await read([
    'infinity',
    '-infinity',
    '0044-03-15 BC',
    '12026-01-01',
    null,
  ] as never);
  expect([forever, before, none]).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, null]);
  expect((ancient as Date).getUTCFullYear()).toBe(-43);
  expect((far as Date).getUTCFullYear()).toBe(12_026);
});
