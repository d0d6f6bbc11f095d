/** Prepared SQL on the pool, for the hottest reads. A statement is parsed and planned once a connection. */
import { createHash } from 'node:crypto';
import type pg from 'pg';

export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** The texts come from code, never from a caller, so there are few; the bound is there in case that ever breaks. */
const STATEMENTS_MAX = 10_000;
const statements = new Map<string, Statement>();

/** The statement of a text; the same text always has the same name. */
export function prepare(text: string): Statement {
  const known = statements.get(text);
  if (known !== undefined) return known;
  if (statements.size >= STATEMENTS_MAX) throw new RangeError(`more than ${STATEMENTS_MAX} prepared statements`);
  const statement = { name: `g_${createHash('sha1').update(text).digest('hex').slice(0, 24)}`, text };
  statements.set(text, statement);
  return statement;
}

export async function run<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  statement: Statement,
  values: unknown[],
): Promise<Row[]> {
  const result = await pool.query<Row>({ ...statement, values });
  return result.rows;
}
