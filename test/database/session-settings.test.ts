// What a session means is ours to say: whatever a database, a role, a URL or a pooler sets beforehand.
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { ignoredNotice, readConnectionUrl } from '../../src/database/connection-url.ts';
import { openDatabase } from '../../src/database/database.ts';
import { SessionClient, SessionError, sessionConfig } from '../../src/database/session-client.ts';
import { PINNED_NAMES, sessionSettings, startupOptions } from '../../src/database/session-settings.ts';
import { afterFile } from '../support/cleanup.ts';
import { DatabaseError, openClient, withClient } from '../support/postgres.ts';
import { scratchUrl } from '../support/scratch.ts';
import { aroundStatements } from '../support/statements.ts';

const BOUNDS = { statementTimeoutMs: 9_000, lockTimeoutMs: 8_000, idleInTransactionTimeoutMs: 7_000 };
const SETTINGS = sessionSettings({ ...BOUNDS, auditRetentionDays: 3_650 });

/** A value of each setting that would change what we read, write or wait for; and the one that must hold. */
const HOSTILE: Readonly<Record<string, readonly [hostile: string, ours: string]>> = {
  search_path: ['app', 'public'],
  DateStyle: ['SQL, DMY', 'ISO, MDY'],
  IntervalStyle: ['iso_8601', 'postgres'],
  TimeZone: ['America/New_York', 'UTC'],
  bytea_output: ['escape', 'hex'],
  extra_float_digits: ['-15', '1'],
  client_encoding: ['LATIN1', 'UTF8'],
  array_nulls: ['off', 'on'],
  standard_conforming_strings: ['off', 'on'],
  backslash_quote: ['on', 'safe_encoding'],
  transform_null_equals: ['on', 'off'],
  check_function_bodies: ['off', 'on'],
  default_transaction_isolation: ['serializable', 'read committed'],
  default_transaction_deferrable: ['on', 'off'],
  row_security: ['off', 'on'],
  gin_fuzzy_search_limit: ['1', '0'],
  max_parallel_workers_per_gather: ['4', '0'],
  jit: ['on', 'off'],
  enable_incremental_sort: ['on', 'off'],
  idle_session_timeout: ['1ms', '0'],
  exit_on_error: ['on', 'off'],
  'gatehouse.member_feed': ['01a20a8d-4f15-72f7-b26a-40e1a73bf29a 7', ''],
  statement_timeout: ['1ms', '9s'],
  lock_timeout: ['1ms', '8s'],
  idle_in_transaction_session_timeout: ['1ms', '7s'],
  'gatehouse.audit_retention_days': ['1', '3650'],
  transaction_timeout: ['1s', '0'],
  synchronous_commit: ['off', 'on'],
  session_replication_role: ['replica', 'origin'],
};

