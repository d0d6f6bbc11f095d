/**
 * The bytes that this gateway holds for callers: bodies that arrive, answers that are made, and answers that wait to be
 * read. Of a key, of a network and of all together they are bounded. Whoever is at a bound of their own is told so; where
 * all together are, the connection of the largest holder is closed: in the network that holds most, of the key that does,
 * the one with most. So a network that holds less than its share is always served.
 */
import type { Room } from '../domain/answer-size.ts';
import { GatehouseError } from '../domain/errors.ts';
import { FairGate, type GateBounds, type Ticket } from '../domain/fair-gate.ts';
import type { LimitScope } from '../domain/limit.ts';
import { Garbage } from '../observability/garbage.ts';

export interface HeldBounds {
  readonly keyBytes: number;
  readonly networkBytes: number;
  readonly gatewayBytes: number;
}

export const HELD_BOUNDS: HeldBounds = {
  keyBytes: 32 * 1_048_576,
  networkBytes: 64 * 1_048_576,
  gatewayBytes: 128 * 1_048_576,
};

/**
 * Large answers in the making, each of which takes several times its size meanwhile. Whoever waits holds what was read so
 * far, and no connection of the database. How many may wait is bounded by the points that are under way (ExecutionGate)
 * and by what they hold.
 */
const LARGE_ANSWERS: GateBounds = {
  total: 4,
  perNetwork: 2,
  perKey: 1,
  spare: 1,
  waitingPerNetwork: Number.POSITIVE_INFINITY,
  waitingPerKey: Number.POSITIVE_INFINITY,
};

/** For whom bytes are held: the ids (UUIDs) of a network and a key. Where nobody is known, both are an address. */
export interface Holder {
  readonly isKnown: boolean;
  readonly network: string;
  readonly key: string;
}

export interface HeldLimit {
  readonly name: typeof HELD_LIMIT;
  readonly scope: LimitScope;
  readonly max: number;
  readonly actual: number;
}

export const HELD_LIMIT = 'held-bytes';

/** What one more answer takes beside its body: its header fields, and what Node keeps of it. */
const OVERHEAD_BYTES = 2_048;

export interface LargestClosed extends Holder {
  /** Of this connection. */
  readonly bytes: number;
  /** Of all together, before. */
  readonly gatewayBytes: number;
}

interface Sums {
  bytes: number;
}

interface KeySums extends Sums {
  readonly holdings: Set<Holding>;
}

interface NetworkSums extends Sums {
  readonly keys: Map<string, KeySums>;
}

export class HeldBytes {
  readonly #bounds: HeldBounds;
  /** After so long a connection that takes nothing is closed. */
  readonly retryAfterSeconds: number;
  readonly #onClosed: (closed: LargestClosed) => void;
  readonly #networks = new Map<string, NetworkSums>();
  /** For Holding alone. */
  readonly large = new FairGate(LARGE_ANSWERS);
  readonly garbage = new Garbage();
  #bytes = 0;

  /** `retryAfterSeconds`: after which a connection that takes nothing is closed. `onClosed`: told of each largest holder. */
  constructor(retryAfterSeconds: number, onClosed: (closed: LargestClosed) => void, bounds: HeldBounds = HELD_BOUNDS) {
    this.retryAfterSeconds = retryAfterSeconds;
    this.#onClosed = onClosed;
    this.#bounds = bounds;
  }

  /** Of all together. */
  get bytes(): number {
    return this.#bytes;
  }

  hold(holder: Holder, connection: Closable): Holding {
    return new Holding(this, holder, connection);
  }

  /** For Holding alone. */
  add(holding: Holding, bytes: number): void {
    const { network, key } = holding.holder;
    let networkSums = this.#networks.get(network);
    if (networkSums === undefined) {
      networkSums = { bytes: 0, keys: new Map() };
      this.#networks.set(network, networkSums);
    }
    let keySums = networkSums.keys.get(key);
    if (keySums === undefined) {
      keySums = { bytes: 0, holdings: new Set() };
      networkSums.keys.set(key, keySums);
    }
    keySums.holdings.add(holding);
    this.#bytes += bytes;
    networkSums.bytes += bytes;
    keySums.bytes += bytes;
  }

