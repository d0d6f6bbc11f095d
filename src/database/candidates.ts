/**
 * Which rows of a table a filter looks at: those that one of its conditions finds by an index. The other conditions are
 * checked row by row.
 *
 * Each way goes by an index that has the network in its keys, so that no row of another network is read, and none is
 * counted when the server looks for a value. Which way it is depends on the conditions that are there and on the network's
 * own rows, never on the table's statistics.
 */
import type pg from 'pg';
import { columnOf, type KeysetTable } from './keyset-table.ts';
import { Parameters } from './parameters.ts';
import { run } from './prepared.ts';

/** A column whose values are unique in a network, with a sorted index on the network and it. */
export interface Lookup {
  readonly column: string;
  readonly type: string;
}

/** How the rows of a condition can be found; none of them: they cannot. The values are those of the condition. */
export interface CandidateCondition {
  readonly value: unknown;
  /** The value is a list, and a network has at most one row for each of its items: by a sorted index on the column. */
  readonly lookup?: Lookup;
  /** The column of the condition stands behind the network in a sorted index. `sql` is a condition of equality. */
  readonly isIndexed?: boolean;
  /** By the terms of the table: a row has any (`&&`) or all (`@>`) of those that `sql` makes, `$?::type` its value. */
  readonly terms?: { readonly match: '&&' | '@>'; readonly sql: string; readonly value: unknown };
  /** Where it says how far the values of a property reach: a walk in the order of that property begins or ends there. */
  readonly reach?: { readonly property: string; readonly compare: '<' | '>=' };
  readonly sql: string;
}

/** How the candidates are found. */
export type Way =
  | { readonly kind: 'lookup' | 'indexed' | 'terms' | 'network' }
  /** `isShort`: it holds no more rows of the network than WALK_MAX_ROWS. */
  | { readonly kind: 'range'; readonly property: string; readonly isShort: boolean };

/**
 * At a million rows a walk of so many takes about as long (20 ms) as finding and sorting the matches where a page of 100
 * needs a longer one.
 */
export const WALK_MAX_ROWS = 20_000;

type Table = KeysetTable<pg.QueryResultRow>;
type Conditions = readonly CandidateCondition[];

/** Asks the database only where there is a range and something else to go by. */
export async function wayOf(pool: pg.Pool, networkId: string, table: Table, conditions: Conditions): Promise<Way> {
  if (conditions.some(({ lookup }) => lookup)) return { kind: 'lookup' };
  if (conditions.some(({ isIndexed }) => isIndexed)) return { kind: 'indexed' };
  const properties = [...new Set(conditions.flatMap(({ reach }) => reach?.property ?? []))];
  const hasTerms = conditions.some(({ terms }) => terms);
  const [first] = properties;
  if (first === undefined) return { kind: hasTerms ? 'terms' : 'network' };
  const only: Way = { kind: 'range', property: first, isShort: false };
  if (!hasTerms && properties.length === 1) return only;
  for (const property of properties) {
    if (await isShort(pool, networkId, table, conditions, property)) return { kind: 'range', property, isShort: true };
  }
  return hasTerms ? { kind: 'terms' } : only;
}

async function isShort(
  pool: pg.Pool,
  networkId: string,
  table: Table,
  conditions: Conditions,
  property: string,
): Promise<boolean> {
  const parameters = new Parameters(networkId);
  const where = range(table, conditions, property, parameters);
  const text =
    `SELECT count(*)::int AS rows FROM (SELECT FROM ${table.name} WHERE ${where} ` +
    `LIMIT ${WALK_MAX_ROWS + 1}) AS counted`;
  const [row] = await run<{ rows: number }>(pool, { text }, parameters.values);
  return row !== undefined && row.rows <= WALK_MAX_ROWS;
}

/**
 * SQL for the candidates, as an item of FROM. OFFSET 0 keeps the planner from finding them otherwise; the caller still has
 * to apply the network and all conditions.
 */
export function candidates(table: Table, conditions: Conditions, way: Way, parameters: Parameters): string {
  return `(${candidateRows(table, conditions, way, parameters)}) AS gathered`;
}

function candidateRows(table: Table, conditions: Conditions, way: Way, parameters: Parameters): string {
  if (way.kind === 'lookup') return lookedUp(table, conditions, parameters);
  return `SELECT * FROM ${table.name} WHERE ${found(table, conditions, way, parameters)} OFFSET 0`;
}

function lookedUp(table: Table, conditions: Conditions, parameters: Parameters): string {
  const { lookup, value } = conditions.find((condition) => condition.lookup) ?? {};
  if (lookup === undefined) throw new TypeError('no condition can be looked up');
  return (
    `SELECT found.* FROM unnest(${parameters.hidden(value, `${lookup.type}[]`)}) AS given (value) ` +
    `CROSS JOIN LATERAL (${rowOf(table.name, '*', lookup.column, 'given.value')}) AS found`
  );
}

/**
 * SQL for the network's row that has a value in a column; at most one has. Comparisons of rows and the order can only be
 * served by the sorted index on both. By equality the planner may go by an index of the column alone, such as the primary
 * key: it would read the row of another network and then leave it out. Of a network that it sees, it may think that it is
 * empty, and any index of it as good: so it does not see that either.
 */
export function rowOf(table: string, selected: string, column: string, value: string): string {
  const place = `((SELECT $1::uuid), ${value})`;
  return (
    `SELECT ${selected} FROM ${table} WHERE (network_id, ${column}) >= ${place} ` +
    `AND (network_id, ${column}) <= ${place} ORDER BY network_id, ${column} LIMIT 1`
  );
}

function found(table: Table, conditions: Conditions, way: Way, parameters: Parameters): string {
  if (way.kind === 'range') return range(table, conditions, way.property, parameters);
  if (way.kind === 'terms') return byTerms(table, conditions, parameters);
  const indexed = conditions.filter(({ isIndexed }) => isIndexed);
  return ['network_id = $1', ...indexed.map(({ sql, value }) => parameters.fill(sql, value))].join(' AND ');
}

/** The network is in the terms. Its own condition would let the planner read the network by another index instead. */
function byTerms(table: Table, conditions: Conditions, parameters: Parameters): string {
  return conditions
    .flatMap(({ terms }) => terms ?? [])
    .map(({ match, sql, value }) => `${table.terms} ${match} (SELECT ${parameters.fill(sql, value)})`)
    .join(' AND ');
}

/** Bounded on both sides: a range that is open on one side is taken for a third of the network, whatever is in it. */
function range(table: Table, conditions: Conditions, property: string, parameters: Parameters): string {
  const column = columnOf(table, property);
  const reaches = conditions.filter(({ reach }) => reach?.property === property);
  const has = (compare: string) => reaches.some(({ reach }) => reach?.compare === compare);
  return [
    'network_id = $1',
    ...reaches.map(({ reach, value }) => `${column.sql} ${reach?.compare} ${parameters.hidden(value, column.type)}`),
    ...(has('>=') ? [] : [`${column.sql} >= ${parameters.hidden('-infinity', column.type)}`]),
    ...(has('<') ? [] : [`${column.sql} <= ${parameters.hidden('infinity', column.type)}`]),
  ].join(' AND ');
}
