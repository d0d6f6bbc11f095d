/**
 * The network filter. Whoever reads for a caller holds a NetworkReads, and nothing else of the database: each of its
 * ways in is bound to one network, so a read that forgets the network can't be written.
 */
import type pg from 'pg';
import { AnswerSize } from '../domain/answer-size.ts';
import type { EmailIdentity } from '../domain/email-identity.ts';
import type { FeedState } from '../domain/feed-position.ts';
import type { UsageRange } from '../domain/usage.ts';
import type { Database } from './database.ts';
import { EMAIL_LOOKUP } from './email-identity.ts';
import type { Member, PrismaClient } from './generated/client.ts';
import { type KeysetCondition, type KeysetPage, type KeysetTable, keysetPage, keysetRows } from './keyset.ts';
import { keysetCount } from './keyset-count.ts';
import { type ChangesPage, type FeedPage, feedState, memberChanges } from './member-changes.ts';
import { rowsBytes } from './prepared.ts';
import { type PreviousSecret, previousSecrets } from './previous-secrets.ts';
import { MEMBERS } from './tables.ts';
import { type UsageRow, usageRows } from './usage-counts.ts';

export type { ChangedMember } from './member-changes.ts';

/** Not `count`: `NetworkReads.count` counts in slices, and knows what is to be paid for it. */
type Read = 'findMany' | 'findFirst' | 'findUnique';
const READS: ReadonlySet<string> = new Set<Read>(['findMany', 'findFirst', 'findUnique']);

type Filtered = ReturnType<typeof filtered>;

/**
 * Prisma, for reads of the network itself. Rows of other tables are read by SQL of our own (keyset.ts): under Prisma's, the
 * planner sees the values, and may go by an index that has rows of other networks.
 */
export interface NetworkPrisma {
  readonly network: Pick<Filtered['network'], Read>;
}

export class NetworkReads {
  /** A UUID. */
  readonly networkId: string;
  readonly #database: Database;
  #prisma: NetworkPrisma | null = null;

  readonly #signal: AbortSignal;
  readonly #counts = new Map<string, Promise<number>>();
  #countedRows = 0;
  readonly #answer: AnswerSize;

  /**
   * `signal`: once it fires no read begins; one under way is bounded by the statement's time limit. `answer`: that for
   * which rows are read; absent, one with the default bound.
   */
  constructor(database: Database, networkId: string, signal: AbortSignal, answer = new AnswerSize()) {
    this.#database = database;
    this.networkId = networkId;
    this.#signal = signal;
    this.#answer = answer;
  }

  /** Made on first use: a request that reads pages alone never needs it. */
  get prisma(): NetworkPrisma {
    this.#prisma ??= filtered(this.#database.prisma, this.networkId, this.#signal);
    return this.#prisma;
  }

