// The settings of a database, a role or a URL change nothing: not who is let in, not what is told, not what is kept.
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { importText, jsonLines } from '../services/members.ts';
import { afterFile } from '../support/cleanup.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { TEST_SECRET } from '../support/gateway.ts';
import { withClient } from '../support/postgres.ts';
import { runCommand } from '../support/program.ts';
import { scratchUrl } from '../support/scratch.ts';
import { scriptedUse, type Transcript } from '../support/scripted-use.ts';

const HOSTILE: Readonly<Record<string, string>> = {
  DateStyle: 'SQL, DMY',
  IntervalStyle: 'sql_standard',
  TimeZone: 'Australia/Eucla',
  search_path: 'app',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  standard_conforming_strings: 'off',
  backslash_quote: 'on',
  transform_null_equals: 'on',
  array_nulls: 'off',
  client_encoding: 'LATIN1',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  session_replication_role: 'replica',
  synchronous_commit: 'off',
  row_security: 'off',
  check_function_bodies: 'off',
  gin_fuzzy_search_limit: '1',
  exit_on_error: 'on',
  statement_timeout: '1ms',
  lock_timeout: '1ms',
  idle_in_transaction_session_timeout: '1ms',
  idle_session_timeout: '1ms',
  'gatehouse.audit_retention_days': '1',
  'gatehouse.member_feed': '01a20a8d-4f15-72f7-b26a-40e1a73bf29a 7',
};

/** One at a time, too: those by which values are read, statements understood, and triggers and time limits work. */
const ALONE = ['DateStyle', 'TimeZone', 'search_path', 'bytea_output', 'standard_conforming_strings'];

/** Each is a start on an empty database with some eighty requests: on a busy machine that takes a while. */
const PATIENCE = { timeout: 180_000 };

let wanted: Transcript;
beforeAll(async () => {
  wanted = await scriptedUse(await scratchUrl({ migrated: false }));
}, PATIENCE.timeout);

test('the script itself meets every refusal, and no bug', () => {
  expect(wanted.refusals.map(({ status }) => status)).toEqual([200, 200, 401, 401, 401, 401, 403]);
  expect(wanted.answers.map(({ status }) => status)).toEqual(wanted.answers.map(() => 200));
  expect(wanted.keys.map(({ status }) => status)).toEqual([200, 200, 200, 200, 401, 200]);
  expect(wanted.quota.map(({ status }) => status)).toEqual([200, 429]);
  expect(wanted.promisedDays.map(({ days }) => days)).toEqual(wanted.promisedDays.map(() => 3_650));
  expect(wanted.bugs).toEqual([]);
});

describe('the same use gives the same answers', PATIENCE, () => {
  test('on an empty database whose settings are all hostile at once', async () => {
    expect(await scriptedUse(await hostileDatabase(HOSTILE))).toEqual(wanted);
  });

  test.each(ALONE)('on an empty database with a hostile %s alone', async (name) => {
    expect(await scriptedUse(await hostileDatabase({ [name]: HOSTILE[name] ?? '' }))).toEqual(wanted);
  });

  test('to a role whose own settings are hostile, and which owns the database and no more', async ({ skip }) => {
    const { session_replication_role: _, ...settings } = HOSTILE;
    const url = await databaseOfHostileRole(settings);
    if (url === null) return skip('the server lets no role in without a password');
    expect(await scriptedUse(url)).toEqual(wanted);
  });

  test('where DATABASE_URL has options and parameters of its own', async () => {
    const url = new URL(await scratchUrl({ migrated: false }));
    const options = Object.entries(HOSTILE).map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`);
    url.searchParams.append('options', ['-c work_mem=8MB', ...options].join(' '));
    for (const [name, value] of Object.entries(HOSTILE)) url.searchParams.append(name, value);
    for (const name of ['query_timeout', 'replication', 'binary', 'schema']) url.searchParams.append(name, '1');
    expect(await scriptedUse(url.href)).toEqual(wanted);
  });
});

test('the command line reads and writes on such a database what it does on any other', PATIENCE, async () => {
  const url = await hostileDatabase(HOSTILE);
  const options = { url, dataDir: '', poolSize: 2, statementTimeoutMs: 30_000, auditRetentionDays: 3_650 };
  const database = await openDatabase(options);
  try {
    const { network } = await makeNetwork(database);
    const member = { email: 'grace@example.org', name: 'Grace', createdAt: '2024-02-03T04:05:06.789Z' };
    await importText(database, network.id, 'jsonl', jsonLines(member));
    const run = async (...args: readonly string[]): Promise<string> => {
      const settings = { DATABASE_URL: url, GATEHOUSE_SECRETS: TEST_SECRET, AUDIT_RETENTION_DAYS: '3650' };
      const { code, stdout } = await runCommand([...args, '--network', network.slug], settings);
      expect(code).toBe(0);
      return stdout;
    };
    const expiresAt = '2034-12-11T10:09:08.007Z';
    await run('key', 'create', '--name', 'CI', '--scope', 'members:read', '--expires-at', expiresAt);
    const keys = JSON.parse(await run('key', 'list', '--json')) as Record<string, unknown>[];
    expect(keys.find(({ name }) => name === 'CI')).toMatchObject({ status: 'ACTIVE', expiresAt });
    expect(await run('member', 'export')).toContain(`"createdAt":"${member.createdAt}"`);
    const { rows } = await database.pool.query(
      'SELECT DISTINCT round(extract(epoch FROM keep_until - created_at) / 86400)::int AS days FROM audit_events',
    );
    expect(rows).toEqual([{ days: 3_650 }]);
  } finally {
    await database.close();
  }
});

/** A new database without tables, with settings that hold for every session on it. */
async function hostileDatabase(settings: Readonly<Record<string, string>>): Promise<string> {
  const url = await scratchUrl({ migrated: false });
  const name = new URL(url).pathname.slice(1);
  await withClient(url, (client) => client.query('CREATE SCHEMA app'));
  for (const [setting, value] of Object.entries(settings)) {
    await withClient(inject('databaseUrl'), (client) =>
      client.query(`ALTER DATABASE ${name} SET ${setting} = '${value}'`),
    );
  }
  return url;
}

/** The URL of a new database for its owner, a role with such settings; null where the server lets no such role in. */
async function databaseOfHostileRole(settings: Readonly<Record<string, string>>): Promise<string | null> {
  const role = `gatehouse_scratch_${randomBytes(6).toString('hex')}`;
  const onMain = (statement: string) => withClient(inject('databaseUrl'), (client) => client.query(statement));
  await onMain(`CREATE ROLE ${role} LOGIN`);
  // After the database, which is its own.
  afterFile(() => onMain(`DROP ROLE ${role}`));
  const url = new URL(await scratchUrl({ migrated: false }));
  await onMain(`ALTER DATABASE ${url.pathname.slice(1)} OWNER TO ${role}`);
  await withClient(url.href, (client) => client.query(`CREATE SCHEMA app AUTHORIZATION ${role}`));
  url.username = role;
  url.password = '';
  try {
    await withClient(url.href, (client) => client.query('SELECT 1'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('28')) return null;
    throw error;
  }
  for (const [setting, value] of Object.entries(settings)) {
    await onMain(`ALTER ROLE ${role} SET ${setting} = '${value}'`);
  }
  return url.href;
}
