/** On whose behalf the database is asked: it follows the work, whichever way a statement gets to a connection. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Caller } from '../domain/fair-queue.ts';

const callers = new AsyncLocalStorage<Caller | undefined>();

/** What every request begins with, and readiness: it never waits behind anybody's work. */
export const URGENT: Caller = { networkId: 'urgent', keyId: 'urgent' };
/** The gateway's own work: counts, retention. Nobody waits for it. */
export const BACKGROUND: Caller = { networkId: 'background', keyId: 'background' };

export function onBehalfOf<Result>(caller: Caller, work: () => Promise<Result>): Promise<Result> {
  // Prisma asks for nothing until it is awaited: that must be here, under the caller.
  return callers.run(caller, async () => await work());
}

export function currentCaller(): Caller {
  return callers.getStore() ?? BACKGROUND;
}

/** Goes on for a caller who was the current one when the work was asked for. */
export function resumedFor<Result>(caller: Caller, work: () => Result): Result {
  return callers.run(caller, work);
}
