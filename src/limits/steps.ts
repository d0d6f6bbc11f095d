/**
 * Requests of one network that come in the same turn of the event loop are decided in one step, one after the other: what
 * a step costs Redis and the way there is the same for all of them. None waits for another that has not come yet.
 */
import type { ChargedRequest, Taken } from './limiter.ts';

/** A step holds Redis up, for 10 ms at the worst (a key each, all windows full): others must get between. */
const REQUESTS_MAX = 50;

/** Decides requests of a group; what came of each, in their order. */
type Decide = (group: string, requests: readonly ChargedRequest[]) => Promise<readonly Taken[]>;

interface Step {
  readonly requests: ChargedRequest[];
  readonly decided: Promise<readonly Taken[]>;
}

export class Steps {
  readonly #decide: Decide;
  /** Those that others may still join, by their groups. */
  readonly #open = new Map<string, Step>();

  constructor(decide: Decide) {
    this.#decide = decide;
  }

  /** Rejects as the step does. */
  async take(group: string, request: ChargedRequest): Promise<Taken> {
    const step = this.#open.get(group) ?? this.#begin(group);
    const index = step.requests.push(request) - 1;
    if (step.requests.length >= REQUESTS_MAX) this.#open.delete(group);
    const taken = (await step.decided)[index];
    if (taken === undefined) throw new TypeError('a request that was not decided');
    return taken;
  }

  #begin(group: string): Step {
    const requests: ChargedRequest[] = [];
    const { promise, resolve } = Promise.withResolvers<readonly Taken[]>();
    const step = { requests, decided: promise };
    this.#open.set(group, step);
    // Behind all promises that are settled by now: the requests that one answer of the database lets go on have come by then.
    process.nextTick(() => {
      if (this.#open.get(group) === step) this.#open.delete(group);
      resolve(this.#decide(group, requests));
    });
    return step;
  }
}
