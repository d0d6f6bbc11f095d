/**
 * Requests a network and month, for monthly quotas. Counted in memory and added to the database every few seconds in one
 * statement, so that gateways add up; a caller's own month comes along with its verification. A quota so holds to within
 * what other gateways let in during one interval; a gateway that is killed loses at most its last interval.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { addToMonths, type MonthAddition, type MonthTotal } from '../database/months.ts';
import { newUuid } from '../domain/id.ts';
import type { LimitState } from '../domain/limit.ts';
import { monthAt, WARNED_AT_PERCENT } from '../domain/month.ts';
import type { Principal } from '../domain/verification.ts';

export const MONTHS_FLUSH_EVERY_MS = 2_000;
/** Of one statement at the most. */
const FLUSH_MAX = 5_000;
/** Networks that are counted here at once; each takes some 300 bytes. What others let in beyond that is not counted. */
const COUNTS_MAX = 100_000;

export interface MonthEvents {
  /** Once a crossing, whichever gateway sees it. */
  readonly onCrossed: (total: MonthTotal, percent: number) => void;
  /** What could not be stored is kept. */
  readonly onError: (error: unknown) => void;
  /** It is stored, after errors. */
  readonly onRecovered?: () => void;
}

/** One request that is on its way. */
export type Reservation = Pick<Count, 'reserved' | 'pending'>;

type MonthOf = Pick<Principal, 'networkId' | 'monthly'>;

interface Count {
  readonly networkId: string;
  readonly monthStartMs: number;
  pending: number;
  /** Not known yet whether they are let in. */
  reserved: number;
  /** On its way to the database. */
  flushing: number;
  /** The database's total after the last flush of this gateway's, or as a caller was told since. */
  known: number;
  /** Nothing of it has been stored since the last flush. */
  isIdle: boolean;
}

/** On its way to the database. Where the answer was lost it is sent again, the same. */
interface Sealed {
  readonly sequence: number;
  readonly counts: readonly Count[];
  readonly added: readonly MonthAddition[];
}

export class MonthCounter {
  readonly #database: Pick<Database, 'pool'>;
  readonly #events: MonthEvents;
  readonly #now: () => Date;
  // By network and month, always: a clock that steps back over the month's end finds what it had begun.
  readonly #counts = new Map<string, Count>();
  readonly #id = newUuid();
  #sequence = 0;
  #sealed: Sealed | null = null;
  #flushing: Promise<void> | null = null;
  #isFailing = false;
  readonly #closed = new AbortController();
  readonly #flusher: Promise<void>;

  constructor(database: Pick<Database, 'pool'>, events: MonthEvents, now: () => Date = () => new Date()) {
    this.#database = database;
    this.#events = events;
    this.#now = now;
    this.#flusher = this.#flushOn();
  }

  /** The month as a limit; null where the network has no quota. What is on its way counts. */
  stateOf(principal: MonthOf): LimitState | null {
    const { quota } = principal.monthly;
    if (quota === null) return null;
    const now = this.#now();
    const { start, end } = monthAt(now);
    return {
      name: 'month',
      scope: 'network',
      max: quota,
      windowSeconds: (end.getTime() - start.getTime()) / 1_000,
      remaining: Math.max(0, quota - this.#used(principal, start) - (this.#own(principal, start)?.reserved ?? 0)),
      resetMs: end.getTime() - now.getTime(),
    };
  }

  /** Whether the quota is used up by what was let in. */
  isFull(principal: MonthOf): boolean {
    const { quota } = principal.monthly;
    return quota !== null && this.#used(principal, monthAt(this.#now()).start) >= quota;
  }

  /** A place for one request, until it is known whether it is let in: `settle` what this gives. */
  reserve(networkId: string): Reservation {
    const monthStartMs = monthAt(this.#now()).start.getTime();
    const count = this.#counts.get(nameOf(networkId, monthStartMs)) ?? this.#begin(networkId, monthStartMs);
    count.reserved += 1;
    return count;
  }

  settle(reservation: Reservation, granted: boolean): void {
    reservation.reserved -= 1;
    if (granted) reservation.pending += 1;
  }

  #used({ networkId, monthly }: MonthOf, start: Date): number {
    const own = this.#own({ networkId }, start);
    // What the database said may be of the month before, and a flush under way may or may not be in it.
    const said = monthly.start.getTime() === start.getTime() ? monthly.used : 0;
    // So a flush begins with all that the database is known to have: it may stay under way for as long as an outage.
    if (own?.flushing === 0) own.known = Math.max(own.known, said);
    return Math.max(said, (own?.known ?? 0) + (own?.flushing ?? 0)) + (own?.pending ?? 0);
  }

  #own({ networkId }: Pick<MonthOf, 'networkId'>, start: Date): Count | undefined {
    return this.#counts.get(nameOf(networkId, start.getTime()));
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#flusher;
    await this.flush();
  }

