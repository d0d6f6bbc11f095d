/**
 * Ids: a type prefix and a UUIDv7, written as TypeID does it (https://github.com/jetify-com/typeid, spec v0.3): 26
 * characters of lower-case Crockford base32, which sort as the UUIDs do. The same string serves `node(id:)`, REST, the
 * console and the logs; the database keeps the 16 bytes of the UUID.
 */
import { randomInt } from 'node:crypto';
import { v7 } from 'uuid';
import { hasUuidShape, UUID_DIGITS, uuidDigit, uuidFromHex } from './uuid.ts';

export const ID_PREFIXES = {
  Network: 'net',
  Member: 'mem',
  ApiKey: 'key',
  Admin: 'adm',
  AuditEvent: 'evt',
} as const;
export type IdType = keyof typeof ID_PREFIXES;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const SUFFIX_CHARACTERS = 26;
const SHAPE = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;
const DIGITS = new Map([...ALPHABET].map((character, value) => [character, value]));
const TYPES: ReadonlyMap<string, IdType> = new Map(
  (Object.entries(ID_PREFIXES) as [IdType, string][]).map(([type, prefix]) => [prefix, type]),
);

/** By how much a clock may step back before ids follow it, instead of rising from the last one. */
const STEP_BACK_MAX_MS = 10_000;
const SEQUENCE_BITS = 31;
const last = { ms: Number.NEGATIVE_INFINITY, sequence: 0 };

/**
 * A new UUIDv7 (RFC 9562), as the database keeps it. `nowMs`: the time that it carries, in milliseconds since 1970; for what
 * is stored the database's (WriteTransaction.newId), for what this process alone knows its own. Ids that one process makes
 * by one clock rise.
 */
export function newUuid(nowMs: number = Date.now()): string {
  const ms = Math.floor(nowMs);
  if (!Number.isSafeInteger(ms)) throw new TypeError('an id needs a time');
  if (ms > last.ms || ms < last.ms - STEP_BACK_MAX_MS) {
    last.ms = ms;
    last.sequence = randomInt(2 ** SEQUENCE_BITS);
  } else {
    last.sequence += 1;
    if (last.sequence >= 2 ** (SEQUENCE_BITS + 1)) {
      last.ms += 1;
      last.sequence = 0;
    }
  }
  return v7({ msecs: last.ms, seq: last.sequence });
}

/** A UUID as the public id of a type. */
export function toId(type: IdType, uuid: string): string {
  return `${ID_PREFIXES[type]}_${encode(uuid)}`;
}

/** The type and UUID behind a public id; null where it is none. */
export function parseId(id: string): { type: IdType; uuid: string } | null {
  const cut = id.indexOf('_');
  const type = TYPES.get(id.slice(0, cut));
  const suffix = id.slice(cut + 1);
  if (cut < 0 || type === undefined || !SHAPE.test(suffix)) return null;
  return { type, uuid: decode(suffix) };
}

/** The UUID behind a public id of one type; null where it is none or another type's. */
export function uuidOf(type: IdType, id: string): string | null {
  const parsed = parseId(id);
  return parsed !== null && parsed.type === type ? parsed.uuid : null;
}

// 128 bits are one group of 8 (two characters) and six of 20 (five hexadecimal digits, four characters): numbers
// instead of BigInts, because ids are written a hundred and more a page.
const GROUP_DIGITS = 5;
const GROUP_CHARACTERS = 4;
const PAIRS: readonly string[] = [...ALPHABET].flatMap((first) => [...ALPHABET].map((second) => first + second));

function encode(uuid: string): string {
  const first = (uuidDigit(uuid, 0) << 4) | uuidDigit(uuid, 1);
  let text = pair(first);
  let seen = first;
  for (let at = 2; at < UUID_DIGITS; at += GROUP_DIGITS) {
    const group = groupAt(uuid, at);
    seen |= group;
    text += pair(group >>> 10) + pair(group & 1023);
  }
  if (seen < 0 || !hasUuidShape(uuid)) throw new TypeError('not a UUID in lower case');
  return text;
}

/** Five digits as a number; negative where one is none. */
function groupAt(uuid: string, at: number): number {
  return (
    (uuidDigit(uuid, at) << 16) |
    (uuidDigit(uuid, at + 1) << 12) |
    (uuidDigit(uuid, at + 2) << 8) |
    (uuidDigit(uuid, at + 3) << 4) |
    uuidDigit(uuid, at + 4)
  );
}

function pair(value: number): string {
  return PAIRS[value] ?? '';
}

function decode(suffix: string): string {
  let hex = hexOf(suffix.slice(0, 2), 2);
  for (let at = 2; at < SUFFIX_CHARACTERS; at += GROUP_CHARACTERS) {
    hex += hexOf(suffix.slice(at, at + GROUP_CHARACTERS), GROUP_DIGITS);
  }
  return uuidFromHex(hex);
}

function hexOf(characters: string, digits: number): string {
  let value = 0;
  for (const character of characters) value = value * 32 + (DIGITS.get(character) ?? 0);
  return value.toString(16).padStart(digits, '0');
}
