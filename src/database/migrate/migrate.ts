/**
 * Brings a database up to this release: Prisma's own migrations, run in process by Prisma's own engine. Any number of
 * gateways may start at once, and any may be killed at any moment: each migration commits together with its record, and
 * the next start goes on from there.
 */
import type pg from 'pg';
import { MIGRATIONS_FOLDER, readMigrations } from './folder.ts';
import { judge, readHistory, rollBackUnfinished } from './history.ts';
import { requireSchema } from './schema.ts';
import { LOCK_WAIT_MS, lock, openSession } from './session.ts';

export { MigrationError } from './migration-error.ts';

export interface MigrateOptions {
  /** Prisma's migrations folder; absent: Gatehouse's own. */
  readonly folder?: string;
  /** How long to wait for whoever else is migrating. */
  readonly lockWaitMs?: number;
}

/**
 * The names that were applied, in order. Throws a MigrationError that says in a sentence what is wrong; a database out
 * of reach shows as pg's own error. Where nothing is to be done, two small queries say so, and the engine is not even
 * loaded.
 */
export async function migrate(connection: pg.PoolConfig, options: MigrateOptions = {}): Promise<{ applied: string[] }> {
  const folder = options.folder ?? MIGRATIONS_FOLDER;
  const migrations = await readMigrations(folder);
  const session = openSession(connection);
  try {
    const before = judge(migrations, await readHistory(session));
    if (before.pending.length === 0 && before.unfinished.length === 0) return { applied: [] };

    await lock(session, options.lockWaitMs ?? LOCK_WAIT_MS);
    // Another gateway may have done it all while this one waited.
    const history = await readHistory(session);
    const { pending } = judge(migrations, history);
    await rollBackUnfinished(session, history);
    if (pending.length === 0) return { applied: [] };
    if (history.length === 0) await requireSchema(session);
    const { applyMigrations } = await import('./apply.ts');
    return { applied: await applyMigrations(session, folder, migrations) };
  } finally {
    await session.end();
  }
}
