/** The counter of members equals the members, whoever writes, whatever is rolled back or killed, and after a restore. */
import type { Pool } from 'pg';
import { describe, expect, inject, test } from 'vitest';
import { newUuid } from '../../src/domain/id.ts';
import { dumpInto, missingTools, runScript } from '../support/dump.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { TEST_SECRET } from '../support/gateway.ts';
import { openPool } from '../support/postgres.ts';
import { startGatewayProgram } from '../support/program.ts';
import { scratchUrl } from '../support/scratch.ts';
import { useGateway, useScratchGateway } from '../support/suite.ts';
import { beside, fill } from './feed-client.ts';

const suite = useGateway({ DATABASE_POOL_SIZE: '10' });
const scratch = useScratchGateway();
const TIMEOUT_MS = 180_000;

interface Counts {
  /** Null: there is no row. */
  readonly counter: number | null;
  readonly counted: number;
}

/** Both in one statement: of one moment. */
async function countsOf(pool: Pool, networkId: string): Promise<Counts> {
  const { rows } = await pool.query<Counts>(
    `SELECT (SELECT members::int FROM member_counts WHERE network_id = $1) AS counter,
            (SELECT count(*)::int FROM members WHERE network_id = $1) AS counted`,
    [networkId],
  );
  if (rows[0] === undefined) throw new Error('a SELECT without a row');
  return rows[0];
}

async function expectTrue(pool: Pool, networkId: string, members?: number): Promise<void> {
  const { counter, counted } = await countsOf(pool, networkId);
  expect(counter).toBe(counted);
  if (members !== undefined) expect(counted).toBe(members);
}

test('at every moment, beside writers of every kind, while gateways are killed', { timeout: TIMEOUT_MS }, async () => {
  const { network, token } = await makeNetwork(suite.database);
  await fill(suite.database, network.id, 1_000);
  const start = async () => {
    const program = startGatewayProgram({ DATABASE_URL: inject('databaseUrl'), GATEHOUSE_SECRETS: TEST_SECRET });
    return { program, url: await program.url };
  };
  let second = await start();
  let turn = 0;
  // Writers go to both gateways in turn; one of the two dies again and again.
  const url = () => (turn++ % 2 === 0 ? suite.url : second.url);
  const place = { database: suite.database, networkId: network.id, url, token };
  const moments: Counts[] = [];
  const writes = await beside(place, async () => {
    for (let kills = 0; kills < 2; kills += 1) {
      for (let look = 0; look < 10; look += 1) moments.push(await countsOf(suite.database.pool, network.id));
      const dying = second;
      second = await start();
      await dying.program.kill('SIGKILL');
    }
  });
  await second.program.kill('SIGKILL');
  expect(writes).toBeGreaterThan(20);
  for (const { counter, counted } of moments) expect(counter).toBe(counted);
  expect(new Set(moments.map(({ counted }) => counted)).size).toBeGreaterThan(1);
  // What a killed gateway had under way ends with its connection.
  await expect.poll(() => openTransactions(network.id), { timeout: 30_000 }).toBe(0);
  await expectTrue(suite.database.pool, network.id);
  const { body } = await suite.call(token, '{ members(first: 1) { totalCount } }');
  expect(body.data.members.totalCount).toBe((await countsOf(suite.database.pool, network.id)).counted);
});

/** Whether somebody still holds the network's row of the feed, as every writer does. */
async function openTransactions(networkId: string): Promise<number> {
  const { rows } = await suite.database.pool.query<{ free: number }>(
    'SELECT count(*)::int AS free FROM (SELECT FROM member_feeds WHERE network_id = $1 FOR UPDATE SKIP LOCKED) AS row',
    [networkId],
  );
  return 1 - (rows[0]?.free ?? 0);
}

const INSERT = `INSERT INTO members (id, network_id, name, name_folded, email, email_folded)
  SELECT gen_random_uuid(), network, 'n', 'n', 'new' || n, 'new' || n FROM unnest('{$1,$2}'::uuid[]) AS network,`;

