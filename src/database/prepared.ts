/** Prepared SQL on the pool, for the hottest reads. A statement is parsed and planned once a connection. */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { Limited } from './pooled-client.ts';
import { readableTimes } from './times.ts';

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
  const result = await pool.query<Row>({ ...statement, values, types: readableTimes });
  return result.rows;
}

/** The same for a statement that reads a row or two by key, while every request waits for it: its deadline is short. */
export async function lookUp<Row extends pg.QueryResultRow>(
  pool: Pick<pg.Pool, 'query'>,
  statement: Statement,
  values: unknown[],
): Promise<Row[]> {
  const lookup: Statement & Limited & pg.QueryConfig = { ...statement, values, types: readableTimes, limit: 'lookup' };
  const result = await pool.query<Row>(lookup);
  return result.rows;
}

/** What a column takes whose value is no text. */
const VALUE_BYTES = 16;

/** About as many bytes as rows take: their texts are what can be long. */
export function rowsBytes(rows: readonly object[]): number {
  let bytes = 0;
  for (const row of rows) {
    for (const value of Object.values(row)) bytes += valueBytes(value);
  }
  return bytes;
}

function valueBytes(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (Array.isArray(value)) return value.reduce<number>((bytes, item) => bytes + valueBytes(item), VALUE_BYTES);
  return VALUE_BYTES;
}
