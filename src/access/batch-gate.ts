/**
 * When a batch goes out: at the end of this turn of the event loop, or, while as many are under way as may be, once one
 * of them has come back. Under load, batches so grow by themselves; alone, a request waits for nothing. Batches that do
 * not come back cannot keep it shut: one that is late no longer counts as under way.
 */
export class BatchGate {
  readonly #inFlightMax: number;
  readonly #lateAfterMs: number;
  #inFlight = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(inFlightMax: number, lateAfterMs: number) {
    this.#inFlightMax = inFlightMax;
    this.#lateAfterMs = lateAfterMs;
  }

  whenOpen(dispatch: () => void): void {
    if (this.#inFlight < this.#inFlightMax) setImmediate(dispatch);
    else this.#waiting.push(dispatch);
  }

  async run<Result>(batch: () => Promise<Result>): Promise<Result> {
    this.#inFlight += 1;
    let isUnderWay = true;
    const leave = () => {
      if (!isUnderWay) return;
      isUnderWay = false;
      this.#inFlight -= 1;
      const next = this.#waiting.shift();
      if (next !== undefined) setImmediate(next);
    };
    const timer = setTimeout(leave, this.#lateAfterMs);
    try {
      return await batch();
    } finally {
      clearTimeout(timer);
      leave();
    }
  }
}
