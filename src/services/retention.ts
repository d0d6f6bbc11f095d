/**
 * What is kept for a time only is deleted after it, in small batches, each a statement of its own: none holds a lock for
 * long. Any gateway does it, one at a time over the whole database: whoever finds another at it leaves it alone.
 */
import type { Database } from '../database/database.ts';
import type { UsageBucket } from '../domain/usage.ts';
import type { Logger } from '../observability/logger.ts';
import { BATCH_ROWS, inBatches } from './batches.ts';
import { purgeIdempotentWrites } from './idempotency.ts';
import { purgeDeletions } from './members/purge-deletions.ts';
import { PeriodicJob } from './periodic-job.ts';

/** In days. */
export interface RetentionSettings {
  readonly usageMinutesDays: number;
  readonly usageHoursDays: number;
  readonly refusalsDays: number;
  readonly auditDays: number;
  readonly deletionsDays: number;
}

/** How many rows were deleted of each table. */
export type Swept = Readonly<Record<string, number>>;

const SWEEP_INTERVAL_MS = 3_600_000;
/** Gateways that start together do not all come at once. */
const FIRST_SWEEP_MAX_MS = 300_000;
/** A gateway that flushes sends again what it sent last at the most: what one noted so long ago, nobody asks for. */
const FLUSHES_DAYS = 30;
const RETENTION_LOCK = 0x7265746e;

interface Purge {
  readonly table: string;
  /** The column that tells the rows apart, or PostgreSQL's own. */
  readonly key: 'id' | 'ctid';
  /** $1: days. */
  readonly due: string;
  readonly days: number;
}

function purgesOf(settings: RetentionSettings): Purge[] {
  const age = (column: string) => `${column} < now() - make_interval(days => $1)`;
  // From the start of the bucket in which the retention begins, which is shown whole (domain/usage.ts).
  const usage = (bucket: UsageBucket, days: number): Purge => {
    const keptSince = `date_trunc('${bucket.toLowerCase()}', now() - make_interval(days => $1), 'UTC')`;
    return { table: 'usage_counts', key: 'ctid', due: `bucket = '${bucket}' AND starts_at < ${keptSince}`, days };
  };
  return [
    usage('MINUTE', settings.usageMinutesDays),
    usage('HOUR', settings.usageHoursDays),
    { table: 'authentication_failures', key: 'id', due: age('minute'), days: settings.refusalsDays },
    { table: 'refused_attempts', key: 'id', due: age('minute'), days: settings.refusalsDays },
    // Both the time that the event was promised when it was written, and the setting of today.
    { table: 'audit_events', key: 'id', due: `keep_until <= now() AND ${age('created_at')}`, days: settings.auditDays },
    { table: 'usage_flushes', key: 'ctid', due: age('flushed_at'), days: FLUSHES_DAYS },
  ];
}

/** Null where another gateway is at it. `signal`: ends it between two batches. */
export async function sweep(
  database: Pick<Database, 'pool' | 'prisma'>,
  settings: RetentionSettings,
  signal: AbortSignal,
): Promise<Swept | null> {
  const client = await database.pool.connect();
  try {
    const locked = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1, 0) AS locked', [
      RETENTION_LOCK,
    ]);
    if (locked.rows[0]?.locked !== true) return null;
    const swept: Record<string, number> = {};
    const note = (table: string, deleted: number) => {
      if (deleted > 0) swept[table] = (swept[table] ?? 0) + deleted;
    };
    for (const purge of purgesOf(settings)) {
      note(purge.table, await purgeAll((text, values) => client.query(text, values), purge, signal));
    }
    note('member_deletions', await purgeDeletions(database, settings.deletionsDays, signal));
    note('idempotent_writes', await purgeIdempotentWrites(database, signal));
    await client.query('SELECT pg_advisory_unlock($1, 0)', [RETENTION_LOCK]);
    return swept;
  } finally {
    // Where a statement has failed the lock goes with its session.
    client.release(true);
  }
}

function purgeAll(
  query: (text: string, values: unknown[]) => Promise<{ readonly rowCount: number | null }>,
  { table, key, due, days }: Purge,
  signal: AbortSignal,
): Promise<number> {
  const text = `DELETE FROM ${table} WHERE ${key} = ANY(ARRAY(SELECT ${key} FROM ${table} WHERE ${due} LIMIT ${BATCH_ROWS}))`;
  return inBatches(signal, async () => (await query(text, [days])).rowCount ?? 0);
}

/** Sweeps now and then, for as long as the gateway runs. */
export class RetentionJob extends PeriodicJob {
  constructor(
    database: Pick<Database, 'pool' | 'prisma'>,
    log: Logger,
    settings: RetentionSettings,
    firstMs = Math.random() * FIRST_SWEEP_MAX_MS,
  ) {
    const work = async (signal: AbortSignal) => {
      try {
        const swept = await sweep(database, settings, signal);
        if (swept !== null && Object.keys(swept).length > 0) log.info({ swept }, 'deleted what is past its retention');
      } catch (error) {
        log.warn({ error }, 'what is past its retention could not be deleted: it is tried again');
      }
    };
    super(work, { firstMs, everyMs: SWEEP_INTERVAL_MS });
  }
}