  /** For Holding alone. */
  subtract(holding: Holding, bytes: number): void {
    const { network, key } = holding.holder;
    const networkSums = this.#networks.get(network);
    const keySums = networkSums?.keys.get(key);
    if (networkSums === undefined || keySums === undefined) return;
    this.#bytes -= bytes;
    networkSums.bytes -= bytes;
    keySums.bytes -= bytes;
    if (holding.bytes > 0) return;
    keySums.holdings.delete(holding);
    if (keySums.holdings.size === 0) networkSums.keys.delete(key);
    if (networkSums.keys.size === 0) this.#networks.delete(network);
  }

  /** The limit of the holder's own that so many more bytes would be over; null where they fit. */
  over({ network, key }: Holder, more: number): HeldLimit | null {
    const { keyBytes, networkBytes } = this.#bounds;
    const networkSums = this.#networks.get(network);
    const ofKey = networkSums?.keys.get(key)?.bytes ?? 0;
    const ofNetwork = networkSums?.bytes ?? 0;
    if (ofKey + more > keyBytes) return { name: HELD_LIMIT, scope: 'key', max: keyBytes, actual: ofKey };
    if (ofNetwork + more > networkBytes) {
      return { name: HELD_LIMIT, scope: 'network', max: networkBytes, actual: ofNetwork };
    }
    return null;
  }

  /** Closes the largest holders until so many more bytes fit; false where they cannot. */
  makeRoom(claimant: Holding, more: number): boolean {
    while (this.#bytes + more > this.#bounds.gatewayBytes) {
      const largest = this.#largest(claimant, more);
      if (largest === null) return false;
      const { holder, bytes } = largest;
      this.#onClosed({ ...holder, bytes, gatewayBytes: this.#bytes });
      largest.close();
      if (largest === claimant) return false;
    }
    return true;
  }

  refusalOf(limit: HeldLimit): GatehouseError {
    const seconds = this.retryAfterSeconds;
    return new GatehouseError(
      'RATE_LIMITED',
      `Rate limit exceeded: ${messageOf(limit)}; try again in ${seconds} seconds`,
      {
        headers: { 'retry-after': String(seconds) },
        extensions: {
          limit: { ...limit, remaining: Math.max(0, limit.max - limit.actual) },
          retryAfterSeconds: seconds,
        },
      },
    );
  }

  /** Where the gateway holds all that it can, and nothing of it can be let go. */
  get full(): GatehouseError {
    return new GatehouseError('SERVICE_UNAVAILABLE', 'Service unavailable: this gateway holds as much as it can', {
      headers: { 'retry-after': String(this.retryAfterSeconds) },
    });
  }

  /** The largest holding, had the claimant what it asks for; null where none may be closed. */
  #largest(claimant: Holding, more: number): Holding | null {
    const { network, key } = claimant.holder;
    for (const [name, { keys }] of byBytes(this.#networks, network, more)) {
      for (const [, { holdings }] of byBytes(keys, name === network ? key : null, more)) {
        const largest = largestOf(holdings, claimant, more);
        if (largest !== null) return largest;
      }
    }
    return null;
  }
}

function largestOf(holdings: Iterable<Holding>, claimant: Holding, more: number): Holding | null {
  let largest: Holding | null = null;
  let most = -1;
  for (const holding of holdings) {
    const bytes = holding.bytes + (holding === claimant ? more : 0);
    if (holding.isKept || bytes <= most) continue;
    largest = holding;
    most = bytes;
  }
  return largest;
}

