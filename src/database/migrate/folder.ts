/** The migrations folder: one folder a migration, `<timestamp>_<name>/migration.sql`, in the order of their names. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MigrationError } from './migration-error.ts';

export const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../../prisma/migrations', import.meta.url));
export const SCRIPT_FILE = 'migration.sql';
export const LOCK_FILE = 'migration_lock.toml';

export interface Migration {
  readonly name: string;
  readonly script: string;
}

/** Throws a MigrationError for a folder without a script. */
export async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const names = await migrationNames(folder);
  return Promise.all(names.map(async (name) => ({ name, script: await readScript(folder, name) })));
}

/** The names in the order in which they apply. */
export async function migrationNames(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

async function readScript(folder: string, name: string): Promise<string> {
  try {
    return await readFile(join(folder, name, SCRIPT_FILE), 'utf8');
  } catch (cause) {
    throw new MigrationError(`Migration ${name} has no ${SCRIPT_FILE} that can be read.`, { cause });
  }
}

/**
 * Whether a script is the one that `_prisma_migrations` names. As in Prisma, line endings do not count: git may have
 * changed them.
 */
export function matchesChecksum(script: string, checksum: string): boolean {
  const spellings = [script, script.replaceAll('\r\n', '\n'), script.replaceAll('\n', '\r\n')];
  return spellings.some((spelling) => createHash('sha256').update(spelling).digest('hex') === checksum);
}
