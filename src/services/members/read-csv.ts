/**
 * CSV: a header of column names, then a record a row. csv-parse reads the rows; this file keeps the bytes since the last
 * good one, so that a row at fault costs its own line and no other: reading goes on at the next physical line, also
 * where a quote was left open and seemed to swallow the rest of the file.
 *
 * As files are in the world: comma, semicolon or tab between the cells (told by the header); LF, CR LF or CR; line
 * breaks in quoted cells; a quote inside an unquoted cell is a character of it; blank rows are skipped; rows may be
 * shorter than the header (spreadsheets leave trailing empty cells out), and longer by empty cells.
 */
import { isUtf8 } from 'node:buffer';
import { CsvError, type InfoRecord, Parser } from 'csv-parse';
import { parse } from 'csv-parse/sync';
import { Columns, delimiterOf } from './csv-columns.ts';
import {
  countLines,
  lineEnd,
  NOT_UTF8,
  RECORD_MAX_BYTES,
  SourceError,
  type SourceRecord,
  skipLineBreaks,
  TOO_LARGE,
  toUtf8,
} from './source.ts';

/** Records in the order of their lines, as many at once as a chunk of the source holds. */
export async function* readCsv(source: AsyncIterable<Uint8Array>): AsyncGenerator<SourceRecord[]> {
  const reader = new CsvReader();
  for await (const chunk of toUtf8(source)) yield await reader.read(chunk);
  yield await reader.end();
}

/** A row that csv-parse found. `end` counts from the first byte that its parser was given. */
interface Row {
  readonly cells: readonly string[];
  readonly end: number;
}

const NOTHING = Buffer.alloc(0);
const CR = 0x0d;

class CsvReader {
  /** The bytes since the last row: the one under way. */
  #bytes: Buffer = NOTHING;
  /** The physical line that #bytes begin on. */
  #line = 1;
  #parser: Parser | null = null;
  /** The rows that the parser has found since they were last taken. */
  readonly #rows: Row[] = [];
  /** How many of #bytes the parser was given, and how many before them. */
  #given = 0;
  #givenBefore = 0;
  /** What is wrong with the line that #bytes begin with; the next row begins where it ends. */
  #fault: string | null = null;
  /** Whether that line was rejected already, and only its end is still to come. */
  #skipping = false;
  #delimiter: string | null = null;
  #columns: Columns | null = null;
  readonly #records: SourceRecord[] = [];

  async read(chunk: Buffer): Promise<SourceRecord[]> {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    await this.#advance(false);
    return this.#records.splice(0);
  }

