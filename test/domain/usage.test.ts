import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BUCKET_MS,
  bucketStart,
  bucketsIn,
  USAGE_BUCKETS,
  USAGE_BUCKETS_MAX,
  usageRange,
} from '../../src/domain/usage.ts';

const FOREVER = { MINUTE: null, HOUR: null, DAY: null };
const NOW = new Date('2026-11-24T12:34:56.789Z');
/** Before 1970 too. */
const moment = fc.date({ min: new Date('1950-01-01'), max: new Date('2100-01-01'), noInvalidDate: true });

test('a bucket’s start is the last whole minute, hour or day of UTC', () => {
  fc.assert(
    fc.property(moment, (date) => {
      const iso = date.toISOString();
      const start = (bucket: (typeof USAGE_BUCKETS)[number]) =>
        new Date(bucketStart(bucket, date.getTime())).toISOString();
      expect([start('MINUTE'), start('HOUR'), start('DAY')]).toEqual([
        `${iso.slice(0, 16)}:00.000Z`,
        `${iso.slice(0, 13)}:00:00.000Z`,
        `${iso.slice(0, 10)}T00:00:00.000Z`,
      ]);
    }),
  );
});

test('a range is whole buckets that hold all that was asked for, and none that holds nothing of it', () => {
  fc.assert(
    fc.property(fc.constantFrom(...USAGE_BUCKETS), moment, fc.integer({ min: 1 }), (bucket, since, number) => {
      const until = new Date(since.getTime() + 1 + (number % (BUCKET_MS[bucket] * (USAGE_BUCKETS_MAX - 2))));
      const range = usageRange({ bucket, since, until }, NOW, FOREVER);
      if ('message' in range) throw new Error(range.message);
      expect(
        [range.since.getTime() % BUCKET_MS[bucket], range.until.getTime() % BUCKET_MS[bucket]].map(Math.abs),
      ).toEqual([0, 0]);
      expect(range.since.getTime()).toBeLessThanOrEqual(since.getTime());
      expect(range.since.getTime()).toBeGreaterThan(since.getTime() - BUCKET_MS[bucket]);
      expect(range.until.getTime()).toBeGreaterThanOrEqual(until.getTime());
      expect(range.until.getTime()).toBeLessThan(until.getTime() + BUCKET_MS[bucket]);
      expect(Number.isInteger(bucketsIn(range))).toBe(true);
    }),
  );
});

describe('a range without bounds', () => {
  test.for([
    ['MINUTE', '2026-11-24T11:35:00.000Z', '2026-11-24T12:35:00.000Z'],
    ['HOUR', '2026-11-23T13:00:00.000Z', '2026-11-24T13:00:00.000Z'],
    ['DAY', '2026-10-26T00:00:00.000Z', '2026-11-25T00:00:00.000Z'],
  ] as const)('by the %s ends with the present bucket', ([bucket, since, until]) => {
    const range = usageRange({ bucket }, NOW, FOREVER);
    expect(range).toEqual({ bucket, since: new Date(since), until: new Date(until) });
  });

  test('is never refused for its age, however short the retention', () => {
    const day = { MINUTE: 1, HOUR: 1, DAY: null };
    for (const bucket of USAGE_BUCKETS) expect(usageRange({ bucket }, NOW, day)).not.toHaveProperty('message');
  });
});
