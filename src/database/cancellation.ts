/**
 * Statements that end when whoever asked for them has gone or has run out of time. Every statement that is begun within
 * `cancellable` is cancelled on the server once the signal fires, whichever way it got there, Prisma's too; and none is
 * begun any more but the end of a transaction. pooled-client.ts does it, for each statement on a connection of the pool.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

const signals = new AsyncLocalStorage<AbortSignal | undefined>();

export function cancellable<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  // Prisma asks for nothing until it is awaited: that must be here, under the signal.
  return signals.run(signal, async () => await work());
}

/** Work that must run to its end, whoever has gone: the rest of a change that has committed. */
export function uncancellable<Result>(work: () => Promise<Result>): Promise<Result> {
  return signals.exit(async () => await work());
}

/** The signal of whoever asks; undefined where nobody has one. */
export function currentSignal(): AbortSignal | undefined {
  return signals.getStore();
}

/** Runs `work` under the signal of whoever it is for. */
export function underSignal<Given extends unknown[]>(
  signal: AbortSignal | undefined,
  work: (...given: Given) => void,
  ...given: Given
): void {
  signals.run(signal, work, ...given);
}
