// Requests of a month, by a clock that the test moves, in a database that fails when the test wants it to.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { newUuid } from '../../src/domain/id.ts';
import { monthAt } from '../../src/domain/month.ts';
import { MonthCounter } from '../../src/limits/month-counter.ts';
import { openTestDatabase } from '../support/fixtures.ts';

const QUOTA = 10;
const [MAY, JUNE] = [new Date('2026-05-01T00:00:00Z'), new Date('2026-06-01T00:00:00Z')];

let database: Database;
/** One that can no longer be asked. */
let ended: Database;

beforeAll(async () => {
  database = await openTestDatabase();
  ended = await openTestDatabase();
  await ended.close();
});

afterAll(() => database.close());

async function makeNetworks(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, newUuid);
  const data = ids.map((id) => ({ id, slug: id, name: 'months', plan: 'STANDARD', monthlyQuota: QUOTA }) as const);
  await database.prisma.network.createMany({ data });
  return ids;
}

/** What the database has of a network's month. */
async function stored(networkId: string, month: Date): Promise<number> {
  const row = await database.prisma.networkMonth.findUnique({ where: { networkId_month: { networkId, month } } });
  return Number(row?.requests ?? 0);
}

function open(at: string) {
  const clock = { now: new Date(at), fails: false };
  const warned: number[] = [];
  const errors: unknown[] = [];
  const source = {
    losesAnswers: false,
    get pool() {
      const { pool } = clock.fails ? ended : database;
      return source.losesAnswers ? losingAnswers(pool) : pool;
    },
  };
  const events = {
    onCrossed: (_: unknown, percent: number) => warned.push(percent),
    onError: (error: unknown) => errors.push(error),
  };
  const months = new MonthCounter(source, events, () => clock.now);
  return { clock, months, warned, errors, source };
}

/** What is asked of it is done, and nobody hears so. */
function losingAnswers(pool: Database['pool']): Database['pool'] {
  const query = async (...asked: unknown[]) => {
    await (pool.query as (...all: unknown[]) => Promise<unknown>).apply(pool, asked);
    throw new Error('the answer was lost');
  };
  return Object.create(pool, { query: { value: query } });
}

function count(months: MonthCounter, networkId: string, requests: number, granted = true): void {
  for (let made = 0; made < requests; made += 1) months.settle(months.reserve(networkId), granted);
}

/** What is left of a network's month now, of whom the database said so at its verification. */
function left(months: MonthCounter, networkId: string, now: Date, used = 0): number | undefined {
  const { start } = monthAt(now);
  return months.stateOf({ networkId, monthly: { quota: QUOTA, enforced: true, used, start } })?.remaining;
}

test('a new month begins empty, and what was pending of the old one is stored as the old one’s', async () => {
  const [network = ''] = await makeNetworks(1);
  const { clock, months } = open('2026-05-31T23:59:59.900Z');
  count(months, network, 7);
  expect(left(months, network, clock.now)).toBe(3);
  clock.now = JUNE;
  expect(left(months, network, clock.now)).toBe(QUOTA);
  count(months, network, 2);
  expect(left(months, network, clock.now)).toBe(8);
  await months.close();
  expect([await stored(network, MAY), await stored(network, JUNE)]).toEqual([7, 2]);
});

test('a clock that steps back over the end of a month goes on with the month that it had begun', async () => {
  const [network = '', other = ''] = await makeNetworks(2);
  const { clock, months, errors } = open('2026-05-31T23:59:59Z');
  count(months, network, 3);
  clock.now = JUNE;
  count(months, network, 1);
  clock.now = new Date(JUNE.getTime() - 500);
  count(months, network, 2);
  count(months, other, 1);
  expect(left(months, network, clock.now)).toBe(5);
  await months.flush();
  expect(errors).toEqual([]);
  await months.close();
  expect([await stored(network, MAY), await stored(network, JUNE), await stored(other, MAY)]).toEqual([5, 1, 1]);
});

