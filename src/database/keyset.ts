/**
 * Pages of a list by keyset: the rows after (or before) a place that is given by values, not by a row that must still
 * exist. Every page is of one network.
 *
 * Without a filter a page is read off the order's index, at the same cost however deep in the list it lies; one prepared
 * statement a shape. With a filter there are two ways, and which is the better depends on how many rows match, and where:
 * to walk along the order and leave out what does not match, or to find all that match by the filter's index and sort
 * them. Statistics don't tell, because they are of all networks together. So the walk comes first, of WALK_MAX_ROWS at
 * the most; where it does not fill the page, few rows match hereabouts, and the filter's index finds them.
 *
 * What a filter reads depends on the rows of its own network alone. Otherwise its time would tell whether a value is
 * common in other networks. So the planner sees no value of a filter (parameters.ts), and each index that a filter goes by
 * has the network in its keys (candidates.ts).
 */
import type pg from 'pg';
import {
  type CandidateCondition,
  candidates,
  type Lookup,
  rowOf,
  WALK_MAX_ROWS,
  type Way,
  wayOf,
} from './candidates.ts';
import { columnsOf, type KeysetTable, type OrderColumn, orderOf } from './keyset-table.ts';
import { Parameters } from './parameters.ts';
import { prepare, run } from './prepared.ts';

export { WALK_MAX_ROWS } from './candidates.ts';
export type { KeysetRow, KeysetTable } from './keyset-table.ts';

/** A place in the order: the values of the order's column (if it has one) and of the id. */
export type Place = readonly (string | number | Date | null)[];

export interface KeysetCondition extends CandidateCondition {
  /** Code, with `$?::type` where its value goes, once or more. */
  readonly sql: string;
  readonly value: unknown;
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
  // Planned each time: the size of the network matters, and a kept plan would be that of an average one.
  let walked: Row[] | null = null;
  if (!conditions.some(({ lookup }) => lookup)) {
    const { text, values } = walk(networkId, table, page, WALK_MAX_ROWS);
    walked = await run<Row>(pool, { text }, values);
    if (walked.length === limit) return walked;
  }
  const way = await wayOf(pool, networkId, table, conditions);
  // The range is so short that the walk has been through all of it.
  if (walked !== null && way.kind === 'range' && way.isShort && isOrder(table, page, way.property)) return walked;
  const { text, values } = gather(networkId, table, page, way);
  return run<Row>(pool, { text }, values);
}

/** Rows of a network by their values in a column where each is unique in the network, in no order. By default ids: UUIDs. */
export function keysetRows<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  networkId: string,
  table: Pick<KeysetTable<Row>, 'name' | 'columns'>,
  given: readonly string[],
  { column, type }: Lookup = { column: 'id', type: 'uuid' },
): Promise<Row[]> {
  const parameters = new Parameters(networkId);
  const values = parameters.add([...new Set(given)]);
  const columns = Object.entries(table.columns).map(([name, sql]) => `${sql} AS "${name}"`);
  const text =
    `SELECT found.* FROM unnest(${values}::${type}[]) AS given (value) ` +
    `CROSS JOIN LATERAL (${rowOf(table.name, columns.join(', '), column, 'given.value')}) AS found`;
  return run<Row>(pool, prepare(text), parameters.values);
}

// ——— statements ———

