/**
 * Pages of a list by keyset: the rows after (or before) a place that is given by values, not by a row that must still
 * exist. Every page is of one network.
 *
 * Without a filter a page is read off the order's index, at the same cost however deep in the list it lies; one prepared
 * statement a shape. With a filter there are two ways, and which is the better depends on how many rows match, and where:
 * to walk along the order and leave out what does not match, or to find all that match by the filter's index and sort
 * them. Statistics don't tell, because they are of all networks together. So the walk comes first, of WALK_MAX_ROWS at
 * the most; where it does not fill the page, few rows match hereabouts, and the filter's index finds them.
 */
import type pg from 'pg';
import { prepare, run } from './prepared.ts';

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
  /** Only there to carry the row's type. */
  readonly row?: Row;
}

/** A place in the order: the values of the order's column (if it has one) and of the id. */
export type Place = readonly (string | number | Date | null)[];

export interface KeysetCondition {
  /** Code, with `$?` where its value goes, once or more. */
  readonly sql: string;
  readonly value: unknown;
  /** Whether its index finds no more rows than a page or two: then there is no need to walk. */
  readonly matchesFew?: boolean;
  /** Where it says how far the values of a property reach: a walk in the order of that property begins or ends there. */
  readonly reach?: { readonly property: string; readonly compare: '<' | '>=' };
}

export interface KeysetPage {
  /** The properties that are wanted; the id and what the order sorts by come in any case. Null: all. */
  readonly wanted: ReadonlySet<string> | null;
  readonly order: string;
  readonly descending: boolean;
  readonly conditions: readonly KeysetCondition[];
  readonly after: Place | null;
  readonly before: Place | null;
  /** Whether the rows at the two places themselves count. */
  readonly inclusive?: boolean;
  /** Read from the end: the rows come back in the list's order all the same. */
  readonly backward: boolean;
  readonly limit: number;
}

/**
 * At a million rows a walk of so many takes about as long (20 ms) as finding and sorting the matches where a page of 100
 * needs a longer one.
 */
export const WALK_MAX_ROWS = 20_000;

type Table = KeysetTable<pg.QueryResultRow>;

/** The rows of a page, in the list's order. `networkId`: a UUID. */
export async function keysetPage<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  networkId: string,
  table: KeysetTable<Row>,
  page: KeysetPage,
): Promise<Row[]> {
  const rows = await rowsOf<Row>(pool, networkId, table, page);
  return page.backward ? rows.reverse() : rows;
}

async function rowsOf<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  networkId: string,
  table: KeysetTable<Row>,
  page: KeysetPage,
): Promise<Row[]> {
  const { conditions, limit } = page;
  if (conditions.length === 0) {
    const { text, values } = straight(networkId, table, page);
    return run<Row>(pool, prepare(text), values);
  }
  // Planned each time, with the values: which index is good depends on them.
  if (!conditions.some(({ matchesFew }) => matchesFew)) {
    const { text, values } = walk(networkId, table, page);
    const rows = await run<Row>(pool, { text }, values);
    if (rows.length === limit) return rows;
  }
  const { text, values } = gather(networkId, table, page);
  return run<Row>(pool, { text }, values);
}

/** How many rows of a network satisfy the conditions. */
export async function keysetCount(
  pool: pg.Pool,
  networkId: string,
  table: Table,
  conditions: readonly KeysetCondition[],
): Promise<number> {
  const parameters = new Parameters(networkId);
  const where = ['network_id = $1', ...parameters.conditions(conditions)];
  const text = `SELECT count(*)::float8 AS count FROM ${table.name} WHERE ${where.join(' AND ')}`;
  const [row] = await run<{ count: number }>(pool, { text }, parameters.values);
  return row?.count ?? 0;
}

// ——— statements ———

interface Query {
  readonly text: string;
  readonly values: unknown[];
}

function straight(networkId: string, table: Table, page: KeysetPage): Query {
  const parameters = new Parameters(networkId);
  const text =
    `SELECT ${selected(table, page)} FROM ${table.name} WHERE ${inNetwork(table, page, parameters).join(' AND ')} ` +
    `ORDER BY ${sortedBy(table, page)} LIMIT ${parameters.add(page.limit)}`;
  return { text, values: parameters.values };
}

function walk(networkId: string, table: Table, page: KeysetPage): Query {
  const parameters = new Parameters(networkId);
  const columns = columnsOf(table, page.order).map(({ sql }, index) => `${sql} AS place_${index}`);
  const text =
    `SELECT ${selected(table, page)} FROM (SELECT *, ${columns.join(', ')} FROM ${table.name} ` +
    `WHERE ${inNetwork(table, page, parameters).join(' AND ')} ` +
    `ORDER BY ${sortedBy(table, page)} LIMIT ${WALK_MAX_ROWS}) AS walked ` +
    `WHERE ${parameters.conditions(page.conditions).join(' AND ')} ` +
    `ORDER BY ${sortedBy(table, page, (_, index) => `place_${index}`)} LIMIT ${parameters.add(page.limit)}`;
  return { text, values: parameters.values };
}

