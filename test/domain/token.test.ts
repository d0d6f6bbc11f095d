import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { base62Fixed } from '../../src/domain/base62.ts';
import {
  digestOf,
  ENVIRONMENTS,
  isToken,
  mintToken,
  redact,
  TOKEN_LENGTH,
  TOKEN_PATTERN,
} from '../../src/domain/token.ts';

const environment = fc.constantFrom(...ENVIRONMENTS);
const CHARACTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

describe('a token', () => {
  test.for([
    ['LIVE', /^gk_live_[0-9A-Za-z]{43}[0-9A-Za-z]{6}$/],
    ['TEST', /^gk_test_[0-9A-Za-z]{43}[0-9A-Za-z]{6}$/],
  ] as const)('of %s has its shape, and is known as one', ([kind, shape]) => {
    for (let minted = 0; minted < 500; minted += 1) {
      const token = mintToken(kind);
      expect(token).toMatch(shape);
      expect(token).toHaveLength(TOKEN_LENGTH);
      expect(isToken(token)).toBe(true);
    }
  });

  test('ends with the CRC-32 of all before it, so that others can check one too', () => {
    const token = mintToken('LIVE');
    const value = [...token.slice(-6)].reduce((sum, character) => sum * 62 + CHARACTERS.indexOf(character), 0);
    expect(value).toBe(crc32(token.slice(0, -6)));
  });

  test('is never made twice, and its randomness reaches every character', () => {
    const tokens = Array.from({ length: 5_000 }, () => mintToken('LIVE'));
    expect(new Set(tokens).size).toBe(tokens.length);
    for (let at = 9; at < 51; at += 1) expect(new Set(tokens.map((token) => token[at])).size).toBe(62);
    // 62^43 is a little more than 2^256: the first character is one of a few.
    expect(new Set(tokens.map((token) => token[8])).size).toBeGreaterThan(20);
  });

  test('with any one character changed, left out, doubled or swapped with its neighbour is none', () => {
    const property = fc.property(
      environment,
      fc.nat({ max: TOKEN_LENGTH - 1 }),
      fc.constantFrom(...CHARACTERS),
      (kind, at, character) => {
        const token = mintToken(kind);
        const [before, here, after] = [token.slice(0, at), token.charAt(at), token.slice(at + 1)];
        const changed = [
          before + character + after,
          before + after,
          before + here + here + after,
          before + after.charAt(0) + here + after.slice(1),
        ];
        for (const other of changed) expect(isToken(other)).toBe(other === token);
      },
    );
    fc.assert(property, { numRuns: 500 });
  });

  test('is no text that merely looks like one', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
        expect(isToken(text)).toBe(false);
      }),
    );
    const token = mintToken('LIVE');
    for (const other of [
      '',
      ` ${token}`,
      `${token}\n`,
      token.toUpperCase(),
      token.replace('live', 'test'),
      `gk_live_${'0'.repeat(49)}`,
    ]) {
      expect(isToken(other)).toBe(false);
    }
  });

  test('is found by its pattern anywhere in a text, whole', () => {
    const [a, b] = [mintToken('LIVE'), mintToken('TEST')];
    expect(`{"token":"${a}"} or https://x.test/?t=${b}&u=1`.match(TOKEN_PATTERN)).toEqual([a, b]);
    expect('gk_prod_abc and gk_live'.match(TOKEN_PATTERN)).toBeNull();
    expect((a + b + a).match(TOKEN_PATTERN)).toEqual([a, b, a]);
  });
});

describe('what is shown of a token', () => {
  test('is its start and its last four: 43 of its characters stay hidden', () => {
    fc.assert(
      fc.property(environment, (kind) => {
        const token = mintToken(kind);
        const shown = redact(token);
        expect(shown).toBe(`${token.slice(0, 12)}…${token.slice(-4)}`);
        expect(isToken(shown)).toBe(false);
      }),
      { numRuns: 50 },
    );
  });
});

test('its digest is SHA-256, 32 bytes', () => {
  const token = mintToken('LIVE');
  expect(digestOf(token)).toEqual(createHash('sha256').update(token, 'utf8').digest());
  expect(digestOf(token)).toHaveLength(32);
});

describe('base62 of a fixed length', () => {
  const toNumber = (text: string) =>
    [...text].reduce((sum, character) => sum * 62n + BigInt(CHARACTERS.indexOf(character)), 0n);

  test('gives every number of 256 bits its own 43 characters', () => {
    const property = fc.property(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), (value) => {
      const text = base62Fixed(value, 43);
      expect(text).toMatch(/^[0-9A-Za-z]{43}$/);
      expect(toNumber(text)).toBe(value);
    });
    fc.assert(property, { examples: [[0n], [1n], [61n], [62n], [2n ** 256n - 1n]] });
  });

  test('refuses what does not fit, rather than cutting it', () => {
    expect(base62Fixed(62n ** 43n - 1n, 43)).toBe('z'.repeat(43));
    expect(() => base62Fixed(62n ** 43n, 43)).toThrow(RangeError);
    expect(() => base62Fixed(-1n, 43)).toThrow(RangeError);
    expect(62n ** 43n > 2n ** 256n && 62n ** 6n > 2n ** 32n).toBe(true);
  });
});