export interface Query {
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

/** `limit`: how many rows it goes on for; null: to the end of the list. */
function walk(networkId: string, table: Table, page: KeysetPage, limit: number | null): Query {
  const parameters = new Parameters(networkId);
  const end = limit === null ? 'OFFSET 0' : onward(limit, parameters);
  const columns = columnsOf(table, page.order).map(({ sql }, index) => `${sql} AS place_${index}`);
  const text =
    `SELECT ${selected(table, page)} FROM (SELECT *, ${columns.join(', ')} FROM ${table.name} ` +
    `WHERE ${inNetwork(table, page, parameters).join(' AND ')} ` +
    `ORDER BY ${sortedBy(table, page)} ${end}) AS walked ` +
    `WHERE ${filters(page.conditions, parameters).join(' AND ')} ` +
    `ORDER BY ${sortedBy(table, page, (_, index) => `place_${index}`)} LIMIT ${parameters.add(page.limit)}`;
  return { text, values: parameters.values };
}

/**
 * The end of a walk. The planner does not see the limit, so it plans for a tenth of the rows. Where it saw that the limit is
 * about all that there is, and it takes a range whose ends it cannot see for a fraction of what is there, it would read
 * and sort the whole range for each step of the walk.
 */
function onward(limit: number, parameters: Parameters): string {
  return `LIMIT ${parameters.hidden(limit, 'bigint')}`;
}

/** Which part of a list to count: that after a place, in an order, so many rows of it. */
export type CountedSlice = Pick<KeysetPage, 'order' | 'conditions' | 'after' | 'limit'>;

/**
 * Counts a slice of a list: how many rows it has (`rows`), how many of them satisfy the conditions (`matched`), and the
 * place of the last one (`place`, as texts; null of an empty slice). The rows' `ctid` is in no index: so the planner cannot
 * read the conditions' columns off an index of another order, and sort the whole network for each slice.
 */
export function countOfSlice(networkId: string, table: Table, slice: CountedSlice): Query {
  const page = { ...slice, wanted: null, descending: false, before: null, backward: false };
  const parameters = new Parameters(networkId);
  const columns = columnsOf(table, page.order).map(({ sql }, index) => ({ sql, name: `place_${index}` }));
  const backward = columns.map(({ name }) => `${name} DESC`).join(', ');
  const last = columns.map(({ name }) => `(array_agg(${name} ORDER BY ${backward}))[1]::text`).join(', ');
  const rows =
    `SELECT *, ctid AS row_place, ${columns.map(({ sql, name }) => `${sql} AS ${name}`).join(', ')} FROM ${table.name} ` +
    `WHERE ${inNetwork(table, page, parameters).join(' AND ')} ` +
    `ORDER BY ${sortedBy(table, page)} ${onward(page.limit, parameters)}`;
  const matching = ['true', ...filters(page.conditions, parameters)].join(' AND ');
  const text =
    `SELECT count(row_place)::float8 AS rows, count(*) FILTER (WHERE ${matching})::float8 AS matched, ` +
    `CASE WHEN count(*) > 0 THEN ARRAY[${last}] END AS place FROM (${rows}) AS slice`;
  return { text, values: parameters.values };
}

/** Counts what a way finds (candidates.ts), as far as `limit`: how many rows of it satisfy the conditions (`matched`). */
export function countOfFound(
  networkId: string,
  table: Table,
  conditions: readonly KeysetCondition[],
  way: Way,
  limit: number,
): Query {
  const parameters = new Parameters(networkId);
  const from = candidates(table, conditions, way, parameters);
  const where = ['network_id = $1', ...filters(conditions, parameters)];
  const rows = `SELECT FROM ${from} WHERE ${where.join(' AND ')} LIMIT ${parameters.add(limit)}`;
  return { text: `SELECT count(*)::float8 AS matched FROM (${rows}) AS found`, values: parameters.values };
}

function gather(networkId: string, table: Table, page: KeysetPage, way: Way): Query {
  const { conditions } = page;
  // No index knows more than the order's own: the walk goes on to its end.
  if (way.kind === 'network' || (way.kind === 'range' && isOrder(table, page, way.property)))
    return walk(networkId, table, page, null);
  const parameters = new Parameters(networkId);
  const from = candidates(table, conditions, way, parameters);
  const where = ['network_id = $1', ...beyond(table, page, parameters), ...filters(conditions, parameters)];
  const text =
    `SELECT ${selected(table, page)} FROM ${from} WHERE ${where.join(' AND ')} ` +
    `ORDER BY ${sortedBy(table, page)} LIMIT ${parameters.add(page.limit)}`;
  return { text, values: parameters.values };
}

function filters(conditions: readonly KeysetCondition[], parameters: Parameters): string[] {
  return conditions.map(({ sql, value }) => `(${parameters.fill(sql, value)})`);
}

function isOrder(table: Table, { order }: KeysetPage, property: string): boolean {
  return orderOf(table, order)?.property === property;
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
function reached(
  table: Table,
  { order, conditions }: Pick<KeysetPage, 'order' | 'conditions'>,
  side: string,
  parameters: Parameters,
): string | null {
  const property = orderOf(table, order)?.property;
  const [column] = columnsOf(table, order);
  const condition = conditions.find(({ reach }) => reach?.property === property && reach?.compare.startsWith(side));
  if (condition?.reach === undefined || column === undefined) return null;
  return `(network_id, ${column.sql}) ${condition.reach.compare} ($1, ${parameters.hidden(condition.value, column.type)})`;
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
