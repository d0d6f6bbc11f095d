// Stored values are read as what they are, or not at all.
import { describe, expect, test } from 'vitest';
import {
  orNull,
  readBoolean,
  readCount,
  readEpochMs,
  readText,
  readTexts,
  readWord,
  UnreadableValueError,
} from '../../src/domain/unreadable.ts';

describe('a value is read', () => {
  test.each([
    ['a count from a number', readCount(7, ''), 7],
    ['a count from a bigint', readCount(7n, ''), 7],
    ["a count from int8's digits", readCount('9007199254740991', ''), Number.MAX_SAFE_INTEGER],
    ['a time before 1970', readEpochMs('-1', ''), new Date(-1)],
    ['the last moment there is', readEpochMs('8640000000000000', ''), new Date(8.64e15)],
    ['null as null', orNull(readCount, null, ''), null],
  ])('%s', (_, read, wanted) => {
    expect(read).toEqual(wanted);
  });
});

describe('a value is refused', () => {
  test.each([
    ...[
      undefined,
      null,
      '',
      ' ',
      '1.5',
      '1e3',
      '0x10',
      'NaN',
      'Infinity',
      Number.NaN,
      Number.POSITIVE_INFINITY,
      1.5,
      -1,
      '-1',
      true,
      [1],
    ],
    ...['9007199254740992', 9007199254740992n, {}],
  ])('as a count: %s', (value) => {
    expect(() => readCount(value, 'it')).toThrow(UnreadableValueError);
  });

  test.each([undefined, null, '', Number.NaN, '8640000000000001', new Date(0)])('as a time: %s', (value) => {
    expect(() => readEpochMs(value, 'it')).toThrow(UnreadableValueError);
  });

  test.each([undefined, null, 0, 't', 'true'])('as a yes or no: %s', (value) => {
    expect(() => readBoolean(value, 'it')).toThrow(UnreadableValueError);
  });

  test.each([undefined, null, 'C', 'a', ['A']])('as one of two words: %s', (value) => {
    expect(() => readWord(['A', 'B'], value, 'it')).toThrow(UnreadableValueError);
  });

  test.each([undefined, null, 'a', [null], [['a']]])('as a list of texts: %s', (value) => {
    expect(() => readTexts(value, 'it')).toThrow(UnreadableValueError);
  });

  test('a missing value is not null', () => {
    expect(() => orNull(readText, undefined, 'it')).toThrow('it cannot be read');
  });
});