  async end(): Promise<SourceRecord[]> {
    await this.#advance(true);
    if (this.#columns === null) throw new SourceError('the file is empty: its first line must name the columns');
    return this.#records.splice(0);
  }

  /** Parses what came in, beginning again after each line at fault. `isEnd`: nothing more will come. */
  async #advance(isEnd: boolean): Promise<void> {
    while (this.#bytes.length > 0) {
      if (this.#fault !== null && !this.#rejectLine(this.#fault, isEnd)) return;
      const parser = this.#parser ?? this.#openParser(isEnd);
      if (parser === null) return;
      this.#fault = await this.#parse(parser, isEnd);
      if (this.#fault === null) return;
    }
  }

  /** Null where the first line, which tells the delimiter, has not come in as a whole. */
  #openParser(isEnd: boolean): Parser | null {
    this.#delimiter ??= this.#findDelimiter(isEnd);
    if (this.#delimiter === null) return null;
    this.#given = 0;
    this.#givenBefore = 0;
    this.#parser = openParser(this.#delimiter, this.#rows);
    return this.#parser;
  }

  #findDelimiter(isEnd: boolean): string | null {
    const start = skipLineBreaks(this.#bytes, 0);
    const end =
      lineEnd(this.#bytes, start) ?? (isEnd || this.#bytes.length > RECORD_MAX_BYTES ? this.#bytes.length : null);
    return end === null ? null : delimiterOf(this.#bytes.toString('utf8', start, end));
  }

  /** Hands on what is new and takes the rows found. What is wrong with the row under way, or null. */
  async #parse(parser: Parser, isEnd: boolean): Promise<string | null> {
    const fresh = this.#bytes.subarray(this.#given);
    this.#given = this.#bytes.length;
    const error = await push(parser, fresh, isEnd);
    for (const row of this.#rows.splice(0)) this.#takeRow(row.cells, row.end - this.#givenBefore);
    if (error !== null) return faultOf(error);
    if (isEnd) this.#bytes = NOTHING;
    const underWay = this.#bytes.length - skipLineBreaks(this.#bytes, 0);
    return underWay > RECORD_MAX_BYTES ? `${TOO_LARGE} (or a quote is left open)` : null;
  }

  #takeRow(cells: readonly string[], end: number): void {
    const start = skipLineBreaks(this.#bytes, 0);
    const line = this.#line + countLines(this.#bytes, 0, start);
    if (end - start > RECORD_MAX_BYTES) this.#reject(line, TOO_LARGE);
    else if (isUtf8(this.#bytes.subarray(start, end))) this.#takeCells(cells, line);
    else this.#reject(line, NOT_UTF8);
    this.#line = line + countLines(this.#bytes, start, end);
    this.#bytes = this.#bytes.subarray(end);
    this.#given -= end;
    this.#givenBefore += end;
  }

  #takeCells(cells: readonly string[], line: number): void {
    if (this.#columns === null) {
      this.#columns = new Columns(cells);
      return;
    }
    const row = this.#columns.fieldsOf(cells);
    if ('fault' in row) this.#reject(line, row.fault);
    else if (row.fields.length > 0) this.#records.push({ line, fields: row.fields });
  }

  #reject(line: number, fault: string): void {
    if (this.#columns === null) throw new SourceError(`the header ${fault}`);
    this.#records.push({ line, fault });
  }

  /** Rejects the line that #bytes begin with and goes on after it. False where its end has yet to come. */
  #rejectLine(fault: string, isEnd: boolean): boolean {
    const start = this.#skipping ? 0 : skipLineBreaks(this.#bytes, 0);
    const end = lineEnd(this.#bytes, start) ?? (isEnd ? this.#bytes.length : null);
    if (end === null && this.#bytes.length <= RECORD_MAX_BYTES) return false;
    this.#line += countLines(this.#bytes, 0, start);
    if (!this.#skipping) this.#judgeLine(this.#bytes.subarray(start, end ?? undefined), fault);
    this.#skipping = end === null;
    if (end === null) {
      // Nothing of so long a line is kept but a CR, which may be half of its end.
      this.#bytes = this.#bytes.at(-1) === CR ? this.#bytes.subarray(-1) : NOTHING;
      return false;
    }
    this.#line += 1;
    this.#bytes = this.#bytes.subarray(end);
    this.#fault = null;
    this.#parser = null;
    return this.#bytes.length > 0;
  }

  /** `Robert "Bob" Smith,bob@x.org` is common and clear: a line whose only fault is such a quote is taken as it is. */
  #judgeLine(bytes: Buffer, fault: string): void {
    const cells = fault === STRAY_QUOTE && isUtf8(bytes) ? parseLeniently(bytes, this.#delimiter ?? ',') : null;
    if (cells === null) this.#reject(this.#line, fault);
    else this.#takeCells(cells, this.#line);
  }
}

const PARSER_OPTIONS = {
  // In this order: the first that matches counts, so that CR LF ends one line.
  record_delimiter: ['\r\n', '\n', '\r'],
  relax_column_count: true,
  skip_empty_lines: true,
  // This file bounds the size itself: csv-parse counts the text of the cells only, so not a row of commas.
  max_record_size: 0,
};

function openParser(delimiter: string, rows: Row[]): Parser {
  const parser = new Parser({
    ...PARSER_OPTIONS,
    delimiter,
    on_record: (cells: string[], { bytes }: InfoRecord) => {
      rows.push({ cells, end: bytes });
      return null;
    },
  });
  // push() gives every error to its caller; without a listener Node would take it for unhandled.
  parser.on('error', () => undefined);
  return parser;
}

/** The error that ended the parser, or null. */
function push(parser: Parser, bytes: Buffer, isEnd: boolean): Promise<Error | null> {
  return new Promise((resolve) => {
    const done = (error?: Error | null): void => resolve(error ?? null);
    if (isEnd) parser.end(bytes, done);
    else parser.write(bytes, done);
  });
}

const STRAY_QUOTE = 'has a quote inside a cell that does not begin with one';

/** Any other error is a bug. csv-parse's own messages quote the cell, so they are not shown. */
function faultOf(error: Error): string {
  if (!(error instanceof CsvError)) throw error;
  if (error.code === 'INVALID_OPENING_QUOTE') return STRAY_QUOTE;
  if (error.code === 'CSV_INVALID_CLOSING_QUOTE') return 'has a closing quote that does not end its cell';
  if (error.code === 'CSV_QUOTE_NOT_CLOSED') return 'has a quote that is never closed';
  throw error;
}

/** The cells of one line in which a quote inside a cell is a character; null where that is not its only fault. */
function parseLeniently(bytes: Buffer, delimiter: string): string[] | null {
  try {
    const rows = parse(bytes, { ...PARSER_OPTIONS, delimiter, relax_quotes: true });
    return rows.length === 1 ? (rows[0] ?? null) : null;
  } catch (error) {
    if (error instanceof CsvError) return null;
    throw error;
  }
}
