/**
 * What sliding windows must do, checked against a log of every charge: on whatever keeps windows, by a clock that the
 * test moves. The model knows nothing of buckets: only when what was charged.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Charge, ChargedRequest, Receipt, Taken } from '../../src/limits/limiter.ts';

export interface Clock {
  /** Milliseconds. */
  nowMs: number;
}

export interface WindowsUnderTest {
  /** Requests that come together, one after the other. */
  take(requests: readonly ChargedRequest[]): readonly Taken[] | Promise<readonly Taken[]>;
  giveBack(receipt: Receipt, key: string, amount: number): void | Promise<void>;
}

interface Entry {
  readonly key: string;
  readonly atMs: number;
  readonly receipt: Receipt;
  amount: number;
}

interface ChargeStep {
  readonly step: 'charge';
  readonly advanceMs: number;
  readonly requests: readonly ChargedRequest[];
  /** Where the last is refused: it waits exactly as long as it was told, and tries again. */
  readonly obeys: boolean;
}

interface GiveBackStep {
  readonly step: 'giveBack';
  readonly advanceMs: number;
  /** Which of the entries so far, and how much of it: parts of one. */
  readonly which: number;
  readonly part: number;
}

export type Step = ChargeStep | GiveBackStep;

const WINDOW_MS = 60_000;
/** What is in a window is gone at the latest so long after it came. */
const LATEST_MS = 61_000;
const KEYS = ['a', 'b', 'c'];
const MAX = 8;

/** `longestMs`: the longest gap. `grain`: milliseconds that all times are multiples of. */
export function steps(longestMs: number, grain: number): fc.Arbitrary<Step[]> {
  const between = (min: number, max: number) =>
    fc.integer({ min: min / grain, max: max / grain }).map((n) => n * grain);
  const advanceMs = fc.oneof(
    fc.constant(0),
    between(0, 1_000),
    fc.integer({ min: 1, max: 20 }).map((seconds) => seconds * 1_000),
    between(0, 15_000),
    between(58_500, 62_500),
    between(100_000, longestMs),
  );
  const charges = fc
    .subarray(KEYS, { minLength: 1 })
    .chain((keys) =>
      fc.tuple(
        ...keys.map((key) =>
          fc.record({ key: fc.constant(key), max: fc.integer({ min: 1, max: MAX }), amount: AMOUNT }),
        ),
      ),
    );
  const request = fc.record({ charges, force: fc.integer({ min: 0, max: 9 }).map((n) => n === 0) });
  const charge: fc.Arbitrary<Step> = fc.record({
    step: fc.constant('charge' as const),
    advanceMs,
    requests: fc.oneof(
      { arbitrary: fc.array(request, { minLength: 1, maxLength: 1 }), weight: 3 },
      { arbitrary: fc.array(request, { minLength: 2, maxLength: 6 }), weight: 1 },
    ),
    obeys: fc.boolean(),
  });
  const giveBack: fc.Arbitrary<Step> = fc.record({
    step: fc.constant('giveBack' as const),
    advanceMs,
    which: UNIT,
    part: UNIT,
  });
  return fc.array(fc.oneof({ arbitrary: charge, weight: 5 }, { arbitrary: giveBack, weight: 1 }), { maxLength: 60 });
}

const AMOUNT = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: MAX + 1 }));
const UNIT = fc.double({ min: 0, max: 1, noNaN: true });

export async function runAgainstLog(windows: WindowsUnderTest, clock: Clock, all: readonly Step[]): Promise<void> {
  const log: Entry[] = [];
  for (const step of all) {
    clock.nowMs += step.advanceMs;
    if (step.step === 'giveBack') await giveBack(windows, log, step);
    else await charge(windows, log, clock, step);
  }
}

async function charge(windows: WindowsUnderTest, log: Entry[], clock: Clock, step: ChargeStep): Promise<void> {
  const taken = await take(windows, log, clock, step.requests);
  const [request, refused] = [step.requests.at(-1), taken.at(-1)];
  if (request === undefined || refused === undefined || !step.obeys || refused.receipt !== null) return;
  if (request.charges.some(({ max, amount }) => amount > max)) return;
  clock.nowMs += Math.max(...refused.windows.map(({ retryMs }) => retryMs));
  const [again] = await take(windows, log, clock, [{ charges: request.charges, force: false }]);
  expect(again?.granted, 'who waits as long as told is let in').toBe(true);
}

