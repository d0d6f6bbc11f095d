import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PLAN_NUMBER_MAX, PLANS, planNumbers } from '../../src/domain/plan.ts';
import { UnreadableValueError } from '../../src/domain/unreadable.ts';

const NONE = { requestsPerMinute: null, networkRequestsPerMinute: null, costPerMinute: null };
const number = fc.option(fc.integer({ min: 1, max: PLAN_NUMBER_MAX }));
const custom = fc.record({ requestsPerMinute: number, networkRequestsPerMinute: number, costPerMinute: number });

test('STANDARD and PREMIUM have the numbers that they are sold with, whatever is stored beside them', () => {
  fc.assert(
    fc.property(custom, (stored) => {
      expect(planNumbers('STANDARD', stored)).toEqual({
        requestsPerMinute: 100,
        networkRequestsPerMinute: 1_000,
        costPerMinute: 10_000,
      });
      expect(planNumbers('PREMIUM', stored)).toEqual({
        requestsPerMinute: 300,
        networkRequestsPerMinute: 3_000,
        costPerMinute: 30_000,
      });
    }),
  );
});

test('CUSTOM has its own, and 10 and 100 times its requests where it has none', () => {
  const numbers = (requestsPerMinute: number, more = {}) =>
    planNumbers('CUSTOM', { ...NONE, requestsPerMinute, ...more });
  expect(numbers(7)).toEqual({ requestsPerMinute: 7, networkRequestsPerMinute: 70, costPerMinute: 700 });
  expect(numbers(7, { networkRequestsPerMinute: 1 })).toEqual({
    requestsPerMinute: 7,
    networkRequestsPerMinute: 1,
    costPerMinute: 700,
  });
  expect(numbers(7, { costPerMinute: 1 })).toEqual({
    requestsPerMinute: 7,
    networkRequestsPerMinute: 70,
    costPerMinute: 1,
  });
});

test('every plan’s numbers are whole and within their bounds', () => {
  fc.assert(
    fc.property(fc.constantFrom(...PLANS), custom, (plan, stored) => {
      for (const value of Object.values(planNumbers(plan, stored))) {
        expect(Number.isInteger(value) && value >= 1 && value <= PLAN_NUMBER_MAX).toBe(true);
      }
    }),
    { examples: [['CUSTOM', { ...NONE, requestsPerMinute: PLAN_NUMBER_MAX }]] },
  );
});

test.each(['PLATINUM', '', undefined, null])('the plan %s, which nobody knows, is an error and not a limit', (plan) => {
  expect(() => planNumbers(plan as never, NONE)).toThrow(UnreadableValueError);
});

test.each([undefined, Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5, '7 a minute'])(
  'a stored number of %s is an error',
  (number) => {
    for (const name of Object.keys(NONE)) {
      expect(() => planNumbers('CUSTOM', { ...NONE, [name]: number })).toThrow(UnreadableValueError);
    }
  },
);
