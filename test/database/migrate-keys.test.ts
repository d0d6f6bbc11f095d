// The migration `keys` on a database that holds keys already, while the release before it still writes.
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MIGRATIONS_FOLDER, migrationNames } from '../../src/database/migrate/folder.ts';
import { migrate } from '../../src/database/migrate/migrate.ts';
import { openPool } from '../support/postgres.ts';
import { openScratchServer, SCRATCH_HOOK_TIMEOUT_MS, type ScratchServer } from './scratch-database.ts';

const NETWORK = '00000000-0000-7000-8000-000000000001';
const ADMIN = '00000000-0000-7000-8000-000000000002';
const [ROOT, CHILD, GRANDCHILD, ALONE] = [3, 4, 5, 6].map((at) => `00000000-0000-7000-8000-00000000000${at}`);

let server: ScratchServer;
let before: string;
beforeAll(async () => {
  server = await openScratchServer();
  before = await mkdtemp(join(tmpdir(), 'gatehouse-before-'));
  for (const name of await migrationNames(MIGRATIONS_FOLDER)) {
    if (name.endsWith('_keys')) break;
    await cp(join(MIGRATIONS_FOLDER, name), join(before, name), { recursive: true });
  }
  await cp(join(MIGRATIONS_FOLDER, 'migration_lock.toml'), join(before, 'migration_lock.toml'));
}, SCRATCH_HOOK_TIMEOUT_MS);
afterAll(async () => {
  await server?.close();
  await rm(before, { recursive: true, force: true });
}, SCRATCH_HOOK_TIMEOUT_MS);

/** As the release before wrote a key. */
async function insert(pool: pg.Pool, id = '', maker: string | null = null): Promise<void> {
  await pool.query(
    `INSERT INTO api_keys (id, network_id, admin_id, name, name_folded, redacted_token, scopes, created_at, created_by_kind, created_by_id)
     VALUES ($1::uuid, $2, $3, $1, $1, 'gk_live_abcd…wxyz', '{}', '2026-01-02', $4, $5)`,
    [id, NETWORK, ADMIN, maker === null ? 'COMMAND_LINE' : 'KEY', maker],
  );
  await pool.query('INSERT INTO secrets (digest, key_id, network_id) VALUES (sha256($1::bytea), $2, $3)', [
    id,
    id,
    NETWORK,
  ]);
}

test('gives the keys that are there what they would have been given, and the old release goes on writing', async () => {
  const connection = await server.createDatabase();
  await migrate(connection, { folder: before });
  const pool = openPool(connection);
  try {
    await pool.query(`INSERT INTO networks (id, slug, name, updated_at) VALUES ($1, 'acme', 'Acme', now())`, [NETWORK]);
    await pool.query(
      `INSERT INTO admins (id, network_id, email, email_folded, name, role) VALUES ($1, $2, 'a@b', 'a@b', 'A', 'OWNER')`,
      [ADMIN, NETWORK],
    );
    await insert(pool, ROOT);
    await insert(pool, CHILD, ROOT);
    await insert(pool, GRANDCHILD, CHILD);
    await migrate(connection);
    await insert(pool, ALONE);

    const keys = await pool.query('SELECT id, ancestor_ids, allowed_addresses, note FROM api_keys ORDER BY id');
    const common = { allowed_addresses: [], note: null };
    expect(keys.rows).toEqual([
      { id: ROOT, ancestor_ids: [], ...common },
      { id: CHILD, ancestor_ids: [ROOT], ...common },
      { id: GRANDCHILD, ancestor_ids: [ROOT, CHILD], ...common },
      { id: ALONE, ancestor_ids: [], ...common },
    ]);
    const secrets = await pool.query(
      `SELECT redacted_token, created_at = '2026-01-02' AS as_its_key FROM secrets ORDER BY key_id`,
    );
    const filled = { redacted_token: 'gk_live_abcd…wxyz', as_its_key: true };
    expect(secrets.rows).toEqual([filled, filled, filled, { redacted_token: null, as_its_key: false }]);
  } finally {
    await pool.close();
  }
});
