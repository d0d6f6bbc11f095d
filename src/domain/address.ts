/**
 * IP addresses and blocks of them (CIDR, RFC 4632 and 4291). An IPv4 address that is written as an IPv6 one
 * (::ffff:192.0.2.1, as a socket that takes both gives it) is that IPv4 address.
 */
import ipaddr from 'ipaddr.js';

/** An address in its one spelling: dotted decimal, or RFC 5952. No zone, no port. */
export type Address = string;

/** All addresses from `first` to `last` of one family. */
export interface Block {
  /** In its one spelling, without the bits beyond the prefix: `192.0.2.0/24`. */
  readonly text: string;
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

const MAPPED_PREFIX_BITS = 96;

/** Null for what is no address: other spellings of IPv4 (octal, hexadecimal, short) are none, a zone is left out. */
export function parseAddress(text: string): Address | null {
  const [bare = ''] = text.split('%', 1);
  const parsed = read(bare);
  return parsed === null ? null : spell(parsed);
}

/** `192.0.2.0/24`, `2001:db8::/32`, or one address. Null for anything else. */
export function parseBlock(text: string): Block | null {
  const [, base = '', digits] = /^([0-9a-f:.]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const written = read(base, 'as written');
  if (written === null) return null;
  const bits = digits === undefined ? bitsOf(written) : Number(digits);
  if (bits > bitsOf(written)) return null;
  const mapped = written.kind() === 'ipv6' && (written as ipaddr.IPv6).isIPv4MappedAddress();
  if (mapped && bits >= MAPPED_PREFIX_BITS)
    return block((written as ipaddr.IPv6).toIPv4Address(), bits - MAPPED_PREFIX_BITS);
  return block(written, bits);
}

/** Whether an address is in one of these blocks. */
export function isWithin(address: Address, blocks: readonly Block[]): boolean {
  const parsed = read(address);
  if (parsed === null) return false;
  const [family, number] = [familyOf(parsed), numberOf(parsed)];
  return blocks.some((each) => each.family === family && each.first <= number && number <= each.last);
}

/** Whether every address of the inner blocks is in an outer one, be it in several of them together. */
export function areWithin(inner: readonly Block[], outer: readonly Block[]): boolean {
  return inner.every(({ family, first, last }) => {
    let covered = first;
    for (const each of outer.filter((one) => one.family === family).sort((a, b) => (a.first < b.first ? -1 : 1))) {
      if (each.first <= covered && covered <= each.last) covered = each.last + 1n;
    }
    return covered > last;
  });
}

function read(text: string, mapped?: 'as written'): ipaddr.IPv4 | ipaddr.IPv6 | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  if (!text.includes(':') || !ipaddr.IPv6.isValid(text)) return null;
  const parsed = ipaddr.IPv6.parse(text);
  return mapped === undefined && parsed.isIPv4MappedAddress() ? parsed.toIPv4Address() : parsed;
}

function block(base: ipaddr.IPv4 | ipaddr.IPv6, prefixBits: number): Block {
  const size = 1n << BigInt(bitsOf(base) - prefixBits);
  const first = (numberOf(base) / size) * size;
  const start = ipaddr.fromByteArray(bytesOf(first, bitsOf(base) / 8));
  return { text: `${spell(start)}/${prefixBits}`, family: familyOf(base), first, last: first + size - 1n };
}

function spell(address: ipaddr.IPv4 | ipaddr.IPv6): Address {
  return address.kind() === 'ipv6' ? (address as ipaddr.IPv6).toRFC5952String() : address.toString();
}

function familyOf(address: ipaddr.IPv4 | ipaddr.IPv6): 4 | 6 {
  return address.kind() === 'ipv4' ? 4 : 6;
}

function bitsOf(address: ipaddr.IPv4 | ipaddr.IPv6): 32 | 128 {
  return address.kind() === 'ipv4' ? 32 : 128;
}

function numberOf(address: ipaddr.IPv4 | ipaddr.IPv6): bigint {
  return address.toByteArray().reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

function bytesOf(number: bigint, length: number): number[] {
  return Array.from({ length }, (_, index) => Number((number >> BigInt(8 * (length - 1 - index))) & 0xffn));
}
