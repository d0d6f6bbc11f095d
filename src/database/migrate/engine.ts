/**
 * Prisma's schema engine in WebAssembly, loaded by hand: the package's own entry wants Node's import of .wasm files,
 * which is behind a flag. Its version is the one that @prisma/engines-version names; a test holds them together.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  bindMigrationAwareSqlAdapterFactory,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';

export type SchemaEngine = Pick<
  bindings.SchemaEngine,
  'applyMigrations' | 'diagnoseMigrationHistory' | 'diff' | 'free'
>;

/** No table or enum is left out of what the engine looks at. */
export const NO_FILTER: bindings.SchemaFilter = { externalTables: [], externalEnums: [] };

/** As much of it as is used here: TypeScript keeps it among the browser's types. */
declare const WebAssembly: {
  compile(bytes: Uint8Array): Promise<object>;
  Instance: new (module: object, imports: Record<string, object>) => { readonly exports: Record<string, unknown> };
};

let loading: Promise<void> | undefined;

/** Loads the engine once a process (40 ms); the caller frees what it gets. */
export async function openSchemaEngine(adapter: SqlMigrationAwareDriverAdapterFactory): Promise<SchemaEngine> {
  loading ??= load();
  await loading;
  return bindings.SchemaEngine.new({ datamodels: undefined }, ignoreLog, bindMigrationAwareSqlAdapterFactory(adapter));
}

async function load(): Promise<void> {
  const file = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const module = await WebAssembly.compile(await readFile(join(dirname(file), 'schema_engine_bg.wasm')));
  const { exports } = new WebAssembly.Instance(module, { './schema_engine_bg.js': withFreeTimers(bindings) });
  const start = exports['__wbindgen_start'];
  if (typeof start !== 'function') throw new TypeError('schema_engine_bg.wasm exports no __wbindgen_start');
  bindings.__wbg_set_wasm(exports);
  start();
}

/**
 * The engine sets a timer of ten seconds for a lock of its own and never clears it: a command line that migrated would
 * hang that long after its work is done. Its timers so hold no process up.
 */
function withFreeTimers(imports: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(imports).map(([name, value]: [string, unknown]) => {
      if (!name.startsWith('__wbg_setTimeout') || typeof value !== 'function') return [name, value];
      return [name, (...given: unknown[]) => value(...given).unref()];
    }),
  );
}

function ignoreLog(): void {
  // What it logs is its own progress, the scripts' text among it; what went wrong comes as an error.
}
