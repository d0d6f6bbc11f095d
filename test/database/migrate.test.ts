/** Migrating: once, whoever starts at once, whatever fails or is killed; and on record as Prisma's own. */
import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PrismaPg } from '@prisma/adapter-pg';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openSchemaEngine } from '../../src/database/migrate/engine.ts';
import { MIGRATIONS_FOLDER, migrationNames, readMigrations } from '../../src/database/migrate/folder.ts';
import { MigrationError, migrate } from '../../src/database/migrate/migrate.ts';
import { runScript } from '../../src/database/migrate/script.ts';
import { lock, openSession } from '../../src/database/migrate/session.ts';
import { openClient, openPool, type TestPool } from '../support/postgres.ts';
import { openScratchServer, SCRATCH_HOOK_TIMEOUT_MS, type ScratchServer } from './scratch-database.ts';

const TEST_TIMEOUT_MS = 30_000;
vi.setConfig({ testTimeout: TEST_TIMEOUT_MS });
/** How long a migration takes that is to be killed in the middle. */
const SLOW_S = 1;

let server: ScratchServer;
let scratchFolder: string;
const pools: TestPool[] = [];

beforeAll(async () => {
  server = await openScratchServer();
  scratchFolder = await mkdtemp(join(tmpdir(), 'gatehouse-migrations-'));
}, SCRATCH_HOOK_TIMEOUT_MS);

afterAll(async () => {
  for (const pool of pools) await pool.close();
  await server?.close();
  await rm(scratchFolder, { recursive: true, force: true });
}, SCRATCH_HOOK_TIMEOUT_MS);

describe('an empty database', () => {
  test('gets every migration, in order, and Prisma agrees that nothing is left to do', async () => {
    const { connection, query } = await database();
    expect(await migrate(connection)).toEqual({ applied: await migrationNames(MIGRATIONS_FOLDER) });
    expect(await query('SELECT id FROM networks')).toEqual([]);
    expect(await prismaSays(connection)).toEqual({
      applied: [],
      diagnosis: { editedMigrationNames: [], failedMigrationNames: [], hasMigrationsTable: true, history: null },
    });
  });

  test('is migrated once by gateways that start at once, which all come up', async () => {
    const { connection, query } = await database();
    const starts = await Promise.all([startGateway(connection), startGateway(connection), migrate(connection)]);
    expect(starts.filter((start) => start.applied.length > 0)).toHaveLength(1);
    expect(await query('SELECT migration_name FROM _prisma_migrations')).toHaveLength(starts.flatMap(applied).length);
  });

  test('may be one of several that one process migrates at once', async () => {
    const databases = await Promise.all([database(), database(), database()]);
    const names = await migrationNames(MIGRATIONS_FOLDER);
    const results = await Promise.all(databases.map(({ connection }) => migrate(connection)));
    expect(results.map(applied)).toEqual([names, names, names]);
  });
});

test('a later start applies nothing, and does not load the engine', async () => {
  const { connection } = await database();
  await expect(startGateway(connection, { withoutEngine: true })).rejects.toThrow('the engine was loaded');
  await migrate(connection);
  expect(await startGateway(connection, { withoutEngine: true })).toEqual({ applied: [] });
});

describe('whoever else is migrating', () => {
  test('is waited for no longer than the bound', async () => {
    const { connection } = await database();
    const other = await holdPrismaLock(connection);
    const refused = migrate(connection, { lockWaitMs: 200 });
    await expect(refused).rejects.toThrow(MigrationError);
    await expect(refused).rejects.toThrow(
      /^Another gateway, or prisma migrate deploy, .* for 0\.2 seconds: start again/,
    );
    await other.end();
  });

  test('is not waited for where nothing is to be done', async () => {
    const { connection } = await database();
    await migrate(connection);
    const other = await holdPrismaLock(connection);
    expect(await migrate(connection, { lockWaitMs: 200 })).toEqual({ applied: [] });
    await other.end();
  });
});

