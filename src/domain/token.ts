/**
 * The string that a caller sends: `gk_` + `live_` or `test_` + 43 base62 characters of randomness (256 bits) + 6 base62
 * characters of CRC-32 over everything before them. A leaked token is found by a pattern and a mistyped one is refused
 * without a lookup, as GitHub's are
 * (https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/).
 */
import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { base62Fixed } from './base62.ts';

export const ENVIRONMENTS = ['LIVE', 'TEST'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

const RANDOM_BYTES = 32;
/** 62^43 > 2^256: every value of 32 bytes fits. */
const RANDOM_CHARACTERS = 43;
/** 62^6 > 2^32. */
const CHECKSUM_CHARACTERS = 6;
const SHOWN_RANDOM_CHARACTERS = 4;

/** The length of every token, in characters. */
export const TOKEN_LENGTH = 'gk_live_'.length + RANDOM_CHARACTERS + CHECKSUM_CHARACTERS;

const SHAPE = /^gk_(?:live|test)_[0-9A-Za-z]{49}$/;

const PREFIX = 'gk_(?:live|test)_';

/** What looks like a token anywhere in a text, for the log's redaction: up to where the next one begins. */
export const TOKEN_PATTERN = new RegExp(`${PREFIX}(?:(?!${PREFIX})[0-9A-Za-z]){1,64}`, 'g');

/** The tokens in a text, each once, whatever stands around them: their checksums tell where they end. */
export function tokensIn(text: string): string[] {
  const starts = [...text.matchAll(new RegExp(PREFIX, 'g'))].map(({ index }) => index);
  return [...new Set(starts.map((start) => text.slice(start, start + TOKEN_LENGTH)).filter(isToken))];
}

/** A new token. Shown once to whoever made it; only its digest is stored. */
export function mintToken(environment: Environment): string {
  const random = base62Fixed(BigInt(`0x${randomBytes(RANDOM_BYTES).toString('hex')}`), RANDOM_CHARACTERS);
  const body = `gk_${environment.toLowerCase()}_${random}`;
  return body + checksum(body);
}

/** Whether a string has a token's shape and checksum. Needs no database. */
export function isToken(text: string): boolean {
  if (!SHAPE.test(text)) return false;
  const body = text.slice(0, -CHECKSUM_CHARACTERS);
  return text.slice(-CHECKSUM_CHARACTERS) === checksum(body);
}

/**
 * SHA-256, 32 bytes: all that is stored of a token. A fast digest is right here: 256 bits of randomness leave nothing
 * to guess, so slow password hashing would only slow every request down.
 */
export function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** What lists show: the token's start and its last four characters. */
export function redact(token: string): string {
  const start = token.slice(0, 'gk_live_'.length + SHOWN_RANDOM_CHARACTERS);
  return `${start}…${token.slice(-4)}`;
}

function checksum(body: string): string {
  return base62Fixed(BigInt(crc32(body)), CHECKSUM_CHARACTERS);
}
