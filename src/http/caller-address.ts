/**
 * Whose request it is. A proxy says so in X-Forwarded-For, and so can anybody: what stands there counts only as far as
 * trusted proxies (TRUST_PROXY) vouch for it. Each adds, at the right, the address that it was reached from, so the
 * rightmost one that is no trusted proxy's is the caller's.
 */
import type { IncomingMessage } from 'node:http';
import { type Address, type Block, isWithin, parseAddress } from '../domain/address.ts';

/** Beyond this many proxies, what the header says is made up. */
const HOPS_MAX = 32;

/** Null where the connection has gone already. */
export function callerAddress({ socket, headers }: IncomingMessage, trusted: readonly Block[]): Address | null {
  const peer = parseAddress(socket.remoteAddress ?? '');
  if (peer === null || trusted.length === 0 || !isWithin(peer, trusted)) return peer;
  const forwarded = [headers['x-forwarded-for'] ?? []].flat().join(',');
  let caller = peer;
  for (const hop of forwarded.split(',').reverse().slice(0, HOPS_MAX)) {
    const address = parseAddress(withoutPort(hop.trim()));
    // What is no address (`unknown`) ends the trail: the proxy before it is the last that anybody vouches for.
    if (address === null) return caller;
    caller = address;
    if (!isWithin(caller, trusted)) return caller;
  }
  return caller;
}

/** Some proxies add a port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  const [, bracketed] = /^\[([^\]]+)\](?::\d+)?$/.exec(hop) ?? [];
  return bracketed ?? hop.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1');
}