/** OFFSET 0 keeps the planner from walking after all: it would take the matches for evenly spread. */
function gather(networkId: string, table: Table, page: KeysetPage): Query {
  const parameters = new Parameters(networkId);
  const where = ['network_id = $1', ...beyond(table, page, parameters), ...parameters.conditions(page.conditions)];
  const text =
    `SELECT ${selected(table, page)} FROM (SELECT * FROM ${table.name} WHERE ${where.join(' AND ')} OFFSET 0) AS gathered ` +
    `ORDER BY ${sortedBy(table, page)} LIMIT ${parameters.add(page.limit)}`;
  return { text, values: parameters.values };
}

/** A statement's values, the first of them the network. */
class Parameters {
  readonly values: unknown[];

  constructor(networkId: string) {
    this.values = [networkId];
  }

  /** Its name in the SQL. */
  add(value: unknown): string {
    return `$${this.values.push(value)}`;
  }

  conditions(conditions: readonly KeysetCondition[]): string[] {
    return conditions.map(({ sql, value }) => `(${sql.replaceAll('$?', this.add(value))})`);
  }
}

/**
 * The part of a network's list between the two places. The network stands in the comparisons as the indexes have it,
 * first: were it set apart by equality, the planner might take an index without it, and read past other networks' rows.
 * And they are comparisons of rows even where one column would do: those only a sorted index can serve.
 */
function inNetwork(table: Table, page: KeysetPage, parameters: Parameters): string[] {
  return bounds(page).map(([place, compare]) => {
    const side = compare.slice(0, 1);
    if (place === null) return reached(table, page, side, parameters) ?? `(network_id, network_id) ${side}= ($1, $1)`;
    const { names, values } = compared(table, page, place, parameters);
    return `(network_id, ${names}) ${compare} ($1, ${values})`;
  });
}

/** The same of rows that are of the network already. */
function beyond(table: Table, page: KeysetPage, parameters: Parameters): string[] {
  return bounds(page).flatMap(([place, compare]) => {
    if (place === null) return [];
    const { names, values } = compared(table, page, place, parameters);
    return [`(${names}) ${compare} (${values})`];
  });
}

/** Where no place bounds the list on this side, what a condition on the order's own column says, if there is one. */
function reached(table: Table, { order, conditions }: KeysetPage, side: string, parameters: Parameters): string | null {
  const property = orderOf(table, order)?.property;
  const [column] = columnsOf(table, order);
  const condition = conditions.find(({ reach }) => reach?.property === property && reach?.compare.startsWith(side));
  if (condition?.reach === undefined || column === undefined) return null;
  return `(network_id, ${column.sql}) ${condition.reach.compare} ($1, ${parameters.add(condition.value)}::${column.type})`;
}

function bounds({ after, before, descending, inclusive }: KeysetPage): [Place | null, string][] {
  const orEqual = inclusive === true ? '=' : '';
  const [up, down] = [`>${orEqual}`, `<${orEqual}`];
  return [
    [after, descending ? down : up],
    [before, descending ? up : down],
  ];
}

function compared(table: Table, { order }: KeysetPage, place: Place, parameters: Parameters) {
  const columns = columnsOf(table, order);
  const values = columns.map(({ type, nullIs }, index) => `${parameters.add(place[index] ?? nullIs)}::${type}`);
  return { names: columns.map(({ sql }) => sql).join(', '), values: values.join(', ') };
}

interface OrderColumn {
  readonly sql: string;
  readonly type: string;
  readonly nullIs: string | undefined;
}

function columnsOf(table: Table, name: string): OrderColumn[] {
  const order = orderOf(table, name);
  const id = { sql: 'id', type: 'uuid', nullIs: undefined };
  if (order === null) return [id];
  const { property, type, nullIs } = order;
  const column = table.columns[property];
  if (column === undefined) throw new TypeError(`${table.name} has no ${property}`);
  return [{ sql: nullIs === undefined ? column : `COALESCE(${column}, '${nullIs}'::${type})`, type, nullIs }, id];
}

function orderOf(table: Table, name: string): KeysetOrder | null {
  const order = table.orders[name];
  if (order === undefined) throw new TypeError(`${table.name} has no order ${name}`);
  return order;
}

function sortedBy(
  table: Table,
  { order, descending, backward }: KeysetPage,
  name = ({ sql }: OrderColumn, _index: number): string => sql,
): string {
  const direction = descending === backward ? 'ASC' : 'DESC';
  return ['network_id', ...columnsOf(table, order).map(name)].map((column) => `${column} ${direction}`).join(', ');
}

function selected(table: Table, { order, wanted }: KeysetPage): string {
  const sorted = orderOf(table, order);
  return Object.entries(table.columns)
    .filter(([name]) => wanted === null || name === 'id' || name === sorted?.property || wanted.has(name))
    .map(([name, column]) => `${column} AS "${name}"`)
    .join(', ');
}
