/**
 * The network filter. Whoever reads for a caller holds a NetworkReads, and nothing else of the database: each of its
 * ways in is bound to one network, so a read that forgets the network can't be written.
 */
import type pg from 'pg';
import type { Database } from './database.ts';
import type { PrismaClient } from './generated/client.ts';
import { type KeysetPage, type KeysetTable, keysetPage } from './keyset.ts';

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
