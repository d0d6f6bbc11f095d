/** The migrations `member_counts` and `member_counts_begin` on a database with members, while the release before writes them. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MIGRATIONS_FOLDER, migrationNames } from '../../src/database/migrate/folder.ts';
import { migrate } from '../../src/database/migrate/migrate.ts';
import { newUuid } from '../../src/domain/id.ts';
import { openPool, type TestPool } from '../support/postgres.ts';
import { openScratchServer, SCRATCH_HOOK_TIMEOUT_MS, type ScratchServer } from './scratch-database.ts';

const NETWORKS = Array.from({ length: 20 }, () => newUuid()).sort();
const [QUIET = '', BUSY = '', LATE = ''] = NETWORKS;
const TIMEOUT_MS = 60_000;

let server: ScratchServer;
const folders: string[] = [];
const pools: TestPool[] = [];
beforeAll(async () => {
  server = await openScratchServer();
}, SCRATCH_HOOK_TIMEOUT_MS);
afterAll(async () => {
  for (const pool of pools) await pool.close();
  await server?.close();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
}, SCRATCH_HOOK_TIMEOUT_MS);

/** The migrations before the one of this name. */
async function folderBefore(suffix: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-before-'));
  folders.push(folder);
  for (const name of await migrationNames(MIGRATIONS_FOLDER)) {
    if (name.endsWith(suffix)) break;
    await cp(join(MIGRATIONS_FOLDER, name), join(folder, name), { recursive: true });
  }
  await cp(join(MIGRATIONS_FOLDER, 'migration_lock.toml'), join(folder, 'migration_lock.toml'));
  return folder;
}

/** Migrated to before `member_counts`, with ten members in each network. */
async function oldDatabase(): Promise<{ connection: pg.PoolConfig; pool: TestPool }> {
  const connection = await server.createDatabase();
  await migrate(connection, { folder: await folderBefore('_member_counts') });
  const pool = openPool(connection);
  pools.push(pool);
  for (const id of NETWORKS) {
    await pool.query(
      `INSERT INTO networks (id, slug, name, updated_at) VALUES ($1::uuid, $1::uuid::text, 'N', now())`,
      [id],
    );
    await insert(pool, id, 10);
  }
  return { connection, pool };
}

async function insert(client: Pick<pg.ClientBase, 'query'>, networkId: string, count: number): Promise<void> {
  await client.query(
    `INSERT INTO members (id, network_id, name, name_folded, email, email_folded)
     SELECT gen_random_uuid(), $1, 'n', 'n', e, e FROM (SELECT gen_random_uuid()::text AS e FROM generate_series(1, $2::int)) AS made`,
    [networkId, count],
  );
}

async function wrong(pool: TestPool): Promise<unknown[]> {
  const { rows } = await pool.query(
    `SELECT n.id, c.members, count(m.id) AS counted FROM networks n LEFT JOIN member_counts c ON c.network_id = n.id
     LEFT JOIN members m ON m.network_id = n.id GROUP BY n.id, c.members HAVING c.members IS DISTINCT FROM count(m.id)`,
  );
  return rows;
}

test('counts are right from the migration on, whatever the old release has under way and writes beside it', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { connection, pool } = await oldDatabase();
  let isOver = false;
  let writes = 0;
  const writers = [BUSY, LATE].map(async (id) => {
    while (!isOver) {
      await insert(pool, id, 3);
      await pool.query('DELETE FROM members WHERE id = (SELECT id FROM members WHERE network_id = $1 LIMIT 1)', [id]);
      writes += 1;
    }
  });
  await expect.poll(() => writes, { timeout: TIMEOUT_MS }).toBeGreaterThan(5);
  await migrate(connection);
  const migratedAt = writes;
  await expect.poll(() => writes, { timeout: TIMEOUT_MS }).toBeGreaterThan(migratedAt + 5);
  isOver = true;
  await Promise.all(writers);
  expect(await wrong(pool)).toEqual([]);
});

test('a network that is written between the two migrations, or has writers under way as the second counts, is counted once', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { connection, pool } = await oldDatabase();
  await migrate(connection, { folder: await folderBefore('_member_counts_begin') });
  await insert(pool, QUIET, 5);
  const [committing, failing] = [await pool.connect(), await pool.connect()];
  try {
    for (const [client, id] of [
      [committing, BUSY],
      [failing, LATE],
    ] as const) {
      await client.query('BEGIN');
      await insert(client, id, 7);
      await client.query('SAVEPOINT a');
      await client.query('DELETE FROM members WHERE network_id = $1', [id]);
      await client.query('ROLLBACK TO a');
    }
    const migrated = migrate(connection);
    await expect
      .poll(
        async () =>
          (
            await pool.query(`SELECT FROM pg_stat_activity WHERE datname = current_database()
                                       AND wait_event = 'transactionid' AND application_name = 'gatehouse migrate'`)
          ).rowCount,
        { timeout: TIMEOUT_MS },
      )
      .toBe(1);
    await committing.query('COMMIT');
    await failing.query('ROLLBACK');
    await migrated;
  } finally {
    committing.release();
    failing.release();
  }
  expect(await wrong(pool)).toEqual([]);
  const { rows } = await pool.query('SELECT network_id, members::int FROM member_counts ORDER BY network_id LIMIT 3');
  expect(rows.map(({ members }) => members)).toEqual([15, 17, 10]);
});
