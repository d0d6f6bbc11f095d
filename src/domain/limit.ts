/** Limits over any 60 seconds: what is charged to them, and what came of it, as values. */

export const WINDOW_SECONDS = 60;

/** Whose limit it is: one key's, or all keys' of a network together. */
export type LimitScope = 'key' | 'network';

/** One limit that a request is charged to. */
export interface Limit {
  /** As callers see it: `requests`, `network-requests`, `cost`, or a field's name such as `createApiKey`. */
  readonly name: string;
  readonly scope: LimitScope;
  /** The most that any 60 seconds may hold. */
  readonly max: number;
}

/** A limit as it stands after a charge. */
export interface LimitState extends Limit {
  readonly windowSeconds: number;
  readonly remaining: number;
  /** Milliseconds until all of it is there again, if nothing more is charged. */
  readonly resetMs: number;
}

/** The outcome of a charge: everything was let in and counted, or nothing was. */
export interface Decision {
  readonly granted: boolean;
  /** All limits of the request; first those of every request. */
  readonly limits: readonly LimitState[];
  /** The limit that refuses: of several the one that takes longest. In measure mode also where `granted`. */
  readonly over: LimitState | null;
  /** Milliseconds after which the same charge is let in, if nothing else is charged; 0 where none is over. */
  readonly retryMs: number;
}
