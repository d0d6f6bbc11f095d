// Nobody rises: the rule, against what each power lets its holder do, spelled out.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isWithin } from '../../src/domain/address.ts';
import {
  beyondCaller,
  blocksOf,
  excessFaults,
  excessOf,
  type HeldPower,
  type Power,
} from '../../src/domain/key-power.ts';
import { ALL_SCOPES } from '../../src/domain/scope.ts';
import { UnreadableValueError } from '../../src/domain/unreadable.ts';

const HELD: HeldPower = {
  scopes: new Set(['keys:write', 'members:read'] as const),
  expiresAt: new Date('2030-01-01T00:00:00.000Z'),
  allowedAddresses: ['10.0.0.0/8', '2001:db8::/32'],
  environment: 'LIVE',
};
const SAME: Power = { ...HELD, scopes: ['members:read'] };

function kinds(power: Partial<Power>, held: Partial<HeldPower> = {}): string[] {
  return excessOf({ ...SAME, ...power }, { ...HELD, ...held }).map(({ of }) => of);
}

describe('a power is beyond its holder', () => {
  test.for([
    ['not where it is the same', {}, []],
    ['not where it is none at all', { scopes: [] }, []],
    ['with a scope more', { scopes: ['members:read', 'audit:read'] }, ['scopes']],
    ['with a scope that nobody knows', { scopes: ['everything'] }, ['scopes']],
    ['without an end', { expiresAt: null }, ['expiresAt']],
    ['with a millisecond more to live', { expiresAt: new Date('2030-01-01T00:00:00.001Z') }, ['expiresAt']],
    ['not with one less', { expiresAt: new Date('2029-12-31T23:59:59.999Z') }, []],
    ['from everywhere', { allowedAddresses: [] }, ['allowedAddresses']],
    ['from an address more', { allowedAddresses: ['10.0.0.0/8', '192.0.2.1/32'] }, ['allowedAddresses']],
    ['not from fewer', { allowedAddresses: ['10.1.0.0/16'] }, []],
    ['not in LIVE, for a LIVE one', { environment: 'LIVE' }, []],
    [
      'in all of it at once',
      { scopes: ['audit:read'], expiresAt: null, allowedAddresses: [] },
      ['scopes', 'expiresAt', 'allowedAddresses'],
    ],
  ] as const)('%s', ([, power, expected]) => {
    expect(kinds(power)).toEqual(expected);
  });

  test('in LIVE, for a TEST one; the other way round it is not', () => {
    expect(kinds({ environment: 'LIVE' }, { environment: 'TEST' })).toEqual(['environment']);
    expect(kinds({ environment: 'TEST' }, { environment: 'LIVE' })).toEqual([]);
    expect(kinds({ environment: 'TEST' }, { environment: 'TEST' })).toEqual([]);
  });

  test('in nothing of what its holder has no bounds for', () => {
    expect(kinds({ expiresAt: null, allowedAddresses: [] }, { expiresAt: null, allowedAddresses: [] })).toEqual([]);
  });
});

