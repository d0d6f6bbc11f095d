/** What is kept of the address that a key was used from: enough to notice another place, too little to name a person. */
import { type Address, parseBlock } from './address.ts';

/** One of 256 addresses. */
const IPV4_PREFIX_BITS = 24;
/** One customer's site, as providers hand them out (RFC 6177). */
const IPV6_PREFIX_BITS = 48;

/** `203.0.113.0/24`, `2001:db8:1::/48`. */
export function coarseAddress(address: Address): string {
  // Every request asks for it, nearly all of them for one of these: parsing takes as long as all else of a log line.
  if (!address.includes(':')) return `${address.slice(0, address.lastIndexOf('.'))}.0/${IPV4_PREFIX_BITS}`;
  const block = parseBlock(`${address}/${IPV6_PREFIX_BITS}`);
  if (block === null) throw new TypeError('not an address in its one spelling');
  return block.text;
}
