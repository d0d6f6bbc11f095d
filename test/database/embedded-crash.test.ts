// Whatever is killed, the next start finds the data, and what was acknowledged is among them.
import { mkdir, readdir, readFile, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { EmbeddedConnection } from '../../src/database/embedded/server.ts';
import { killServers, serversIn } from '../support/servers.ts';
import { eventually, openHere, openInProcess, sql, temporaryFolder } from './fixtures/embedded.ts';

/** The processes that use the server. */
const leases = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted";

const closeLimitMs = 3_000;

test('after a kill -9 of its user the server runs on, and the next start attaches and later stops it', async () => {
  const dataDir = await temporaryFolder();
  const killed = openInProcess({ dataDir });
  const { connection } = await killed.ready;
  await sql(connection, 'CREATE TABLE kept AS SELECT 7 AS value');
  const [server] = await serversIn(dataDir);
  await killed.kill();
  const next = await openHere(dataDir);
  expect(await serversIn(dataDir)).toEqual([server]);
  expect(await sql(next.connection, 'SELECT value FROM kept')).toEqual([{ value: 7 }]);
  await next.close();
  expect(await serversIn(dataDir)).toEqual([]);
});

test('after a kill -9 of the server the next start has every acknowledged row', async () => {
  const dataDir = await temporaryFolder();
  const user = openInProcess({ dataDir });
  const { connection } = await user.ready;
  await sql(connection, 'CREATE TABLE kept (value int)');
  const acknowledged = await insertUntilKilled(connection, dataDir, () => user.kill());
  expect(acknowledged).toBeGreaterThan(0);
  const next = await openHere(dataDir);
  const [count] = await sql(next.connection, 'SELECT count(*)::int AS rows FROM kept');
  expect((count as { rows: number }).rows).toBeGreaterThanOrEqual(acknowledged);
});

async function insertUntilKilled(
  connection: EmbeddedConnection,
  dataDir: string,
  first: () => Promise<void>,
): Promise<number> {
  let acknowledged = 0;
  const inserting = (async () => {
    for (;;) {
      await sql(connection, 'INSERT INTO kept VALUES ($1)', [acknowledged]);
      acknowledged++;
    }
  })().catch(() => undefined); // ends with the server
  await pause(300);
  await first();
  await killServers(dataDir);
  await inserting;
  return acknowledged;
}

test('a process whose server was killed starts it again, and nothing but the wait is lost', async () => {
  const dataDir = await temporaryFolder();
  const one = await openHere(dataDir);
  const other = openInProcess({ dataDir });
  await other.ready;
  await sql(one.connection, 'CREATE TABLE kept AS SELECT 7 AS value');
  await killServers(dataDir);
  await eventually(async () => (await sql(one.connection, leases)).length === 2);
  expect(await sql(one.connection, 'SELECT value FROM kept')).toEqual([{ value: 7 }]);
  await one.close();
  expect(await serversIn(dataDir)).toHaveLength(1);
  await other.close();
  expect(await serversIn(dataDir)).toEqual([]);
});

test('close does not hang when the server was killed, and leaves nothing running', async () => {
  const dataDir = await temporaryFolder();
  const server = await openHere(dataDir);
  await killServers(dataDir);
  const begunAt = performance.now();
  await server.close();
  expect(performance.now() - begunAt).toBeLessThan(closeLimitMs);
  await eventually(async () => (await serversIn(dataDir)).length === 0);
});

test('close while it comes back leaves nothing running, at whatever moment', async () => {
  const dataDir = await temporaryFolder();
  for (const afterMs of [5, 20, 50, 100, 200, 400]) {
    const server = await openHere(dataDir);
    await killServers(dataDir);
    await pause(afterMs);
    await server.close();
    await eventually(async () => (await serversIn(dataDir)).length === 0);
  }
});

test('data that vanish under a running server are waited for, not replaced by an empty database', async () => {
  const dataDir = await temporaryFolder();
  const { connection } = await openHere(dataDir);
  await sql(connection, 'CREATE TABLE kept AS SELECT 7 AS value');
  await rename(join(dataDir, 'postgres'), join(dataDir, 'unmounted'));
  await killServers(dataDir);
  await pause(1_500);
  expect(await readdir(dataDir)).not.toContain('postgres');
  await rename(join(dataDir, 'unmounted'), join(dataDir, 'postgres'));
  await eventually(async () => (await sql(connection, 'SELECT value FROM kept')).length === 1);
});

test('a process that lost its lease takes it again, so that no other stops the server under it', async () => {
  const dataDir = await temporaryFolder();
  const { connection } = await openHere(dataDir);
  const [lost] = await sql(connection, leases);
  await sql(connection, 'SELECT pg_terminate_backend($1)', [(lost as { pid: number }).pid]);
  await eventually(async () => {
    const [taken] = await sql(connection, leases);
    return (taken as { pid: number }).pid !== (lost as { pid: number }).pid;
  });
  const other = openInProcess({ dataDir });
  await other.ready;
  await other.close();
  expect(await sql(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test("lock files that name a living stranger's process do not bar the start", async () => {
  const dataDir = await temporaryFolder();
  const user = openInProcess({ dataDir });
  const { connection } = await user.ready;
  await sql(connection, 'CREATE TABLE kept AS SELECT 7 AS value');
  const [server] = await serversIn(dataDir);
  await user.kill();
  await killServers(dataDir);
  for (const file of [join(dataDir, 'postgres', 'postmaster.pid'), join(dataDir, 'socket', '.s.PGSQL.5432.lock')]) {
    const text = await readFile(file, 'utf8');
    expect(text).toMatch(`${server}\n`);
    await writeFile(file, text.replace(/^\d+/, String(process.pid)));
  }
  const next = await openHere(dataDir);
  expect(await sql(next.connection, 'SELECT value FROM kept')).toEqual([{ value: 7 }]);
});

test('lock files cut short by a full disk do not bar the start', async () => {
  const dataDir = await temporaryFolder();
  await (await openHere(dataDir)).close();
  for (const file of [join(dataDir, 'postgres', 'postmaster.pid'), join(dataDir, 'socket', '.s.PGSQL.5432.lock')]) {
    await writeFile(file, '');
  }
  await openHere(dataDir);
});

test('a first start that was killed at whatever moment heals', { timeout: 180_000 }, async () => {
  const dataDir = await temporaryFolder();
  for (const afterMs of [250, 400, 600, 800, 1_000]) {
    const killed = openInProcess({ dataDir });
    await pause(afterMs);
    await killed.kill();
  }
  const next = openInProcess({ dataDir });
  const { connection } = await next.ready;
  expect(await sql(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await next.close();
  await (await openHere(dataDir)).close();
  expect(await readdir(dataDir)).toEqual(['postgres', 'postgres.log', 'socket']);
});

test('what dead first starts left is cleared, and what a living one is making is not, unless it is old', async () => {
  const dataDir = await temporaryFolder();
  const deadPid = 2 ** 22 + 1; // above what Linux gives
  const making = join(dataDir, `postgres.new-${process.pid}-aaaaaaaa`);
  const old = join(dataDir, `postgres.new-${process.pid}-bbbbbbbb`);
  for (const folder of [making, old, join(dataDir, `postgres.new-${deadPid}-cccccccc`)]) {
    await mkdir(folder);
    await writeFile(join(folder, 'PG_VERSION'), '18\n');
  }
  await utimes(old, 0, 0);
  await openHere(dataDir);
  expect((await readdir(dataDir)).filter((name) => name.includes('.new-'))).toEqual([
    `postgres.new-${process.pid}-aaaaaaaa`,
  ]);
});

test('a first start that was killed before it made the gatehouse database heals', async () => {
  const dataDir = await temporaryFolder();
  const first = await openHere(dataDir);
  await sql({ ...first.connection, database: 'postgres' }, 'DROP DATABASE gatehouse');
  await first.close();
  const [one, other] = await Promise.all([openHere(dataDir), openHere(dataDir)]);
  expect(await sql(one.connection, 'SELECT current_database()')).toEqual([{ current_database: 'gatehouse' }]);
  expect(other.connection).toEqual(one.connection);
});
