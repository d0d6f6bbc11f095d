/** A list of any length as a command goes through it, a page at a time. */
import type { Database } from '../database/database.ts';
import { type KeysetPage, type KeysetRow, type KeysetTable, keysetPage, type Place } from '../database/keyset.ts';

const PAGE_ROWS = 500;

export interface PagedList {
  readonly order: string;
  readonly descending: boolean;
  readonly conditions: KeysetPage['conditions'];
  /** Rows at the most; left out: all. */
  readonly limit?: number | undefined;
}

export async function* pagesOf<Row extends KeysetRow>(
  { pool }: Pick<Database, 'pool'>,
  networkId: string,
  table: KeysetTable<Row>,
  { limit = Number.POSITIVE_INFINITY, ...list }: PagedList,
): AsyncGenerator<Row[]> {
  const property = table.orders[list.order]?.property;
  const page = { ...list, wanted: null, before: null, backward: false };
  let after: Place | null = null;
  for (let left = limit; left > 0; left -= PAGE_ROWS) {
    const size = Math.min(left, PAGE_ROWS);
    const rows: Row[] = await keysetPage<Row>(pool, networkId, table, { ...page, after, limit: size });
    yield rows;
    const last = rows.at(-1);
    if (rows.length < size || last === undefined) return;
    after = property === undefined ? [last.id] : [last[property], last.id];
  }
}
