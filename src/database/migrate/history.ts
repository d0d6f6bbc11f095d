/** What a database has had, by Prisma's own table `_prisma_migrations`, against what the folder holds. */
import type pg from 'pg';
import { type Migration, matchesChecksum } from './folder.ts';
import { MigrationError } from './migration-error.ts';

/** A migration that was begun, and not rolled back since. */
export interface HistoryRow {
  readonly name: string;
  readonly checksum: string;
  readonly finished: boolean;
}

export interface Judgement {
  /** Migrations of the folder that the database has not had. */
  readonly pending: readonly string[];
  /** Migrations of the folder that were begun and never finished: they failed, were killed, or are running now. */
  readonly unfinished: readonly string[];
}

// Asked first, as an error would close the session, and with it the lock.
const TABLE_EXISTS = `SELECT to_regclass('public._prisma_migrations') IS NOT NULL AS exists`;

const HISTORY = `
  SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS finished
  FROM public._prisma_migrations
  WHERE rolled_back_at IS NULL`;

const ROLL_BACK_UNFINISHED = `
  UPDATE public._prisma_migrations
  SET rolled_back_at = now()
  WHERE finished_at IS NULL AND rolled_back_at IS NULL`;

/** No rows where the table does not exist yet. */
export async function readHistory(session: pg.Pool): Promise<readonly HistoryRow[]> {
  const { rows } = await session.query<{ exists: boolean }>(TABLE_EXISTS);
  return rows[0]?.exists === true ? (await session.query<HistoryRow>(HISTORY)).rows : [];
}

/**
 * Throws a MigrationError where the two contradict each other. Migrations that the database had of a later release are
 * no contradiction: each works while the previous release still runs.
 */
export function judge(migrations: readonly Migration[], history: readonly HistoryRow[]): Judgement {
  const applied = new Map(history.filter((row) => row.finished).map((row) => [row.name, row.checksum]));
  const begun = new Set(history.filter((row) => !row.finished).map((row) => row.name));
  refuseEdited(migrations, applied);

  const names = migrations.map((migration) => migration.name);
  const pending = names.filter((name) => !applied.has(name));
  refuseUnknown(names, pending, [...applied.keys()]);
  return { pending, unfinished: names.filter((name) => begun.has(name)) };
}

/**
 * Marks the unfinished as rolled back, so that they are tried again. Only under the lock, which says that none is
 * running; each ran in one transaction, so it left nothing.
 */
export async function rollBackUnfinished(session: pg.Pool, history: readonly HistoryRow[]): Promise<void> {
  if (history.some((row) => !row.finished)) await session.query(ROLL_BACK_UNFINISHED);
}

function refuseEdited(migrations: readonly Migration[], applied: ReadonlyMap<string, string>): void {
  for (const { name, script } of migrations) {
    const checksum = applied.get(name);
    if (checksum === undefined || matchesChecksum(script, checksum)) continue;
    throw new MigrationError(
      `Migration ${name} was changed after this database had it: restore its script and put the change into a new one.`,
    );
  }
}

function refuseUnknown(names: readonly string[], pending: readonly string[], applied: readonly string[]): void {
  const [unknown] = applied.filter((name) => !names.includes(name)).sort();
  if (unknown === undefined) return;
  const newest = names.at(-1);
  if (newest !== undefined && unknown < newest) {
    throw new MigrationError(
      `This database had migration ${unknown}, which this release lacks although it has later ones: ` +
        'run a release that has it.',
    );
  }
  const [missing] = pending;
  if (missing === undefined) return;
  throw new MigrationError(
    `This database had migration ${unknown} of a later release, but not ${missing} of this one: run the later release.`,
  );
}