/** Why every other setting that a session may have is left as the operator has it. */
const LEFT_ALONE: Readonly<Record<string, RegExp>> = {
  'changes how fast an answer comes, and not the answer':
    /^(enable_(?!incremental_sort)|jit_|geqo|cpu_|vacuum_|debug_parallel|force_parallel|min_parallel|max_parallel_(?!workers_per_gather)|parallel_|tcp_)|_cost$|_collapse_limit$|_io_concurrency$|_mem$|^(backend_flush_after|client_connection_check_interval|commit_delay|commit_siblings|constraint_exclusion|cursor_tuple_fraction|deadlock_timeout|default_statistics_target|effective_cache_size|gin_pending_list_limit|hash_mem_multiplier|io_combine_limit|max_stack_depth|plan_cache_mode|recursive_worktable_factor|stats_fetch_consistency|synchronize_seqscans|temp_buffers|wal_sender_timeout|wal_skip_threshold)$/,
  'says where and how bytes are stored':
    /^(default_table_access_method|default_tablespace|default_toast_compression|temp_tablespaces|temp_file_limit|wal_compression|wal_consistency_checking|wal_init_zero|wal_recycle|file_copy_method)$/,
  'is of the server log, its counters and its debugging':
    /^(log_|track_|trace_|debug_|compute_query_id|backtrace_functions|application_name|update_process_title|client_min_messages|escape_string_warning|md5_password_warnings|lc_messages)/,
  'is of what no statement of ours uses: XML, money, to_char, text search, large objects, passwords, ICU, views':
    /^(xml|lc_monetary|lc_numeric|lc_time|default_text_search_config|timezone_abbreviations|quote_all_identifiers|lo_compat_privileges|password_encryption|scram_iterations|icu_validation_level|restrict_nonsystem_relation_kind|createrole_self_grant|composite_type_mismatch)/,
  'is of the current transaction, not of a session': /^transaction_(isolation|read_only|deferrable)$/,
  'is an operator’s way to stop writes, which gateways report': /^default_transaction_read_only$/,
  'is what only a superuser does to a server in repair, or to load code':
    /^(allow_in_place_tablespaces|allow_system_table_mods|ignore_checksum_failure|zero_damaged_pages|dynamic_library_path|extension_control_path|extension_destdir|event_triggers|output_plugin_libraries|local_preload_libraries|session_preload_libraries)$/,
};

let url = '';
let name = '';
/** Knows only settings of its version. */
let known: ReadonlySet<string> = new Set();
beforeAll(async () => {
  url = await scratchUrl({ migrated: false });
  name = new URL(url).pathname.slice(1);
  const { rows } = await withClient(url, (client) => client.query('SELECT name FROM pg_settings'));
  known = new Set(rows.map((row) => row.name));
});

const isKnown = (setting: string) => known.has(setting) || setting.includes('.');

test('every setting that a session may have is set by us, or is left to the operator for a reason', async () => {
  const { rows } = await withClient(url, (client) =>
    client.query<{ name: string }>(`SELECT name FROM pg_settings WHERE context IN ('user', 'superuser')`),
  );
  const undecided = rows
    .map((row) => row.name)
    .filter((setting) => !PINNED_NAMES.includes(setting))
    .filter((setting) => !Object.values(LEFT_ALONE).some((names) => names.test(setting)));
  expect(undecided).toEqual([]);
  expect(PINNED_NAMES.filter((setting) => Object.values(LEFT_ALONE).some((names) => names.test(setting)))).toEqual([]);
  expect(Object.keys(HOSTILE).sort()).toEqual([...PINNED_NAMES].sort());
});

describe.for(Object.entries(HOSTILE))('%s', ([setting, [hostile, ours]]) => {
  test('holds whatever the database sets', async ({ skip }) => {
    if (!isKnown(setting)) skip('PostgreSQL has it from 17 on');
    await onMain(`ALTER DATABASE ${name} SET ${setting} = '${hostile}'`);
    try {
      // Twice: a transaction that ends gives back what was set inside it alone.
      expect(await settingOf(setting, url)).toEqual([ours, ours]);
    } finally {
      await onMain(`ALTER DATABASE ${name} RESET ${setting}`);
    }
  });

  test('holds whatever DATABASE_URL sets, as an option or as a parameter', async ({ skip }) => {
    if (!isKnown(setting)) skip('PostgreSQL has it from 17 on');
    const option = new URL(url);
    option.searchParams.append('options', `-c ${setting}=${hostile.replaceAll(' ', '\\ ')}`);
    expect(await settingOf(setting, option.href)).toEqual([ours, ours]);
    const parameter = new URL(url);
    parameter.searchParams.append(setting, hostile);
    expect(await settingOf(setting, parameter.href)).toEqual([ours, ours]);
  });

  test('holds where a pooler lets no startup option through', async ({ skip }) => {
    if (!isKnown(setting)) skip('PostgreSQL has it from 17 on');
    // A time limit that ends the first statement cannot be lifted by it.
    if (hostile === '1ms') skip('only the startup packet comes before the first statement');
    await onMain(`ALTER DATABASE ${name} SET ${setting} = '${hostile}'`);
    try {
      const config = { ...sessionConfig({ connectionString: url }, SETTINGS), options: '' };
      expect(await valueIn(new SessionClient(config), setting)).toEqual([ours, ours]);
    } finally {
      await onMain(`ALTER DATABASE ${name} RESET ${setting}`);
    }
  });
});