describe('a migration that fails', () => {
  test('says which, why and where, leaves nothing but its row, and is applied once mended', async () => {
    const { connection, query } = await database();
    const first = { '1_first': 'CREATE TABLE first (id int);' };
    const bad = await folder({
      ...first,
      '2_second': 'CREATE TABLE second (id int);\nINSERT INTO second VALUES (no_column);',
    });
    const mended = await folder({ ...first, '2_second': 'CREATE TABLE second (id int);' });

    const failure = migrate(connection, { folder: bad });
    await expect(failure).rejects.toThrow(MigrationError);
    await expect(failure).rejects.toThrow(
      'Migration 2_second failed and left nothing behind: column "no_column" does not exist (line 2).',
    );
    expect(await query(`SELECT to_regclass('first') IS NOT NULL AS first, to_regclass('second') AS second`)).toEqual([
      { first: true, second: null },
    ]);

    expect(await migrate(connection, { folder: mended })).toEqual({ applied: ['2_second'] });
    expect(await query(ROWS)).toEqual([
      { name: '1_first', finished: true, rolled_back: false },
      { name: '2_second', finished: false, rolled_back: true },
      { name: '2_second', finished: true, rolled_back: false },
    ]);
    expect((await prismaSays(connection, mended)).diagnosis.history).toBeNull();
  });

  test('says the same again as long as it is not mended', async () => {
    const { connection, query } = await database();
    const bad = await folder({ '1_first': 'SELECT 1/0;' });
    for (const _ of [1, 2]) {
      await expect(migrate(connection, { folder: bad })).rejects.toThrow('Migration 1_first failed');
    }
    expect(await query('SELECT logs FROM _prisma_migrations')).toEqual([
      { logs: expect.stringContaining('division by zero') },
      { logs: expect.stringContaining('division by zero') },
    ]);
  });

  test('when it waits for a table in use, gives up soon, so that no query waits behind it for long', async () => {
    const { connection, pool } = await database();
    const first = { '1_first': 'CREATE TABLE busy (id int);' };
    await migrate(connection, { folder: await folder(first) });
    const reader = await pool.connect();
    await reader.query('BEGIN; SELECT FROM busy');
    const both = await folder({ ...first, '2_second': 'ALTER TABLE busy ADD name text;' });
    await expect(migrate(connection, { folder: both })).rejects.toThrow(
      'Migration 2_second failed and left nothing behind: canceling statement due to lock timeout',
    );
    reader.release(true);
  });
});

describe('a gateway killed in the middle of a migration', () => {
  test('before the commit: the next start waits for what still runs, then applies it', async () => {
    const { connection, query } = await database();
    const slow = await folder({ '1_slow': `CREATE TABLE slow (id int); SELECT pg_sleep(${SLOW_S});` });
    await killWhile(connection, slow, query, '%pg_sleep%');

    expect(await migrate(connection, { folder: slow })).toEqual({ applied: ['1_slow'] });
    expect(await query(ROWS)).toEqual([
      { name: '1_slow', finished: false, rolled_back: true },
      { name: '1_slow', finished: true, rolled_back: false },
    ]);
  });

  test('in the commit: the migration and its record are both there', async () => {
    const { connection, query } = await database();
    const slow = await folder({ '1_slow': SLOW_COMMIT });
    await killWhile(connection, slow, query, 'COMMIT');

    await waitFor(async () => (await query(ROWS))[0]?.['finished'] === true);
    expect(await migrate(connection, { folder: slow })).toEqual({ applied: [] });
    expect(await query('SELECT id FROM slow')).toEqual([{ id: 1 }]);
    expect((await prismaSays(connection, slow)).diagnosis.history).toBeNull();
  });
});

