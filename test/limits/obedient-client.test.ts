// A client that obeys the headers, for five minutes of a clock that the test moves, and never sees a refusal: a model of
// one, and the one that docs/limits.md shows, over HTTP.
import { createContext, runInContext } from 'node:vm';
import { parseList } from 'structured-headers';
import { expect, onTestFinished, test } from 'vitest';
import type { PlanNumbers } from '../../src/domain/plan.ts';
import { ALL_SCOPES } from '../../src/domain/scope.ts';
import { rateLimitHeaders } from '../../src/limits/headers.ts';
import { MemoryLimiter } from '../../src/limits/memory-limiter.ts';
import { type Charged, Meter } from '../../src/limits/meter.ts';
import { MonthCounter } from '../../src/limits/month-counter.ts';
import { principalOf } from '../support/context.ts';
import { examplesIn, readDocument } from '../support/documents.ts';
import { makeMembers, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { startTestGateway } from '../support/gateway.ts';

const FIVE_MINUTES_MS = 300_000;

async function meterAt(clock: { nowMs: number }, numbers: PlanNumbers) {
  const database = await openTestDatabase();
  const months = new MonthCounter(database, { onCrossed: () => undefined, onError: () => undefined });
  const limiter = new MemoryLimiter(() => clock.nowMs);
  onTestFinished(async () => {
    await limiter.close();
    await months.close();
    await database.close();
  });
  const made = await makeNetwork(database);
  const principal = { ...principalOf(made, new Set(ALL_SCOPES)), numbers };
  return { principal, meter: new Meter(limiter, months, false, () => undefined) };
}

/** How long the headers ask a client to wait that means to spend so much. Milliseconds. */
function waitMs(charged: Charged, needs: Readonly<Record<string, number>>): number {
  const { ratelimit = '' } = rateLimitHeaders(charged);
  const waits = parseList(ratelimit).map(([name, parameters]) => {
    const [left, seconds] = [Number(parameters.get('r')), Number(parameters.get('t'))];
    return left >= (needs[String(name)] ?? 0) ? 0 : seconds * 1_000;
  });
  return Math.max(...waits);
}

test.for([
  ['requests', { requestsPerMinute: 100, networkRequestsPerMinute: 1_000, costPerMinute: 10_000 }, 20, 0],
  ['the network’s requests', { requestsPerMinute: 100, networkRequestsPerMinute: 60, costPerMinute: 10_000 }, 20, 0],
  ['points', { requestsPerMinute: 1_000, networkRequestsPerMinute: 10_000, costPerMinute: 10_000 }, 251, 0],
  [
    'points of which some are given back',
    { requestsPerMinute: 1_000, networkRequestsPerMinute: 10_000, costPerMinute: 10_000 },
    251,
    100,
  ],
] as const)('where %s bind it, it is let in every time, and uses what it has', async ([, numbers, points, unused]) => {
  const clock = { nowMs: 12_345.75 };
  const { meter, principal } = await meterAt(clock, numbers);
  const most = Math.min(
    numbers.requestsPerMinute,
    numbers.networkRequestsPerMinute,
    Math.floor(numbers.costPerMinute / points),
  );
  const needs = { requests: 1, 'network-requests': 1, cost: points };
  const served: number[] = [];
  const end = clock.nowMs + FIVE_MINUTES_MS;
  while (clock.nowMs < end) {
    const charged = await meter.charge(principal, points);
    expect(charged.granted, `refused by ${charged.over?.name}`).toBe(true);
    served.push(clock.nowMs);
    meter.giveBack(principal, charged, unused);
    // Between 7 and 150 ms a request.
    clock.nowMs += 7.25 + ((served.length * 37) % 143) + waitMs(charged, needs);
  }
  expect(served.length).toBeGreaterThanOrEqual(most * 4);
});

/** What Node's timers hold at the most; one that is asked for more fires at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

interface World {
  readonly token: string;
  /** As the client calls it. */
  readonly fetch: (url: string, options: RequestInit) => Promise<Response>;
  readonly clock: { nowMs: number };
}

/** Runs the client of docs/limits.md to its end; gives what it prints. Its timers move the clock, and take no time. */
async function runDocumentedClient({ token, fetch, clock }: World): Promise<string[]> {
  const [client] = examplesIn(await readDocument('docs/limits.md')).filter(({ language }) => language === 'js');
  const printed: string[] = [];
  const context = createContext({
    process: { env: { TOKEN: token } },
    console: { log: (line: string) => printed.push(line) },
    fetch,
    setTimeout(wake: () => void, ms: number) {
      clock.nowMs += ms > TIMER_MAX_MS ? 1 : ms;
      setImmediate(wake);
    },
  });
  await runInContext(`(async () => {${client?.text ?? ''}})()`, context);
  return printed;
}

const PAGE = 250;
/** A page of 250 costs 64 points. */
const PAGES_A_MINUTE = 2;

test.for([
  ['requests', { requestsPerMinute: PAGES_A_MINUTE, costPerMinute: 10_000 }],
  ['the network’s requests', { requestsPerMinute: 100, networkRequestsPerMinute: PAGES_A_MINUTE }],
  ['points', { requestsPerMinute: 100, costPerMinute: PAGES_A_MINUTE * 64 }],
] as const)(
  'the documented client, bound by %s: many minutes’ pages, every member, and never a 429',
  async ([, numbers]) => {
    const clock = { nowMs: 12_345.75 };
    const database = await openTestDatabase();
    const gateway = await startTestGateway({}, { limitsClock: () => clock.nowMs });
    onTestFinished(async () => {
      await gateway.close();
      await database.close();
    });
    const { network, token } = await makeNetwork(database, { network: { plan: 'CUSTOM', ...numbers } });
    const pages = 12;
    await makeMembers(database, network.id, pages * PAGE);
    const statuses: number[] = [];
    const printed = await runDocumentedClient({
      token,
      clock,
      async fetch(url, options) {
        const response = await fetch(url.replace('http://127.0.0.1:4000', gateway.url), options);
        statuses.push(response.status);
        return response;
      },
    });
    expect(printed).toEqual([`${pages * PAGE} members`]);
    expect(statuses).toEqual(Array(pages).fill(200));
    // The last two of six minutes’ pages need not be waited for.
    expect(clock.nowMs).toBeGreaterThan(FIVE_MINUTES_MS);
  },
);

test('the documented client waits for a month that is full, and does not ask meanwhile', async () => {
  const clock = { nowMs: 0 };
  const MONTH_SECONDS = 31 * 86_400;
  const asked: number[] = [];
  await runDocumentedClient({
    token: 'any',
    clock,
    async fetch() {
      asked.push(clock.nowMs);
      if (asked.length === 1)
        return Response.json({}, { status: 429, headers: { 'retry-after': String(MONTH_SECONDS) } });
      const members = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } };
      return Response.json({ data: { members }, extensions: { cost: { requested: 1 } } });
    },
  });
  expect(asked).toEqual([0, MONTH_SECONDS * 1_000]);
});
