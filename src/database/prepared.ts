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

/** A time as PostgreSQL writes it to a session in UTC: but for its space and its zone, as JavaScript reads it. */
const USUAL_TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?\+00$/;

function parseTime(text: string): unknown {
  return USUAL_TIME.test(text) ? new Date(`${text.replace(' ', 'T')}:00`) : parseAnyTime(text);
}
