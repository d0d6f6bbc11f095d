/**
 * Exporting members: all of a network's, by id, as one moment saw them, in constant memory.
 *
 * JSON Lines comes back through an import exactly as it went out: every field, null where a member has none. CSV is for
 * spreadsheets, and says less: a custom value that is no text is written as JSON and comes back as text (into a member
 * that still has the value it stays what it is), an empty one comes back as absent, and a field that is empty in the file
 * cannot erase one that is there. A member's id and updatedAt are Gatehouse's own and not exported. Cells are
 * written as they are: one that a spreadsheet may take for a formula is not defused, because then it would not come
 * back.
 */
import type { Database, Pool, PoolClient, QueryResultRow } from '../../database/database.ts';
import {
  isMemberColumn,
  type Json,
  joinTags,
  MEMBER_COLUMNS,
  type MemberColumn,
  type MemberRole,
  type MemberStatus,
} from '../../domain/member.ts';
import { type Outcome, refused } from '../../domain/user-error.ts';
import { cellText, csvRow } from './csv-cell.ts';
import { isReservedKey } from './json-keys.ts';
import type { SourceFormat } from './source.ts';

/** `json` is one array of the same objects that JSON Lines has. */
export type ExportFormat = SourceFormat | 'json';

/** Takes a part of the text; the next one is made when its promise is fulfilled. Where it throws, the export ends. */
export type Sink = (text: string) => Promise<void>;

const PAGE_MEMBERS = 1_000;
/** A table of more columns is none that a spreadsheet opens; JSON Lines has no such bound. */
export const CSV_CUSTOM_COLUMNS_MAX = 1_000;
/** The database's usual bounds are for writers, whose locks hold others up. Here: how long the reader may pause, … */
const READER_PAUSE_MAX_MS = 3_600_000;
/** … and how long one statement may take: the one that collects the columns reads every member. */
const STATEMENT_MAX_MS = 600_000;

/** `networkId`: a UUID. Refused where the members do not fit the format; then nothing has been written. */
export async function exportMembers(
  database: Database,
  networkId: string,
  format: ExportFormat,
  sink: Sink,
): Promise<Outcome<{ readonly exported: number }>> {
  return inSnapshot(database.pool, async (client) => {
    const customColumns = format === 'csv' ? await customColumnsOf(client, networkId) : [];
    if (customColumns.length > CSV_CUSTOM_COLUMNS_MAX) return refused([TOO_MANY_COLUMNS]);
    const writer = WRITERS[format](customColumns);
    if (writer.start !== '') await sink(writer.start);
    const exported = await writePages(client, networkId, writer, sink);
    if (writer.end !== '') await sink(writer.end);
    return { ok: true, exported };
  });
}

const TOO_MANY_COLUMNS = {
  code: 'OUT_OF_RANGE',
  message: `More than ${CSV_CUSTOM_COLUMNS_MAX} different custom fields do not fit in a CSV file: export JSON Lines`,
  field: ['format'],
} as const;

/** One transaction that sees the database as it was when it began, and is ended whatever happens. */
async function inSnapshot<Result>(pool: Pool, work: (client: PoolClient) => Promise<Result>): Promise<Result> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await client.query(`SET LOCAL idle_in_transaction_session_timeout = ${READER_PAUSE_MAX_MS}`);
    await client.query(`SET LOCAL statement_timeout = ${STATEMENT_MAX_MS}`);
    return await work(client);
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    // After a failure the connection is closed, and its transaction with it: whether it is still any good is not known.
    if (failure === undefined) await client.query('COMMIT');
    client.release(failure);
  }
}

async function writePages(client: PoolClient, networkId: string, writer: Writer, sink: Sink): Promise<number> {
  let exported = 0;
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const { rows } = await client.query<MemberRow>({ name: 'export_page', text: PAGE, values: [networkId, after] });
    if (rows.length > 0) await sink(writer.page(rows, exported === 0));
    exported += rows.length;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_MEMBERS) return exported;
    after = last.id;
  }
}