describe('a connection that is lost', () => {
  test('while a script runs: says so, and the next start goes on', async () => {
    const { connection, query } = await database();
    const lost = await folder({
      '1_lost': 'CREATE TABLE lost (id int); SELECT pg_terminate_backend(pg_backend_pid());',
    });
    await expect(migrate(connection, { folder: lost })).rejects.toThrow(
      /^(Migration 1_lost failed|The connection was lost)/,
    );
    const mended = await folder({ '1_lost': 'CREATE TABLE lost (id int);' });
    expect(await migrate(connection, { folder: mended })).toEqual({ applied: ['1_lost'] });
    expect(await query('SELECT id FROM lost')).toEqual([]);
  });

  test('between two scripts, and the lock with it: no further script runs', async () => {
    const { connection } = await database();
    const session = openSession(connection);
    await lock(session, 1_000);
    await expect(session.query('SELECT pg_terminate_backend(pg_backend_pid())')).rejects.toThrow(/terminat/);
    await expect(runScript(session, 'CREATE TABLE unlocked (id int)')).rejects.toThrow(
      'The connection to the database was lost in the middle of migrating it: start again.',
    );
    await session.end();
  });
});

describe('a script', () => {
  test('may hold semicolons in function bodies, strings, names and comments', async () => {
    const { connection, query } = await database();
    await migrate(connection, { folder: await folder({ '1_semicolons': SEMICOLONS }) });
    expect(await query('SELECT doubled(21) AS answer, "a;b" FROM "odd;table"')).toEqual([
      { answer: 42, 'a;b': "it's; 'so'" },
    ]);
  });

  test('may be empty, or nothing but a comment', async () => {
    const { connection } = await database();
    const empty = await folder({ '1_empty': '', '2_comment': '-- nothing;\n' });
    expect(await migrate(connection, { folder: empty })).toEqual({ applied: ['1_empty', '2_comment'] });
  });

  test('leaves its settings to no other, and depends on none of the role or the database', async () => {
    const { connection, pool, query } = await database();
    const [row] = await query('SELECT current_database() AS name');
    await pool.query(`ALTER DATABASE ${String(row?.['name'])} SET statement_timeout = '50ms'`);
    await pool.query(`ALTER DATABASE ${String(row?.['name'])} SET search_path = 'nowhere'`);
    const settings = await folder({
      '1_set': `CREATE SCHEMA other; SET search_path = other; SET TimeZone = 'Asia/Tokyo';`,
      '2_seen': `CREATE TABLE seen AS SELECT current_setting('TimeZone') <> 'Asia/Tokyo' AS fresh; SELECT pg_sleep(0.2);`,
    });
    expect(await migrate({ ...connection, statement_timeout: 50 }, { folder: settings })).toEqual({
      applied: ['1_set', '2_seen'],
    });
    expect(await query('SELECT fresh FROM public.seen')).toEqual([{ fresh: true }]);
  });

  test('may not end the transaction that it runs in', async () => {
    const { connection } = await database();
    const committing = await folder({ '1_commit': 'CREATE TABLE a (id int); COMMIT; CREATE TABLE b (id int);' });
    await expect(migrate(connection, { folder: committing })).rejects.toThrow(
      'Migration 1_commit ends the transaction that it runs in',
    );
  });
});

