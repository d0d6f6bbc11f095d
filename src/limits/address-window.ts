/**
 * How often one address may do what needs no token, in this process. A fixed window: near its edge an address can do
 * twice as much, which is nothing to what it guards.
 */
import type { Address } from '../domain/address.ts';

export interface AddressLimit {
  /** Null where it is let in; else in how many whole seconds it may come again. `nowMs`: a clock that only goes on. */
  admit(address: Address | null, nowMs: number): number | null;
}

/** Past this many, the address that came first is forgotten. */
const ADDRESSES_MAX = 10_000;
/** Whoever has one IPv6 address has a /64 of them (RFC 6177). */
const IPV6_GROUPS = 4;

interface Window {
  readonly startedMs: number;
  count: number;
}

export class AddressWindow implements AddressLimit {
  readonly #max: number;
  readonly #windowMs: number;
  readonly #windows = new Map<string, Window>();

  constructor(max: number, windowMs: number) {
    this.#max = max;
    this.#windowMs = windowMs;
  }

  admit(address: Address | null, nowMs: number): number | null {
    const who = addressName(address);
    const known = this.#windows.get(who);
    if (known === undefined || nowMs - known.startedMs >= this.#windowMs) {
      this.#begin(who, nowMs);
      return null;
    }
    if (known.count >= this.#max) return Math.ceil((known.startedMs + this.#windowMs - nowMs) / 1_000);
    known.count += 1;
    return null;
  }

  #begin(who: string, nowMs: number): void {
    // Deleted first, so that a Map's order is that of the windows' beginnings.
    this.#windows.delete(who);
    this.#windows.set(who, { startedMs: nowMs, count: 1 });
    if (this.#windows.size <= ADDRESSES_MAX) return;
    const [oldest] = this.#windows.keys();
    if (oldest !== undefined) this.#windows.delete(oldest);
  }
}

/** One name for all addresses that one caller is taken to have. */
export function addressName(address: Address | null): string {
  if (address === null || !address.includes(':')) return address ?? 'unknown';
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array<string>(8 - groups.length - after.length).fill('0');
  return [...groups, ...zeros, ...after].slice(0, IPV6_GROUPS).join(':');
}
