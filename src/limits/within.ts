/**
 * A deadline by the clock of the wall, for answers that come one after the other from one place. It blames that place
 * neither for this process's own being busy (an answer that has arrived is preferred to it, and where it is noticed late, one
 * more piece of time is left for the answer to arrive in) nor for a queue: whoever answers others meanwhile is there.
 */

/** The time is waited in pieces, to see how late this process gets its own turns. */
const PIECE_MS = 10;
/** A piece that ends later than this says that the process was busy; later than that, that the whole machine is. */
const ON_TIME_MS = 2;
const OVERRUN_MS = 20;
/**
 * Left once where the process was busy, and again where the machine is: as much as it was late itself at the worst since it
 * last looked, within these. On such a machine others do not get their turn at once, either.
 */
const GRACE_MS = { least: 10, most: 250 } as const;
/**
 * Left for each request that others are waited for with: what is asked all at once takes its time to be answered, one after
 * the other, before the first is heard of.
 */
const QUEUED_MS = 0.5;
/** The longest that anybody waits, be the machine busy or the queue moving, without what this process itself was late. */
const WAIT_MAX_MS = 250;

export class TooLate extends Error {
  override readonly name = 'TooLate';
}

/** Answers that are waited for, each until its deadline, and all no longer once it is known that none will come. */
export class Waiting {
  readonly #giveUps = new Set<() => void>();
  /** How many requests the answers are about. */
  #requests = 0;
  /** When the last of them was heard. */
  #heardMs = 0;

  /**
   * Rejects with TooLate where this answer has not come and none has been heard for so long (and QUEUED_MS for each request
   * that others are waited for with), or where it has not come after WAIT_MAX_MS, or once `giveUp` is called. `requests`: how
   * many it is about.
   */
  within<Result>(ms: number, answer: Promise<Result>, requests = 1): Promise<Result> {
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        end();
        reject(new TooLate());
      };
      const stop = deadline(
        () => ms + QUEUED_MS * (this.#requests - requests),
        () => this.#heardMs,
        giveUp,
      );
      const end = () => {
        stop();
        if (this.#giveUps.delete(giveUp)) this.#requests -= requests;
      };
      this.#giveUps.add(giveUp);
      this.#requests += requests;
      answer.then(
        (result) => {
          this.#heardMs = performance.now();
          end();
          resolve(result);
        },
        (error: unknown) => {
          end();
          reject(error);
        },
      );
    });
  }

  /** Nobody who waits now waits any longer. */
  giveUp(): void {
    for (const giveUp of [...this.#giveUps]) giveUp();
  }
}

/** Waits by itself: see `Waiting`. */
export function within<Result>(ms: number, answer: Promise<Result>): Promise<Result> {
  return new Waiting().within(ms, answer);
}

/** Calls `onLate` after so long, counted anew each time that something is heard; gives what stops that. */
function deadline(patienceMs: () => number, heardMs: () => number, onLate: () => void): () => void {
  const askedMs = performance.now();
  let [sentMs, endMs, lastMs, pieceEndMs, latestMs] = [0, 0, 0, 0, 0];
  let busyMs = ON_TIME_MS;
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    const nowMs = performance.now();
    // Node counts from when its loop last looked at the clock, which may be long ago: the timer is early then.
    const lateMs = Math.max(0, nowMs - pieceEndMs);
    latestMs = Math.max(latestMs, lateMs);
    lastMs += lateMs;
    endMs = Math.min(Math.max(endMs, Math.max(sentMs, heardMs()) + patienceMs()), lastMs);
    if (nowMs < endMs) return wait();
    if (latestMs >= busyMs && nowMs < lastMs) {
      busyMs = OVERRUN_MS;
      endMs = Math.min(nowMs + Math.min(Math.max(latestMs, GRACE_MS.least), GRACE_MS.most), lastMs);
      latestMs = 0;
      return wait();
    }
    // Between timers and immediates Node reads its sockets: what has arrived is heard first.
    immediate = setImmediate(onLate);
  };
  const wait = () => {
    const nowMs = performance.now();
    const forMs = Math.min(PIECE_MS, endMs - nowMs);
    pieceEndMs = nowMs + forMs;
    timer = setTimeout(look, Math.ceil(forMs));
  };
  // What was asked is sent when the loop comes round (the client of Redis collects its commands till then): the time
  // before that was this process's own.
  let immediate = setImmediate(() => {
    sentMs = performance.now();
    latestMs = sentMs - askedMs;
    endMs = sentMs + patienceMs();
    lastMs = Math.max(endMs, sentMs + WAIT_MAX_MS);
    wait();
  });
  return () => {
    clearTimeout(timer);
    clearImmediate(immediate);
  };
}
