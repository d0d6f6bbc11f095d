/** The database: one pool, two ways in (Prisma and prepared SQL), on the embedded server or on DATABASE_URL's. */
import { PrismaPg } from '@prisma/adapter-pg';
import type pg from 'pg';
import type { Turns } from '../domain/turns.ts';
import { DatabaseClock } from './clock.ts';
import { ConnectionPool, type PoolEvents } from './connection-pool.ts';
import { ignoredNotice, readConnectionUrl } from './connection-url.ts';
import { DEADLINES, type Deadlines } from './deadlines.ts';
import { type EmbeddedServer, openEmbedded } from './embedded/server.ts';
import { FairPool, type FairPoolConfig } from './fair-pool.ts';
import { PrismaClient } from './generated/client.ts';
import { migrate } from './migrate/migrate.ts';
import { paceReading } from './paced-reading.ts';
import type { PooledConfig } from './pooled-client.ts';
import { sessionConfig } from './session-client.ts';
import { type SessionBounds, sessionSettings } from './session-settings.ts';

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
  /** How callers share the pool, in a gateway. Absent: whoever comes first is served first. */
  readonly shared?: SharedPoolSettings;
  /** Told of a pooled connection that broke while idle, or on which no answer came; the pool replaces it. */
  readonly onConnectionLost?: (error: Error) => void;
  /** Told of each statement that the database refuses for a reason that an operator can mend: read-only, a full disk. */
  readonly onRefused?: (error: Error) => void;
  /** Absent: DEADLINES. */
  readonly deadlines?: Deadlines | undefined;
}

interface SharedPoolSettings extends Pick<FairPoolConfig, 'waitMs' | 'onGrant'> {
  readonly turns: Turns;
}

export interface Database {
  readonly pool: pg.Pool;
  readonly prisma: PrismaClient;
  readonly clock: DatabaseClock;
  readonly embedded: boolean;
  /** Sentences for the operator, at every start. */
  readonly notices: readonly string[];
  /** Ends what is under way, whether or not the database answers: nothing can be asked any more. */
  cutOff(): void;
  /** Never waits for a database that does not answer for longer than its deadlines. */
  close(): Promise<void>;
}

const KEEP_ALIVE =
  '-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3 -c tcp_user_timeout=60000';
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
    const database = connect(connection, settings, embedded);
    await database.clock.read(database.pool).catch(async (error) => {
      await database.pool.end();
      throw error;
    });
    return database;
  } catch (error) {
    await embedded?.close();
    throw error;
  }
}

function noticesOf({ url }: DatabaseSettings): string[] {
  const notice = url === undefined ? null : ignoredNotice(readConnectionUrl(url).ignored);
  return notice === null ? [] : [notice];
}

function boundsOf({ statementTimeoutMs, auditRetentionDays }: DatabaseSettings): SessionBounds {
  return {
    statementTimeoutMs,
    // A wait for a lock is part of its statement.
    lockTimeoutMs: 0,
    idleInTransactionTimeoutMs: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    ...(auditRetentionDays === undefined ? {} : { auditRetentionDays }),
  };
}

function sharedPool(
  config: PooledConfig & { readonly max: number },
  events: PoolEvents,
  { turns, ...shares }: SharedPoolSettings,
): FairPool {
  const pool = new FairPool({ ...config, ...shares }, events);
  paceReading(pool, turns, (client) => pool.callerOf(client));
  return pool;
}

function connect(connection: pg.PoolConfig, settings: DatabaseSettings, embedded: EmbeddedServer | null): Database {
  const deadlines = settings.deadlines ?? DEADLINES;
  const lost = (error: Error) => settings.onConnectionLost?.(error);
  // A connection of which nothing is heard is closed on the server's side, too, instead of adding to its number for hours.
  const kept = { ...connection, options: `${connection.options ?? ''} ${KEEP_ALIVE}` };
  const config = {
    ...sessionConfig(kept, sessionSettings(boundsOf(settings))),
    deadlines,
    statementTimeoutMs: settings.statementTimeoutMs,
    max: settings.poolSize,
    application_name: 'gatehouse',
  };
  const events = { onSilent: lost, onRefused: (error: Error) => settings.onRefused?.(error) };
  const { shared } = settings;
  const pool = shared === undefined ? new ConnectionPool(config, events) : sharedPool(config, events, shared);
  pool.on('error', lost);
  // The pool's own limits, which say in words what was waited for, are reached before.
  const maxWait = (shared?.waitMs ?? 0) + deadlines.connectMs + 1_000;
  const prisma = new PrismaClient({
    adapter: new PrismaPg(pool),
    errorFormat: 'minimal',
    transactionOptions: { maxWait, timeout: TRANSACTION_TIMEOUT_MS },
  });
  return {
    pool,
    prisma,
    clock: new DatabaseClock(),
    embedded: embedded !== null,
    notices: embedded?.notices ?? noticesOf(settings),
    cutOff: () => pool.cutOff(),
    async close() {
      await prisma.$disconnect();
      await pool.end();
      await embedded?.close();
    },
  };
}