/** Each begins with 10 members (\`m0\` to \`m9\` by name) in $1 and in $2. The numbers: how many it leaves in each. */
const WAYS: Readonly<Record<string, { readonly sql: string; readonly leaves: readonly [number, number] }>> = {
  'an insert of several networks': { sql: `${INSERT} generate_series(1, 5) n`, leaves: [15, 15] },
  'an insert that finds its rows there': {
    sql: `${INSERT} generate_series(1, 2) n; ${INSERT} generate_series(1, 3) n ON CONFLICT DO NOTHING`,
    leaves: [13, 13],
  },
  'an insert that changes the rows it finds': {
    sql: `${INSERT} generate_series(1, 2) n;
      ${INSERT} generate_series(1, 3) n ON CONFLICT (network_id, email_folded) DO UPDATE SET name = 'changed'`,
    leaves: [13, 13],
  },
  'an update': { sql: `UPDATE members SET name = 'x' WHERE network_id IN ('$1', '$2')`, leaves: [10, 10] },
  'a delete of several networks': {
    sql: `DELETE FROM members WHERE network_id IN ('$1', '$2') AND name IN ('m1', 'm2', 'm3')`,
    leaves: [7, 7],
  },
  'a delete of none': { sql: `DELETE FROM members WHERE network_id = '$1' AND name = 'none'`, leaves: [10, 10] },
  'a delete and an insert in one statement': {
    sql: `WITH gone AS (DELETE FROM members WHERE network_id = '$1' RETURNING *)
      INSERT INTO members (id, network_id, name, name_folded, email, email_folded)
      SELECT gen_random_uuid(), network_id, name, name, 'again' || name, 'again' || name FROM gone WHERE name <> 'm1'`,
    leaves: [9, 10],
  },
  'a merge': {
    sql: `MERGE INTO members USING (SELECT * FROM members WHERE network_id = '$1') AS known ON members.id = known.id
      WHEN MATCHED AND known.name = 'm1' THEN DELETE WHEN MATCHED THEN UPDATE SET name = 'merged'`,
    leaves: [9, 10],
  },
  'a transaction that is rolled back': {
    sql: `BEGIN; DELETE FROM members WHERE network_id = '$1'; ${INSERT} generate_series(1, 5) n; ROLLBACK`,
    leaves: [10, 10],
  },
  'savepoints, the inner of which are rolled back': {
    sql: `BEGIN; ${INSERT} generate_series(1, 2) n;
      SAVEPOINT a; DELETE FROM members WHERE network_id = '$1'; SAVEPOINT b; ${INSERT} generate_series(3, 9) n;
      ROLLBACK TO a; DELETE FROM members WHERE network_id = '$2' AND name = 'm1'; RELEASE a; COMMIT`,
    leaves: [12, 11],
  },
  'a session that replays somebody else’s changes': {
    sql: `SET session_replication_role = replica; ${INSERT} generate_series(1, 2) n;
      DELETE FROM members WHERE network_id = '$1' AND name IN ('m1', 'm2', 'm3'); RESET session_replication_role`,
    leaves: [9, 12],
  },
  'an insert where the counter has been lost': {
    sql: `DELETE FROM member_counts WHERE network_id IN ('$1', '$2'); ${INSERT} generate_series(1, 2) n`,
    leaves: [12, 12],
  },
  'a delete where the counter has been lost': {
    sql: `DELETE FROM member_counts WHERE network_id IN ('$1', '$2');
      BEGIN; DELETE FROM members WHERE name = 'm1' AND network_id IN ('$1', '$2');
      DELETE FROM members WHERE name = 'm2' AND network_id IN ('$1', '$2'); COMMIT`,
    leaves: [8, 8],
  },
};

describe('after', () => {
  test.for(Object.entries(WAYS))('%s', async ([, { sql, leaves }]) => {
    const networks = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const ids = networks.map(({ network }) => network.id);
    for (const id of ids) await makeMembers(suite.database, id, 10, (index) => ({ name: `m${index}` }));
    const session = await suite.database.pool.connect();
    try {
      await session.query(sql.replaceAll('$1', String(ids[0])).replaceAll('$2', String(ids[1])));
    } finally {
      session.release(true);
    }
    for (const [index, id] of ids.entries()) await expectTrue(suite.database.pool, id, leaves[index]);
  });

  test('the deletion of a network, which takes its counter with it', async () => {
    const { network } = await makeNetwork(suite.database);
    await makeMembers(suite.database, network.id, 10);
    await suite.database.pool.query('DELETE FROM networks WHERE id = $1', [network.id]);
    expect(await countsOf(suite.database.pool, network.id)).toEqual({ counter: null, counted: 0 });
  });

  test('members in the same transaction as their network', async () => {
    const id = newUuid();
    const members = INSERT.replace('{$1,$2}', `{${id}}`);
    await suite.database.pool.query(
      `BEGIN; INSERT INTO networks (id, slug, name, updated_at) VALUES ('${id}', 't-${id}', 'N', now());
       ${members} generate_series(1, 3) n; COMMIT`,
    );
    await expectTrue(suite.database.pool, id, 3);
  });
});

