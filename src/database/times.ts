/**
 * Times as the database writes them. Decisions read them as whole milliseconds (`epochMs`), which no setting shapes. All
 * else reads the text of a session in UTC (session-settings.ts): one that cannot be read fails its statement, and is
 * never taken for null.
 */
import pg from 'pg';
import { UnreadableValueError } from '../domain/unreadable.ts';

/** The first and the last moment that a Date can hold, in milliseconds (ECMA-262, 21.4.1.1). */
const DATE_LIMIT_MS = '8640000000000000';

/**
 * SQL: a timestamptz as milliseconds since 1970, of type bigint; null where it is null. Infinity, and what a Date cannot
 * hold, becomes the first or the last moment of a Date: before and after everything, as it was meant. The result is read
 * by `readEpochMs`. `expression`: SQL of our own.
 */
export function epochMs(expression: string): string {
  const ms = `extract(epoch FROM ${expression}) * 1000`;
  return `CASE WHEN ${expression} IS NOT NULL THEN LEAST(GREATEST(${ms}, -${DATE_LIMIT_MS}), ${DATE_LIMIT_MS})::bigint END`;
}

const { TIMESTAMPTZ } = pg.types.builtins;
const parseAnyTime: (text: string) => unknown = pg.types.getTypeParser(TIMESTAMPTZ);

/** pg's own parsers but for times, which make up a good part of a page's reading, and which pg reads as null at need. */
export const readableTimes: pg.CustomTypesConfig = {
  getTypeParser: (type, format) =>
    type === TIMESTAMPTZ && format !== 'binary' ? parseTime : pg.types.getTypeParser(type, format),
};

/** As a session in UTC writes the years that Prisma can read; its parser would leave out another offset. */
const PRISMA_TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?\+00$/;

/** Parsers that rely on the session's settings, such as Prisma's: times are checked before they get them. */
export function withReadableTimes(types: pg.CustomTypesConfig): pg.CustomTypesConfig {
  return {
    getTypeParser: (type, format) => {
      const parse: (text: string) => unknown = types.getTypeParser(type, format);
      if (type !== TIMESTAMPTZ || format === 'binary') return parse;
      return (text: string) => {
        if (!PRISMA_TIME.test(text)) throw new UnreadableValueError('A time in the database');
        return parse(text);
      };
    },
  };
}

/** Before it, a year is not written with four digits, or Date.UTC takes it for one of the twentieth century. */
const USUAL_YEARS_FROM = 1_000;

/**
 * A time as PostgreSQL writes it to a session in UTC, such as `2026-11-24 09:30:00.123+00`, read digit by digit: a page
 * has hundreds. Whatever is written otherwise (infinity, BC, years of five digits) goes to pg's own parser.
 */
function parseTime(text: string): unknown {
  const year = digits(text, 0, 4);
  const isUsual = text.endsWith('+00') && text[4] === '-' && text[10] === ' ' && year >= USUAL_YEARS_FROM;
  if (!isUsual) return readable(parseAnyTime(text));
  const fraction = Math.min(text.length - '+00'.length, 23) - 20;
  const ms = fraction <= 0 ? 0 : digits(text, 20, 20 + fraction) * 10 ** (3 - fraction);
  const [month, day] = [digits(text, 5, 7), digits(text, 8, 10)];
  const time = Date.UTC(year, month - 1, day, digits(text, 11, 13), digits(text, 14, 16), digits(text, 17, 19), ms);
  return readable(new Date(time));
}

/** pg gives null for what it cannot read, and numbers for infinity. */
function readable(time: unknown): unknown {
  const isReadable = time instanceof Date ? !Number.isNaN(time.getTime()) : typeof time === 'number';
  if (!isReadable) throw new UnreadableValueError('A time in the database');
  return time;
}

const ZERO = 0x30;

/** The number in a part of a text. */
function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at += 1) value = value * 10 + text.charCodeAt(at) - ZERO;
  return value;
}
