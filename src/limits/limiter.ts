/** What decides whether a request's windows have room for it: in this process, or in Redis for all gateways together. */

/** What goes into one window. */
export interface Charge {
  /** Which window: unique, and the same for all gateways. */
  readonly key: string;
  /** What any 60 seconds may hold. */
  readonly max: number;
  /** A whole number; 0 only looks, and always fits. */
  readonly amount: number;
}

/** All that one request is charged. */
export interface ChargedRequest {
  readonly charges: readonly Charge[];
  /** Counted even where it does not fit. */
  readonly force: boolean;
}

/** A window as it stands after the step. */
export interface WindowState {
  /** What it may hold as this gateway decides: `max`, or this gateway's share of it. */
  readonly max: number;
  readonly used: number;
  /** Milliseconds until it is empty, if nothing is added. */
  readonly resetMs: number;
  /** Milliseconds until the charge fits, if nothing is added; 0 where it fits. */
  readonly retryMs: number;
}

export interface Taken {
  /** Whether all charges fitted. Where one did not, none was counted (unless it was forced). */
  readonly granted: boolean;
  /** In the order of the charges. */
  readonly windows: readonly WindowState[];
  /** What a part can be given back with; null where nothing was counted. */
  readonly receipt: Receipt | null;
}

/** When something was counted, by the clock of each who counted it. */
export interface Receipt {
  readonly group: string;
  /** The second by this process's clock. */
  readonly second: number;
  /** The second by Redis's clock; null where Redis did not count it. It may not be known yet. */
  readonly redisSecond: number | null | Promise<number | null>;
}

/**
 * `ok`: as it should be. `degraded`: Redis does not answer, or has only just come back, and this gateway decides by its
 * share of each limit.
 */
export type LimiterStatus = 'ok' | 'degraded';

export interface Limiter {
  readonly status: LimiterStatus;
  /** For the operator: how many gateways share the limits, as far as is known. */
  readonly gateways: number;
  /**
   * One atomic step: counts all charges, or none where one does not fit; with `force`, all in any case.
   * `group`: what the charges have in common, a network's id; it names where a cluster keeps them.
   */
  take(group: string, charges: readonly Charge[], force: boolean): Taken | Promise<Taken>;
  /** Takes back a part of what was counted. Nobody waits for it, and nobody hears if it fails. */
  giveBack(receipt: Receipt, key: string, amount: number): void;
  close(): Promise<void>;
}
