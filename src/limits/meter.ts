/**
 * What each request is charged to: requests of its key, requests of its network, points of its key, and the fields that
 * have limits of their own, all in one atomic step; and the network's month, if it has a quota. Once a request.
 */
import { type Decision, type Limit, type LimitState, WINDOW_SECONDS } from '../domain/limit.ts';
import type { Principal } from '../domain/verification.ts';
import type { Charge, Limiter, Receipt, WindowState } from './limiter.ts';
import type { MonthCounter } from './month-counter.ts';
import { Refused } from './refused.ts';

/** A use of fields that declare a limit of their own. */
export interface FieldUse {
  /** `Type.field`. */
  readonly field: string;
  /** In any 60 seconds, by the caller's plan. */
  readonly max: number;
  readonly uses: number;
}

/** A decision, and what was counted for it. */
export interface Charged extends Decision {
  readonly points: number;
  readonly receipt: Receipt | null;
}

/** When to try again where the month is full of requests that have not been let in yet. */
const SOON_MS = 1_000;

/** Told of each refusal by a limit, by its name: for the metrics. */
export type OnRefused = (limit: string) => void;

export class Meter {
  readonly #limiter: Limiter;
  readonly #months: MonthCounter;
  readonly #measure: boolean;
  readonly #onRefused: OnRefused;
  readonly #refused: Refused;
  readonly #wallClock: () => number;

  /**
   * `measure`: everything is counted and reported, and nothing refused. `now`: milliseconds of a clock that never goes
   * back. `wallClock`: the database's time, by which callers are told when a window resets, in milliseconds since 1970.
   */
  constructor(
    limiter: Limiter,
    months: MonthCounter,
    measure: boolean,
    onRefused: OnRefused,
    now: () => number = () => performance.now(),
    wallClock: () => number = Date.now,
  ) {
    this.#wallClock = wallClock;
    this.#limiter = limiter;
    this.#months = months;
    this.#measure = measure;
    this.#onRefused = onRefused;
    this.#refused = new Refused(now);
  }

  /** The database's time, in milliseconds since 1970. */
  wallMs(): number {
    return this.#wallClock();
  }

  get measuring(): boolean {
    return this.#measure;
  }

  /** The refusal of a caller whose window is known to be full still: it costs no work at all. Null: ask. */
  refusedAlready(principal: Principal): Decision | null {
    const decision = this.#refused.find(principal);
    if (decision?.over != null) this.#onRefused(decision.over.name);
    return decision;
  }