describe('a database with another history', () => {
  const one = { '1_one': 'CREATE TABLE one (id int);\n' };
  const two = { '2_two': 'CREATE TABLE two (id int);\n' };
  const three = { '3_three': 'CREATE TABLE three (id int);\n' };

  async function had(had: Record<string, string>) {
    const { connection } = await database();
    await migrate(connection, { folder: await folder(had) });
    return async (now: Record<string, string>) => migrate(connection, { folder: await folder(now) });
  }

  test('of a later release: goes on, as each migration works while the previous release still runs', async () => {
    const start = await had({ ...one, ...two });
    expect(await start(one)).toEqual({ applied: [] });
  });

  test('of a later release, where that one has failed: goes on, too', async () => {
    const { connection } = await database();
    const failing = await folder({ ...one, '2_two': 'SELECT 1/0;' });
    await expect(migrate(connection, { folder: failing })).rejects.toThrow(MigrationError);
    expect(await migrate(connection, { folder: await folder(one) })).toEqual({ applied: [] });
  });

  test('of a later release, but without one of ours: is refused', async () => {
    const start = await had({ ...one, ...three });
    await expect(start({ ...one, ...two })).rejects.toThrow(
      'This database had migration 3_three of a later release, but not 2_two of this one: run the later release.',
    );
  });

  test('with one that we lack in the middle: is refused', async () => {
    const start = await had({ ...one, ...two, ...three });
    await expect(start({ ...one, ...three })).rejects.toThrow(
      'This database had migration 2_two, which this release lacks',
    );
  });

  test('without one in the middle, as after a merge: gets it', async () => {
    const start = await had({ ...one, ...three });
    expect(await start({ ...one, ...two, ...three })).toEqual({ applied: ['2_two'] });
  });

  test('of a script that was changed since: is refused, but for its line endings', async () => {
    const start = await had(one);
    expect(await start({ '1_one': 'CREATE TABLE one (id int);\r\n' })).toEqual({ applied: [] });
    await expect(start({ '1_one': 'CREATE TABLE one (id bigint);\n' })).rejects.toThrow(
      'Migration 1_one was changed after this database had it',
    );
  });

  test('of its own, with tables that are none of ours: is refused', async () => {
    const { connection, pool } = await database();
    await pool.query('CREATE TABLE theirs (id int)');
    await expect(migrate(connection)).rejects.toThrow('This database holds tables that Gatehouse did not make');
  });
});

test('a folder without a script is refused', async () => {
  const broken = await folder({});
  await mkdir(join(broken, '1_broken'));
  await expect(readMigrations(broken)).rejects.toThrow('Migration 1_broken has no migration.sql that can be read.');
});

test('the packages of Prisma are of one version, and its engine is the one that they name', async () => {
  const engines = await versionOf('@prisma/engines-version', 'prisma', '@prisma/engines');
  expect(await versionOf('@prisma/schema-engine-wasm')).toBe(engines);
  const client = await versionOf('@prisma/client');
  expect(await versionOf('prisma')).toBe(client);
  expect(await versionOf('@prisma/adapter-pg')).toBe(client);
  expect(await versionOf('@prisma/driver-adapter-utils')).toBe(client);
});

const ROWS = `
  SELECT migration_name AS name, finished_at IS NOT NULL AS finished, rolled_back_at IS NOT NULL AS rolled_back
  FROM _prisma_migrations ORDER BY started_at`;

// The trigger runs in the commit.
const SLOW_COMMIT = `
  CREATE TABLE slow (id int);
  CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(${SLOW_S}); RETURN NULL; END $$;
  CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait();
  INSERT INTO slow VALUES (1);`;

const SEMICOLONS = `
  -- a comment; it's not to be cut
  /* nor; is /* this; */ one */
  CREATE TABLE "odd;table" ("a;b" text);
  INSERT INTO "odd;table" VALUES ('it''s; ''so''');
  CREATE FUNCTION doubled(n int) RETURNS int LANGUAGE plpgsql AS $body$
    DECLARE result int; -- here; too
    BEGIN
      result := n * 2;
      RETURN result;
    END;
  $body$;`;

interface Scratch {
  readonly connection: pg.PoolConfig;
  readonly pool: pg.Pool;
  query(sql: string): Promise<Record<string, unknown>[]>;
}

async function database(): Promise<Scratch> {
  const connection = await server.createDatabase();
  const pool = openPool({ ...connection, options: '-c search_path=public' });
  pools.push(pool);
  return { connection, pool, query: async (sql) => (await pool.query<Record<string, unknown>>(sql)).rows };
}

