import { describe, expect, test } from 'vitest';
import {
  fieldFaults,
  type KeyFields,
  keyName,
  type LifeBounds,
  reasonFaults,
  statusOf,
  storedFields,
} from '../../src/domain/api-key.ts';
import { UnreadableValueError } from '../../src/domain/unreadable.ts';

const NOW = new Date('2024-02-29T12:00:00.000Z');

const BOUNDS: LifeBounds = { now: NOW, madeAt: NOW, maxLifeSeconds: null };

function codesOf(fields: Partial<KeyFields>, bounds = BOUNDS): string[] {
  return fieldFaults(fields, bounds).map(({ code, field }) => `${code} ${field.join('.')}`);
}

describe('a key’s name', () => {
  test.for([
    ['1 character', 'x', []],
    ['100 characters', 'x'.repeat(100), []],
    ['100 characters of two units each', '😀'.repeat(100), []],
    ['letters of any script', '鍵 для المفتاح', []],
    ['none', '', ['BLANK input.name']],
    ['101 characters', 'x'.repeat(101), ['TOO_LONG input.name']],
    ['a line break', 'a\nb', ['INVALID input.name']],
    ['a NUL', 'a\u0000b', ['INVALID input.name']],
    ['a control character of Latin 1', 'a\u0085b', ['INVALID input.name']],
    ['a line separator', 'a\u2028b', ['INVALID input.name']],
    ['half a character', 'a\ud83d', ['INVALID input.name']],
    ['a Persian word with a joiner that keeps letters apart', '\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645', []],
    ['a Hindi word with a joiner', '\u0915\u094d\u200d\u0937', []],
    ['emoji that are joined, coloured and keycaps', '👩🏽‍💻 ❤️ 🏳️‍🌈 1️⃣', []],
    ['a zero width space alone', '\u200b', ['INVALID input.name']],
    ['a zero width space after a name', 'CI\u200b', ['INVALID input.name']],
    ['a joiner between Latin letters', 'C\u200dI', ['INVALID input.name']],
    ['two joiners in a row', '\u0645\u200c\u200c\u062e', ['INVALID input.name']],
    ['an override of direction', '\u202eIC', ['INVALID input.name']],
    ['an isolate', '\u2066x', ['INVALID input.name']],
    ['soft hyphens', '\u00ad'.repeat(3), ['INVALID input.name']],
    ['a byte order mark within', 'a\ufeffb', ['INVALID input.name']],
    ['a Hangul filler', '\u3164', ['INVALID input.name']],
    ['a name with a Hangul filler', 'CI\u3164', ['INVALID input.name']],
    ['a variation selector that varies nothing', 'CI\ufe0f', ['INVALID input.name']],
    ['Braille without dots', '\u2800', ['INVALID input.name']],
    ['a mark alone', '\u0301', ['INVALID input.name']],
    ['tags', 'CI\u{e0041}', ['INVALID input.name']],
  ] as const)('of %s', ([, name, codes]) => {
    expect(codesOf({ name })).toEqual(codes);
  });

  test('is stored without blanks around it and composed, so that what looks equal is equal', () => {
    expect(keyName('  Cafe\u0301\t\n')).toBe('Café');
    expect(keyName('\u00a0 \u3000')).toBe('');
    expect(keyName(keyName(' e\u0301 '))).toBe(keyName(' e\u0301 '));
  });
});

describe('a key’s end', () => {
  test.for([
    ['never', null, true],
    ['a minute ahead', '2024-02-29T12:01:00.000Z', true],
    ['a millisecond less', '2024-02-29T12:00:59.999Z', false],
    ['now', '2024-02-29T12:00:00.000Z', false],
    ['past', '2024-02-29T11:59:59.999Z', false],
    ['ten years ahead, over a leap day', '2034-03-01T12:00:00.000Z', true],
    ['a millisecond more', '2034-03-01T12:00:00.001Z', false],
    ['no time at all', 'never', false],
  ] as const)('is %s: %s', ([, at, isFine]) => {
    const expiresAt = at === null ? null : new Date(at);
    expect(codesOf({ expiresAt })).toEqual(isFine ? [] : ['OUT_OF_RANGE input.expiresAt']);
  });
});

