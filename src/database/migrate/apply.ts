/** Applies what is pending by Prisma's engine, on the locked session. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import { DriverAdapterError } from '@prisma/driver-adapter-utils';
import type { ConnectionPool } from '../connection-pool.ts';
import { NO_FILTER, openSchemaEngine } from './engine.ts';
import { LOCK_FILE, type Migration, SCRIPT_FILE } from './folder.ts';
import { MigrationError } from './migration-error.ts';
import { runScript } from './script.ts';

/** The names that were applied, in order. Throws a MigrationError, with nothing left of the migration that failed. */
export async function applyMigrations(
  session: ConnectionPool,
  folder: string,
  migrations: readonly Migration[],
): Promise<string[]> {
  const adapter = new WholeScriptAdapter(session, { schema: 'public' });
  const engine = await openSchemaEngine(adapter);
  try {
    const lockfile = { path: LOCK_FILE, content: await readFile(join(folder, LOCK_FILE), 'utf8') };
    const migrationDirectories = migrations.map(({ name, script }) => ({
      path: name,
      migrationFile: { path: SCRIPT_FILE, content: { tag: 'ok' as const, value: script } },
    }));
    const migrationsList = { baseDir: folder, lockfile, shadowDbInitScript: '', migrationDirectories };
    const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList, filters: NO_FILTER });
    return appliedMigrationNames;
  } catch (error) {
    throw adapter.scriptError ?? engineError(error);
  } finally {
    engine.free();
  }
}

/** Prisma's adapter, but for how it runs a script. */
class WholeScriptAdapter extends PrismaPg {
  /** What a script failed with: the engine's own report of it has lost the name and half of the reason. */
  scriptError: unknown;
  readonly #session: ConnectionPool;

  constructor(session: ConnectionPool, options: ConstructorParameters<typeof PrismaPg>[1]) {
    super(session, options);
    this.#session = session;
  }

  override async connect() {
    const adapter = await super.connect();
    adapter.executeScript = (script) => this.#executeScript(script);
    return adapter;
  }

  async #executeScript(script: string): Promise<void> {
    try {
      await runScript(this.#session, script);
    } catch (error) {
      this.scriptError = error;
      throw recordable(error);
    }
  }
}

/** In the shape that the engine writes into the migration's row, for whoever looks there. */
function recordable(error: unknown): DriverAdapterError {
  const message = error instanceof Error ? error.message : String(error);
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'N/A';
  const none = { detail: undefined, column: undefined, hint: undefined };
  return new DriverAdapterError({ kind: 'postgres', code, severity: 'ERROR', message, ...none });
}

const SCHEMA_NOT_EMPTY = 'P3005';

function engineError(cause: unknown): MigrationError {
  if (cause instanceof Error && 'code' in cause && cause.code === SCHEMA_NOT_EMPTY) {
    return new MigrationError(
      'This database holds tables that Gatehouse did not make, and no record of its migrations: ' +
        'give it an empty database.',
      { cause },
    );
  }
  const [reason] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
  return new MigrationError(`Prisma's schema engine could not migrate the database: ${reason}`, { cause });
}
