/** The database: one pool, two ways in (Prisma and prepared SQL), on the embedded server or on DATABASE_URL's. */
import { PrismaPg } from '@prisma/adapter-pg';
import type pg from 'pg';
import { AUDIT_RETENTION_DEFAULT_DAYS } from '../domain/audit.ts';
import { CancellableClient, CancellablePool } from './cancellation.ts';
import { type EmbeddedServer, openEmbedded } from './embedded/server.ts';
import { PrismaClient } from './generated/client.ts';
import { migrate } from './migrate/migrate.ts';

/** The driver's types, for whoever runs SQL of their own: the driver itself stays in this room. */
export type { Pool, PoolClient, QueryResultRow } from 'pg';

export interface DatabaseSettings {
  /** Absent: the embedded server in `dataDir`. */
  readonly url?: string | undefined;
  readonly dataDir: string;
  readonly poolSize: number;
  readonly statementTimeoutMs: number;
  /** For how many days the audit events that are written here are kept at the least. */
  readonly auditRetentionDays?: number;
  /** Told of a pooled connection that broke while idle; the pool replaces it. */
  readonly onConnectionLost?: (error: Error) => void;
}

export interface Database {
  readonly pool: pg.Pool;
  readonly prisma: PrismaClient;
  readonly embedded: boolean;
  /** Sentences for the operator, at every start. */
  readonly notices: readonly string[];
  close(): Promise<void>;
}

/** How long a caller waits for a free or new connection before the database counts as out of reach. */
const CONNECT_TIMEOUT_MS = 5_000;
/** A transaction whose gateway has gone silent is ended by the server, so that its locks hold nobody up. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 15_000;
/** The longest that one write transaction may take, all its statements together. */
export const TRANSACTION_TIMEOUT_MS = 15_000;

/** Starts or attaches to the server, migrates it, and opens the pool. Throws where it is out of reach. */
export async function openDatabase(settings: DatabaseSettings): Promise<Database> {
  const embedded = settings.url === undefined ? await openEmbedded({ dataDir: settings.dataDir }) : null;
  try {
    // A PGSSLMODE in the environment is meant for other servers than ours, which has no network.
    const connection = embedded === null ? { connectionString: settings.url } : { ...embedded.connection, ssl: false };
    await migrate(connection);
    return connect(connection, settings, embedded);
  } catch (error) {
    await embedded?.close();
    throw error;
  }
}

function connect(connection: pg.PoolConfig, settings: DatabaseSettings, embedded: EmbeddedServer | null): Database {
  const retention = settings.auditRetentionDays ?? AUDIT_RETENTION_DEFAULT_DAYS;
  const pool = new CancellablePool({
    ...connection,
    max: settings.poolSize,
    application_name: 'gatehouse',
    // What `services/transaction.ts` relies on, whatever the database's own default is: each statement sees the latest.
    // The column keep_until of audit_events takes the retention from its session.
    options: `-c TimeZone=UTC -c default_transaction_isolation=read\\ committed -c gatehouse.audit_retention_days=${retention}`,
    statement_timeout: settings.statementTimeoutMs,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    Client: CancellableClient,
  });
  pool.on('error', (error) => settings.onConnectionLost?.(error));
  const prisma = new PrismaClient({
    adapter: new PrismaPg(pool),
    errorFormat: 'minimal',
    transactionOptions: { maxWait: CONNECT_TIMEOUT_MS, timeout: TRANSACTION_TIMEOUT_MS },
  });
  return {
    pool,
    prisma,
    embedded: embedded !== null,
    notices: embedded?.notices ?? [],
    async close() {
      await prisma.$disconnect();
      await pool.end();
      await embedded?.close();
    },
  };
}
