/**
 * Pages of a list by keyset: the rows after (or before) a place that is given by values, not by a row that must still
 * exist. One prepared statement a shape; the values are parameters. Every page is of one network.
 */
import type pg from 'pg';
import { prepare, run } from './prepared.ts';

/** A row of a table that can be listed. */
export type KeysetRow = pg.QueryResultRow & { readonly id: string };

interface KeysetOrder {
  readonly property: string;
  readonly type: string;
}

/** A table that can be listed. All names here are code, never input. */
export interface KeysetTable<Row extends pg.QueryResultRow> {
  readonly name: string;
  /** The column of each property of a row. */
  readonly columns: Readonly<Record<string, string>>;
  /** The property that each order sorts by, with its column's type; the id breaks ties. Null: by id alone. */
  readonly orders: Readonly<Record<string, KeysetOrder | null>>;
  /** Only there to carry the row's type. */
  readonly row?: Row;
}

/** A place in the order: the values of the order's column (if it has one) and of the id. */
export type Place = readonly (string | number | Date | null)[];

export interface KeysetPage {
  /** The properties that are wanted; the id and what the order sorts by come in any case. Null: all. */
  readonly wanted: ReadonlySet<string> | null;
  readonly order: string;
  readonly descending: boolean;
  /** `sql` holds `$?` where its value goes. */
  readonly conditions: readonly { readonly sql: string; readonly value: unknown }[];
  readonly after: Place | null;
  readonly before: Place | null;
  /** Whether the rows at the two places themselves count. */
  readonly inclusive?: boolean;
  /** Read from the end: the rows come back in the list's order all the same. */
  readonly backward: boolean;
  readonly limit: number;
}

/** The rows of a page, in the list's order. `networkId`: a UUID. */
export async function keysetPage<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  networkId: string,
  table: KeysetTable<Row>,
  page: KeysetPage,
): Promise<Row[]> {
  const { text, values } = statement(networkId, table, page);
  const rows = await run<Row>(pool, prepare(text), values);
  return page.backward ? rows.reverse() : rows;
}

function statement(networkId: string, table: KeysetTable<pg.QueryResultRow>, page: KeysetPage) {
  const values: unknown[] = [networkId];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  const order = table.orders[page.order];
  if (order === undefined) throw new TypeError(`${table.name} has no order ${page.order}`);
  const sorted = order === null ? null : { ...order, column: columnOf(table, order.property) };

  const where = ['network_id = $1'];
  for (const { sql, value } of page.conditions) where.push(sql.replace('$?', parameter(value)));
  if (page.after !== null) where.push(...beyond(sorted, page.after, comparison(page, page.descending), parameter));
  if (page.before !== null) where.push(...beyond(sorted, page.before, comparison(page, !page.descending), parameter));

  const direction = page.descending === page.backward ? 'ASC' : 'DESC';
  const by = [...(sorted === null ? [] : [sorted.column]), 'id'].map((column) => `${column} ${direction}`);
  const text =
    `SELECT ${selected(table, order, page.wanted)} FROM ${table.name} WHERE ${where.join(' AND ')} ` +
    `ORDER BY ${by.join(', ')} LIMIT ${parameter(page.limit)}`;
  return { text, values };
}

function columnOf({ name, columns }: KeysetTable<pg.QueryResultRow>, property: string): string {
  const column = columns[property];
  if (column === undefined) throw new TypeError(`${name} has no ${property}`);
  return column;
}

function selected(
  { columns }: KeysetTable<pg.QueryResultRow>,
  order: KeysetOrder | null,
  wanted: ReadonlySet<string> | null,
): string {
  return Object.entries(columns)
    .filter(([name]) => wanted === null || name === 'id' || name === order?.property || wanted.has(name))
    .map(([name, column]) => `${column} AS "${name}"`)
    .join(', ');
}

type Comparison = '<' | '<=' | '>' | '>=';

function comparison({ inclusive = false }: KeysetPage, less: boolean): Comparison {
  if (inclusive) return less ? '<=' : '>=';
  return less ? '<' : '>';
}

/** The rows beyond a place. A row comparison walks the index of (network_id, column, id) from there. */
function beyond(
  order: { readonly column: string; readonly type: string } | null,
  place: Place,
  compare: Comparison,
  parameter: (value: unknown) => string,
): string[] {
  const [first, second] = place;
  if (order === null) return [`id ${compare} ${parameter(first)}::uuid`];
  return [`(${order.column}, id) ${compare} (${parameter(first)}::${order.type}, ${parameter(second)}::uuid)`];
}
