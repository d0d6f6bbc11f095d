/**
 * Room for so much work at once, shared fairly: a key and a network have a share each, and a part stays free for networks
 * that have nothing under way. Who has to wait goes by FairQueue; who has the least under way goes first.
 */
import { type Caller, FairQueue, type Priority, type Verdict, type Waiting } from './fair-queue.ts';

/** In units of work: what a unit is, is its user's to say. */
export interface GateBounds {
  readonly total: number;
  readonly perNetwork: number;
  readonly perKey: number;
  /** Of the total: only for networks that have nothing under way. */
  readonly spare: number;
  /** How many may wait. */
  readonly waitingPerNetwork: number;
  readonly waitingPerKey: number;
  /** How many bytes those that wait may hold; absent: they hold none of their own. */
  readonly waitingBytesPerNetwork?: number;
  readonly waitingBytesPerKey?: number;
  /** Shares that differ, by the network's name: neither keys nor the spare part bound them. */
  readonly own?: ReadonlyMap<string, number>;
}

/** One that was let in, or waits to be. */
export interface Ticket extends Waiting {
  readonly units: number;
  /** What it holds while it waits. */
  readonly bytes?: number;
  /** Absent: it does not wait. */
  readonly onGranted?: () => void;
}

/** Whose queue is full: nothing was changed. */
export type Full = 'key' | 'network';

interface Held {
  units: number;
  readonly keys: Map<string, number>;
}

export class FairGate {
  readonly #bounds: GateBounds;
  readonly #queue = new FairQueue<Ticket>();
  readonly #networks = new Map<string, Held>();
  readonly #leastHeld: Priority<Ticket>;
  readonly #judge: (ticket: Ticket) => Verdict;
  /** Of those that wait, by the id of the network and of the key. */
  readonly #waitingBytes = new Map<string, number>();
  #held = 0;
  #entered = 0;

  constructor(bounds: GateBounds) {
    this.#bounds = bounds;
    this.#leastHeld = {
      ofNetwork: ({ caller }) => this.#networks.get(caller.networkId)?.units ?? 0,
      ofKey: ({ caller }) => this.#networks.get(caller.networkId)?.keys.get(caller.keyId) ?? 0,
    };
    this.#judge = (ticket) => this.#verdict(ticket);
  }

  /** How many were let in so far. */
  get entered(): number {
    return this.#entered;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Whose queue has no room for one more, which holds so many bytes; null where there is some. */
  full(caller: Caller, bytes = 0): Full | null {
    const { waitingPerKey, waitingPerNetwork, waitingBytesPerKey, waitingBytesPerNetwork } = this.#bounds;
    const isFull = (waiting: number, id: string, max: number, maxBytes = Number.POSITIVE_INFINITY) =>
      waiting >= max || (waiting > 0 && (this.#waitingBytes.get(id) ?? 0) + bytes > maxBytes);
    if (isFull(this.#queue.ofKey(caller), caller.keyId, waitingPerKey, waitingBytesPerKey)) return 'key';
    const ofNetwork = this.#queue.ofNetwork(caller);
    return isFull(ofNetwork, caller.networkId, waitingPerNetwork, waitingBytesPerNetwork) ? 'network' : null;
  }

  /** How many of a key, or of a network, wait. */
  waitingOf(caller: Caller, whose: Full): number {
    return whose === 'key' ? this.#queue.ofKey(caller) : this.#queue.ofNetwork(caller);
  }

  /** Whether what it waits for is the caller's own, or its network's: there is no room in their share. */
  isOwnShare({ caller: { networkId, keyId }, units }: Ticket): boolean {
    const held = this.#networks.get(networkId);
    const { perKey, perNetwork } = this.#bounds;
    return held !== undefined && (held.units + units > perNetwork || (held.keys.get(keyId) ?? 0) + units > perKey);
  }

  /** At once, where nobody waits and there is room. Returns whether it is so; if not, wait by `enqueue`. */
  enterNow(ticket: Ticket): boolean {
    if (this.#queue.size > 0 || this.#verdict(ticket) !== 'go') return false;
    this.#take(ticket);
    return true;
  }

  /** `onGranted` is called in the course of whoever leaves, or at once where only others have to wait. */
  enqueue(ticket: Ticket): void {
    this.#queue.push(ticket);
    this.#countBytes(ticket, 1);
    this.#letIn();
  }

  /** Gives up waiting. Whether it waited still. */
  giveUp(ticket: Ticket): boolean {
    const waited = this.#queue.remove(ticket);
    if (!waited) return false;
    this.#countBytes(ticket, -1);
    // It may have been in the way of smaller ones.
    this.#letIn();
    return true;
  }

  leave({ caller: { networkId, keyId }, units }: Ticket): void {
    const held = this.#networks.get(networkId);
    const ofKey = held?.keys.get(keyId);
    if (held === undefined || ofKey === undefined) throw new TypeError('whoever leaves was never let in');
    this.#held -= units;
    held.units -= units;
    if (ofKey > units) held.keys.set(keyId, ofKey - units);
    else held.keys.delete(keyId);
    if (held.keys.size === 0) this.#networks.delete(networkId);
    this.#letIn();
  }

  #countBytes({ caller: { networkId, keyId }, bytes = 0 }: Ticket, sign: 1 | -1): void {
    if (bytes === 0) return;
    for (const id of [networkId, keyId]) {
      const sum = (this.#waitingBytes.get(id) ?? 0) + sign * bytes;
      if (sum === 0) this.#waitingBytes.delete(id);
      else this.#waitingBytes.set(id, sum);
    }
  }

  #letIn(): void {
    for (;;) {
      const next = this.#queue.take(this.#judge, this.#leastHeld);
      if (next === null) return;
      this.#countBytes(next, -1);
      this.#take(next);
      next.onGranted?.();
    }
  }

  #take({ caller: { networkId, keyId }, units }: Ticket): void {
    const held = this.#networks.get(networkId) ?? { units: 0, keys: new Map<string, number>() };
    this.#networks.set(networkId, held);
    held.units += units;
    held.keys.set(keyId, (held.keys.get(keyId) ?? 0) + units);
    this.#held += units;
    this.#entered += 1;
  }

  /** A piece that is larger than a share goes in where nothing else of that share is under way. */
  #verdict({ caller: { networkId, keyId }, units }: Ticket): Verdict {
    const { total, perNetwork, perKey, spare, own } = this.#bounds;
    const held = this.#networks.get(networkId);
    const ownShare = own?.get(networkId);
    const room = held === undefined || ownShare !== undefined ? total : total - spare;
    // Whoever comes after has as much under way: letting it pass would keep large pieces waiting for ever.
    if (this.#held > 0 && this.#held + units > room) return 'halt';
    if (held === undefined) return 'go';
    if (held.units + units > (ownShare ?? perNetwork)) return 'stop';
    if (ownShare !== undefined) return 'go';
    const ofKey = held.keys.get(keyId);
    return ofKey === undefined || ofKey + units <= perKey ? 'go' : 'pass';
  }
}
