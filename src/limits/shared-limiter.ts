/**
 * Limits of all gateways together, in Redis; and by this gateway's share of each, in memory, while Redis does not answer
 * in time and until it has seen a whole window again.
 *
 * Three states. `shared`: Redis decides. `alone`: Redis does not answer; each decision is made here, at once, within the
 * limit divided by the gateways last seen. `rejoining`: Redis answers again, but has not counted all that was let in
 * during the last window, by this gateway or another: decisions are still made here by the share, and Redis is told of
 * each. In every state this gateway counts in memory what it lets in itself, so that a change of states forgets nothing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Charge, Limiter, LimiterStatus, Receipt, Taken } from './limiter.ts';
import type { MemoryLimiter } from './memory-limiter.ts';
import { GATEWAY_GONE_MS } from './redis-script.ts';
import type { RedisWindows } from './redis-windows.ts';
import { BUCKETS } from './sliding-window.ts';
import { Steps } from './steps.ts';
import { TooLate, Waiting, within } from './within.ts';

/** The longest that a decision waits for Redis, but for a busy process's grace (see within.ts). */
const DECISION_MS = 40;
const HEARTBEAT_EVERY_MS = 1_000;
/** The longest that Redis may take for what no caller waits for. Each failure makes it incomplete for another window. */
const UNATTENDED_MS = 500;
/** After so long every other gateway has heard of one that has come. */
const KNOWN_AFTER_MS = HEARTBEAT_EVERY_MS + 250;
/** How long a start waits for a first connection. */
const START_PATIENCE_MS = 1_000;
/** After so long Redis knows all that is in a window. */
const COMPLETE_AFTER_MS = BUCKETS * 1_000;

/** Of a step that was to go out when Redis was not asked any more. */
const NOT_ASKED = new Error('Redis is not asked');

type State = 'shared' | 'alone' | 'rejoining';

/** Told once of each change between deciding together and deciding by the share, and why. */
type OnChange = (status: LimiterStatus, reason: string) => void;

