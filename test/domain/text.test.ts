import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { characters, fold, hasControlCharacters, isWellFormed } from '../../src/domain/text.ts';

describe('folding', () => {
  test.for([
    ['case', 'ADA@Example.TEST', 'ada@example.test'],
    ['composition', 'Zoe\u0308', 'Zoë'],
    ['width', 'ＡＤＡ', 'ada'],
    ['ligatures', 'ﬁ', 'fi'],
    ['case beyond Latin', 'ÉМОЖ', 'éмож'],
    ['a capital sigma in the middle and at the end', 'ΟΔΟΣΑ', 'οδοσα'],
    ['both small sigmas', 'ΝΙΚΟΣ', 'νικοσ'],
    ['the sigma at the end, as it is written', 'ΝΙΚΟΣ', 'νικος'],
    ['a dotted capital I', '\u0130', 'i\u0307'],
  ] as const)('makes one of %s', ([, a, b]) => {
    expect(fold(a)).toBe(fold(b));
  });

  test('keeps apart what only resembles', () => {
    for (const [a, b] of [
      ['a', 'а'],
      ['ss', 'ß'],
      ['e', 'é'],
      ['a b', 'ab'],
    ] as const)
      expect(fold(a)).not.toBe(fold(b));
  });

  test('of a part is a part of what is folded, also where a word ends in it', () => {
    for (const [whole, part] of [
      ['ΟΔΟΣΑ ΝΙΚΟΣ', 'ΟΔΟΣ'],
      ['ΟΔΟΣΑ ΝΙΚΟΣ', 'νικοσ'],
      ['νικος', 'ΝΙΚΟΣ'],
    ] as const)
      expect(fold(whole)).toContain(fold(part));
  });

  test('of what is folded changes nothing, for every character there is', () => {
    const changed: string[] = [];
    for (let code = 0; code <= 0x10ffff; code += 1) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const folded = fold(String.fromCodePoint(code));
      if (fold(folded) !== folded) changed.push(code.toString(16));
    }
    expect(changed).toEqual([]);
  });

  test('of what is folded changes nothing, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(fold(fold(text))).toBe(fold(text));
      }),
    );
  });

  test('is the same in every locale', () => {
    expect(fold('TITLE I')).toBe('title i');
    expect(fold('İstanbul').normalize('NFD')).toBe('i̇stanbul'.normalize('NFD'));
  });
});

describe('characters', () => {
  test('are code points, as people count them more than units', () => {
    expect(characters('')).toBe(0);
    expect(characters('aé漢😀')).toBe(4);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(characters(text)).toBe([...text].length);
      }),
    );
  });
});

describe('control characters', () => {
  test('are C0, C1, DEL and the separators that break lines', () => {
    const found: number[] = [];
    for (let code = 0; code <= 0x2fff; code += 1)
      if (hasControlCharacters(`a${String.fromCharCode(code)}b`)) found.push(code);
    const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
    expect(found).toEqual([...range(0, 0x1f), ...range(0x7f, 0x9f), 0x2028, 0x2029]);
  });
});

test('a lone surrogate is no well-formed text', () => {
  for (const text of ['\ud800', 'a\udc00', '\udc00\ud800']) expect(isWellFormed(text)).toBe(false);
  for (const text of ['', 'a', '\ud83d\ude00']) expect(isWellFormed(text)).toBe(true);
});