describe('a key’s end under the policy of its network', () => {
  const policy = { ...BOUNDS, madeAt: new Date(NOW.getTime() - 86_400_000), maxLifeSeconds: 2 * 86_400 };
  test.for([
    ['never', null, false],
    ['so long after its making, not after now', '2024-03-01T12:00:00.000Z', true],
    ['a millisecond more', '2024-03-01T12:00:00.001Z', false],
    ['past', '2024-02-29T11:59:59.999Z', false],
  ] as const)('is %s: %s', ([, at, isFine]) => {
    const expiresAt = at === null ? null : new Date(at);
    expect(codesOf({ expiresAt }, policy)).toEqual(isFine ? [] : ['OUT_OF_RANGE input.expiresAt']);
  });

  test('is not judged where it is not touched', () => {
    expect(codesOf({ name: 'fine' }, policy)).toEqual([]);
  });
});

describe('a key’s note, and the reason of its end', () => {
  test.for([
    ['several lines', 'a\r\n\tb', []],
    ['a bell', 'a\u0007', ['INVALID']],
    ['half a character', 'a\ud83d', ['INVALID']],
    ['a token', `it was gk_live_${'0'.repeat(49)}`, ['INVALID']],
    ['a piece of one', 'gk_test_abc', ['INVALID']],
    ['one in base64', `x ${Buffer.from(`ci:gk_live_${'0'.repeat(49)}`).toString('base64')}`, ['INVALID']],
    ['an address, which is no token', 'ask ada%40example.org', []],
  ] as const)('may hold %s: %j', ([, text, codes]) => {
    expect(codesOf({ note: text })).toEqual(codes.map((code) => `${code} input.note`));
    expect(reasonFaults(text).map(({ code }) => code)).toEqual(codes);
  });

  test('are at most 1,000 and 500 characters long', () => {
    expect(codesOf({ note: '😀'.repeat(1_000) })).toEqual([]);
    expect(codesOf({ note: 'x'.repeat(1_001) })).toEqual(['TOO_LONG input.note']);
    expect(reasonFaults('😀'.repeat(500))).toEqual([]);
    expect(reasonFaults('x'.repeat(501)).map(({ code }) => code)).toEqual(['TOO_LONG']);
  });

  test('an empty one is none', () => {
    expect(storedFields({ note: ' \n ' })).toEqual({ note: null });
  });
});

describe('a key’s addresses', () => {
  test('are stored in one spelling, each once', () => {
    const allowedAddresses = ['10.0.0.9/8', ' 10.0.0.0/8', '::ffff:192.0.2.1', '2001:DB8::1'];
    expect(storedFields({ allowedAddresses })).toEqual({
      allowedAddresses: ['10.0.0.0/8', '192.0.2.1/32', '2001:db8::1/128'],
    });
  });

  test('that are none are named by their number, each', () => {
    const faults = fieldFaults({ allowedAddresses: ['10.0.0.0/8', 'localhost', '10.0.0.0/33'] }, BOUNDS);
    expect(faults.map(({ message }) => message.slice(0, 34))).toEqual([
      'Number 2 of the allowed addresses ',
      'Number 3 of the allowed addresses ',
    ]);
    expect(JSON.stringify(faults)).not.toContain('localhost');
  });

  test('are 50 at the most', () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => `10.0.0.${index}/32`);
    expect(codesOf({ allowedAddresses: many(50) })).toEqual([]);
    expect(codesOf({ allowedAddresses: many(51) })).toEqual(['TOO_LONG input.allowedAddresses']);
  });
});

test('scopes that there are not are named, each', () => {
  const faults = fieldFaults({ scopes: ['a', 'members:read', 'b'] }, BOUNDS);
  expect(faults.map(({ message }) => message)).toEqual(['There is no scope a', 'There is no scope b']);
});

test('all that is wrong comes back at once', () => {
  const wrong = { name: '', note: 'a\u0007', scopes: ['nope'], expiresAt: NOW, allowedAddresses: ['x'] };
  expect(codesOf(wrong)).toEqual([
    'BLANK input.name',
    'INVALID input.note',
    'INVALID input.scopes',
    'OUT_OF_RANGE input.expiresAt',
    'INVALID input.allowedAddresses',
  ]);
});

test.each([
  [{ revokedAt: undefined, expired: false }],
  [{ revokedAt: new Date(Number.NaN), expired: false }],
  [{ revokedAt: null, expired: undefined }],
  [{ revokedAt: null, expired: null }],
])('a key of which it cannot be read whether it has ended is neither active nor ended: %j', (ends) => {
  expect(() => statusOf(ends as never)).toThrow(UnreadableValueError);
});
