/** The limits of one operation: charged once, before anything runs; what was not used is given back after. */
import { GatehouseError } from '../domain/errors.ts';
import type { Decision, LimitState } from '../domain/limit.ts';
import { scaledToPlan } from '../domain/plan.ts';
import type { Principal } from '../domain/verification.ts';
import { refusalOfDecision } from '../limits/headers.ts';
import { type Charged, type FieldUse, fieldName, type Meter } from '../limits/meter.ts';
import type { Cost } from './cost.ts';

/** Points that one HTTP request may still ask for: its operations share them. */
export interface PointBudget {
  points: number;
}

/** `extensions.cost` of every answer. */
export interface CostReport {
  readonly requested: number;
  readonly actual: number;
  readonly limit: number;
  readonly remaining: number;
  readonly resetAt: string;
}

/** A field that declares a limit of its own. */
export interface LimitedField {
  /** `Type.field`. */
  readonly field: string;
  /** Uses in any 60 seconds on STANDARD. */
  readonly max: number;
}

/** What one request may ask for at once, as the log and the metrics name it. */
const AT_ONCE = 'cost-at-once';

export class RequestLimits {
  readonly #meter: Meter;
  readonly #principal: Principal;
  readonly #budget: PointBudget;
  readonly #onDecision: (decision: Decision) => void;
  #cost: Cost | null = null;
  #charged: Charged | null = null;
  /** Uses of limited fields that were charged and have not run yet. */
  readonly #tickets = new Map<string, number>();

  /**
   * `budget`: of the HTTP request, at the most what the plan lets a key spend at once. `onDecision`: told at once, so that
   * whatever answer there will be can say what is left.
   */
  constructor(meter: Meter, principal: Principal, budget: PointBudget, onDecision: (decision: Decision) => void) {
    this.#meter = meter;
    this.#principal = principal;
    this.#budget = budget;
    this.#onDecision = onDecision;
  }

  /** As it was decided; null until then. */
  get decision(): Decision | null {
    return this.#charged;
  }

