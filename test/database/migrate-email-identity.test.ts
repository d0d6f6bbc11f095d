/** The migrations `member_email_identity` and `…_indexes` on a database with members, while the release before writes them. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { MIGRATIONS_FOLDER, migrationNames } from '../../src/database/migrate/folder.ts';
import { migrate } from '../../src/database/migrate/migrate.ts';
import { newUuid } from '../../src/domain/id.ts';
import { fold } from '../../src/domain/text.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { fillIdentities } from '../../src/services/members/fill-identities.ts';
import { upsertMembers } from '../../src/services/members/upsert.ts';
import { openPool, type TestPool } from '../support/postgres.ts';
import { scratchUrl } from '../support/scratch.ts';

const TIMEOUT_MS = 120_000;
const NEVER = new AbortController().signal;
const NETWORK = newUuid();

const folders: string[] = [];
const pools: TestPool[] = [];
let url = '';
let pool: TestPool;

beforeAll(async () => {
  url = await scratchUrl({ migrated: false });
  await migrate({ connectionString: url }, { folder: await folderBefore('_member_email_identity') });
  pool = openPool({ connectionString: url });
  pools.push(pool);
  await pool.query(`INSERT INTO networks (id, slug, name) VALUES ($1, 'acme', 'Acme')`, [NETWORK]);
}, TIMEOUT_MS);
afterAll(async () => {
  for (const each of pools) await each.close();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

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

/** As the release before stores a member, and changes its address: it knows no other columns. */
async function insert(client: Pick<pg.ClientBase, 'query'>, email: string): Promise<void> {
  await client.query(
    `INSERT INTO members (id, network_id, external_id, name, name_folded, email, email_folded)
     VALUES (gen_random_uuid(), $1, NULL, 'N', 'n', $2, $3)`,
    [NETWORK, email, fold(email)],
  );
}

async function move(client: Pick<pg.ClientBase, 'query'>, from: string, to: string): Promise<void> {
  await client.query(
    'UPDATE members SET email = $3, email_folded = $4, updated_at = now() WHERE network_id = $1 AND email_folded = $2',
    [NETWORK, fold(from), to, fold(to)],
  );
}

async function rewritten(): Promise<string[]> {
  const { rows } = await pool.query<{ file: string }>(`SELECT pg_relation_filepath('members') AS file`);
  return rows.map(({ file }) => file);
}

test('what the release before has stored, and writes during the migration and after it, gets its mailbox', {
  timeout: TIMEOUT_MS,
}, async () => {
  for (let n = 0; n < 50; n += 1) await insert(pool, n % 2 === 0 ? `old${n}@bücher.example` : `Old${n}@Example.org`);
  await insert(pool, 'both@bücher.example');
  await insert(pool, 'both@xn--bcher-kva.example');
  const file = await rewritten();

  let isOver = false;
  let writes = 0;
  const writer = (async () => {
    while (!isOver) {
      await insert(pool, `new${writes}@straße.example`);
      await move(pool, `new${writes}@straße.example`, `moved${writes}@bücher.example`);
      writes += 1;
    }
  })();
  await expect.poll(() => writes, { timeout: TIMEOUT_MS }).toBeGreaterThan(5);
  const database = await openDatabase({ url, dataDir: '', poolSize: 4, statementTimeoutMs: 30_000 });
  try {
    expect(await rewritten()).toEqual(file);
    const migratedAt = writes;
    while (writes < migratedAt + 20) await fillIdentities(database, NEVER);
    isOver = true;
    await writer;
    expect(await fillIdentities(database, NEVER)).toMatchObject({ conflicts: 1 });

    // Of what is plain ASCII no row is written; of the rest all but the conflict has its mailbox.
    const { rows } = await pool.query(
      `SELECT count(*) FILTER (WHERE email_folded LIKE '%@example.org' AND email_identity_of IS NULL)::int AS plain,
              count(*) FILTER (WHERE email_identity LIKE '%@xn--bcher-kva.example')::int AS filled,
              count(*) FILTER (WHERE email LIKE 'both@%' AND email_identity IS NULL)::int AS conflict
       FROM members`,
    );
    expect(rows).toEqual([{ plain: 25, filled: 25 + 1 + writes, conflict: 1 }]);
    const { rows: kept } = await pool.query('SELECT members::int FROM member_counts WHERE network_id = $1', [NETWORK]);
    expect(kept).toEqual([{ members: 52 + writes }]);

    // From here on each is found by its other spelling.
    const fields = new Map([['email', 'moved0@xn--bcher-kva.example']]);
    const outcome = await upsertMembers(database, COMMAND_LINE, NETWORK, [{ fields, customFields: null }]);
    expect(outcome).toMatchObject({ ok: true, results: [{ kind: 'updated' }] });
  } finally {
    isOver = true;
    await writer;
    await database.close();
  }
});

test('the release before goes on storing what it stores, and is refused what it always was', async () => {
  await insert(pool, 'once@bücher.example');
  await expect(insert(pool, 'ONCE@bücher.example')).rejects.toMatchObject({ code: '23505' });
  // Also beside a mailbox that this release has stored.
  await pool.query(
    `UPDATE members SET email_identity = 'once@xn--bcher-kva.example', email_identity_of = email_folded WHERE email = 'once@bücher.example'`,
  );
  await insert(pool, 'once@xn--bcher-kva.example');
  await move(pool, 'once@xn--bcher-kva.example', 'twice@example.org');
  await move(pool, 'twice@example.org', 'once@xn--bcher-kva.example');
});
