import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ID_PREFIXES, type IdType, newUuid, parseId, toId, uuidOf } from '../../src/domain/id.ts';

const TYPES = Object.keys(ID_PREFIXES) as IdType[];
const type = fc.constantFrom(...TYPES);
const uuid = fc.uuid({ version: [1, 4, 7] });

describe('an id', () => {
  test('is its type’s prefix and 26 characters, and leads back to the same UUID', () => {
    const property = fc.property(type, uuid, (of, value) => {
      const id = toId(of, value);
      expect(id).toMatch(new RegExp(`^${ID_PREFIXES[of]}_[0-7][0-9a-hjkmnp-tv-z]{25}$`));
      expect(parseId(id)).toEqual({ type: of, uuid: value });
      expect(uuidOf(of, id)).toBe(value);
    });
    fc.assert(property, {
      examples: [
        ['Member', '00000000-0000-0000-0000-000000000000'],
        ['Member', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
      ],
    });
  });

  test('is what TypeID’s specification makes of its UUID', () => {
    // From the valid.yml of https://github.com/jetify-com/typeid, spec v0.3.
    const pairs = [
      ['00000000-0000-0000-0000-000000000000', '00000000000000000000000000'],
      ['00000000-0000-0000-0000-000000000001', '00000000000000000000000001'],
      ['00000000-0000-0000-0000-00000000000a', '0000000000000000000000000a'],
      ['00000000-0000-0000-0000-000000000010', '0000000000000000000000000g'],
      ['00000000-0000-0000-0000-000000000020', '00000000000000000000000010'],
      ['ffffffff-ffff-ffff-ffff-ffffffffffff', '7zzzzzzzzzzzzzzzzzzzzzzzzz'],
      ['0110c853-1d09-52d8-d73e-1194e95b5f19', '0123456789abcdefghjkmnpqrs'],
      ['01890a5d-ac96-774b-bcce-b302099a8057', '01h455vb4pex5vsknk084sn02q'],
    ] as const;
    for (const [value, suffix] of pairs) expect(toId('Network', value)).toBe(`net_${suffix}`);
  });

  test('sorts as its UUID does', () => {
    fc.assert(
      fc.property(type, uuid, uuid, (of, a, b) => {
        expect(toId(of, a) < toId(of, b)).toBe(a < b);
      }),
    );
  });

  test('made later sorts later', () => {
    const ids = Array.from({ length: 5_000 }, () => toId('Member', newUuid()));
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
    expect(newUuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test('carries the time that it is given, and rises while that stands still or steps back a little', () => {
    const timeOf = (uuid: string) => Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16);
    const nowMs = Date.UTC(2026, 0, 1);
    expect(timeOf(newUuid(nowMs))).toBe(nowMs);
    const made = [nowMs, nowMs, nowMs - 5_000, nowMs + 1, nowMs].map((ms) => newUuid(ms));
    expect(made.toSorted()).toEqual(made);
    // Another clock: what one said does not keep ids of the other in its future.
    expect(timeOf(newUuid(nowMs - 3_600_000))).toBe(nowMs - 3_600_000);
    expect(() => newUuid(Number.NaN)).toThrow('a time');
  });

  test('of one type is none of another', () => {
    const property = fc.property(type, type, uuid, (a, b, value) => {
      expect(uuidOf(b, toId(a, value))).toBe(a === b ? value : null);
    });
    fc.assert(property);
  });

  test('whose text is changed in one place is another’s or none, never the same', () => {
    const property = fc.property(
      uuid,
      fc.nat({ max: 29 }),
      fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }),
      (value, at, character) => {
        const id = toId('Member', value);
        const changed = id.slice(0, at) + character + id.slice(at + 1);
        if (changed !== id) expect(parseId(changed)).not.toEqual({ type: 'Member', uuid: value });
      },
    );
    fc.assert(property, { numRuns: 500 });
  });
});

describe('what is no id', () => {
  const SUFFIX = '01h455vb4pex5vsknk084sn02q';
  test.for([
    ['nothing', ''],
    ['a prefix alone', 'mem_'],
    ['a suffix alone', SUFFIX],
    ['an unknown prefix', `usr_${SUFFIX}`],
    ['a prefix in capitals', `MEM_${SUFFIX}`],
    ['a suffix in capitals', `mem_${SUFFIX.toUpperCase()}`],
    ['a letter that Crockford leaves out', `mem_${SUFFIX.slice(0, -1)}l`],
    ['over 128 bits', 'mem_80000000000000000000000000'],
    ['too short', `mem_${SUFFIX.slice(1)}`],
    ['too long', `mem_0${SUFFIX}`],
    ['two separators', `mem__${SUFFIX}`],
    ['a blank at its end', `mem_${SUFFIX} `],
    ['a line break at its end', `mem_${SUFFIX}\n`],
    ['a UUID', '01890a5d-ac96-774b-bcce-b302099a8057'],
    ['a property of every object', `constructor_${SUFFIX}`],
  ] as const)('%s', ([, text]) => {
    expect(parseId(text)).toBeNull();
  });

  test('a UUID that is none is never written as an id', () => {
    for (const text of ['', 'x', '01890A5D-AC96-774B-BCCE-B302099A8057', '01890a5dac96774bbcceb302099a8057']) {
      expect(() => toId('Member', text)).toThrow(TypeError);
    }
  });
});
