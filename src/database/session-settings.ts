/**
 * The settings of every database session: the one owner of what a server, role, database, URL or pooler could change in
 * the meaning of our statements. What is not here changes speed, storage or the server's log, and stays the operator's;
 * test/database/session-settings.test.ts holds this page against all settings of the server.
 *
 * They are given twice. In the startup packet, so that they hold before the first statement (a `statement_timeout` of
 * one millisecond would end it) and outlive a RESET ALL. And by the first statement of each connection
 * (session-client.ts), because a pooler may drop the packet's settings without a word, and because some settings can
 * only be set under a condition. A transaction pooler will need another way: this is the place for it.
 */
import { AUDIT_RETENTION_DEFAULT_DAYS } from '../domain/audit.ts';

/** The bounds of one kind of session. Milliseconds; 0: none. */
export interface SessionBounds {
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
  /** How long the audit events that the session writes are kept at least. */
  readonly auditRetentionDays?: number;
}

/** Names and values as PostgreSQL takes them. Every user may set these, in every version that is supported. */
export type SessionSettings = Readonly<Record<string, string>>;

/**
 * The schema that the tables, types and functions are in. It is fixed: migrations, SQL and functions name it or rely on
 * it, and whoever reads the tables finds them where the documentation says.
 */
const SCHEMA = 'public';

const FIXED: SessionSettings = {
  search_path: SCHEMA,

  // How values are written as text, to us and by us.
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '1',
  client_encoding: 'UTF8',
  array_nulls: 'on',

  // How a statement's text is understood.
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  transform_null_equals: 'off',
  check_function_bodies: 'on',

  // What a statement sees. services/transaction.ts relies on each statement seeing the latest.
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  row_security: 'on',
  // Otherwise an index may leave rows out.
  gin_fuzzy_search_limit: '0',

  // How long a statement takes tells what other networks ask for, where it may go to parallel workers: they are few, and all
  // share them. And what JIT compiles takes longer than a page.
  max_parallel_workers_per_gather: '0',
  jit: 'off',
  // A walk along one index (keyset.ts) would be put together by reading the whole network along another, for each page.
  enable_incremental_sort: 'off',

  // What ends a session. Our own bounds are in SessionBounds; default_transaction_read_only stays the operator's, as a
  // way to stop writes.
  idle_session_timeout: '0',
  exit_on_error: 'off',

  // A mark that the triggers of members set for a transaction (migration `members`).
  'gatehouse.member_feed': '',
};

export function sessionSettings(bounds: SessionBounds): SessionSettings {
  return {
    ...FIXED,
    statement_timeout: String(bounds.statementTimeoutMs),
    lock_timeout: String(bounds.lockTimeoutMs),
    idle_in_transaction_session_timeout: String(bounds.idleInTransactionTimeoutMs),
    // The column keep_until of audit_events takes the retention from its session.
    'gatehouse.audit_retention_days': String(bounds.auditRetentionDays ?? AUDIT_RETENTION_DEFAULT_DAYS),
  };
}

interface ConditionalSetting {
  readonly name: string;
  readonly value: string;
  /** `current`: the value that the session would have otherwise; null: this version has no such setting. */
  readonly when: string;
}

const CONDITIONAL: readonly ConditionalSetting[] = [
  // From PostgreSQL 17 on. Transactions are bounded by their statements, and an export may take an hour.
  { name: 'transaction_timeout', value: '0', when: 'current IS NOT NULL' },
  // Without it a crash of the server loses what was acknowledged. Other values than off only choose which servers have it.
  { name: 'synchronous_commit', value: 'on', when: "current = 'off'" },
  // Triggers and foreign keys sleep in a replica. Only a superuser may set it, so the session fails for anyone else.
  { name: 'session_replication_role', value: 'origin', when: "current <> 'origin'" },
];

/** All settings by name, for messages and tests. */
export const PINNED_NAMES: readonly string[] = [
  ...Object.keys(sessionSettings({ statementTimeoutMs: 0, lockTimeoutMs: 0, idleInTransactionTimeoutMs: 0 })),
  ...CONDITIONAL.map(({ name }) => name),
];

/**
 * One text of several statements (PostgreSQL's simple query). Functions are named with their schema, and operators come
 * after the search path is set, so that nothing in the session's own search path takes their place.
 */
export function settingStatements(settings: SessionSettings): string {
  const set = Object.entries(settings).map(([name, value]) => setConfig(name, value));
  const conditional = CONDITIONAL.map(
    ({ name, value, when }) =>
      `SELECT ${setConfig(name, value)} FROM pg_catalog.current_setting(${literal(name)}, true) AS current WHERE ${when}`,
  );
  return [`SELECT ${set.join(', ')}`, ...conditional].join(';\n');
}

function setConfig(name: string, value: string): string {
  return `pg_catalog.set_config(${literal(name)}, ${literal(value)}, false)`;
}

/** Reads alike whatever standard_conforming_strings is. */
function literal(text: string): string {
  if (/['\\]/.test(text)) throw new TypeError('a session setting holds no quotes and no backslashes');
  return `'${text}'`;
}

/**
 * As the `options` of a startup packet, where a backslash takes the meaning of a blank. What is written last holds, so
 * these come after an operator's own.
 */
export function startupOptions(settings: SessionSettings, operators = ''): string {
  const own = Object.entries(settings).map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\\s]/g, '\\$&')}`);
  return [operators, ...own].join(' ');
}
