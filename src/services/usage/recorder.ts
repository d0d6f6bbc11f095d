/**
 * What every request leaves behind, without a write each: counts that are kept in memory and written every few seconds.
 *
 * - At the end of a process that is told to stop, everything is written. One that is killed loses at most what it
 *   counted since its last flush: the interval, and the time that a flush takes.
 * - Where the database does not take a flush, it is kept and sent again, the same, until it does; what is counted
 *   meanwhile waits behind it.
 * - Memory is bounded: when much has come together it is flushed before its time; when the database takes nothing and
 *   the bound is reached, what has no entry yet is lost, and the log says so, and how much.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../../database/database.ts';
import { newUuid } from '../../domain/id.ts';
import type { Logger } from '../../observability/logger.ts';
import { type AuthenticationFailure, type CountedRequest, type RefusedAttempt, UsageBuffer } from './buffer.ts';
import { type Flush, writeFlush } from './flush.ts';

export interface RecorderOptions {
  /** 0: nothing is counted, and only when keys were last used is written: whether a key is unused decides over its life. */
  readonly flushIntervalMs: number;
  /** Of a flush at the most; when so many have come together, it does not wait for the interval. */
  readonly flushEntries?: number;
  /** Entries that wait at the most: each is some 300 bytes. */
  readonly entriesMax?: number;
  /** A UUID, by which the database tells this process's flushes; absent: a new one. */
  readonly gatewayId?: string;
}

/** Where nothing is counted. */
const LAST_USE_INTERVAL_MS = 5_000;
/** Some 50 ms of the database's time. */
const FLUSH_ENTRIES = 1_000;
const ENTRIES_MAX = 50_000;
/** How long a process that ends waits for its last flush. */
const CLOSE_TIMEOUT_MS = 4_000;
const DRAIN_ROUNDS_MAX = 200;
const DRAIN_PAUSE_MS = 20;

export class UsageRecorder {
  readonly #database: Pick<Database, 'pool'>;
  readonly #log: Logger;
  readonly #gatewayId: string;
  readonly #isCounting: boolean;
  readonly #flushEntries: number;
  readonly #entriesMax: number;
  readonly #timer: NodeJS.Timeout;
  readonly #open: UsageBuffer;
  /** What is being written, or has to be sent again. */
  #sealed: Flush | null = null;
  #sequence = 0;
  #flushing: Promise<void> | null = null;
  #failing = false;
  #lost = 0;

  constructor(database: Pick<Database, 'pool'>, log: Logger, options: RecorderOptions) {
    this.#database = database;
    this.#log = log;
    this.#gatewayId = options.gatewayId ?? newUuid();
    this.#isCounting = options.flushIntervalMs > 0;
    this.#flushEntries = options.flushEntries ?? FLUSH_ENTRIES;
    this.#entriesMax = options.entriesMax ?? ENTRIES_MAX;
    this.#open = new UsageBuffer(this.#entriesMax);
    const intervalMs = this.#isCounting ? options.flushIntervalMs : LAST_USE_INTERVAL_MS;
    this.#timer = setInterval(() => void this.flush(), intervalMs).unref();
  }

  request(request: CountedRequest): void {
    this.#added(this.#isCounting ? this.#open.addRequest(request) : this.#open.addLastUse(request));
  }

  failure(failure: AuthenticationFailure): void {
    if (this.#isCounting) this.#added(this.#open.addFailure(failure));
  }

  attempt(attempt: RefusedAttempt): void {
    if (this.#isCounting) this.#added(this.#open.addAttempt(attempt));
  }

  /** Writes what there is. Never rejects: what could not be written stays, and is tried again. One at a time. */
  flush(): Promise<void> {
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = null;
    });
    return this.#flushing;
  }

  /** Writes everything that is left, or says in the log that it could not. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, CLOSE_TIMEOUT_MS);
    await Promise.race([this.#drain(), timeout.promise]);
    clearTimeout(timer);
    const left = this.#waiting();
    if (left > 0) this.#log.error({ entries: left }, 'what was counted last is lost: the database did not take it');
  }

  /** What is under way, what has to be sent again, and what has come together since; until nothing is left or taken. */
  async #drain(): Promise<void> {
    await this.#flushing;
    for (let round = 0; round < DRAIN_ROUNDS_MAX && this.#waiting() > 0; round += 1) {
      const left = this.#waiting();
      await this.flush();
      if (this.#failing) return;
      // Somebody is changing a key whose last use is to be written.
      if (this.#waiting() >= left) await delay(DRAIN_PAUSE_MS);
    }
  }

  #waiting(): number {
    return this.#open.size + (this.#sealed?.counted.size ?? 0);
  }

  #added(there: boolean): void {
    if (!there) this.#lose();
    // While the database takes nothing, the timer tries again, not every request.
    if (this.#open.size >= this.#flushEntries && !this.#failing) void this.flush();
  }

  #lose(): void {
    this.#lost += 1;
    if (this.#lost > 1) return;
    const bound = { entries: this.#entriesMax };
    this.#log.error(bound, 'too much waits to be written: from now on counts are lost, until the database takes it');
  }

  async #write(): Promise<void> {
    do {
      this.#sealed ??= this.#seal();
      if (this.#sealed === null) return;
      try {
        const { busy } = await writeFlush(this.#database, this.#sealed);
        this.#keepLastUses(this.#sealed, busy);
      } catch (error) {
        if (!this.#failing) this.#log.warn({ error }, 'what was counted could not be written: kept, and tried again');
        this.#failing = true;
        return;
      }
      this.#sealed = null;
      this.#written();
    } while (this.#open.size >= this.#flushEntries);
  }

  /** Of keys that somebody else was changing just then: the next flush has them. */
  #keepLastUses({ counted }: Flush, busy: readonly Buffer[]): void {
    if (busy.length === 0) return;
    const digests = new Set(busy.map((digest) => digest.toString('latin1')));
    for (const entry of counted.requests.values()) {
      if (digests.has(entry.digest.toString('latin1')) && !this.#open.keepLastUse(entry)) this.#lose();
    }
  }

  #written(): void {
    if (this.#failing) this.#log.info('what was counted is written again');
    this.#failing = false;
    if (this.#lost > 0) this.#log.error({ lost: this.#lost }, 'so many counts were lost');
    this.#lost = 0;
  }

  #seal(): Flush | null {
    if (this.#open.size === 0) return null;
    this.#sequence += 1;
    const counted = this.#open.take(this.#flushEntries);
    return { gatewayId: this.#gatewayId, sequence: this.#sequence, counted };
  }
}
