/**
 * Keys whose next request would surely be refused, until it would not: till then they are refused from here, without any
 * work and with their own figures. Known of are those whose own requests, their network's or its month are used up; and
 * those of which as many requests as they may make in a minute were refused within one for what else they asked, for
 * which a limit charges nothing though each has been read, validated and counted. A change of the plan's numbers ends it
 * at once, for they are compared.
 */
import { type Decision, type LimitState, WINDOW_SECONDS } from '../domain/limit.ts';
import type { Principal } from '../domain/verification.ts';
import { CellPool, SlidingWindow } from './sliding-window.ts';

/** Past so many keys, the oldest is forgotten: it is asked about again, and counted anew, no more. */
const REMEMBERED_MAX = 10_000;

/** Limits that every request of a key meets, whatever it asks. */
const OF_EVERY_REQUEST: readonly (string | undefined)[] = ['requests', 'network-requests', 'month'];

type Caller = Pick<Principal, 'keyId' | 'numbers' | 'monthly'>;

interface Refusal {
  readonly decision: Decision;
  readonly caller: Caller;
  readonly atMs: number;
}

export class Refused {
  readonly #refusals = new Map<string, Refusal>();
  /** Refusals of each key that were charged to nobody, those refused lately last. */
  readonly #uncharged = new Map<string, SlidingWindow>();
  readonly #pool = new CellPool();
  readonly #now: () => number;

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  find(caller: Caller): Decision | null {
    const refusal = this.#refusals.get(caller.keyId);
    if (refusal === undefined) return null;
    const passedMs = this.#now() - refusal.atMs;
    const retryMs = refusal.decision.retryMs - passedMs;
    if (retryMs > 0 && areEqual(refusal.caller, caller)) return later(refusal.decision, passedMs, retryMs);
    this.#refusals.delete(caller.keyId);
    return null;
  }

  /** Takes note of a refusal; gives it as it is to be told. */
  remember(caller: Caller, decision: Decision): Decision {
    if (OF_EVERY_REQUEST.includes(decision.over?.name)) {
      this.#keep(caller, decision);
      return decision;
    }
    const over = this.#count(caller);
    if (over === null) return decision;
    // Whoever comes when one of the two has room meets the other.
    const retryMs = Math.max(decision.retryMs, over.retryMs);
    this.#keep(caller, { granted: false, limits: [...decision.limits, over.state], over: over.state, retryMs });
    return { ...decision, retryMs };
  }

  /** One more that was charged to nobody; null where the key may have another. */
  #count({ keyId, numbers }: Caller): { readonly state: LimitState; readonly retryMs: number } | null {
    const nowMs = this.#now();
    const second = Math.floor(nowMs / 1_000);
    const window = this.#uncharged.get(keyId) ?? new SlidingWindow(this.#pool.take(), second);
    this.#uncharged.delete(keyId);
    for (const { cells } of makeRoom(this.#uncharged)) this.#pool.giveBack(cells);
    this.#uncharged.set(keyId, window);
    window.add(second, 1);
    const max = numbers.requestsPerMinute;
    const used = window.usedAt(second);
    if (used < max) return null;
    const msUntilGone = (amount: number) => window.secondWhenGone(amount) * 1_000 - nowMs;
    const state: LimitState = {
      name: 'refused-requests',
      scope: 'key',
      max,
      windowSeconds: WINDOW_SECONDS,
      remaining: 0,
      resetMs: msUntilGone(used),
    };
    return { state, retryMs: msUntilGone(used + 1 - max) };
  }

  #keep(caller: Caller, decision: Decision): void {
    const { keyId, numbers, monthly } = caller;
    makeRoom(this.#refusals);
    this.#refusals.set(keyId, { decision, caller: { keyId, numbers, monthly }, atMs: this.#now() });
  }
}

/** Gives what had to go. */
function makeRoom<Value>(kept: Map<string, Value>): Value[] {
  const gone: Value[] = [];
  for (const [oldest, value] of kept) {
    if (kept.size < REMEMBERED_MAX) break;
    kept.delete(oldest);
    gone.push(value);
  }
  return gone;
}

function areEqual({ numbers, monthly }: Caller, other: Caller): boolean {
  return (
    numbers.requestsPerMinute === other.numbers.requestsPerMinute &&
    numbers.networkRequestsPerMinute === other.numbers.networkRequestsPerMinute &&
    numbers.costPerMinute === other.numbers.costPerMinute &&
    monthly.quota === other.monthly.quota &&
    monthly.enforced === other.monthly.enforced
  );
}

function later({ limits, over, granted }: Decision, passedMs: number, retryMs: number): Decision {
  // What was used is gone by then, if nothing was added: and nothing was let in.
  const move = (state: LimitState): LimitState =>
    state.resetMs > passedMs
      ? { ...state, resetMs: state.resetMs - passedMs }
      : { ...state, remaining: state.max, resetMs: 0 };
  return { granted, limits: limits.map(move), over: over === null ? null : move(over), retryMs };
}