async function take(
  windows: WindowsUnderTest,
  log: Entry[],
  clock: Clock,
  requests: readonly ChargedRequest[],
): Promise<readonly Taken[]> {
  const all = await windows.take(requests);
  expect(all).toHaveLength(requests.length);
  for (const [index, { charges, force }] of requests.entries()) {
    const taken = all[index] as Taken;
    check(taken, charges, force, log, clock.nowMs);
    count(taken, charges, log, clock.nowMs);
  }
  return all;
}

function count({ receipt }: Taken, charges: readonly Charge[], log: Entry[], atMs: number): void {
  if (receipt === null) return;
  for (const { key, amount } of charges) log.push({ key, atMs, receipt, amount });
}

async function giveBack(windows: WindowsUnderTest, log: Entry[], { which, part }: GiveBackStep): Promise<void> {
  const entry = log[Math.min(log.length - 1, Math.floor(which * log.length))];
  if (entry === undefined) return;
  const amount = Math.round(part * entry.amount);
  await windows.giveBack(entry.receipt, entry.key, amount);
  entry.amount -= amount;
}

function check(taken: Taken, charges: readonly Charge[], force: boolean, log: readonly Entry[], nowMs: number): void {
  const counted = taken.granted || force;
  expect(taken.receipt !== null, 'a receipt for what was counted, and for nothing else').toBe(counted);
  const mayGrant = charges.every(
    ({ key, max, amount }) => amount === 0 || within(log, key, nowMs, WINDOW_MS) + amount <= max,
  );
  const mustGrant = charges.every(
    ({ key, max, amount }) => amount === 0 || within(log, key, nowMs, LATEST_MS) + amount <= max,
  );
  if (taken.granted) expect(mayGrant, 'never more than the limit in 60 seconds').toBe(true);
  else expect(mustGrant, 'released at most one second late').toBe(false);
  charges.forEach((one, index) => {
    const state = taken.windows[index];
    if (state === undefined) throw new Error('a window without a state');
    const { used, resetMs, retryMs } = state;
    const added = counted ? one.amount : 0;
    expect(used).toBeGreaterThanOrEqual(within(log, one.key, nowMs, WINDOW_MS) + added);
    expect(used).toBeLessThanOrEqual(within(log, one.key, nowMs, LATEST_MS) + added);
    expectAbout(resetMs, msUntilLeft(log, one.key, nowMs, 0, added), used === 0);
    if (one.amount > one.max || one.amount === 0) return;
    const before = used - added;
    const fits = before + one.amount <= one.max;
    expectAbout(retryMs, msUntilLeft(log, one.key, nowMs, one.max - one.amount, 0), fits);
  });
  const waitsNot = taken.windows.every(({ retryMs }) => retryMs === 0);
  expect(waitsNot, 'a wait is told where one is needed, and nowhere else').toBe(taken.granted);
}

/** At the earliest when it is due, at the latest a second after. */
function expectAbout(toldMs: number, dueMs: number, isNone: boolean): void {
  if (isNone) {
    expect(toldMs).toBe(0);
    return;
  }
  expect(toldMs).toBeGreaterThanOrEqual(Math.max(1, dueMs));
  expect(toldMs).toBeLessThanOrEqual(Math.max(0, dueMs) + LATEST_MS - WINDOW_MS);
}

function within(log: readonly Entry[], key: string, nowMs: number, ageMs: number): number {
  return log.reduce((sum, one) => sum + (one.key === key && nowMs - one.atMs < ageMs ? one.amount : 0), 0);
}

/** When no more than so much is left, each being in it for 60 seconds. `added`: just now. */
function msUntilLeft(log: readonly Entry[], key: string, nowMs: number, left: number, added: number): number {
  const entries = [...log.filter((one) => one.key === key && one.amount > 0), { atMs: nowMs, amount: added }];
  const inIt = entries.filter(({ atMs, amount }) => nowMs - atMs < LATEST_MS && amount > 0);
  let sum = inIt.reduce((total, { amount }) => total + amount, 0);
  let goneMs = nowMs;
  for (const { atMs, amount } of inIt) {
    if (sum <= left) break;
    sum -= amount;
    goneMs = atMs + WINDOW_MS;
  }
  return goneMs - nowMs;
}
