/**
 * The network filter. Whoever reads for a caller holds a NetworkReads, and nothing else of the database: each of its
 * ways in is bound to one network, so a read that forgets the network can't be written.
 */
import type pg from 'pg';
import type { FeedState } from '../domain/feed-position.ts';
import type { UsageRange } from '../domain/usage.ts';
import type { Database } from './database.ts';
import type { PrismaClient } from './generated/client.ts';
import { type KeysetCondition, type KeysetPage, type KeysetTable, keysetCount, keysetPage } from './keyset.ts';
import { type ChangesPage, type FeedPage, feedState, memberChanges } from './member-changes.ts';
import { type PreviousSecret, previousSecrets } from './previous-secrets.ts';
import { type UsageRow, usageRows } from './usage-counts.ts';

export type { ChangedMember } from './member-changes.ts';

type Read = 'findMany' | 'findFirst' | 'findUnique' | 'count';
const READS: ReadonlySet<string> = new Set<Read>(['findMany', 'findFirst', 'findUnique', 'count']);

type Filtered = ReturnType<typeof filtered>;

/** Prisma, for reads of one network. `secret` is left out: nobody reads digests for a caller. */
export interface NetworkPrisma {
  readonly network: Pick<Filtered['network'], Read>;
  readonly admin: Pick<Filtered['admin'], Read>;
  readonly apiKey: Pick<Filtered['apiKey'], Read>;
  readonly member: Pick<Filtered['member'], Read>;
  readonly auditEvent: Pick<Filtered['auditEvent'], Read>;
}

export class NetworkReads {
  /** A UUID. */
  readonly networkId: string;
  readonly #database: Database;
  #prisma: NetworkPrisma | null = null;

  readonly #signal: AbortSignal;

  /** `signal`: once it fires no read begins; one under way is bounded by the statement's time limit. */
  constructor(database: Database, networkId: string, signal: AbortSignal) {
    this.#database = database;
    this.networkId = networkId;
    this.#signal = signal;
  }

  /** Made on first use: a request that reads pages alone never needs it. */
  get prisma(): NetworkPrisma {
    this.#prisma ??= filtered(this.#database.prisma, this.networkId, this.#signal);
    return this.#prisma;
  }

  async page<Row extends pg.QueryResultRow>(table: KeysetTable<Row>, page: KeysetPage): Promise<Row[]> {
    this.#signal.throwIfAborted();
    return keysetPage(this.#database.pool, this.networkId, table, page);
  }

  /** `keyIds`: UUIDs; null for the network as a whole. */
  async usage(range: UsageRange, keyIds: readonly string[] | null): Promise<UsageRow[]> {
    this.#signal.throwIfAborted();
    return usageRows(this.#database.pool, this.networkId, range, keyIds);
  }

  /** Rows by their ids, in no order. UUIDs. */
  byIds<Row extends pg.QueryResultRow>(table: KeysetTable<Row>, ids: readonly string[]): Promise<Row[]> {
    const conditions = [{ sql: 'id = ANY($?::uuid[])', value: [...ids], matchesFew: true }];
    const all = { wanted: null, order: 'ID', descending: false, after: null, before: null, backward: false };
    return this.page(table, { ...all, conditions, limit: ids.length });
  }

  async previousSecrets(keyIds: readonly string[]): Promise<PreviousSecret[]> {
    this.#signal.throwIfAborted();
    return previousSecrets(this.#database.pool, this.networkId, keyIds);
  }

  async count<Row extends pg.QueryResultRow>(
    table: KeysetTable<Row>,
    conditions: readonly KeysetCondition[],
  ): Promise<number> {
    this.#signal.throwIfAborted();
    return keysetCount(this.#database.pool, this.networkId, table, conditions);
  }

  /** Null where the network is gone. */
  async feedState(): Promise<FeedState | null> {
    this.#signal.throwIfAborted();
    return feedState(this.#database.pool, this.networkId);
  }

  /** Null where the network is gone. */
  async memberChanges(page: ChangesPage): Promise<FeedPage | null> {
    this.#signal.throwIfAborted();
    return memberChanges(this.#database.pool, this.networkId, page);
  }
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
