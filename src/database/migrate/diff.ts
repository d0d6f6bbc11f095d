/** The SQL from one datamodel to another, by Prisma's engine, without a database. For authors and tests. */
import type { SqlDriverAdapter, SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import { ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import { NO_FILTER, openSchemaEngine } from './engine.ts';

const DIFFERENT = 2;

/** `from` null: nothing yet. Empty where there is no difference that gives SQL. */
export async function diffDatamodels(from: string | null, to: string): Promise<string> {
  const engine = await openSchemaEngine(noDatabase);
  try {
    const result = await engine.diff({
      from: from === null ? { tag: 'empty' } : datamodel(from),
      to: datamodel(to),
      script: true,
      exitCode: true,
      filters: NO_FILTER,
    });
    return result.exitCode === DIFFERENT ? (result.stdout ?? '') : '';
  } finally {
    engine.free();
  }
}

function datamodel(content: string) {
  return { tag: 'schemaDatamodel' as const, files: [{ path: 'schema.prisma', content }] };
}

const identity = { provider: 'postgres', adapterName: 'no-database' } as const;

async function refuse(): Promise<never> {
  throw new Error('The difference of two datamodels needs no database.');
}

/** The engine asks once, at its start: is the schema there, and which version is it? */
async function connect(): Promise<SqlDriverAdapter> {
  return {
    ...identity,
    queryRaw: async () => ({
      columnNames: ['exists', 'version', 'numeric_version'],
      columnTypes: [ColumnTypeEnum.Boolean, ColumnTypeEnum.Text, ColumnTypeEnum.Int32],
      rows: [[true, 'PostgreSQL 15.0', 150_000]],
    }),
    executeRaw: refuse,
    executeScript: refuse,
    startTransaction: refuse,
    dispose: async () => undefined,
  };
}

const noDatabase: SqlMigrationAwareDriverAdapterFactory = { ...identity, connect, connectToShadowDb: refuse };
