/**
 * Stored values, checked as they are read. What a decision rests on is either read or refused: a value that cannot be
 * read is a bug, and never taken for an absent one.
 */

/** Names the value and never holds it: it may be personal, or a secret. */
export class UnreadableValueError extends Error {
  override readonly name = 'UnreadableValueError';

  constructor(what: string) {
    super(`${what} cannot be read, so the request is refused`);
  }
}

type Reader<Value> = (value: unknown, what: string) => Value;

/** Null where the value is null. A missing value (undefined) is unreadable. */
export function orNull<Value>(read: Reader<Value>, value: unknown, what: string): Value | null {
  return value === null ? null : read(value, what);
}

export const readText: Reader<string> = (value, what) => {
  if (typeof value !== 'string') throw new UnreadableValueError(what);
  return value;
};

export const readTexts: Reader<readonly string[]> = (value, what) => {
  if (!Array.isArray(value)) throw new UnreadableValueError(what);
  return value.map((item) => readText(item, what));
};

export const readBoolean: Reader<boolean> = (value, what) => {
  if (typeof value !== 'boolean') throw new UnreadableValueError(what);
  return value;
};

/** One of the words that this release knows. */
export function readWord<Word extends string>(words: readonly Word[], value: unknown, what: string): Word {
  const word = words.find((known) => known === value);
  if (word === undefined) throw new UnreadableValueError(what);
  return word;
}

const WHOLE_NUMBER = /^-?\d{1,16}$/;

/** A whole number that JavaScript holds exactly, from a number, a bigint or (as pg reads int8) digits. */
export const readWholeNumber: Reader<number> = (value, what) => {
  const isNumeral = typeof value === 'number' || typeof value === 'bigint';
  const number = isNumeral || (typeof value === 'string' && WHOLE_NUMBER.test(value)) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw new UnreadableValueError(what);
  return number;
};

/** The same, from zero up. */
export const readCount: Reader<number> = (value, what) => {
  const number = readWholeNumber(value, what);
  if (number < 0) throw new UnreadableValueError(what);
  return number;
};

/** From milliseconds since 1970, UTC. */
export const readEpochMs: Reader<Date> = (value, what) => readDate(new Date(readWholeNumber(value, what)), what);

/** A Date that is a moment. */
export const readDate: Reader<Date> = (value, what) => {
  if (!(value instanceof Date) || Number.isNaN(value.getTime())) throw new UnreadableValueError(what);
  return value;
};
