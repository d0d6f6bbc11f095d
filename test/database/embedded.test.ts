// The life of the embedded database: it starts, is shared, and is stopped by the last one out.
import { chmod, cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { boundLog, logLimitBytes } from '../../src/database/embedded/log.ts';
import { digestOf } from '../../src/database/embedded/place.ts';
import { afterTest } from '../support/cleanup.ts';
import { serversIn } from '../support/servers.ts';
import { eventually, openHere, openInProcess, sql, temporaryFolder } from './fixtures/embedded.ts';

const secondStartLimitMs = 2_000;

test('the first start makes a database, and the second has it again within two seconds', async () => {
  const folder = await temporaryFolder();
  const dataDir = join(folder, 'not', 'yet', 'there');
  const first = await openHere(dataDir);
  expect(first.connection).toEqual({
    host: join(dataDir, 'socket'),
    port: 5432,
    user: 'gatehouse',
    database: 'gatehouse',
  });
  expect(first.notices).toEqual([]);
  await sql(first.connection, 'CREATE TABLE kept AS SELECT 7 AS value');
  await first.close();

  const begunAt = performance.now();
  const second = await openHere(dataDir);
  expect(performance.now() - begunAt).toBeLessThan(secondStartLimitMs);
  expect(await sql(second.connection, 'SELECT value FROM kept')).toEqual([{ value: 7 }]);
});

test('only a Unix socket in a closed folder leads to it, and what is acknowledged is on disk', async () => {
  const dataDir = await temporaryFolder();
  const { connection } = await openHere(dataDir);
  for (const closed of [connection.host, join(dataDir, 'postgres'), join(dataDir, 'postgres.log')]) {
    expect((await stat(closed)).mode & 0o077, closed).toBe(0);
  }
  const names = [
    'listen_addresses',
    'fsync',
    'synchronous_commit',
    'full_page_writes',
    'data_checksums',
    'log_statement',
  ];
  const settings = await sql(connection, 'SELECT name, setting FROM pg_settings WHERE name = ANY ($1)', [names]);
  expect(Object.fromEntries(settings.map((row) => Object.values(row as object)))).toEqual({
    listen_addresses: '',
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    data_checksums: 'on',
    log_statement: 'none',
  });
});

test('two processes at once on an empty folder both come up, on one server', async () => {
  const dataDir = await temporaryFolder();
  const processes = [openInProcess({ dataDir }), openInProcess({ dataDir })];
  const [one, other] = await Promise.all(processes.map((process) => process.ready));
  expect(other?.connection).toEqual(one?.connection);
  expect(await serversIn(dataDir)).toHaveLength(1);
  expect(await readdir(dataDir)).toEqual(['postgres', 'postgres.log', 'socket']);
  await Promise.all(processes.map((process) => process.close()));
  expect(await serversIn(dataDir)).toEqual([]);
});

test('the last one out stops the server, and nobody before', async () => {
  const dataDir = await temporaryFolder();
  const first = openInProcess({ dataDir });
  const { connection } = await first.ready;
  const [server] = await serversIn(dataDir);
  const second = openInProcess({ dataDir });
  await second.ready;
  await first.close();
  expect(await serversIn(dataDir)).toEqual([server]);
  expect(await sql(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await second.close();
  expect(await serversIn(dataDir)).toEqual([]);
});

test('processes that come and go all the time never fail, and leave nothing running', {
  timeout: 120_000,
}, async () => {
  const dataDir = await temporaryFolder();
  const processes = Array.from({ length: 4 }, () => openInProcess({ dataDir, cycles: 8 }));
  await Promise.all(processes.map(({ ready, close }) => ready.then(close)));
  expect(await serversIn(dataDir)).toEqual([]);
});

test('close may be called twice, and a process may open more than once', async () => {
  const dataDir = await temporaryFolder();
  const [one, other] = await Promise.all([openHere(dataDir), openHere(dataDir)]);
  await Promise.all([one.close(), one.close()]);
  expect(await sql(other.connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await other.close();
  await other.close();
  expect(await serversIn(dataDir)).toEqual([]);
});

test("the terminal's Ctrl-C reaches us and not the server", async () => {
  const dataDir = await temporaryFolder();
  const starter = openInProcess({ dataDir });
  const { connection } = await starter.ready;
  const [server] = await serversIn(dataDir);
  const other = openInProcess({ dataDir });
  await other.ready;
  process.kill(-(starter.child.pid ?? Number.NaN), 'SIGINT'); // to its whole group, as a terminal does
  await starter.close();
  expect(await serversIn(dataDir)).toEqual([server]);
  expect(await sql(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('a deep DATA_DIR, with signs that mean something elsewhere, gets a short socket folder', async () => {
  const folder = await temporaryFolder();
  const dataDir = join(folder, `it's "deep", $HOME; \\ é`, 'x'.repeat(100));
  const { connection } = await openHere(dataDir);
  afterTest(() => rm(connection.host, { recursive: true, force: true }));
  expect(connection.host).toBe(`/tmp/gatehouse-${process.getuid?.()}-${digestOf(dataDir)}`);
  expect((await stat(connection.host)).mode & 0o777).toBe(0o700);
  expect(await sql(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('a comma or a quote in a path is no separator', async () => {
  const dataDir = join(await temporaryFolder(), `a, "b" 'c`);
  const { connection } = await openHere(dataDir);
  expect(connection.host).toBe(join(dataDir, 'socket'));
  expect(await sql(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('every way to write a path leads to the same server', async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'real'));
  await symlink('real', join(folder, 'link'));
  const [one, other] = await Promise.all([
    openHere(join(folder, 'real')),
    openHere(join(folder, 'link', '..', 'link')),
  ]);
  expect(other?.connection).toEqual(one?.connection);
  expect(await serversIn(folder)).toHaveLength(1);
});

test('a copied DATA_DIR is a database of its own, though its lock file names the running original', async () => {
  const folder = await temporaryFolder();
  const original = await openHere(join(folder, 'original'));
  await original.close();
  await cp(join(folder, 'original'), join(folder, 'copy'), { recursive: true });
  await chmod(join(folder, 'copy', 'postgres'), 0o700);
  const again = await openHere(join(folder, 'original'));
  await cp(join(folder, 'original', 'postgres', 'postmaster.pid'), join(folder, 'copy', 'postgres', 'postmaster.pid'));
  const copy = await openHere(join(folder, 'copy'));
  expect(copy.connection.host).not.toBe(again.connection.host);
  expect(await serversIn(folder)).toHaveLength(2);
});

test('the log never quotes a statement or a value, even of statements that fail or are killed', async () => {
  const dataDir = await temporaryFolder();
  const { connection } = await openHere(dataDir);
  await sql(connection, 'CREATE TABLE people (email text UNIQUE)');
  await sql(connection, 'INSERT INTO people VALUES ($1)', ['gk_secret@example.org']);
  await expect(sql(connection, 'INSERT INTO people VALUES ($1)', ['gk_secret@example.org'])).rejects.toThrow(
    'duplicate',
  );
  await expect(sql(connection, 'SELECT $1::int', ['gk_secret'])).rejects.toThrow('gk_secret');
  await expect(sql(connection, "SELECT 'gk_secret' FROM nowhere")).rejects.toThrow('nowhere');
  await expect(
    sql(connection, 'SELECT pg_terminate_backend(pg_backend_pid()), $1::text', ['gk_secret']),
  ).rejects.toThrow();
  const running = sql(connection, "SELECT pg_sleep(60), 'gk_secret'").catch(String);
  let pid = Number.NaN;
  await eventually(async () => {
    const [row] = await sql(connection, "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'");
    pid = (row as { pid: number }).pid;
    return true;
  });
  process.kill(pid, 'SIGKILL');
  await running;
  await eventually(async () => (await sql(connection, 'SELECT 1')).length === 1);
  const log = await readFile(join(dataDir, 'postgres.log'), 'utf8');
  expect(log).toContain('terminated by signal 9');
  expect(log).not.toMatch(/gk_secret|SELECT|INSERT|people/);
});

test('the log is bounded in size, and its end is kept', async () => {
  const log = join(await temporaryFolder(), 'postgres.log');
  await writeFile(log, `${'old\n'.repeat(logLimitBytes / 2)}the end`);
  await boundLog(log);
  expect((await stat(log)).size).toBe(0);
  expect((await stat(`${log}.1`)).size).toBe(logLimitBytes);
  expect(await readFile(`${log}.1`, 'utf8')).toMatch(/the end$/);
});

test('neither our environment nor our files reach the server', async () => {
  const dataDir = await temporaryFolder();
  process.env['GATEHOUSE_SECRETS'] = 'never-to-be-seen';
  afterTest(async () => delete process.env['GATEHOUSE_SECRETS']);
  await openHere(dataDir);
  const [server] = await serversIn(dataDir);
  expect(await readFile(`/proc/${server}/environ`, 'utf8')).not.toContain('never-to-be-seen');
});