  /** Charges one request that costs so many points. `points` 0: one that was refused before anything ran. */
  async charge(principal: Principal, points: number, fields: readonly FieldUse[] = []): Promise<Charged> {
    const before = this.#months.stateOf(principal);
    const isPast = before?.remaining === 0 && principal.monthly.enforced;
    if (isPast && !this.#measure) return this.#refusePast(principal, before);
    // Before the windows, which may take a while: between looking at the month and counting nothing may come.
    const reserved = this.#months.reserve(principal.networkId);
    const month = this.#months.stateOf(principal);
    const limits = limitsOf(principal, points, fields);
    const taken = await this.#limiter.take(principal.networkId, limits.map(chargeOf), this.#measure);
    const states = limits.map((limit, index) => stateOf(limit, taken.windows[index]));
    const [longestOver, retryMs] = longest(states, taken.windows);
    const over = longestOver ?? (isPast ? month : null);
    const granted = taken.granted || this.#measure;
    const decision = { granted, limits: [...states, ...listOf(month)], over, retryMs, points, receipt: taken.receipt };
    if (over !== null) this.#onRefused(over.name);
    this.#months.settle(reserved, granted);
    if (granted) return decision;
    return { ...decision, ...this.#refused.remember(principal, decision) };
  }

  /** Charges uses of fields by themselves, for whoever comes by another way than through `charge`. */
  async chargeFields(principal: Principal, fields: readonly FieldUse[]): Promise<Decision> {
    const limits = fieldLimits(principal, fields);
    const taken = await this.#limiter.take(principal.networkId, limits.map(chargeOf), this.#measure);
    const states = limits.map((limit, index) => stateOf(limit, taken.windows[index]));
    const [over, retryMs] = longest(states, taken.windows);
    if (!taken.granted) this.#onRefused(over?.name ?? '');
    return { granted: taken.granted || this.#measure, limits: states, over, retryMs };
  }

  /** Gives back points that were charged and not used. Nobody waits for it. */
  giveBack(principal: Principal, { receipt }: Charged, points: number): void {
    if (receipt !== null && points > 0) this.#limiter.giveBack(receipt, costKey(principal), points);
  }

  /** Gives back uses of a field that never ran. */
  giveBackUses(principal: Principal, { receipt }: Charged, field: string, uses: number): void {
    if (receipt !== null && uses > 0) this.#limiter.giveBack(receipt, fieldKey(principal, field), uses);
  }

  /** Every window as it stands, of these fields, too; nothing is charged. */
  async look(principal: Principal, fields: readonly FieldUse[] = []): Promise<LimitState[]> {
    const limits = limitsOf(principal, 0, fields).map((limit) => ({ ...limit, amount: 0 }));
    const { windows } = await this.#limiter.take(principal.networkId, limits.map(chargeOf), false);
    return limits.map((limit, index) => stateOf(limit, windows[index]));
  }

  /** Reports what would have been refused for another reason than a window, where nothing is. */
  report(limit: string): void {
    this.#onRefused(limit);
  }

  async #refusePast(principal: Principal, month: LimitState): Promise<Charged> {
    const limits = [...(await this.look(principal)), month];
    // Others that are on their way may yet be refused, and leave their place.
    const retryMs = this.#months.isFull(principal) ? month.resetMs : SOON_MS;
    const decision = { granted: false, limits, over: month, retryMs };
    this.#onRefused(month.name);
    return { ...this.#refused.remember(principal, decision), points: 0, receipt: null };
  }
}

type ChargedLimit = Limit & Pick<Charge, 'key' | 'amount'>;

function limitsOf(principal: Principal, points: number, fields: readonly FieldUse[]): ChargedLimit[] {
  const { keyId, networkId, numbers } = principal;
  const { requestsPerMinute, networkRequestsPerMinute, costPerMinute } = numbers;
  return [
    { name: 'requests', scope: 'key', key: `${keyId}:requests`, max: requestsPerMinute, amount: 1 },
    {
      name: 'network-requests',
      scope: 'network',
      key: `${networkId}:requests`,
      max: networkRequestsPerMinute,
      amount: 1,
    },
    { name: 'cost', scope: 'key', key: costKey(principal), max: costPerMinute, amount: points },
    ...fieldLimits(principal, fields),
  ];
}

function fieldLimits(principal: Principal, fields: readonly FieldUse[]): ChargedLimit[] {
  return fields.map(({ field, max, uses }) => ({
    name: fieldName(field),
    scope: 'key',
    key: fieldKey(principal, field),
    max,
    amount: uses,
  }));
}

/** Of `Type.field`, as its limit is named. */
export function fieldName(field: string): string {
  return field.slice(field.indexOf('.') + 1);
}

function fieldKey({ keyId }: Principal, field: string): string {
  return `${keyId}:${field}`;
}

function costKey({ keyId }: Principal): string {
  return `${keyId}:cost`;
}

function chargeOf({ key, max, amount }: ChargedLimit): Charge {
  return { key, max, amount };
}

function stateOf({ name, scope, max }: Limit, window: WindowState | undefined): LimitState {
  if (window === undefined) throw new TypeError(`no window of ${name}`);
  const remaining = Math.max(0, window.max - window.used);
  return { name, scope, max, windowSeconds: WINDOW_SECONDS, remaining, resetMs: window.resetMs };
}

/** The limit that takes longest to have room, and how long; null and 0 where all have. */
function longest(states: readonly LimitState[], windows: readonly WindowState[]): [LimitState | null, number] {
  const retryMs = Math.max(0, ...windows.map((window) => window.retryMs));
  const index = retryMs === 0 ? -1 : windows.findIndex((window) => window.retryMs === retryMs);
  return [states[index] ?? null, retryMs];
}

function listOf(month: LimitState | null): LimitState[] {
  return month === null ? [] : [month];
}
