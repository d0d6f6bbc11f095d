/** What the tests of import and export share: sources of any cut, and imports and exports as texts. */
import type { Database } from '../../src/database/database.ts';
import type { Member } from '../../src/database/generated/client.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { type ExportFormat, exportMembers } from '../../src/services/members/export.ts';
import { type ImportInput, type ImportReport, importMembers } from '../../src/services/members/import.ts';
import type { SourceFormat, SourceRecord } from '../../src/services/members/source.ts';

/** A source that gives a text or bytes in chunks, as a file or a pipe would. */
export async function* inChunks(content: string | Buffer, chunkBytes = 65_536): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(content);
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

/** All records that a reader finds: the line of each, the line that it ends on where that is another, its fields or fault. */
export async function recordsOf(records: AsyncIterable<SourceRecord[]>): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const several of records) {
    for (const record of several) {
      const lines = record.endLine === undefined ? [record.line] : [record.line, record.endLine];
      found.push([...lines, 'fault' in record ? record.fault : Object.fromEntries(record.fields)]);
    }
  }
  return found;
}

/** The report, without what became of the columns. Throws where the import as a whole is refused. */
export async function importText(
  database: Database,
  networkId: string,
  format: SourceFormat,
  content: string | Buffer,
  options: Partial<ImportInput> = {},
): Promise<Omit<ImportReport, 'columns'>> {
  const { columns: _columns, ...counts } = await importReport(database, networkId, format, content, options);
  return counts;
}

export async function importReport(
  database: Database,
  networkId: string,
  format: SourceFormat,
  content: string | Buffer,
  options: Partial<ImportInput> = {},
): Promise<ImportReport> {
  const input = { source: inChunks(content), format, ...options };
  const outcome = await importMembers(database, COMMAND_LINE, networkId, input);
  if (!outcome.ok) throw new Error(outcome.errors[0].message);
  return outcome.report;
}

/** Records as JSON Lines. */
export function jsonLines(...records: readonly object[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

export async function exportText(database: Database, networkId: string, format: ExportFormat): Promise<string> {
  let text = '';
  const outcome = await exportMembers(database, networkId, format, async (part) => {
    text += part;
  });
  if (!outcome.ok) throw new Error(outcome.errors[0].message);
  return text;
}

export function membersOf(database: Database, networkId: string): Promise<Member[]> {
  return database.prisma.member.findMany({ where: { networkId }, orderBy: { id: 'asc' } });
}