  /** Charges the operation; throws the refusal where it costs too much or a limit is reached. */
  async admit(cost: Cost): Promise<void> {
    this.#cost = cost;
    const fields = [...cost.limited].map(([field, { max, uses }]) => ({ field, max: this.#maxOf(max), uses }));
    const refusal = this.#tooExpensive(cost) ?? tooManyUses(fields);
    if (refusal !== null && !(this.#meter.measuring && Number.isFinite(cost.requested))) throw refusal;
    const charged = await this.#meter.charge(this.#principal, cost.requested, fields);
    this.#decided(refusal === null ? charged : this.#reported(charged));
    if (refusal === null) this.#budget.points -= cost.requested;
    for (const { field, uses } of fields) this.#tickets.set(field, uses);
  }

  /** Whether `admit` would throw for what the operation costs, whatever the windows say. */
  isTooExpensive(cost: Cost): boolean {
    return this.#tooExpensive(cost) !== null && !this.#meter.measuring;
  }

  /**
   * Charges nothing to an operation that is not to run: it is refused by a limit that is no window (`over`), or its token
   * counts no more.
   */
  async waive(cost: Cost, over: LimitState | null, retryMs: number): Promise<void> {
    this.#cost = cost;
    const limits = await this.#meter.look(this.#principal);
    this.#decided({ granted: false, limits, over, retryMs, points: 0, receipt: null });
  }

  /** Charges an operation that was refused before it could cost anything. Throws where even that is over a limit. */
  async settleUncharged(): Promise<void> {
    if (this.#charged !== null) return;
    this.#decided(await this.#meter.charge(this.#principal, 0));
  }

  /** One use of a field that declares a limit; null where it may run. `standardMax`: as it declares. */
  async use(field: string, standardMax: number): Promise<GatehouseError | null> {
    const tickets = this.#tickets.get(field) ?? 0;
    if (tickets > 0) {
      this.#tickets.set(field, tickets - 1);
      return null;
    }
    const use = { field, max: this.#maxOf(standardMax), uses: 1 };
    return refusalOfDecision(await this.#meter.chargeFields(this.#principal, [use]), this.#meter.wallMs());
  }

  /** What is charged until now, for an answer that does not wait for the end; null where nothing is. */
  report(): CostReport | null {
    const charged = this.#charged;
    return charged === null ? null : this.#report(charged, this.#cost?.requested ?? 0, charged.points);
  }

  /** Gives back what the answer did not use. `actual`: its points. Gives what the answer's `extensions` say. */
  settle(actual: number): CostReport {
    const charged = this.#charged;
    if (charged === null) throw new TypeError('nothing was charged yet');
    const requested = this.#cost?.requested ?? 0;
    if (!charged.granted) return this.#report(charged, requested, 0);
    const used = Math.min(actual, charged.points);
    this.#meter.giveBack(this.#principal, charged, charged.points - used);
    for (const [field, uses] of this.#tickets) this.#meter.giveBackUses(this.#principal, charged, field, uses);
    this.#tickets.clear();
    this.#charged = withGivenBack(charged, charged.points - used);
    this.#onDecision(this.#charged);
    return this.#report(this.#charged, requested, used);
  }

  /** The database's time, in milliseconds since 1970. */
  wallMs(): number {
    return this.#meter.wallMs();
  }

  #report(charged: Charged, requested: number, actual: number): CostReport {
    return costReport(charged, requested, actual, this.wallMs());
  }

  #decided(charged: Charged): void {
    this.#charged = charged;
    this.#onDecision(charged);
    const refusal = refusalOfDecision(charged, this.#meter.wallMs());
    if (refusal !== null) throw refusal;
  }

  /** The windows as they stand with this operation charged, those of the fields with limits of their own, too. */
  async windows(limited: readonly LimitedField[]): Promise<LimitState[]> {
    const states = this.#charged?.limits ?? [];
    const known = new Set(states.map(({ name }) => name));
    const fields = limited.map(({ field, max }) => ({ field, max: this.#maxOf(max), uses: 0 }));
    const looked = await this.#meter.look(this.#principal, fields);
    return [...states, ...looked.filter(({ name }) => !known.has(name))];
  }

  /** In measure mode: what one request may ask for at once is a limit, too, and one that no window tells of. */
  #reported(charged: Charged): Charged {
    if (charged.over !== null) return charged;
    const max = this.#budget.points;
    this.#meter.report(AT_ONCE);
    return { ...charged, over: { name: AT_ONCE, scope: 'key', max, windowSeconds: 0, remaining: 0, resetMs: 0 } };
  }

  #maxOf(standardMax: number): number {
    return scaledToPlan(standardMax, this.#principal.numbers);
  }

  #tooExpensive({ requested, counting }: Cost): GatehouseError | null {
    const max = Math.min(this.#budget.points, this.#principal.numbers.costPerMinute);
    if (requested <= max) return null;
    const found = Number.isFinite(requested) ? `costs ${requested} points` : 'has too many fields to count';
    const message = `Query ${found}: at most ${max} are let in at once${adviceOn(counting)}`;
    return new GatehouseError('QUERY_TOO_EXPENSIVE', message, {
      extensions: { limit: { name: 'cost', max, ...(Number.isFinite(requested) ? { actual: requested } : {}) } },
    });
  }
}

/** What to do about a count that costs too much; '' where there is none. */
function adviceOn({ points, counts, rows }: Cost['counting']): string {
  if (points === 0) return '';
  const times = counts === 1 ? '' : `, ${counts} times`;
  return (
    `. Of these, ${points} are for \`totalCount\` of a list with a filter, which is counted among ${rows} rows${times}: ` +
    'leave `totalCount` out, leave the filter out (the total of all rows is not counted and costs 1 point), or ask for each count in a ' +
    'request of its own'
  );
}

/** More uses of a field than its window holds would never be let in, however long their caller waits. */
function tooManyUses(fields: readonly FieldUse[]): GatehouseError | null {
  const over = fields.find(({ max, uses }) => uses > max);
  if (over === undefined) return null;
  const name = fieldName(over.field);
  const { max, uses: actual } = over;
  return new GatehouseError(
    'QUERY_TOO_EXPENSIVE',
    `Query uses ${name} ${actual} times: at most ${max} are let in at once`,
    {
      extensions: { limit: { name, max, actual } },
    },
  );
}

/** As it stands once the points that were not used are back. */
function withGivenBack(charged: Charged, points: number): Charged {
  const limits = charged.limits.map((state) =>
    state.name === 'cost' ? { ...state, remaining: Math.min(state.max, state.remaining + points) } : state,
  );
  return { ...charged, limits };
}

/** `nowMs`: the database's time. */
export function costReport(
  { limits }: Pick<Decision, 'limits'>,
  requested: number,
  actual: number,
  nowMs: number,
): CostReport {
  const window = limits.find(({ name }) => name === 'cost');
  if (window === undefined) throw new TypeError('a decision without a cost window');
  const { max, remaining, resetMs } = window;
  const resetAt = new Date(nowMs + resetMs).toISOString();
  return { requested: figure(requested), actual, limit: max, remaining, resetAt };
}

/** JSON knows no infinity. */
function figure(points: number): number {
  return Number.isFinite(points) ? points : Number.MAX_SAFE_INTEGER;
}
