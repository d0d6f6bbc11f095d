/** Tables that can be listed, and what their orders sort by. */
import type pg from 'pg';

/** A row of a table that can be listed. */
export type KeysetRow = pg.QueryResultRow & { readonly id: string };

interface KeysetOrder {
  readonly property: string;
  readonly type: string;
  /** Where the column may be null: the value that it counts as. A long list has an index on the COALESCE. */
  readonly nullIs?: string;
}

/** A table that can be listed. All names here are code, never input. */
export interface KeysetTable<Row extends pg.QueryResultRow> {
  readonly name: string;
  /** The column of each property of a row, or an expression of columns. */
  readonly columns: Readonly<Record<string, string>>;
  /** The property that each order sorts by, with its column's type; the id breaks ties. Null: by id alone. */
  readonly orders: Readonly<Record<string, KeysetOrder | null>>;
  /** A query of the counter that knows how many `rows` a network (`$1`) has, where there is one. */
  readonly counter?: string;
  /** SQL for the terms of a row, as the index of the filters has them. */
  readonly terms?: string;
  /** The property that makes a row long: some kilobytes. */
  readonly longColumn?: string;
  /** Only there to carry the row's type. */
  readonly row?: Row;
}

type Table = KeysetTable<pg.QueryResultRow>;

export interface OrderColumn {
  readonly sql: string;
  readonly type: string;
  readonly nullIs: string | undefined;
}

/** What an order sorts by within a network, the id last. */
export function columnsOf(table: Table, name: string): OrderColumn[] {
  const order = orderOf(table, name);
  const id = { sql: 'id', type: 'uuid', nullIs: undefined };
  if (order === null) return [id];
  const { property, type, nullIs } = order;
  const column = table.columns[property];
  if (column === undefined) throw new TypeError(`${table.name} has no ${property}`);
  return [{ sql: nullIs === undefined ? column : `COALESCE(${column}, '${nullIs}'::${type})`, type, nullIs }, id];
}

export function orderOf(table: Table, name: string): KeysetOrder | null {
  const order = table.orders[name];
  if (order === undefined) throw new TypeError(`${table.name} has no order ${name}`);
  return order;
}

/** The column of a property that an order sorts by, as its index has it. */
export function columnOf(table: Table, property: string): OrderColumn {
  const name = Object.keys(table.orders).find((order) => table.orders[order]?.property === property);
  const [column] = name === undefined ? [] : columnsOf(table, name);
  if (column === undefined) throw new TypeError(`${table.name} has no order by ${property}`);
  return column;
}
