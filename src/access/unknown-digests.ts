/**
 * Digests that were looked up and are not stored, remembered for a while: a flood of one made-up token costs one lookup.
 * Safe, because a digest that is unknown can't become known: tokens are 256 random bits made here.
 */
const REMEMBERED_MS = 10_000;
const REMEMBERED_MAX = 10_000;

export class UnknownDigests {
  readonly #until = new Map<string, number>();
  readonly #now: () => number;

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  has(digest: string): boolean {
    const until = this.#until.get(digest);
    if (until === undefined) return false;
    if (until > this.#now()) return true;
    this.#until.delete(digest);
    return false;
  }

  add(digest: string): void {
    // A Map keeps the order of insertion: the first one is the oldest.
    for (const oldest of this.#until.keys()) {
      if (this.#until.size < REMEMBERED_MAX) break;
      this.#until.delete(oldest);
    }
    this.#until.set(digest, this.#now() + REMEMBERED_MS);
  }
}