interface MemberRow extends QueryResultRow {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly externalId: string | null;
  readonly role: MemberRole;
  readonly status: MemberStatus;
  readonly avatarUrl: string | null;
  readonly location: string | null;
  readonly tags: readonly string[];
  readonly timeZone: string | null;
  readonly permalink: string | null;
  readonly createdAt: Date;
  readonly lastActiveAt: Date | null;
  readonly customFields: Readonly<Record<string, Json>>;
}

const PAGE = `
SELECT id, email, name, external_id AS "externalId", role::text AS role, status::text AS status,
       avatar_url AS "avatarUrl", location, tags, time_zone AS "timeZone", permalink, created_at AS "createdAt", last_active_at AS "lastActiveAt",
       custom_fields AS "customFields"
FROM members WHERE network_id = $1 AND id > $2 ORDER BY id LIMIT ${PAGE_MEMBERS}`;

/** One more than fits, if there are so many. */
async function customColumnsOf(client: PoolClient, networkId: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT name FROM (
       SELECT DISTINCT key AS name FROM members, jsonb_object_keys(custom_fields) AS key WHERE network_id = $1
       LIMIT ${CSV_CUSTOM_COLUMNS_MAX + 1}) AS names
     ORDER BY name COLLATE "C"`,
    [networkId],
  );
  return rows.map((row) => row.name).filter((name) => !isMemberColumn(name));
}

// ——— formats ———

interface Writer {
  readonly start: string;
  page(members: readonly MemberRow[], isFirst: boolean): string;
  readonly end: string;
}

const WRITERS: Readonly<Record<ExportFormat, (customColumns: readonly string[]) => Writer>> = {
  jsonl: () => ({ start: '', page: (members) => members.map((member) => `${jsonOf(member)}\n`).join(''), end: '' }),
  json: () => ({
    start: '[',
    page: (members, isFirst) => `${isFirst ? '' : ','}\n${members.map(jsonOf).join(',\n')}`,
    end: '\n]\n',
  }),
  csv: (customColumns) => ({
    start: csvRow([...MEMBER_COLUMNS, ...customColumns]),
    page: (members) => members.map((member) => csvRow(cellsOf(member, customColumns))).join(''),
    end: '',
  }),
};

function jsonOf(member: MemberRow): string {
  const known = MEMBER_COLUMNS.map((column): [string, unknown] => [column, shownValue(member, column)]);
  // fromEntries defines properties, so that a custom field named __proto__ is one like any other.
  const custom = Object.entries(member.customFields).filter(([name]) => !isMemberColumn(name));
  const plain = custom.filter(([name]) => !isReservedKey(name));
  // An import would not take these for custom fields where they stand beside the others.
  const nested = custom.length === plain.length ? [] : custom.filter(([name]) => isReservedKey(name));
  const apart: [string, unknown][] = nested.length === 0 ? [] : [['customFields', Object.fromEntries(nested)]];
  return JSON.stringify(Object.fromEntries([...known, ...plain, ...apart]));
}

/** A custom field from before its name was that of a field stands in for the field: an import then makes it one. */
function shownValue(member: MemberRow, column: MemberColumn): MemberRow[MemberColumn] | Json {
  const { customFields } = member;
  return member[column] ?? (Object.hasOwn(customFields, column) ? (customFields[column] ?? null) : null);
}

function cellsOf(member: MemberRow, customColumns: readonly string[]): string[] {
  const { tags, customFields } = member;
  const known = MEMBER_COLUMNS.map((column) => {
    if (column === 'tags') return joinTags(tags);
    const value = shownValue(member, column);
    return value instanceof Date ? value.toISOString() : cellText(value);
  });
  const custom = customColumns.map((name) =>
    Object.hasOwn(customFields, name) ? cellText(customFields[name] ?? null) : '',
  );
  return [...known, ...custom];
}