export class SharedLimiter implements Limiter {
  readonly #redis: RedisWindows;
  readonly #own: MemoryLimiter;
  readonly #gatewaysAtLeast: number;
  readonly #onChange: OnChange;
  #state: State = 'alone';
  /** Why it is so. */
  #reason = '';
  #known: 'new' | 'known' | 'incomplete' = 'new';
  #evicted: number | null = null;
  /** How many gateways were seen, and when: fewer are believed only once that is the most for a while. */
  #seen: readonly { readonly gateways: number; readonly atMs: number }[] = [];
  #wasAway = false;
  /** Steps that wait for Redis. */
  readonly #waiting = new Waiting();
  readonly #steps = new Steps(async (group, requests) => {
    if (this.#state !== 'shared') throw NOT_ASKED;
    return this.#waiting.within(DECISION_MS, this.#redis.take(group, requests), requests.length);
  });
  /** What Redis is told of while it does not decide. */
  readonly #told = new Steps((group, requests) => within(UNATTENDED_MS, this.#redis.take(group, requests)));
  readonly #closed = new AbortController();
  #heart: Promise<void> | null = null;

  /**
   * `redis`: whoever made it tells `lost` of its broken connections. `gatewaysAtLeast`: for the time in which Redis has
   * told of none. Begins degraded: call `start`.
   */
  constructor(redis: RedisWindows, own: MemoryLimiter, gatewaysAtLeast: number, onChange: OnChange) {
    this.#redis = redis;
    this.#own = own;
    this.#gatewaysAtLeast = gatewaysAtLeast;
    this.#onChange = onChange;
  }

  /** Makes contact; where there is none soon, it goes on trying. */
  async start(): Promise<void> {
    const connected = this.#redis.connect();
    await Promise.race([connected, delay(START_PATIENCE_MS, undefined, { ref: false })]);
    await this.#beat();
    // Should Redis go the next moment, each divides a limit by the gateways that it knows of: first all know of this one.
    if (this.gateways > this.#gatewaysAtLeast) await delay(KNOWN_AFTER_MS, undefined, { ref: false });
    if (this.#state !== 'shared') this.#onChange('degraded', this.#reason);
    this.#heart = this.#beatOn();
  }

  get status(): LimiterStatus {
    return this.#state === 'shared' ? 'ok' : 'degraded';
  }

  get gateways(): number {
    return Math.max(this.#gatewaysAtLeast, ...this.#seen.map(({ gateways }) => gateways));
  }

  take(group: string, charges: readonly Charge[], force: boolean): Taken | Promise<Taken> {
    if (this.#state === 'shared') return this.#together(group, charges, force);
    const taken = this.#byShare(group, charges, force);
    if (this.#state !== 'rejoining' || taken.receipt === null) return taken;
    return { ...taken, receipt: { ...taken.receipt, redisSecond: this.#tell(group, charges) } };
  }

  giveBack(receipt: Receipt, key: string, amount: number): void {
    this.#own.giveBack(receipt, key, amount);
    if (receipt.redisSecond === null || this.#state === 'alone') return;
    // Lost, it stays charged for its minute: the safe side.
    this.#redis.giveBack(receipt, key, amount).catch(() => undefined);
  }

  /** The connection has broken. */
  readonly lost = (): void => this.#goAlone('the connection to Redis broke');

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#heart;
    await this.#redis.close();
    await this.#own.close();
  }

  async #together(group: string, charges: readonly Charge[], force: boolean): Promise<Taken> {
    const second = this.#own.second();
    let taken: Taken;
    try {
      taken = await this.#steps.take(group, { charges, force });
    } catch (error) {
      // Broken, too late, out of memory, read-only: whatever it is, the caller is not to wait for it.
      if (error !== NOT_ASKED) this.#goAlone(reasonOf(error));
      return this.#byShare(group, charges, force);
    }
    if (taken.receipt === null) {
      this.#noteShared(charges, taken, second);
      return taken;
    }
    if (!force && this.#state === 'shared' && this.#hasLost(charges, taken)) this.#rejoin('Redis has lost windows');
    // Meanwhile others may have been let in by the share, of whom Redis knew nothing: then the share decides this, too.
    if (!force && this.#state !== 'shared') return this.#byShare(group, charges, force);
    this.#own.record(charges, second);
    this.#noteShared(charges, taken, second);
    return { ...taken, receipt: { ...taken.receipt, second } };
  }

  /** Whether Redis has counted less in a window than this gateway alone has put into it. */
  #hasLost(charges: readonly Charge[], { windows }: Taken): boolean {
    return charges.some(({ key, amount }, index) => {
      const used = windows[index]?.used ?? 0;
      return amount > 0 && this.#own.usedLately(key) + amount > used;
    });
  }

  #noteShared(charges: readonly Charge[], { windows }: Taken, second: number): void {
    this.#own.noteShared(
      charges,
      windows.map(({ used }) => used),
      second,
    );
  }

  // A limit that is smaller than the gateways are many has no share: each letting in one would be more than the limit. And
  // what others were let in for while Redis still said so is not there to be let in again.
  #byShare(group: string, charges: readonly Charge[], force: boolean): Taken {
    const { gateways } = this;
    const shares = charges.map((charge) => {
      const left = Math.max(0, charge.max - this.#own.othersIn(charge.key));
      return { ...charge, max: Math.min(Math.floor(charge.max / gateways), left) };
    });
    return this.#own.take(group, shares, force);
  }

  /** Gives the second in which Redis has counted it; null where it has not. */
  async #tell(group: string, charges: readonly Charge[]): Promise<number | null> {
    try {
      const { receipt } = await this.#told.take(group, { charges, force: true });
      return (await receipt?.redisSecond) ?? null;
    } catch (error) {
      this.#goAlone(reasonOf(error));
      return null;
    }
  }

  #goAlone(reason: string): void {
    this.#known = 'incomplete';
    this.#wasAway = true;
    this.#change('alone', reason);
    // One that waited in vain has waited for all: the others are decided by the share at once.
    this.#waiting.giveUp();
  }

  #rejoin(reason: string): void {
    this.#known = 'incomplete';
    this.#change('rejoining', reason);
  }

  #change(state: State, reason: string): void {
    const before = this.status;
    this.#state = state;
    this.#reason = reason;
    if (this.#heart !== null && this.status !== before) this.#onChange(this.status, reason);
  }

  async #beatOn(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      await delay(HEARTBEAT_EVERY_MS, undefined, { signal: this.#closed.signal, ref: false }).catch(() => undefined);
      if (!this.#closed.signal.aborted) await this.#beat();
    }
  }

  async #beat(): Promise<void> {
    const state = this.#known;
    // To be asked again, Redis must be as quick as a decision needs it; at a start, this process is not.
    const patienceMs = this.#state === 'alone' && this.#heart !== null ? DECISION_MS : UNATTENDED_MS;
    try {
      const heard = await within(patienceMs, this.#redis.heartbeat(state));
      const evicted = await within(patienceMs, this.#redis.evictedKeys());
      // What broke while the answer was on its way counts as after it.
      if (this.#known === state) this.#known = 'known';
      this.#believe(heard.gateways);
      if (this.#evicted !== null && evicted !== null && evicted > this.#evicted) this.#known = 'incomplete';
      this.#evicted = evicted ?? this.#evicted;
      const complete = this.#known === 'known' && heard.completeMs >= COMPLETE_AFTER_MS;
      this.#change(
        complete ? 'shared' : 'rejoining',
        complete ? 'Redis has seen a whole window' : 'Redis lacks windows',
      );
    } catch (error) {
      this.#goAlone(reasonOf(error));
    }
  }

  #believe(gateways: number): void {
    const atMs = performance.now();
    // Others come back later than this one: as many as there were are believed in for as long again.
    const before = this.#wasAway ? [{ gateways: this.gateways, atMs }] : this.#seen;
    this.#wasAway = false;
    this.#seen = [...before.filter((seen) => atMs - seen.atMs < GATEWAY_GONE_MS), { gateways, atMs }];
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof TooLate) return 'Redis does not answer in time';
  return error instanceof Error ? `Redis does not serve: ${error.message}` : 'Redis does not serve';
}