test('startup options alone hold what can be set without a condition, and outlive RESET ALL', async () => {
  const client = await openClient({ connectionString: url, options: startupOptions(SETTINGS) });
  try {
    await client.query(`SET DateStyle = 'SQL, DMY'; SET search_path = app; RESET ALL`);
    const { rows } = await client.query('SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS name', [
      Object.keys(SETTINGS),
    ]);
    const wanted = Object.keys(SETTINGS).map((setting) => ({ name: setting, value: HOSTILE[setting]?.[1] }));
    expect(rows).toEqual(wanted);
  } finally {
    await client.end();
  }
});

test('synchronous_commit stays where it keeps what was acknowledged', async () => {
  for (const value of ['local', 'remote_write', 'remote_apply']) {
    await onMain(`ALTER DATABASE ${name} SET synchronous_commit = '${value}'`);
    expect(await settingOf('synchronous_commit', url)).toEqual([value, value]);
  }
  await onMain(`ALTER DATABASE ${name} RESET synchronous_commit`);
});

test('default_transaction_read_only stays the operator’s', async () => {
  await onMain(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
  expect(await settingOf('default_transaction_read_only', url)).toEqual(['on', 'on']);
  await onMain(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
});

describe('a role', () => {
  const role = `gatehouse_scratch_${randomBytes(6).toString('hex')}`;
  let asRole = '';
  beforeAll(async () => {
    await onMain(`CREATE ROLE ${role} LOGIN`);
    afterFile(() => onMain(`DROP OWNED BY ${role}; DROP ROLE ${role}`));
    const to = new URL(url);
    to.username = role;
    asRole = to.href;
  });

  test('changes nothing by its own settings', async ({ skip }) => {
    for (const [setting, [hostile]] of Object.entries(HOSTILE)) {
      if (isKnown(setting) && setting !== 'session_replication_role') {
        await onMain(`ALTER ROLE ${role} IN DATABASE ${name} SET ${setting} = '${hostile}'`);
      }
    }
    if (!(await canLogIn(asRole))) skip('the server lets no role in without a password');
    for (const [setting, [, ours]] of Object.entries(HOSTILE)) {
      if (isKnown(setting)) expect([setting, ...(await settingOf(setting, asRole))]).toEqual([setting, ours, ours]);
    }
    await onMain(`ALTER ROLE ${role} IN DATABASE ${name} RESET ALL`);
  });

  test('whose triggers are put to sleep, which it cannot change, gets no session and is told why', async ({ skip }) => {
    if (!(await canLogIn(asRole))) skip('the server lets no role in without a password');
    await onMain(`ALTER ROLE ${role} SET session_replication_role = replica`);
    const start = openDatabase({ url: asRole, dataDir: '', poolSize: 2, statementTimeoutMs: 9_000 });
    await expect(start).rejects.toThrow(SessionError);
    await expect(start).rejects.toThrow('ALTER ROLE … RESET session_replication_role');
    await onMain(`ALTER ROLE ${role} RESET session_replication_role`);
  });

  test('that may not create in the schema public is told so by the start', async ({ skip }) => {
    if (!(await canLogIn(asRole))) skip('the server lets no role in without a password');
    await onMain(`ALTER ROLE ${role} SET search_path = app`);
    await withClient(url, (client) => client.query(`CREATE SCHEMA app AUTHORIZATION ${role}`));
    const start = openDatabase({ url: asRole, dataDir: '', poolSize: 2, statementTimeoutMs: 9_000 });
    await expect(start).rejects.toThrow('GRANT CREATE ON SCHEMA public');
    await withClient(url, (client) => client.query('DROP SCHEMA app'));
  });
});

test('a session that never answers its first statement is given up, and its connection closed', async () => {
  const config = { ...sessionConfig({ connectionString: url }, SETTINGS), connectionTimeoutMillis: 1_000 };
  const client = new SessionClient(config);
  client.on('error', () => undefined);
  const ended = new Promise((resolve) => client.once('end', resolve));
  const stop = aroundStatements(({ text }, _args, send) => send(`SELECT pg_sleep(60); ${text}`));
  try {
    await expect(client.connect()).rejects.toThrow(/terminated|timeout/);
    await ended;
  } finally {
    stop();
  }
});

describe('DATABASE_URL', () => {
  test.each([
    ['nothing', '', '', []],
    ['how to reach the server and what to call the session', '?host=/tmp&sslmode=require&application_name=a', '', []],
    ['options, which are added to ours', '?options=-c%20work_mem%3D8MB&sslmode=disable', '-c work_mem=8MB', []],
    ['options more than once', '?options=-c+a.b%3D1&options=-c+a.c%3D2', '-c a.b=1 -c a.c=2', []],
    [
      'what would take the place of ours',
      '?statement_timeout=1&query_timeout=1&client_encoding=LATIN1&replication=database&binary=true',
      '',
      ['statement_timeout', 'query_timeout', 'client_encoding', 'replication', 'binary'],
    ],
    ['what nobody reads', '?schema=app&channel_binding=require', '', ['schema', 'channel_binding']],
  ])('may say %s', (_, query, options, ignored) => {
    const read = readConnectionUrl(`postgres://user:p%40ss@db.example.org:5433/gatehouse${query}`);
    expect([read.options, read.ignored]).toEqual([options, ignored]);
    const { searchParams, username, password, host, pathname } = new URL(read.url);
    expect([username, password, host, pathname]).toEqual(['user', 'p%40ss', 'db.example.org:5433', '/gatehouse']);
    for (const parameter of ['options', ...ignored]) expect(searchParams.has(parameter)).toBe(false);
    expect(ignoredNotice(read.ignored) === null).toBe(ignored.length === 0);
  });

  test('adds its options to ours, and the operator is told what has no effect', async () => {
    const to = new URL(url);
    to.searchParams.append('options', '-c work_mem=8MB');
    to.searchParams.append('statement_timeout', '1');
    const database = await openDatabase({
      url: to.href,
      dataDir: '',
      poolSize: 2,
      statementTimeoutMs: 9_000,
      auditRetentionDays: 3_650,
    });
    try {
      const { rows } = await database.pool.query(
        `SELECT current_setting('work_mem') AS memory, current_setting('gatehouse.audit_retention_days') AS days`,
      );
      expect(rows).toEqual([{ memory: '8MB', days: '3650' }]);
      expect(database.notices).toEqual([expect.stringContaining('have no effect: statement_timeout')]);
    } finally {
      await database.close();
    }
  });
});

function onMain(statement: string): Promise<unknown> {
  return withClient(inject('databaseUrl'), (client) => client.query(statement));
}

/** Outside a transaction, and after one. */
async function valueIn(client: pg.Client, setting: string): Promise<string[]> {
  await client.connect();
  try {
    const read = async () => (await client.query('SELECT current_setting($1) AS value', [setting])).rows[0]?.value;
    const before = await read();
    await client.query('BEGIN');
    await client.query('ROLLBACK');
    return [before, await read()];
  } finally {
    await client.end();
  }
}

function settingOf(setting: string, to: string): Promise<string[]> {
  return valueIn(new SessionClient(sessionConfig({ connectionString: to }, SETTINGS)), setting);
}

async function canLogIn(to: string): Promise<boolean> {
  try {
    await settingOf('TimeZone', to);
    return true;
  } catch (error) {
    if (error instanceof DatabaseError && error.code?.startsWith('28')) return false;
    throw error;
  }
}
