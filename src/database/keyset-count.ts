/**
 * How many rows of a network's list there are. Without conditions a counter knows. With some, those that an index finds are
 * counted in one statement, as far as a slice goes; where there are more, the list is counted in slices, each a statement of
 * its own, so that no count holds a connection for long.
 *
 * Each slice is of its own moment. A row that is not changed meanwhile is counted if it satisfies the conditions, and once;
 * any other as it was when its slice was counted.
 */
import type pg from 'pg';
import { type Way, wayOf } from './candidates.ts';
import { type CountedSlice, countOfFound, countOfSlice, type KeysetCondition, type KeysetTable } from './keyset.ts';
import { prepare, run } from './prepared.ts';

type Table = KeysetTable<pg.QueryResultRow>;

/** Rows of a slice: about 10 ms of the database, and 30 where the rows lie scattered over a large table. */
export const COUNT_SLICE_ROWS = 10_000;

/** `onRows`: called after each statement with how many rows it looked at; where it throws, counting ends. */
type OnRows = (rows: number) => void;

/** `networkId`: a UUID. */
export async function keysetCount(
  pool: pg.Pool,
  networkId: string,
  table: Table,
  conditions: readonly KeysetCondition[],
  onRows: OnRows,
): Promise<number> {
  if (conditions.length === 0) return countAll(pool, networkId, table, onRows);
  const way = await wayOf(pool, networkId, table, conditions);
  const isListed = way.kind === 'network' || (way.kind === 'range' && !way.isShort);
  const matched = isListed ? null : await countFound(pool, networkId, table, conditions, way);
  if (matched === null) return countInSlices(pool, networkId, table, conditions, onRows);
  onRows(matched);
  return matched;
}

/** Null where there is more than a slice. */
async function countFound(
  pool: pg.Pool,
  networkId: string,
  table: Table,
  conditions: readonly KeysetCondition[],
  way: Way,
): Promise<number | null> {
  const { text, values } = countOfFound(networkId, table, conditions, way, COUNT_SLICE_ROWS + 1);
  const [row] = await run<{ matched: number }>(pool, { text }, values);
  const matched = row?.matched ?? 0;
  return matched > COUNT_SLICE_ROWS ? null : matched;
}

/** By the counter. Without one, or before it has a row for the network, by counting, which is nobody's to pay for. */
async function countAll(pool: pg.Pool, networkId: string, table: Table, onRows: OnRows): Promise<number> {
  const counted = table.counter === undefined ? [] : await run<Counted>(pool, prepare(table.counter), [networkId]);
  return counted[0]?.rows ?? countInSlices(pool, networkId, table, [], () => onRows(0));
}

interface Counted {
  readonly rows: number;
}

interface Slice {
  readonly rows: number;
  readonly matched: number;
  readonly place: readonly string[] | null;
}

async function countInSlices(
  pool: pg.Pool,
  networkId: string,
  table: Table,
  conditions: readonly KeysetCondition[],
  onRows: OnRows,
): Promise<number> {
  const order = orderFor(table, conditions);
  let after: CountedSlice['after'] = null;
  let total = 0;
  for (;;) {
    const { text, values } = countOfSlice(networkId, table, { order, conditions, after, limit: COUNT_SLICE_ROWS });
    const [slice] = await run<Slice>(pool, { text }, values);
    if (slice === undefined) return total;
    onRows(slice.rows);
    total += slice.matched;
    if (slice.rows < COUNT_SLICE_ROWS || slice.place === null) return total;
    after = slice.place;
  }
}

/** Where a condition says how far the values of an order reach: that one, of which only that part is walked. */
function orderFor(table: Table, conditions: readonly KeysetCondition[]): string {
  const bounded = Object.entries(table.orders).find(([, order]) =>
    conditions.some(({ reach }) => reach !== undefined && reach.property === order?.property),
  );
  return bounded?.[0] ?? 'ID';
}
