/**
 * A sliding window of 60 seconds in 61 buckets of one second each, with their sum. What is charged within a second stays
 * until that second is 61 seconds old: never less than 60 seconds, never more than 61. Adding and looking cost the same
 * however much is in it.
 */
import { WINDOW_SECONDS } from '../domain/limit.ts';

export const BUCKETS = WINDOW_SECONDS + 1;
/** What a bucket holds at the most, and so what one charge counts for: more than any limit. */
export const AMOUNT_MAX = 0xffff_ffff;

/** The buckets of many windows in one piece of memory: an array of its own for each would take as much again. */
const WINDOWS_PER_SLAB = 1_024;

/** A window's place in a slab. */
export interface Cells {
  readonly slab: Uint32Array;
  readonly start: number;
}

/** Hands out cells, all zero, and takes them back. */
export class CellPool {
  readonly #free: Cells[] = [];
  #slabs = 0;

  get bytes(): number {
    return this.#slabs * WINDOWS_PER_SLAB * BUCKETS * Uint32Array.BYTES_PER_ELEMENT;
  }

  take(): Cells {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const slab = new Uint32Array(WINDOWS_PER_SLAB * BUCKETS);
    this.#slabs += 1;
    for (let window = 1; window < WINDOWS_PER_SLAB; window += 1) this.#free.push({ slab, start: window * BUCKETS });
    return { slab, start: 0 };
  }

  giveBack(cells: Cells): void {
    cells.slab.fill(0, cells.start, cells.start + BUCKETS);
    this.#free.push(cells);
  }
}

/** Seconds are whole and of a clock that never goes back. */
export class SlidingWindow {
  readonly cells: Cells;
  #newest: number;
  #sum = 0;
  /** What others had put into it, and when that was told. */
  #others = 0;
  #othersSecond = Number.NEGATIVE_INFINITY;

  /** `cells`: all zero, and this window's alone. */
  constructor(cells: Cells, second: number) {
    this.cells = cells;
    this.#newest = second;
  }

  /** All that is in the window at that second. */
  usedAt(second: number): number {
    this.#advance(second);
    return this.#sum;
  }

  /** As `usedAt`, without the oldest bucket: all of it has come within the last 60 seconds. */
  usedLatelyAt(second: number): number {
    return this.usedAt(second) - this.#at(this.#newest - WINDOW_SECONDS);
  }

  noteOthers(second: number, amount: number): void {
    this.#others = amount;
    this.#othersSecond = second;
  }

  /** What may still be there of what others had put into it: all of it, until all of it has surely gone. */
  othersAt(second: number): number {
    return second < this.#othersSecond + BUCKETS ? this.#others : 0;
  }

  /** `second`: now, or a few seconds ago. */
  add(second: number, amount: number): void {
    this.#advance(second);
    if (second <= this.#newest - BUCKETS) return;
    this.#put(second, this.#at(second) + amount);
  }

  /** Takes back what was added in that second, but never more than is left of it. */
  takeBack(second: number, amount: number): void {
    if (second <= this.#newest - BUCKETS || second > this.#newest) return;
    this.#put(second, Math.max(0, this.#at(second) - amount));
  }

  /** The first second at which at least so much of what is in it now will have gone. `amount` is at most all of it. */
  secondWhenGone(amount: number): number {
    let gone = 0;
    for (let second = this.#newest - WINDOW_SECONDS; second <= this.#newest; second += 1) {
      gone += this.#at(second);
      if (gone >= amount) return second + BUCKETS;
    }
    return this.#newest + BUCKETS;
  }

  #at(second: number): number {
    return this.cells.slab[this.#index(second)] ?? 0;
  }

  #put(second: number, amount: number): void {
    const index = this.#index(second);
    const capped = Math.min(amount, AMOUNT_MAX);
    this.#sum += capped - (this.cells.slab[index] ?? 0);
    this.cells.slab[index] = capped;
  }

  #index(second: number): number {
    // A second before the clock's beginning has a bucket, too.
    return this.cells.start + (((second % BUCKETS) + BUCKETS) % BUCKETS);
  }

  #advance(second: number): void {
    const oldest = Math.max(this.#newest, second - BUCKETS) + 1;
    for (let passed = oldest; passed <= second; passed += 1) this.#put(passed, 0);
    if (second > this.#newest) this.#newest = second;
  }
}