async function folder(scripts: Record<string, string>): Promise<string> {
  const made = await mkdtemp(join(scratchFolder, 'folder-'));
  await cp(join(MIGRATIONS_FOLDER, 'migration_lock.toml'), join(made, 'migration_lock.toml'));
  for (const [name, script] of Object.entries(scripts)) {
    await mkdir(join(made, name));
    await writeFile(join(made, name, 'migration.sql'), script);
  }
  return made;
}

function applied(result: { applied: string[] }): string[] {
  return result.applied;
}

async function holdPrismaLock(connection: pg.PoolConfig): Promise<pg.Client> {
  const client = await openClient(connection);
  await client.query('SELECT pg_advisory_lock(72707369)');
  return client;
}

/** What Prisma itself makes of the database: the engine on Prisma's own adapter, as in `prisma migrate deploy`. */
async function prismaSays(connection: pg.PoolConfig, path = MIGRATIONS_FOLDER) {
  const pool = openPool({ ...connection, max: 1 });
  const engine = await openSchemaEngine(new PrismaPg(pool));
  const filters = { externalTables: [], externalEnums: [] };
  const migrationsList = {
    baseDir: path,
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"' },
    shadowDbInitScript: '',
    migrationDirectories: (await readMigrations(path)).map(({ name, script }) => ({
      path: name,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok' as const, value: script } },
    })),
  };
  try {
    const diagnosis = await engine.diagnoseMigrationHistory({ migrationsList, optInToShadowDatabase: false, filters });
    const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList, filters });
    return { applied: appliedMigrationNames, diagnosis };
  } finally {
    engine.free();
    await pool.close();
  }
}

interface GatewayOptions {
  readonly folder?: string;
  readonly withoutEngine?: boolean;
  readonly signal?: AbortSignal;
}

/** Migrates in a process of its own, as a starting gateway does. */
async function startGateway(connection: pg.PoolConfig, options: GatewayOptions = {}): Promise<{ applied: string[] }> {
  const code = `
    const { migrate } = await import(${JSON.stringify(new URL('../../src/database/migrate/migrate.ts', import.meta.url).href)});
    if (${options.withoutEngine === true}) WebAssembly.compile = () => { throw new Error('the engine was loaded'); };
    const result = await migrate(${JSON.stringify(connection)}, ${JSON.stringify({ folder: options.folder })});
    process.stdout.write(JSON.stringify(result));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'pipe'],
    killSignal: 'SIGKILL',
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => (status === 0 ? resolve(JSON.parse(output)) : reject(new Error(errors))));
  });
}

/** Starts a gateway and kills it, as by `kill -9`, while its script runs the statement. */
async function killWhile(
  connection: pg.PoolConfig,
  path: string,
  query: Scratch['query'],
  statement: string,
): Promise<void> {
  const kill = new AbortController();
  const start = startGateway(connection, { folder: path, signal: kill.signal });
  const killed = expect(start).rejects.toThrow('aborted');
  const running = `
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE '${statement}'`;
  await waitFor(async () => (await query(running)).length > 0);
  kill.abort();
  await killed;
}

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + TEST_TIMEOUT_MS / 2;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('what was waited for did not come');
    await sleep(20);
  }
}

/** The version of a package as the last of `through` sees it, each found from the one before. */
async function versionOf(name: string, ...through: string[]): Promise<string> {
  let require = createRequire(import.meta.url);
  for (const step of through) require = createRequire(require.resolve(`${step}/package.json`));
  return versionAt(require, name);
}

async function versionAt(require: NodeJS.Require, name: string): Promise<string> {
  for (const modules of require.resolve.paths(name) ?? []) {
    const file = join(modules, name, 'package.json');
    const text = await readFile(file, 'utf8').catch(() => null); // not in this one: the next
    if (text !== null) return String(JSON.parse(text).version);
  }
  throw new Error(`${name} is not installed`);
}
