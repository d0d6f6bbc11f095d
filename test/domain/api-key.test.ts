import { describe, expect, test } from 'vitest';
import { type KeyInput, keyFaults, keyName, scopesNotHeld } from '../../src/domain/api-key.ts';

const NOW = new Date('2024-02-29T12:00:00.000Z');

function codesOf(input: Partial<KeyInput>): string[] {
  const whole: KeyInput = { name: 'fine', scopes: [], expiresAt: null, environment: 'LIVE', ...input };
  return keyFaults(whole, NOW).map(({ code, field }) => `${code} ${field.join('.')}`);
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
    ['a millisecond ahead', '2024-02-29T12:00:00.001Z', true],
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

describe('a key’s scopes', () => {
  test('that there are not are named, each', () => {
    const faults = keyFaults(
      { name: 'x', scopes: ['a', 'members:read', 'b'], expiresAt: null, environment: 'LIVE' },
      NOW,
    );
    expect(faults.map(({ message }) => message)).toEqual(['There is no scope a', 'There is no scope b']);
  });

  test('are none that its maker lacks: these are named together', () => {
    const held = new Set(['keys:write', 'members:read'] as const);
    expect(scopesNotHeld(['members:read', 'keys:write'], held)).toEqual([]);
    expect(scopesNotHeld([], new Set())).toEqual([]);
    expect(scopesNotHeld(['members:read', 'members:email', 'audit:read'], held)).toEqual([
      {
        code: 'SCOPE_NOT_HELD',
        message: 'A key can hand out no scope that its maker lacks: members:email, audit:read',
        field: ['input', 'scopes'],
      },
    ]);
  });
});

test('all that is wrong comes back at once', () => {
  const codes = codesOf({ name: '', scopes: ['nope'], expiresAt: NOW });
  expect(codes).toEqual(['BLANK input.name', 'INVALID input.scopes', 'OUT_OF_RANGE input.expiresAt']);
});
