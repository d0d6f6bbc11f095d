/**
 * What a gateway has counted and not yet written: per secret and minute, so that it grows with how many keys are used
 * and not with how often. Bounded: past the bound a new entry is refused, and whoever adds it is told.
 */
import type { Address } from '../../domain/address.ts';
import { bucketStart } from '../../domain/usage.ts';

/** A request that a valid token made, once it has been answered. */
export interface CountedRequest {
  /** UUIDs. */
  readonly keyId: string;
  readonly networkId: string;
  /** Of the secret that was used: a key that is being rotated has two. */
  readonly digest: Buffer;
  /** The caller's, past trusted proxies. It stays in memory: a block of addresses is all that is written of it. */
  readonly address: Address | null;
  /** Of this gateway's clock, in milliseconds since 1970. */
  readonly atMs: number;
  /** Whether it ended in an error, other than a limit's refusal. */
  readonly error: boolean;
  /** Whether a limit refused it. */
  readonly limited: boolean;
  /** Whole cost points. */
  readonly cost: number;
}

/** A token of a key that is there, and was not let in. */
export interface AuthenticationFailure {
  readonly keyId: string;
  readonly networkId: string;
  readonly reason: string;
  readonly atMs: number;
}

/** A change of keys that a key asked for and was refused. */
export interface RefusedAttempt {
  readonly keyId: string;
  readonly networkId: string;
  /** The mutation. */
  readonly action: string;
  /** Of the refusal or user error. */
  readonly code: string;
  readonly atMs: number;
}

export interface RequestCount {
  readonly keyId: string;
  readonly networkId: string;
  readonly digest: Buffer;
  readonly minuteMs: number;
  requests: number;
  errors: number;
  limited: number;
  cost: number;
  lastAtMs: number;
  lastAddress: Address | null;
}

export type FailureCount = Omit<AuthenticationFailure, 'atMs'> & { readonly minuteMs: number; count: number };
export type AttemptCount = Omit<RefusedAttempt, 'atMs'> & { readonly minuteMs: number; count: number };

const NOTHING_COUNTED = { requests: 0, errors: 0, limited: 0, cost: 0, lastAtMs: 0, lastAddress: null };

export class UsageBuffer {
  readonly requests = new Map<string, RequestCount>();
  readonly failures = new Map<string, FailureCount>();
  readonly attempts = new Map<string, AttemptCount>();
  readonly #entriesMax: number;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.requests.size + this.failures.size + this.attempts.size;
  }

  /** False where there is no room for it, here and below. */
  addRequest(request: CountedRequest): boolean {
    const { keyId, networkId, digest } = request;
    const minuteMs = bucketStart('MINUTE', request.atMs);
    const entry = this.#entry(this.requests, nameOf({ digest, minuteMs }), () => {
      return { keyId, networkId, digest, minuteMs, ...NOTHING_COUNTED };
    });
    if (entry === null) return false;
    entry.requests += 1;
    if (request.error) entry.errors += 1;
    if (request.limited) entry.limited += 1;
    entry.cost += request.cost;
    if (request.atMs >= entry.lastAtMs) {
      entry.lastAtMs = request.atMs;
      entry.lastAddress = request.address;
    }
    return true;
  }

  /** Of a request that is not counted, when its secret was used. */
  addLastUse({ keyId, networkId, digest, address, atMs }: CountedRequest): boolean {
    const use = { lastAtMs: atMs, lastAddress: address };
    return this.keepLastUse({
      ...NOTHING_COUNTED,
      keyId,
      networkId,
      digest,
      minuteMs: bucketStart('MINUTE', atMs),
      ...use,
    });
  }

  /** Keeps when a secret was used last, and counts nothing. */
  keepLastUse({ lastAtMs, lastAddress, ...entry }: RequestCount): boolean {
    const kept = this.#entry(this.requests, nameOf(entry), () => ({ ...entry, ...NOTHING_COUNTED }));
    if (kept === null) return false;
    if (lastAtMs >= kept.lastAtMs) Object.assign(kept, { lastAtMs, lastAddress });
    return true;
  }

  addFailure({ atMs, ...failure }: AuthenticationFailure): boolean {
    const minuteMs = bucketStart('MINUTE', atMs);
    const name = `${failure.keyId} ${failure.reason} ${minuteMs}`;
    return countOne(this.#entry(this.failures, name, () => ({ ...failure, minuteMs, count: 0 })));
  }

  addAttempt({ atMs, ...attempt }: RefusedAttempt): boolean {
    const minuteMs = bucketStart('MINUTE', atMs);
    const name = `${attempt.keyId} ${attempt.action} ${attempt.code} ${minuteMs}`;
    return countOne(this.#entry(this.attempts, name, () => ({ ...attempt, minuteMs, count: 0 })));
  }

  /** Takes the oldest entries out, so many at the most. */
  take(entriesMax: number): UsageBuffer {
    const taken = new UsageBuffer(entriesMax);
    move(this.requests, taken.requests, entriesMax - taken.size);
    move(this.failures, taken.failures, entriesMax - taken.size);
    move(this.attempts, taken.attempts, entriesMax - taken.size);
    return taken;
  }

  #entry<Entry>(entries: Map<string, Entry>, name: string, make: () => Entry): Entry | null {
    const known = entries.get(name);
    if (known !== undefined) return known;
    if (this.size >= this.#entriesMax) return null;
    const made = make();
    entries.set(name, made);
    return made;
  }
}

function nameOf({ digest, minuteMs }: Pick<RequestCount, 'digest' | 'minuteMs'>): string {
  return digest.toString('latin1') + minuteMs;
}

function move<Entry>(from: Map<string, Entry>, to: Map<string, Entry>, max: number): void {
  for (const [name, entry] of from) {
    if (to.size >= max) return;
    to.set(name, entry);
    from.delete(name);
  }
}

function countOne(entry: { count: number } | null): boolean {
  if (entry === null) return false;
  entry.count += 1;
  return true;
}
