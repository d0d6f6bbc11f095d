/**
 * When a batch goes out: at the end of this turn of the event loop, or, while as many are under way as may be, once one
 * of them has come back. Under load, batches so grow by themselves; alone, a request waits for nothing.
 */
export class BatchGate {
  readonly #inFlightMax: number;
  #inFlight = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(inFlightMax: number) {
    this.#inFlightMax = inFlightMax;
  }

  whenOpen(dispatch: () => void): void {
    if (this.#inFlight < this.#inFlightMax) setImmediate(dispatch);
    else this.#waiting.push(dispatch);
  }

  async run<Result>(batch: () => Promise<Result>): Promise<Result> {
    this.#inFlight += 1;
    try {
      return await batch();
    } finally {
      this.#inFlight -= 1;
      const next = this.#waiting.shift();
      if (next !== undefined) setImmediate(next);
    }
  }
}
