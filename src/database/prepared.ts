/** Prepared SQL on the pool, for the hottest reads. A statement is parsed and planned once a connection. */
import { createHash } from 'node:crypto';
import pg from 'pg';

export interface Statement {
  /** Under which a connection keeps it; absent: it is planned each time. */
  readonly name?: string;
  readonly text: string;
}

/**
 * Each connection keeps each of them. The texts come from code, but which columns a list reads is the caller's choice:
 * past the bound a new one works as well, and is not kept.
 */
const KEPT_MAX = 500;
const kept = new Map<string, Statement>();

/** The statement of a text; the same text always has the same name. */
export function prepare(text: string): Statement {
  const known = kept.get(text);
  if (known !== undefined) return known;
  if (kept.size >= KEPT_MAX) return { text };
  const statement = { name: `g_${createHash('sha1').update(text).digest('hex').slice(0, 24)}`, text };
  kept.set(text, statement);
  return statement;
}

export async function run<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  statement: Statement,
  values: unknown[],
): Promise<Row[]> {
  const result = await pool.query<Row>({ ...statement, values, types });
  return result.rows;
}

const { TIMESTAMPTZ } = pg.types.builtins;
const parseAnyTime: (text: string) => unknown = pg.types.getTypeParser(TIMESTAMPTZ);

/** pg's own parsers but for times, which make up a good part of a page's reading. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (type, format) =>
    type === TIMESTAMPTZ && format !== 'binary' ? parseTime : pg.types.getTypeParser(type, format),
};

/** Before it, a year is not written with four digits, or Date.UTC takes it for one of the twentieth century. */
const USUAL_YEARS_FROM = 1_000;

/**
 * A time as PostgreSQL writes it to a session in UTC, such as `2026-11-24 09:30:00.123+00`, read digit by digit: a page
 * has hundreds. Whatever is written otherwise (infinity, BC, years of five digits) goes to pg's own parser.
 */
function parseTime(text: string): unknown {
  const year = digits(text, 0, 4);
  const isUsual = text.endsWith('+00') && text[4] === '-' && text[10] === ' ' && year >= USUAL_YEARS_FROM;
  if (!isUsual) return parseAnyTime(text);
  const fraction = Math.min(text.length - '+00'.length, 23) - 20;
  const ms = fraction <= 0 ? 0 : digits(text, 20, 20 + fraction) * 10 ** (3 - fraction);
  const [month, day] = [digits(text, 5, 7), digits(text, 8, 10)];
  return new Date(Date.UTC(year, month - 1, day, digits(text, 11, 13), digits(text, 14, 16), digits(text, 17, 19), ms));
}

const ZERO = 0x30;

/** The number in a part of a text. */
function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at += 1) value = value * 10 + text.charCodeAt(at) - ZERO;
  return value;
}