  async page<Row extends pg.QueryResultRow>(table: KeysetTable<Row>, page: KeysetPage): Promise<Row[]> {
    const read = () => keysetPage(this.#database.pool, this.networkId, table, page);
    return this.#counted(longRows(table, page.wanted, page.limit), read, rowsBytes);
  }

  /** `keyIds`: UUIDs; null for the network as a whole. */
  async usage(range: UsageRange, keyIds: readonly string[] | null): Promise<UsageRow[]> {
    this.#signal.throwIfAborted();
    return usageRows(this.#database.pool, this.networkId, range, keyIds);
  }

  /** Rows by their ids, in no order. UUIDs. `wanted`: the properties that are needed of each beside the id; null: all. */
  byIds<Row extends pg.QueryResultRow>(
    table: KeysetTable<Row>,
    ids: readonly string[],
    wanted: KeysetPage['wanted'] = null,
  ): Promise<Row[]> {
    const read = () => keysetRows(this.#database.pool, this.networkId, withColumns(table, wanted), ids);
    return this.#counted(longRows(table, wanted, ids.length), read, rowsBytes);
  }

  /** Where two members have one mailbox (`gatehouse member conflicts`): the one whose address is spelled so. */
  async memberByEmail({ folded, lookups }: EmailIdentity): Promise<Member | null> {
    const read = () => keysetRows<Member>(this.#database.pool, this.networkId, MEMBERS, lookups, EMAIL_LOOKUP);
    const members = await this.#counted(lookups.length, read, rowsBytes);
    return members.find(({ emailFolded }) => emailFolded === folded) ?? members[0] ?? null;
  }

  async previousSecrets(keyIds: readonly string[]): Promise<PreviousSecret[]> {
    this.#signal.throwIfAborted();
    return previousSecrets(this.#database.pool, this.networkId, keyIds);
  }

  /** Once for each list, however often the request asks. */
  async count<Row extends pg.QueryResultRow>(
    table: KeysetTable<Row>,
    conditions: readonly KeysetCondition[],
  ): Promise<number> {
    this.#signal.throwIfAborted();
    const list = JSON.stringify([table.name, conditions.map(({ sql, value }) => [sql, value])]);
    const known = this.#counts.get(list);
    if (known !== undefined) return known;
    const count = keysetCount(this.#database.pool, this.networkId, table, conditions, (rows) => {
      this.#countedRows += rows;
      this.#signal.throwIfAborted();
    });
    this.#counts.set(list, count);
    return count;
  }

  /** How many rows have been looked at, until now, for this request's counts. */
  get countedRows(): number {
    return this.#countedRows;
  }

  /** How many members the network has. */
  memberCount(): Promise<number> {
    return this.count(MEMBERS, []);
  }

  /** Null where the network is gone. */
  async feedState(): Promise<FeedState | null> {
    this.#signal.throwIfAborted();
    return feedState(this.#database.pool, this.networkId);
  }

  /** Null where the network is gone. */
  async memberChanges(page: ChangesPage): Promise<FeedPage | null> {
    const sizeOf = (found: FeedPage | null) => rowsBytes(found?.changes.map(({ member }) => member) ?? []);
    return this.#counted(page.limit, () => memberChanges(this.#database.pool, this.networkId, page), sizeOf);
  }

  /** A read for the answer. `longRowsMax`: how many rows it may have that can be long. */
  #counted<Rows>(longRowsMax: number, read: () => Promise<Rows>, sizeOf: (rows: Rows) => number): Promise<Rows> {
    return this.#answer.read(
      longRowsMax,
      () => {
        this.#signal.throwIfAborted();
        return read();
      },
      sizeOf,
    );
  }
}

/** How many of so many rows can be long: those of which a long column is wanted. */
function longRows(table: KeysetTable<pg.QueryResultRow>, wanted: KeysetPage['wanted'], rows: number): number {
  const { longColumn } = table;
  return longColumn !== undefined && (wanted === null || wanted.has(longColumn)) ? rows : 0;
}

function withColumns<Row extends pg.QueryResultRow>(
  table: KeysetTable<Row>,
  wanted: KeysetPage['wanted'],
): Pick<KeysetTable<Row>, 'name' | 'columns'> {
  if (wanted === null) return table;
  const columns = Object.entries(table.columns).filter(([property]) => property === 'id' || wanted.has(property));
  return { name: table.name, columns: Object.fromEntries(columns) };
}

function filtered(prisma: PrismaClient, networkId: string, signal: AbortSignal) {
  return prisma.$extends({
    name: 'network filter',
    query: {
      $allModels: {
        $allOperations({ model, operation, args, query }) {
          if (!READS.has(operation)) throw new TypeError(`${operation} is not a read: writes go through services`);
          signal.throwIfAborted();
          const where = (args as { where?: Record<string, unknown> }).where ?? {};
          const own = model === 'Network' ? { id: networkId } : { networkId };
          // Ours stands beside the caller's conditions, never in place of one.
          const both = { ...where, AND: [own, ...[where['AND'] ?? []].flat()] };
          return query({ ...args, where: both } as typeof args);
        },
      },
    },
  });
}
