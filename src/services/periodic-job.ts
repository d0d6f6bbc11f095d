/** Work that is done again and again for as long as the gateway runs, and never by itself at the same time. */

/** In milliseconds. */
export interface Pace {
  /** From the making of the job to its first run. */
  readonly firstMs: number;
  /** From the end of a run to the next. */
  readonly everyMs: number;
}

/** Tells of its own faults: what it rejects with would end the process. `signal`: ends it between two batches. */
export type Work = (signal: AbortSignal) => Promise<void>;

export class PeriodicJob {
  readonly #work: Work;
  readonly #everyMs: number;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout;
  #running: Promise<void> = Promise.resolve();

  constructor(work: Work, { firstMs, everyMs }: Pace) {
    this.#work = work;
    this.#everyMs = everyMs;
    this.#timer = this.#after(firstMs);
  }

  /** Lets the batch under way end. */
  async close(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  #after(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#running = this.#work(this.#stopping.signal).finally(() => {
        if (!this.#stopping.signal.aborted) this.#timer = this.#after(this.#everyMs);
      });
    }, ms).unref();
  }
}