describe('a counter that is wrong, because triggers were off,', () => {
  test('is put right by the operator beside writers, who wait for nothing but the row', async () => {
    const { pool } = scratch.database;
    const make = async () => (await makeNetwork(scratch.database)).network.id;
    const [short, long, right] = [await make(), await make(), await make()];
    for (const id of [short, long, right]) await fill(scratch.database, id, 100);
    await pool.query('ALTER TABLE members DISABLE TRIGGER USER');
    await fillFrom(pool, short, 7);
    await pool.query(`DELETE FROM members WHERE network_id = $1 AND external_id IN ('e1', 'e2')`, [long]);
    await pool.query('ALTER TABLE members ENABLE TRIGGER USER');
    await pool.query(
      'ALTER TABLE members ENABLE ALWAYS TRIGGER members_counted, ENABLE ALWAYS TRIGGER members_inserted',
    );
    expect(await countsOf(pool, short)).toEqual({ counter: 100, counted: 107 });
    expect(await countsOf(pool, long)).toEqual({ counter: 100, counted: 98 });

    const [writer, other] = [await pool.connect(), await pool.connect()];
    try {
      // Under way before the repair counts, committed after.
      await writer.query('BEGIN');
      await writer.query('DELETE FROM members WHERE network_id = $1 AND external_id = $2', [short, 'e3']);
      const repairs = [other, pool].map((by) => by.query('SELECT * FROM member_counts_repair()'));
      await expect.poll(() => waitingForRow(pool), { timeout: 30_000 }).toBeGreaterThan(0);
      await writer.query('COMMIT');
      const found = (await Promise.all(repairs)).flatMap(({ rows }) => rows);
      // Two at once: the second finds nothing left to do.
      expect(found).toHaveLength(2);
      expect(found).toEqual(
        expect.arrayContaining([
          { network_id: short, was: '100', members: '106' },
          { network_id: long, was: '100', members: '98' },
        ]),
      );
    } finally {
      writer.release();
      other.release();
    }
    for (const id of [short, long, right]) await expectTrue(pool, id);
  });

  test('is put right by what an operator calls after a restore of files', async () => {
    const { network } = await makeNetwork(scratch.database);
    const { pool } = scratch.database;
    await fill(scratch.database, network.id, 10);
    await pool.query('UPDATE member_counts SET members = 7 WHERE network_id = $1', [network.id]);
    await pool.query('SELECT member_feeds_restored()');
    await expectTrue(pool, network.id, 10);
  });

  test('where it has no row, members are counted', async () => {
    const { network, token } = await makeNetwork(scratch.database);
    await fill(scratch.database, network.id, 10);
    await scratch.database.pool.query('DELETE FROM member_counts WHERE network_id = $1', [network.id]);
    const { body, cost } = await scratch.call(token, '{ members(first: 1) { totalCount } }');
    expect([body.data.members.totalCount, cost?.requested]).toEqual([10, 3]);
  });
});

async function fillFrom(pool: Pool, networkId: string, count: number): Promise<void> {
  await pool.query(
    `INSERT INTO members (id, network_id, name, name_folded, email, email_folded)
     SELECT gen_random_uuid(), $1, 'n', 'n', 'more' || n, 'more' || n FROM generate_series(1, $2::int) n`,
    [networkId, count],
  );
}

async function waitingForRow(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ waiting: number }>(
    `SELECT count(*)::int AS waiting FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event = 'transactionid' AND query LIKE '%member_counts_repair%'`,
  );
  return rows[0]?.waiting ?? 0;
}

const reason = await missingTools();
if (reason !== '') process.stdout.write(`\nCounters across a dump and a restore are left out: ${reason}.\n`);

const DATA_ONLY = ['--data-only', '--exclude-table=_prisma_migrations'];
/** How operators restore a dump. */
const RESTORES: Readonly<Record<string, (from: string, to: string) => Promise<void>>> = {
  'a whole dump': (from, to) => dumpInto(from, to),
  'rows into a migrated database, triggers off': (from, to) =>
    dumpInto(from, to, { options: [...DATA_ONLY, '--disable-triggers'] }),
  'rows into a migrated database, as a replica does it': (from, to) =>
    dumpInto(from, to, { options: DATA_ONLY, before: 'SET session_replication_role = replica;' }),
  'rows into a migrated database, triggers on, without what triggers make': (from, to) =>
    dumpInto(from, to, { options: [...DATA_ONLY, '--exclude-table=member_feeds'] }),
  'members alone, triggers on': async (from, to) => {
    await dumpInto(from, to, { options: [...DATA_ONLY, '--table=networks'] });
    await dumpInto(from, to, { options: [...DATA_ONLY, '--table=members'] });
  },
};

describe.skipIf(reason !== '')('across a dump and a restore', { timeout: TIMEOUT_MS }, () => {
  test.for(Object.entries(RESTORES))('of %s', async ([name, restore]) => {
    const [from, to] = [await scratchUrl({ migrated: true }), await scratchUrl({ migrated: name !== 'a whole dump' })];
    const ids = ['00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002'];
    const fillBoth = ids.map(
      (id, index) => `INSERT INTO networks (id, slug, name, updated_at) VALUES ('${id}', 'n${index}', 'N', now());
        INSERT INTO members (id, network_id, name, name_folded, email, email_folded)
        SELECT gen_random_uuid(), '${id}', 'n', 'n', 'e' || n, 'e' || n FROM generate_series(1, ${100 * (index + 1)}) n;`,
    );
    await runScript(from, fillBoth.join('\n'));
    await restore(from, to);
    const pool = openPool({ connectionString: to });
    try {
      for (const [index, id] of ids.entries()) await expectTrue(pool, id, 100 * (index + 1));
      await pool.query(`DELETE FROM members WHERE email_folded = 'e1'`);
      for (const [index, id] of ids.entries()) await expectTrue(pool, id, 100 * (index + 1) - 1);
      expect((await pool.query('SELECT * FROM member_counts_repair()')).rows).toEqual([]);
    } finally {
      await pool.close();
    }
  });
});
