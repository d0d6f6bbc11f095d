/**
 * The event loop, shared: whoever has much to do without waiting for anything does it in slices, and between two slices
 * of one, everybody else who has something to do has their turn.
 */
import { type Caller, FairQueue, type Waiting } from './fair-queue.ts';

/** How long one goes on before others have their turn. */
export const SLICE_MS = 5;

interface Turn extends Waiting {
  readonly go: () => void;
  /** How many turns there had been when it was asked for. */
  readonly askedAt: number;
}

/** Told of each turn, or connection, that a caller was given, in order; `ahead`: how many others were while it waited. */
export type OnGiven = (caller: Caller, ahead: number) => void;

export interface TurnsOptions {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Calls back once what has arrived meanwhile has been seen to: `setImmediate`. */
  readonly defer: (run: () => void) => void;
  /** Calls back, in the same round, once the work that has just been let go has come to its next wait. */
  readonly afterWork: (run: () => void) => void;
  /** For tests. */
  readonly onTurn?: OnGiven | undefined;
}

export class Turns {
  readonly #options: TurnsOptions;
  readonly #queue = new FairQueue<Turn>();
  /** When this round of the event loop began to work for callers; null: it has not yet. */
  #roundMs: number | null = null;
  #turns = 0;
  readonly #onRoundOver = () => this.#nextRound();
  readonly #onWorkDone = () => {
    if (!this.#isRoundOver) this.#goOn();
  };

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Null where the caller may begin at once: nobody waits, and the round has time left. */
  begin(caller: Caller): Promise<void> | null {
    if (this.#queue.size > 0) return this.next(caller);
    const now = this.#options.now();
    if (this.#roundMs === null) this.#beginRound(now);
    else if (now - this.#roundMs >= SLICE_MS) return this.next(caller);
    return null;
  }

  /** Resolves when it is the caller's turn: in a later round. */
  next(caller: Caller): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#queue.push({ caller, go: resolve, askedAt: this.#turns });
    if (this.#roundMs === null) this.#beginRound(this.#options.now());
    return promise;
  }

  /** Of the clock that slices go by. */
  now(): number {
    return this.#options.now();
  }

  #beginRound(now: number): void {
    this.#roundMs = now;
    this.#options.defer(this.#onRoundOver);
  }

  #nextRound(): void {
    this.#roundMs = null;
    if (this.#queue.size === 0) return;
    this.#beginRound(this.#options.now());
    this.#goOn();
  }

  /** Short pieces share a round: each round takes a look at everything that may have arrived. */
  #goOn(): void {
    const turn = this.#queue.take();
    if (turn === null) return;
    this.#options.onTurn?.(turn.caller, this.#turns - turn.askedAt);
    this.#turns += 1;
    turn.go();
    if (this.#queue.size > 0) this.#options.afterWork(this.#onWorkDone);
  }

  get #isRoundOver(): boolean {
    return this.#roundMs === null || this.#options.now() - this.#roundMs >= SLICE_MS;
  }
}

/** One caller's work, as it goes on from slice to slice. */
export class Slices {
  readonly #turns: Turns;
  readonly #caller: Caller;
  #sinceMs = 0;

  constructor(turns: Turns, caller: Caller) {
    this.#turns = turns;
    this.#caller = caller;
  }

  /** Whether this slice has lasted long enough: then wait for the `next`. */
  get isOver(): boolean {
    return this.#turns.now() - this.#sinceMs >= SLICE_MS;
  }

  /** Begins a slice. Null where it may be now. */
  begin(): Promise<void> | null {
    const wait = this.#turns.begin(this.#caller);
    if (wait !== null) return this.#from(wait);
    this.#sinceMs = this.#turns.now();
    return null;
  }

  next(): Promise<void> {
    return this.#from(this.#turns.next(this.#caller));
  }

  async #from(turn: Promise<void>): Promise<void> {
    await turn;
    this.#sinceMs = this.#turns.now();
  }
}
