/**
 * Connections to the letter of Relay's specification (https://relay.dev/graphql/connections.htm), over keyset pages.
 * Its algorithm applies the cursors, then `first`, then `last`; both page flags are exact, and cost a query only when
 * the client asks for the one that the page itself does not tell.
 */
import type { KeysetPage, KeysetRow, KeysetTable, Place } from '../database/keyset.ts';
import type { NetworkReads } from '../database/network-reads.ts';
import type { CursorSeal, CursorSigner } from '../domain/cursor.ts';
import { badInput } from '../domain/errors.ts';

export const PAGE_MAX = 250;
export const PAGE_DEFAULT = 50;

export interface PageArgs {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

/** A list: what is in it and in which order. Its cursors are good for it alone. */
export interface ListSpec<Row extends KeysetRow> {
  /** The properties that the query needs of a row; null: all. */
  readonly wanted: KeysetPage['wanted'];
  readonly table: KeysetTable<Row>;
  readonly order: string;
  readonly descending: boolean;
  readonly conditions: KeysetPage['conditions'];
  /** The values of a row's place: of the order's column, if it has one, and the id. */
  readonly placeOf: (row: Row) => Place;
}

export class Connection<Row extends KeysetRow> {
  readonly edges: readonly Edge<Row>[];
  readonly pageInfo: PageInfo;
  /** How many rows the whole list has: a query of its own. */
  readonly count: () => Promise<number>;

  constructor(edges: readonly Edge<Row>[], pageInfo: PageInfo, count: () => Promise<number>) {
    this.edges = edges;
    this.pageInfo = pageInfo;
    this.count = count;
  }

  get nodes(): readonly Row[] {
    return this.edges.map((edge) => edge.node);
  }
}

/** An edge; its cursor is signed only when it is asked for. */
export class Edge<Row> {
  readonly node: Row;
  readonly #seal: (row: Row) => string;

  constructor(node: Row, seal: (row: Row) => string) {
    this.node = node;
    this.#seal = seal;
  }

  get cursor(): string {
    return this.#seal(this.node);
  }
}

export interface PageInfo {
  readonly startCursor: string | null;
  readonly endCursor: string | null;
  hasNextPage(): boolean | Promise<boolean>;
  hasPreviousPage(): boolean | Promise<boolean>;
}

const NOTHING_MORE: ReadonlySet<string> = new Set();

/** Reads one page. Throws BAD_USER_INPUT for a count outside its bounds and for a cursor of another list. */
export async function connect<Row extends KeysetRow>(
  { reads, cursors }: { readonly reads: NetworkReads; readonly cursors: CursorSigner },
  spec: ListSpec<Row>,
  args: PageArgs,
): Promise<Connection<Row>> {
  const { first, last } = counts(args);
  const seal = cursors.forList(describe(reads.networkId, spec));
  const { order, descending, conditions, wanted } = spec;
  const list = { order, descending, conditions, wanted };
  const after = openPlace(seal, args.after, 'after');
  const before = openPlace(seal, args.before, 'before');

  // One row more than asked for tells whether there is another page.
  const limit = Math.max(first ?? 0, last ?? 0) + 1;
  const found = await reads.page(spec.table, { ...list, after, before, backward: first === null, limit });
  const rows = cut(found, first, last);

  const sealRow = (row: Row) => seal.seal(spec.placeOf(row).map(toCursorValue));
  const exists = async (probe: Pick<KeysetPage, 'after' | 'before'>) =>
    (
      await reads.page(spec.table, {
        ...list,
        wanted: NOTHING_MORE,
        ...probe,
        inclusive: true,
        backward: false,
        limit: 1,
      })
    ).length > 0;
  const [start, end] = [rows.at(0), rows.at(-1)];
  return new Connection(
    rows.map((row) => new Edge(row, sealRow)),
    {
      startCursor: start === undefined ? null : sealRow(start),
      endCursor: end === undefined ? null : sealRow(end),
      hasNextPage() {
        if (first !== null) return found.length > first;
        return before === null ? false : exists({ after: before, before: null });
      },
      hasPreviousPage() {
        if (last !== null) return found.length > last;
        return after === null ? false : exists({ after: null, before: after });
      },
    },
    () => reads.count(spec.table, conditions),
  );
}

interface Counts {
  readonly first: number | null;
  readonly last: number | null;
}

function counts(args: PageArgs): Counts {
  const first = pageCount(args.first, 'first');
  const last = pageCount(args.last, 'last');
  return first === null && last === null ? { first: PAGE_DEFAULT, last } : { first, last };
}

/** Null where none is given. Throws BAD_USER_INPUT outside the bounds. */
export function pageCount(value: number | null | undefined, field: string): number | null {
  if (value === null || value === undefined) return null;
  if (value >= 1 && value <= PAGE_MAX) return value;
  throw badInput(`\`${field}\` must be from 1 to ${PAGE_MAX}, not ${value}`, field);
}

/** EdgesToReturn: what `first` leaves, and of that what `last` leaves. Backward, `found` may begin a row early. */
function cut<Row>(found: readonly Row[], first: number | null, last: number | null): readonly Row[] {
  const taken = first === null ? found : found.slice(0, first);
  return last === null ? taken : taken.slice(-last);
}

/** All that a cursor is bound to. */
function describe(
  networkId: string,
  spec: Pick<ListSpec<{ id: string }>, 'order' | 'descending' | 'conditions'> & {
    readonly table: { readonly name: string };
  },
): string {
  const filter = spec.conditions.map(({ sql, value }) => [sql, value]);
  return JSON.stringify([networkId, spec.table.name, spec.order, spec.descending, filter]);
}

function openPlace(seal: CursorSeal, cursor: string | null | undefined, field: string): Place | null {
  if (cursor === null || cursor === undefined) return null;
  const values = seal.open(cursor);
  if (values !== null) return values.map(fromCursorValue);
  throw badInput(
    `\`${field}\` is no cursor of this list: it may be cut short, or come from another network, order or filter`,
    field,
  );
}

// A time travels as its milliseconds: the only numbers in a place are times.
function toCursorValue(value: Place[number]): string | number | null {
  return value instanceof Date ? value.getTime() : value;
}

function fromCursorValue(value: string | number | null): Place[number] {
  return typeof value === 'number' ? new Date(value) : value;
}