/** The largest first. `own`: the name of the one to which so many bytes more count. */
function byBytes<Item extends Sums>(
  items: ReadonlyMap<string, Item>,
  own: string | null,
  more: number,
): [string, Item][] {
  const bytesOf = ([name, { bytes }]: [string, Item]) => bytes + (name === own ? more : 0);
  return [...items].sort((one, other) => bytesOf(other) - bytesOf(one));
}

function messageOf({ scope, max }: HeldLimit): string {
  const whose = scope === 'key' ? 'this key' : 'all keys of this network together';
  return `at most ${max} bytes are held for ${whose}, of answers that are not read yet and of requests under way`;
}

/** A connection. */
export interface Closable {
  destroy(): unknown;
}

/** Told to nobody: the connection is closed. */
const CLOSED = new GatehouseError('REQUEST_TIMEOUT', 'The connection is closed');

/** What is held for one request, until its connection has taken the answer. */
export class Holding implements Room {
  readonly #held: HeldBytes;
  readonly #connection: Closable;
  #holder: Holder;
  #bytes = 0;
  #isOver = false;
  /** Among large answers: where it is one, or waits to be. */
  #turn: Ticket | null = null;
  isKept = false;

  constructor(held: HeldBytes, holder: Holder, connection: Closable) {
    this.#held = held;
    this.#holder = holder;
    this.#connection = connection;
  }

  get holder(): Holder {
    return this.#holder;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Once it is known who calls. */
  assign(holder: Holder): void {
    const bytes = this.#bytes;
    this.give(bytes);
    this.#holder = holder;
    this.#add(bytes);
  }

  /** The limit that the caller is at already; null where there is room for a little more. */
  over(): HeldLimit | null {
    return this.#held.over(this.#holder, OVERHEAD_BYTES);
  }

  refusalOf(limit: HeldLimit): GatehouseError {
    return this.#held.refusalOf(limit);
  }

  get retryAfterSeconds(): number {
    return this.#held.retryAfterSeconds;
  }

  take(bytes: number): GatehouseError | null {
    if (this.#isOver) return CLOSED;
    const limit = this.#held.over(this.#holder, bytes);
    if (limit !== null) return this.#held.refusalOf(limit);
    if (!this.#held.makeRoom(this, bytes)) return this.#isOver ? CLOSED : this.#held.full;
    this.#add(bytes);
    return null;
  }

  /** From now on, an answer of so many bytes waits: that is held whether or not it is within the holder's own bounds. */
  wait(answerBytes: number): void {
    const more = answerBytes + OVERHEAD_BYTES - this.#bytes;
    if (more < 0) this.give(-more);
    else if (!this.#isOver && this.#held.makeRoom(this, more)) this.#add(more);
  }

  give(bytes: number): void {
    const given = Math.min(bytes, this.#bytes);
    if (given <= 0) return;
    this.#bytes -= given;
    this.#held.subtract(this, given);
  }

  async waitForTurn(): Promise<void> {
    if (this.#turn !== null || this.#isOver) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const { network, key } = this.#holder;
    const turn: Ticket = { caller: { networkId: network, keyId: key }, units: 1, onGranted: resolve };
    this.#turn = turn;
    if (this.#held.large.enterNow(turn)) return;
    this.#held.large.enqueue(turn);
    await promise;
  }

  endTurn(usedBytes: number): void {
    const turn = this.#turn;
    if (turn === null) return;
    this.#turn = null;
    this.#held.garbage.add(usedBytes);
    // Whoever waits for it is told by what it does next: its connection is closed.
    if (this.#held.large.giveUp(turn)) turn.onGranted?.();
    else this.#held.large.leave(turn);
  }

  /** Nothing of it is held any more. */
  release(): void {
    this.#isOver = true;
    this.endTurn(this.#bytes);
    this.give(this.#bytes);
  }

  /** Closes the connection, and with it lets go of all that is held. */
  close(): void {
    this.release();
    this.#connection.destroy();
  }

  #add(bytes: number): void {
    if (bytes <= 0 || this.#isOver) return;
    this.#bytes += bytes;
    this.#held.add(this, bytes);
  }
}
