/** Authoring a migration: `npm run migration`, on folders of its own. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { migrate } from '../../src/database/migrate/migrate.ts';
import { withClient } from '../support/postgres.ts';
import { openScratchServer, SCRATCH_HOOK_TIMEOUT_MS, type ScratchServer } from './scratch-database.ts';

// Each starts processes of its own.
vi.setConfig({ testTimeout: 30_000 });

const COMMAND = fileURLToPath(new URL('../../.config/author-migration.ts', import.meta.url));

const DATAMODEL = `
datasource db {
  provider = "postgresql"
}

enum Colour {
  RED
  GREEN
  GREY
}

model Thing {
  id     Int    @id
  colour Colour
}
`;
const FEWER_COLOURS = DATAMODEL.replace('  GREY\n', '');
const WITH_NAME = DATAMODEL.replace('colour Colour', 'colour Colour\n  name   String?');
const WITH_COMMENT = DATAMODEL.replace('model Thing', '/// Any thing.\nmodel Thing');

let server: ScratchServer;
let root: string;
let folder: string;

beforeAll(async () => {
  server = await openScratchServer();
}, SCRATCH_HOOK_TIMEOUT_MS);

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'gatehouse-author-'));
  folder = join(root, 'migrations');
  return () => rm(root, { recursive: true });
});

afterAll(() => server?.close(), SCRATCH_HOOK_TIMEOUT_MS);

test('the first migration holds the whole datamodel, a copy of it, and no demand for rights beyond the schema', async () => {
  const { status, output } = await author(DATAMODEL, 'first');
  expect(status).toBe(0);
  const [name] = await migrations();
  expect(name).toMatch(/^\d{14}_first$/);
  expect(output.match(/^wrote .*$/gm)).toHaveLength(3);
  expect(await readFile(join(folder, 'migration_lock.toml'), 'utf8')).toContain('provider = "postgresql"');
  expect(await readFile(join(folder, `${name}/datamodel.prisma`), 'utf8')).toBe(DATAMODEL);
  const script = await readFile(join(folder, `${name}/migration.sql`), 'utf8');
  expect(script).toContain('CREATE TABLE "Thing"');
  expect(script).not.toContain('CREATE SCHEMA');
});

test('the next one holds the difference alone, and runs in a transaction even where Prisma writes one into it', async () => {
  await author(DATAMODEL, 'first');
  await renamedToThePast();
  expect(await author(FEWER_COLOURS, 'no_grey')).toMatchObject({ status: 0 });
  const script = await readFile(join(folder, `${(await migrations())[1]}/migration.sql`), 'utf8');
  expect(script).not.toMatch(/CREATE TABLE|^BEGIN|^COMMIT/m);

  const connection = await server.createDatabase();
  expect(await migrate(connection, { folder })).toEqual({ applied: await migrations() });
  const colours = 'SELECT enum_range(NULL::"Colour")::text AS colours';
  const { rows } = await withClient(connection, (client) => client.query(colours));
  expect(rows).toEqual([{ colours: '{RED,GREEN}' }]);
});

test('no difference that gives SQL: says so, and writes nothing', async () => {
  await author(DATAMODEL, 'first');
  await renamedToThePast();
  const { status, output } = await author(WITH_COMMENT, 'second');
  expect(status).toBe(0);
  expect(output).toContain('nothing to author');
  expect(await migrations()).toHaveLength(1);
});

test('--check fails where the datamodel is ahead, and says what to do', async () => {
  await author(DATAMODEL, 'first');
  expect(await author(DATAMODEL, '--check')).toEqual({ status: 0, output: '' });
  expect(await author(WITH_COMMENT, '--check')).toEqual({ status: 0, output: '' });
  const ahead = await author(WITH_NAME, '--check');
  expect(ahead.status).toBe(1);
  expect(ahead.output).toContain('prisma/schema.prisma is ahead of the migrations: author one with `npm run migration');
  expect(ahead.output).toContain('ADD COLUMN     "name" TEXT');
});

test('--again authors the last one again, and keeps what was written by hand', async () => {
  await author(DATAMODEL, 'first');
  const script = join(folder, `${(await migrations())[0]}/migration.sql`);
  const byHand = '-- By hand from here on: a check.\nALTER TABLE "Thing" ADD CHECK ("id" > 0);\n';
  await writeFile(script, `${await readFile(script, 'utf8')}\n${byHand}`);
  for (const _ of [1, 2]) expect(await author(WITH_NAME, '--again')).toMatchObject({ status: 0 });
  const again = await readFile(script, 'utf8');
  expect(again).toContain('"name" TEXT');
  expect(again.endsWith(`;\n\n${byHand}`)).toBe(true);
  expect(await author(WITH_NAME, '--check')).toMatchObject({ status: 0 });
});

test('is refused without a good name, before its predecessor, and where that kept no datamodel', async () => {
  for (const names of [[], ['Wrong-Name'], ['two', 'names'], ['--wrong']]) {
    const { status, output } = await author(DATAMODEL, ...names);
    expect(status).toBe(1);
    expect(output).toContain('npm run migration -- <name>');
  }
  await mkdir(join(folder, '20000101000000_bare'), { recursive: true });
  expect(await author(DATAMODEL, 'next')).toMatchObject({
    status: 1,
    output: expect.stringContaining('20000101000000_bare keeps no datamodel.prisma'),
  });
  await mkdir(join(folder, '99990101000000_late'));
  expect(await author(DATAMODEL, 'next')).toMatchObject({
    status: 1,
    output: expect.stringContaining("later than this machine's clock"),
  });
});

async function author(datamodel: string, ...words: string[]): Promise<{ status: number; output: string }> {
  const schema = join(root, 'schema.prisma');
  await writeFile(schema, datamodel);
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [COMMAND, ...words, '--schema', schema, '--folder', folder],
      (_, out, err) => resolve({ status: child.exitCode ?? -1, output: out + err }),
    );
  });
}

async function migrations(): Promise<string[]> {
  const names = await readdir(folder);
  return names.filter((name) => /^\d/.test(name)).sort();
}

/** So that the next one, made within the same second, comes after it. */
async function renamedToThePast(): Promise<void> {
  const [name] = await migrations();
  await rename(join(folder, String(name)), join(folder, '20000101000000_first'));
}