test('what could not be stored is kept, counts meanwhile, is stored once, and is warned of then', async () => {
  const [network = ''] = await makeNetworks(1);
  const { clock, months, warned, errors } = open('2026-05-10T00:00:00Z');
  onTestFinished(() => months.close());
  count(months, network, 8);
  clock.fails = true;
  for (let failed = 1; failed <= 2; failed += 1) {
    await months.flush();
    expect([errors.length, left(months, network, clock.now), warned]).toEqual([failed, 2, []]);
  }
  clock.fails = false;
  count(months, network, 1);
  await months.flush();
  expect([await stored(network, MAY), left(months, network, clock.now, 9), warned]).toEqual([9, 1, [80]]);
});

test('a flush whose answer was lost is sent again, and added once', async () => {
  const [network = ''] = await makeNetworks(1);
  const { months, errors, source } = open('2026-05-10T00:00:00Z');
  onTestFinished(() => months.close());
  count(months, network, 4);
  source.losesAnswers = true;
  await months.flush();
  expect([errors.length, await stored(network, MAY)]).toEqual([1, 4]);
  source.losesAnswers = false;
  count(months, network, 1);
  await months.flush();
  expect([await stored(network, MAY), left(months, network, MAY, 5)]).toEqual([5, 5]);
});

type Step =
  | { readonly step: 'requests'; readonly of: number; readonly count: number; readonly granted: boolean }
  | { readonly step: 'clock'; readonly byHours: number }
  | { readonly step: 'flush'; readonly fails: boolean };

const STEPS = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({
      step: fc.constant('requests'),
      of: fc.nat(1),
      count: fc.integer({ min: 1, max: 4 }),
      granted: fc.boolean(),
    }),
    fc.record({ step: fc.constant('clock'), byHours: fc.constantFrom(-20, -15, 15, 20, 800) }),
    fc.record({ step: fc.constant('flush'), fails: fc.boolean() }),
  ),
  { maxLength: 30 },
);

/** The requests that were let in, by network and month. */
class Made {
  readonly counts = new Map<string, number>();

  add(network: string, month: Date, requests: number): void {
    this.counts.set(nameOf(network, month), this.of(network, month) + requests);
  }

  of(network: string, month: Date): number {
    return this.counts.get(nameOf(network, month)) ?? 0;
  }
}

function nameOf(network: string, month: Date): string {
  return `${network} ${month.toISOString()}`;
}

async function take(step: Step, { clock, months }: ReturnType<typeof open>, networks: string[], made: Made) {
  if (step.step === 'clock') clock.now = new Date(clock.now.getTime() + step.byHours * 3_600_000);
  if (step.step === 'flush') {
    clock.fails = step.fails;
    await months.flush();
  }
  if (step.step !== 'requests') return;
  const network = networks[step.of] ?? '';
  count(months, network, step.count, step.granted);
  if (step.granted) made.add(network, monthAt(clock.now).start, step.count);
}

test('whatever the clock does and however often storing fails: what is let in counts once, in its month', async () => {
  await fc.assert(
    fc.asyncProperty(STEPS, async (steps) => {
      const networks = await makeNetworks(2);
      const opened = open('2026-05-31T12:00:00Z');
      const { clock, months } = opened;
      const made = new Made();
      for (const step of steps) {
        await take(step, opened, networks, made);
        const { start } = monthAt(clock.now);
        for (const network of networks) {
          const remaining = left(months, network, clock.now, await stored(network, start));
          expect(remaining).toBe(Math.max(0, QUOTA - made.of(network, start)));
        }
      }
      clock.fails = false;
      await months.close();
      const rows = await database.prisma.networkMonth.findMany({ where: { networkId: { in: networks } } });
      const kept = rows.map(({ networkId, month, requests }) => [nameOf(networkId, month), Number(requests)] as const);
      expect(new Map(kept)).toEqual(made.counts);
    }),
    { numRuns: 60 },
  );
});
