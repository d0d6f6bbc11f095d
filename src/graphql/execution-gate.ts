/**
 * How many points of queries are under way at once: for a key as many as one query may cost, and for a network and the
 * gateway a multiple. What is beyond waits, in its key's own queue, before it has read anything, so that memory is bounded
 * by what is under way.
 */
import { GatehouseError } from '../domain/errors.ts';
import { FairGate, type Full, type Ticket } from '../domain/fair-gate.ts';
import type { Caller } from '../domain/fair-queue.ts';
import type { LimitState } from '../domain/limit.ts';

const NETWORK_FACTOR = 2;
const GATEWAY_FACTOR = 4;
/** Requests that wait, and what their bodies hold. */
const WAITING_MAX_OF_KEY = 256;
const WAITING_MAX_OF_NETWORK = 1_024;
const WAITING_MAX_BYTES_OF_KEY = 8 * 1_048_576;
const WAITING_MAX_BYTES_OF_NETWORK = 32 * 1_048_576;
/** Then one that is under way may have ended. */
const RETRY_MS = 1_000;

/** The caller's own queue is full: nothing was done, nothing is charged. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull';
  readonly limit: LimitState;
  readonly retryMs = RETRY_MS;

  constructor(whose: Full) {
    super(`the queue of the ${whose} is full`);
    const max = whose === 'key' ? WAITING_MAX_OF_KEY : WAITING_MAX_OF_NETWORK;
    this.limit = { name: 'concurrency', scope: whose, max, windowSeconds: 0, remaining: 0, resetMs: RETRY_MS };
  }
}

/** What waits to be let in. */
export interface Entry {
  readonly caller: Caller;
  readonly points: number;
  /** Of its body. */
  readonly bytes: number;
  readonly signal: AbortSignal;
}

export class ExecutionGate {
  readonly #gate: FairGate;
  readonly #waitMs: number;

  /** `maxCost`: what one query may cost. `waitMs`: how long one waits. */
  constructor(maxCost: number, waitMs: number) {
    this.#waitMs = waitMs;
    this.#gate = new FairGate({
      total: GATEWAY_FACTOR * maxCost,
      perNetwork: NETWORK_FACTOR * maxCost,
      perKey: maxCost,
      spare: maxCost,
      waitingPerKey: WAITING_MAX_OF_KEY,
      waitingPerNetwork: WAITING_MAX_OF_NETWORK,
      waitingBytesPerKey: WAITING_MAX_BYTES_OF_KEY,
      waitingBytesPerNetwork: WAITING_MAX_BYTES_OF_NETWORK,
    });
  }

  /** Null where there is no room at once: then `wait`. The ticket is given back by `leave`. */
  enterNow({ caller, points, bytes }: Entry): Ticket | null {
    const ticket: Ticket = { caller, units: points, bytes };
    return this.#gate.enterNow(ticket) ? ticket : null;
  }

  /** Throws QueueFull, a refusal once it has waited for too long, and the signal's reason. */
  async wait({ caller, points, bytes, signal }: Entry): Promise<Ticket> {
    const full = this.#gate.full(caller, bytes);
    if (full !== null) throw new QueueFull(full);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const ticket: Ticket = { caller, units: points, bytes, onGranted: resolve };
    const timer = setTimeout(() => reject(this.#waitedTooLong(ticket)), this.#waitMs);
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    this.#gate.enqueue(ticket);
    try {
      await promise;
      return ticket;
    } catch (error) {
      if (!this.#gate.giveUp(ticket)) this.#gate.leave(ticket);
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  leave(ticket: Ticket): void {
    this.#gate.leave(ticket);
  }

  #waitedTooLong(ticket: Ticket): GatehouseError {
    const seconds = Math.ceil(this.#waitMs / 1_000);
    const why = this.#gate.isOwnShare(ticket)
      ? `for ${seconds} s, other queries of this key or network have been under way: send fewer at once`
      : `for ${seconds} s, this gateway has been at work on other queries`;
    return new GatehouseError('SERVICE_UNAVAILABLE', `Service unavailable: ${why}`, {
      headers: { 'retry-after': String(RETRY_MS / 1_000) },
    });
  }
}