describe('for any two powers', () => {
  const block = fc
    .tuple(fc.nat(63), fc.integer({ min: 26, max: 32 }))
    .map(([byte, bits]) => `192.0.2.${byte & ~(2 ** (32 - bits) - 1)}/${bits}`);
  const power = fc.record({
    scopes: fc.subarray([...ALL_SCOPES]),
    expiresAt: fc.option(fc.integer({ min: 0, max: 3 }).map((ms) => new Date(ms))),
    allowedAddresses: fc.array(block, { maxLength: 3 }),
    environment: fc.constantFrom('LIVE' as const, 'TEST' as const),
  });
  type Any = typeof power extends fc.Arbitrary<infer Value> ? Value : never;
  const held = (any: Any): HeldPower => ({ ...any, scopes: new Set(any.scopes) });

  /** Everything that a power lets its holder do: when, from where, with which scope, writing or not. */
  function deedsOf({ scopes, expiresAt, allowedAddresses, environment }: Any): Set<string> {
    const times = [0, 1, 2, 3, 4].filter((time) => expiresAt === null || time < expiresAt.getTime());
    const everywhere = [...Array.from({ length: 64 }, (_, byte) => `192.0.2.${byte}`), '203.0.113.1', '::1'];
    const addresses = everywhere.filter(
      (address) => allowedAddresses.length === 0 || isWithin(address, blocksOf(allowedAddresses)),
    );
    const writes = environment === 'LIVE' ? ['reads', 'writes'] : ['reads'];
    const deeds = times.flatMap((time) =>
      addresses.flatMap((address) =>
        writes.flatMap((write) => scopes.map((scope) => `${time} ${address} ${write} ${scope}`)),
      ),
    );
    return new Set(deeds);
  }

  test('without an excess the one does nothing that the other could not do', () => {
    fc.assert(
      fc.property(power, power, (one, other) => {
        if (excessOf(one, held(other)).length > 0) return;
        const deeds = deedsOf(other);
        expect([...deedsOf(one)].filter((deed) => !deeds.has(deed))).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  test('it is a partial order: all hold themselves, and what is held by the held is held', () => {
    fc.assert(
      fc.property(power, power, power, (one, other, third) => {
        expect(excessOf(one, held(one))).toEqual([]);
        const isAtMost = (inner: Any, outer: Any) => excessOf(inner, held(outer)).length === 0;
        if (isAtMost(one, other) && isAtMost(other, third)) expect(isAtMost(one, third)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('what cannot be read is held by nobody', () => {
  const noTime = new Date(Number.NaN);
  test('an end that is no moment, of either', () => {
    expect(() => kinds({ expiresAt: noTime })).toThrow(UnreadableValueError);
    expect(() => kinds({}, { expiresAt: noTime })).toThrow(UnreadableValueError);
    expect(() => kinds({ expiresAt: undefined as never })).toThrow(UnreadableValueError);
  });

  test('an address block, of either', () => {
    expect(() => kinds({ allowedAddresses: ['10.0.0.0/99'] })).toThrow(UnreadableValueError);
    expect(() => kinds({}, { allowedAddresses: ['everywhere'] })).toThrow(UnreadableValueError);
  });

  test.each(['STAGING', '', undefined])(
    'the environment %s: as asked for it is LIVE, as held it is TEST',
    (strange) => {
      const environment = strange as never;
      expect(kinds({ environment }, { environment: 'TEST' })).toEqual(['environment']);
      expect(kinds({ environment: 'LIVE' }, { environment })).toEqual(['environment']);
    },
  );
});

test('every excess is an error at its field, in words that say what would do', () => {
  const held: HeldPower = { ...HELD, environment: 'TEST' };
  const power: Power = { scopes: ['audit:read'], expiresAt: null, allowedAddresses: [], environment: 'LIVE' };
  expect(excessFaults(excessOf(power, held), held)).toEqual([
    {
      code: 'SCOPE_NOT_HELD',
      message: 'A key can hand out no scope that its maker lacks: audit:read',
      field: ['input', 'scopes'],
    },
    { code: 'NOT_HELD', message: expect.stringContaining('2030-01-01T00:00:00.000Z'), field: ['input', 'expiresAt'] },
    {
      code: 'NOT_HELD',
      message: expect.stringContaining('10.0.0.0/8, 2001:db8::/32'),
      field: ['input', 'allowedAddresses'],
    },
    { code: 'NOT_HELD', message: 'A TEST key can make TEST keys alone', field: ['input', 'environment'] },
  ]);
  expect(beyondCaller(excessOf(power, held))).toEqual({
    code: 'NOT_HELD',
    message:
      'This key may do more than the caller’s token: the scopes audit:read; it lives longer; it may be used from more addresses; it is a LIVE key'.replace(
        '’',
        "'",
      ),
    field: ['input', 'id'],
  });
});
