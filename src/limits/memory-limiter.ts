/** Windows in this process. Each step is synchronous, so nothing can come between its looking and its counting. */
import type { Charge, Limiter, Receipt, Taken, WindowState } from './limiter.ts';
import { BUCKETS, CellPool, SlidingWindow } from './sliding-window.ts';

/** After so long a window that nobody has touched holds nothing. */
const GENERATION_SECONDS = BUCKETS;

export const NEVER_RETRY_MS = BUCKETS * 1_000;

export class MemoryLimiter implements Limiter {
  readonly status = 'ok';
  readonly gateways = 1;
  readonly #now: () => number;
  readonly #pool = new CellPool();
  // Two generations: what was touched since the last change of generations, and what was touched in the one before it.
  // A window that is in neither has been idle for longer than it remembers, and its cells are free again.
  #young = new Map<string, SlidingWindow>();
  #old = new Map<string, SlidingWindow>();
  #generationEnds: number;
  readonly #sweeper: NodeJS.Timeout;

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#generationEnds = this.#second() + GENERATION_SECONDS;
    this.#sweeper = setInterval(() => this.#sweep(this.#second()), GENERATION_SECONDS * 1_000).unref();
  }

  /** How many windows are remembered, and the bytes of their buckets: for the bench and the tests. */
  get size(): { readonly windows: number; readonly bucketBytes: number } {
    return { windows: this.#young.size + this.#old.size, bucketBytes: this.#pool.bytes };
  }

  take(group: string, charges: readonly Charge[], force: boolean): Taken {
    const second = this.#second();
    this.#sweep(second);
    const retries = charges.map((charge) => this.#retryMs(charge, second));
    const granted = retries.every((ms) => ms === 0);
    if (granted || force) this.#add(charges, second);
    const windows = charges.map(({ key, max }, index) => this.#state(key, max, second, retries[index] ?? 0));
    return { granted, windows, receipt: granted || force ? { group, second, redisSecond: null } : null };
  }

  /** Counts what somebody else has decided. `second`: of `second()`, when it was asked for. */
  record(charges: readonly Charge[], second: number): void {
    this.#sweep(this.#second());
    this.#add(charges, second);
  }

  /**
   * Remembers what others have put into windows that they share with this process. `used`: of each charge's window all that
   * is in it, these charges and others' included. `second`: when that was asked for.
   */
  noteShared(charges: readonly Charge[], used: readonly number[], second: number): void {
    for (const [index, { key }] of charges.entries()) {
      const window = this.#find(key) ?? this.#make(key, second);
      window.noteOthers(second, Math.max(0, (used[index] ?? 0) - window.usedLatelyAt(this.#second())));
    }
  }

  /** What others may have in a window still, as it was told last. */
  othersIn(key: string): number {
    return this.#find(key)?.othersAt(this.#second()) ?? 0;
  }

  giveBack({ second }: Pick<Receipt, 'second'>, key: string, amount: number): void {
    this.#find(key)?.takeBack(second, amount);
  }

  /** All of which is surely less than 60 seconds old, by any clock that runs as fast as this one. */
  usedLately(key: string): number {
    return this.#find(key)?.usedLatelyAt(this.#second()) ?? 0;
  }

  second(): number {
    return this.#second();
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeper);
  }

  #second(): number {
    return Math.floor(this.#now() / 1_000);
  }

  #add(charges: readonly Charge[], second: number): void {
    for (const { key, amount } of charges) {
      if (amount > 0) (this.#find(key) ?? this.#make(key, second)).add(second, amount);
    }
  }

  #state(key: string, max: number, second: number, retryMs: number): WindowState {
    const window = this.#find(key);
    const used = window?.usedAt(second) ?? 0;
    const resetMs = window === undefined || used === 0 ? 0 : this.#msUntil(window.secondWhenGone(used));
    return { max, used, resetMs, retryMs };
  }

  #retryMs({ key, max, amount }: Charge, second: number): number {
    const window = this.#find(key);
    const used = window?.usedAt(second) ?? 0;
    const tooMuch = used + amount - max;
    if (amount === 0 || tooMuch <= 0) return 0;
    // Larger than the whole window, it never fits: what is told then is a window's length.
    if (window === undefined || tooMuch > used) return NEVER_RETRY_MS;
    return this.#msUntil(window.secondWhenGone(tooMuch));
  }

  #msUntil(second: number): number {
    return Math.max(1, second * 1_000 - this.#now());
  }

  #find(key: string): SlidingWindow | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old === undefined) return undefined;
    this.#old.delete(key);
    this.#young.set(key, old);
    return old;
  }

  #make(key: string, second: number): SlidingWindow {
    const window = new SlidingWindow(this.#pool.take(), second);
    this.#young.set(key, window);
    return window;
  }

  #sweep(second: number): void {
    if (second < this.#generationEnds) return;
    for (const { cells } of this.#old.values()) this.#pool.giveBack(cells);
    this.#old = this.#young;
    this.#young = new Map();
    this.#generationEnds = second + GENERATION_SECONDS;
  }
}
