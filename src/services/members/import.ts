/**
 * Importing members: a stream of records into a network, batch by batch, in constant memory.
 *
 * A member is known by externalId, else by the mailbox of its e-mail address, so that an import can be repeated: the second
 * time everything is unchanged. A record that is at fault, or whose two keys belong to two members, is rejected
 * with its line, and the import goes on. Each batch is one transaction with one audit event; it counts in the report
 * only after its commit, so whatever was reported is there, and an import that was cut short is finished by running it
 * again. Several imports of one network at once, from any number of processes, take turns.
 */
import type { Database } from '../../database/database.ts';
import { type Fault, parseMember } from '../../domain/member.ts';
import { type Outcome, refused } from '../../domain/user-error.ts';
import type { Origin } from '../actor.ts';
import { type ColumnReport, ColumnTally } from './column-report.ts';
import { commitBatch } from './commit-batch.ts';
import { openDryRun } from './dry-run.ts';
import type { BatchPlan, BatchRecord, RejectedLine } from './plan-batch.ts';
import { readCsv } from './read-csv.ts';
import { readJsonl } from './read-jsonl.ts';
import { linesOf, type ReadOptions, SourceError, type SourceFormat, type SourceRecord } from './source.ts';

export interface ImportReport {
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  /** How many lines were rejected; `rejected` names the first REJECTED_KEPT_MAX of them. */
  readonly rejectedCount: number;
  readonly rejected: readonly RejectedLine[];
  /** What became of the columns that have been read so far. */
  readonly columns: ColumnReport;
}

export interface ImportInput extends Omit<ReadOptions, 'tally'> {
  readonly source: AsyncIterable<Uint8Array>;
  readonly format: SourceFormat;
  /** Only finds out what an import would do: nothing is written, and nobody is held up. */
  readonly isDryRun?: boolean;
  /** Called after each commit: what has been done so far, and how many bytes of the source that took. */
  readonly onCommit?: (report: ImportReport, sourceBytes: number) => void;
}

export const BATCH_MAX_RECORDS = 1_000;
/** Of the source. A batch ends with the chunk that passes it, so that large records do not add up. */
export const BATCH_MAX_BYTES = 2 * 1_048_576;
/** Of all lines that are rejected so many are named; the others are counted, so that memory stays constant. */
export const REJECTED_KEPT_MAX = 10_000;

/** Refused where the source cannot be read at all, or the network is gone. Throws what the source or database throws. */
export async function importMembers(
  database: Database,
  origin: Origin,
  networkId: string,
  input: ImportInput,
): Promise<Outcome<{ readonly report: ImportReport }>> {
  const columns = new ColumnTally();
  const tally = new Tally(columns);
  const options = { isTextual: input.format === 'csv', isNameOptional: input.isNameOptional ?? false };
  const destination = input.isDryRun === true ? await openDryRun(database, networkId, options) : null;
  try {
    for await (const batch of batchesOf(input, columns, database.clock)) {
      const plans =
        destination?.take(batch.records) ?? commitBatch(database, origin, networkId, batch.records, options);
      for await (const plan of plans) {
        if (plan === null) return refused([{ code: 'NOT_FOUND', message: 'The network is gone', field: ['network'] }]);
        tally.add(plan);
        input.onCommit?.(tally.report(), batch.sourceBytes);
      }
    }
  } catch (error) {
    if (error instanceof SourceError) return refused([{ code: 'INVALID', message: error.message, field: ['file'] }]);
    throw error;
  } finally {
    await destination?.close();
  }
  if (destination === null) await analyze(database, tally.report());
  return { ok: true, report: tally.report() };
}

class Tally {
  #created = 0;
  #updated = 0;
  #unchanged = 0;
  #rejectedCount = 0;
  readonly #rejected: RejectedLine[] = [];
  readonly #columns: ColumnTally;

  constructor(columns: ColumnTally) {
    this.#columns = columns;
  }

  add(plan: BatchPlan): void {
    this.#created += plan.created;
    this.#updated += plan.updated;
    this.#unchanged += plan.unchanged;
    this.#rejectedCount += plan.rejected.length;
    this.#rejected.push(...plan.rejected.slice(0, REJECTED_KEPT_MAX - this.#rejected.length));
  }

  report(): ImportReport {
    return {
      created: this.#created,
      updated: this.#updated,
      unchanged: this.#unchanged,
      rejectedCount: this.#rejectedCount,
      rejected: this.#rejected,
      columns: this.#columns.report(),
    };
  }
}

// ——— from the source to batches ———

interface Batch {
  readonly records: readonly BatchRecord[];
  /** How much of the source was read when the batch was complete. */
  readonly sourceBytes: number;
}

async function* batchesOf(input: ImportInput, tally: ColumnTally, clock: Database['clock']): AsyncGenerator<Batch> {
  const { source, format, isNameOptional = false } = input;
  const meter = new Meter();
  const read = format === 'csv' ? readCsv : readJsonl;
  let records: BatchRecord[] = [];
  let begunAt = 0;
  for await (const found of read(meter.count(source), { ...input, tally })) {
    const now = new Date(clock.now());
    for (const record of found) {
      records.push(judge(record, now, isNameOptional));
      if (records.length < BATCH_MAX_RECORDS) continue;
      yield { records, sourceBytes: meter.bytes };
      records = [];
      begunAt = meter.bytes;
    }
    if (meter.bytes - begunAt < BATCH_MAX_BYTES || records.length === 0) continue;
    yield { records, sourceBytes: meter.bytes };
    records = [];
    begunAt = meter.bytes;
  }
  if (records.length > 0) yield { records, sourceBytes: meter.bytes };
}

class Meter {
  bytes = 0;

  async *count(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      this.bytes += chunk.byteLength;
      yield chunk;
    }
  }
}

function judge(record: SourceRecord, now: Date, isNameOptional: boolean): BatchRecord {
  if ('fault' in record) return record;
  const parsed = parseMember(record.fields, now, isNameOptional ? ['email'] : undefined);
  return parsed.ok
    ? { ...linesOf(record), member: parsed.member }
    : { ...linesOf(record), fault: inWords(parsed.faults) };
}

function inWords(faults: readonly Fault[]): string {
  return faults.map(({ field, reason }) => `${field}: ${reason}`).join('; ');
}

/** Below this many changes the planner's idea of the table is still good enough. */
const ANALYZE_MIN_CHANGES = 1_000;

/** Without fresh statistics the planner sorts the whole table for a page of it, until autovacuum comes by. */
async function analyze(database: Database, { created, updated }: ImportReport): Promise<void> {
  if (created + updated < ANALYZE_MIN_CHANGES) return;
  // The import is done and stays done: a failure here costs speed for a while and nothing else.
  await database.pool.query('ANALYZE members').catch(() => undefined);
}