  #begin(networkId: string, monthStartMs: number): Count {
    const count: Count = { networkId, monthStartMs, pending: 0, flushing: 0, reserved: 0, known: 0, isIdle: false };
    if (this.#counts.size < COUNTS_MAX) this.#counts.set(nameOf(networkId, monthStartMs), count);
    return count;
  }

  async #flushOn(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await delay(MONTHS_FLUSH_EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
      if (!signal.aborted) await this.flush();
    }
  }

  /** Adds what is pending to the database; what could not be added is kept. Never rejects. One at a time. */
  flush(): Promise<void> {
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = null;
    });
    return this.#flushing;
  }

  async #write(): Promise<void> {
    try {
      for (;;) {
        this.#sealed ??= this.#seal();
        if (this.#sealed === null) break;
        const { sequence, counts, added } = this.#sealed;
        const totals = await addToMonths(this.#database.pool, added, { counterId: this.#id, sequence });
        this.#sealed = null;
        this.#settle(counts, totals);
      }
      this.#forgetIdle();
    } catch (error) {
      this.#isFailing = true;
      this.#events.onError(error);
      return;
    }
    if (this.#isFailing) this.#events.onRecovered?.();
    this.#isFailing = false;
  }

  #seal(): Sealed | null {
    const counts = [...this.#counts.values()].filter((count) => count.pending > 0).slice(0, FLUSH_MAX);
    if (counts.length === 0) return null;
    for (const count of counts) [count.flushing, count.pending] = [count.pending, 0];
    this.#sequence += 1;
    const added = counts.map(({ networkId, flushing, monthStartMs }) => ({
      networkId,
      month: new Date(monthStartMs),
      requests: flushing,
    }));
    return { sequence: this.#sequence, counts, added };
  }

  #settle(taken: readonly Count[], totals: readonly MonthTotal[]): void {
    const found = new Map(totals.map((total) => [nameOf(total.networkId, total.month.getTime()), total]));
    for (const count of taken) {
      const total = found.get(nameOf(count.networkId, count.monthStartMs));
      if (total !== undefined) this.#warn(total, count.flushing);
      count.known = total?.requests ?? 0;
      count.flushing = 0;
      count.isIdle = false;
    }
  }

  /** Whoever has made no request since the flush before this one is asked of the database again. */
  #forgetIdle(): void {
    for (const [name, count] of this.#counts) {
      if (count.isIdle && count.pending + count.reserved === 0) this.#counts.delete(name);
      else count.isIdle = true;
    }
  }

  #warn(total: MonthTotal, added: number): void {
    const { quota, requests } = total;
    if (quota === null) return;
    for (const percent of WARNED_AT_PERCENT) {
      const mark = (quota * percent) / 100;
      if (requests >= mark && requests - added < mark) this.#events.onCrossed(total, percent);
    }
  }
}

function nameOf(networkId: string, monthStartMs: number): string {
  return `${networkId} ${monthStartMs}`;
}
