/** Limiters by themselves, as gateways on one Redis have them, and what they decide. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { Limiter } from '../../src/limits/limiter.ts';
import { openLimiter } from '../../src/limits/open-limiter.ts';
import { type RedisServer, startRedisServer } from '../support/redis-server.ts';

export const LIMIT = 100;

/** On a busy machine, too. */
const SOON_MS = 30_000;

export async function until(holds: () => Promise<boolean> | boolean, ms = SOON_MS): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('it did not come about');
    await delay(25);
  }
}

/** A Redis that a test breaks for good. */
export async function ownRedis(): Promise<RedisServer> {
  const own = await startRedisServer();
  onTestFinished(() => own.kill());
  return own;
}

export interface Decision {
  readonly granted: boolean;
  /** That it took longer than a timer of WAITED_MS that was set with it: on a busy machine both are late. */
  readonly hasWaited: boolean;
  /** That DECIDED_ROUNDS of the event loop had passed since a timer of DECIDED_MS. */
  readonly isLate: boolean;
}

const WAITED_MS = 20;
/**
 * Longer than any decision may take, on a busy machine too (within.ts); and so often round the event loop, where that time
 * is over in no time.
 */
const DECIDED_MS = 300;
const DECIDED_ROUNDS = 20;

/** Calls back after so long and so many rounds of the event loop; returns what stops that. */
function afterRounds(ms: number, rounds: number, done: () => void): () => void {
  let immediate: NodeJS.Immediate | undefined;
  const next = (left: number) => {
    if (left === 0) done();
    else immediate = setImmediate(() => next(left - 1));
  };
  const timer = setTimeout(() => next(rounds), ms);
  return () => {
    clearTimeout(timer);
    clearImmediate(immediate);
  };
}

/** A gateway's limiter by itself. */
export async function openOne(
  redisUrl: string,
  prefix = `test-${randomUUID()}:`,
  gatewaysAtLeast = 1,
): Promise<Limiter> {
  const settings = { redisUrl, redisPrefix: prefix, gateway: randomUUID(), gatewaysAtLeast };
  const limiter = await openLimiter({ ...settings, onChange: () => undefined });
  onTestFinished(() => limiter.close());
  return limiter;
}

export async function openSeveral(count: number, redisUrl: string, prefix: string): Promise<Limiter[]> {
  const limiters: Limiter[] = [];
  for (let opened = 0; opened < count; opened += 1) limiters.push(await openOne(redisUrl, prefix));
  await until(() => limiters.every(({ gateways, status }) => gateways === count && status === 'ok'));
  return limiters;
}

export async function decide(limiter: Limiter, key = 'k', max = LIMIT): Promise<Decision> {
  let [hasWaited, isLate] = [false, false];
  const stops = [
    afterRounds(WAITED_MS, 0, () => (hasWaited = true)),
    afterRounds(DECIDED_MS, DECIDED_ROUNDS, () => (isLate = true)),
  ];
  const { granted } = await limiter.take('network', [{ key, max, amount: 1 }], false);
  for (const stop of stops) stop();
  return { granted, hasWaited, isLate };
}

/** Each in turn; gives how many were let in. */
export async function inTurn(limiters: readonly Limiter[], count: number): Promise<number> {
  const all = Array.from({ length: count }, (_, index) => limiters[index % limiters.length]);
  let granted = 0;
  for (const limiter of all) if (limiter !== undefined && (await decide(limiter)).granted) granted += 1;
  return granted;
}
