/**
 * Reports of leaked tokens, worked off whether or not their reporters wait: each key for itself, a few at a time, again
 * where somebody else holds it just then. What one key is waiting for holds no other up for long.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../../database/database.ts';
import { GatehouseError } from '../../domain/errors.ts';
import { toId } from '../../domain/id.ts';
import { redactLine } from '../../domain/redaction.ts';
import { plainLine } from '../../domain/text.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Source } from '../actor.ts';
import { endLeaked, type LeakedKey, leakedKeys } from './leaked.ts';

export interface LeakReportsOptions {
  /** Of a gateway at once: each holds a connection to the database. */
  readonly keysAtOnce: number;
  /** How often a key is tried at the most. */
  readonly triesMax?: number;
  /** How long a try waits for whoever holds the key. */
  readonly lockWaitMs?: number;
  /** Between the first two tries; it doubles from one to the next. */
  readonly firstPauseMs?: number;
}

/** Together some 25 seconds: no transaction of ours holds a key for as long. */
const TRIES_MAX = 5;
const LOCK_WAIT_MS = 2_000;
const FIRST_PAUSE_MS = 1_000;
/** Keys that wait or are tried: whoever reports had a living token of each. */
const KEYS_UNDER_WAY_MAX = 1_000;
/** How long a gateway that stops waits for them. */
const CLOSE_TIMEOUT_MS = 4_000;

export class LeakReports {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #options: Required<LeakReportsOptions>;
  readonly #underWay = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(database: Database, log: Logger, options: LeakReportsOptions) {
    this.#database = database;
    this.#log = log;
    const defaults = { triesMax: TRIES_MAX, lockWaitMs: LOCK_WAIT_MS, firstPauseMs: FIRST_PAUSE_MS };
    this.#options = { ...defaults, ...options };
    this.#free = options.keysAtOnce;
  }

  /**
   * Takes a report; `done` resolves when those of the tokens that lived are let in nowhere, or the log says which live on.
   * `where`: as it was sent; it is kept as one line of plain text, without tokens and addresses. Rejects where the database
   * is out of reach, or too much is under way: whatever the tokens were.
   */
  async take(
    source: Source,
    tokens: readonly string[],
    where: string | null,
  ): Promise<{ readonly done: Promise<unknown> }> {
    if (this.#underWay.size >= KEYS_UNDER_WAY_MAX) throw TOO_MANY;
    const place = where === null ? null : redactLine(plainLine(where));
    const found = await leakedKeys(this.#database, tokens);
    return { done: Promise.all(found.map((leaked) => this.#tracked(this.#end(source, leaked, place)))) };
  }

  /** Waits for what is under way, without pauses from now on, for a while. */
  async close(): Promise<void> {
    this.#stopping.abort();
    const timeout = new AbortController();
    const late = delay(CLOSE_TIMEOUT_MS, undefined, { signal: timeout.signal }).catch(() => undefined);
    await Promise.race([Promise.all(this.#underWay), late]);
    timeout.abort();
    const keys = this.#underWay.size;
    if (keys > 0) this.#log.error({ keys }, 'leaked tokens live on: the gateway stopped before it could end them');
  }

  #tracked(work: Promise<void>): Promise<void> {
    const tracked = work.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
    return tracked;
  }

  /** Never rejects. */
  async #end(source: Source, leaked: LeakedKey, place: string | null): Promise<void> {
    const { triesMax, lockWaitMs, firstPauseMs } = this.#options;
    for (let tried = 1; ; tried += 1) {
      try {
        await this.#inTurn(() => endLeaked(this.#database, source, leaked, place, lockWaitMs));
        return;
      } catch (error) {
        if (tried === triesMax) return this.#giveUp(error, source, leaked);
        await this.#pause(firstPauseMs * 2 ** (tried - 1));
      }
    }
  }

  #giveUp(error: unknown, { requestId }: Source, { keyId, networkId }: LeakedKey): void {
    const ids = { requestId, networkId: toId('Network', networkId), keyId: toId('ApiKey', keyId) };
    this.#log.error({ error, ...ids }, 'a leaked token lives on: its key could not be ended');
  }

  /** A gateway that stops does not wait any longer, and tries at once. */
  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }

  /** First come, first served; a key that is tried again comes last. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

const TOO_MANY = new GatehouseError('SERVICE_UNAVAILABLE', 'Service unavailable: too many reports are under way', {
  headers: { 'retry-after': '30' },
});
