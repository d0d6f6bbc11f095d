/**
 * CSV as records: a header of column names, then a record a row. csv-scanner.ts says what a row is. A row at fault is
 * rejected with its lines, and reading goes on behind it.
 *
 * As files are in the world: comma, semicolon, tab or bar between the cells (told by the header, or by a first line such as
 * `sep=;`, which Excel reads and writes); blank rows are skipped; rows may be shorter than the header (spreadsheets leave
 * trailing empty cells out), and longer by empty cells.
 */
import { isUtf8 } from 'node:buffer';
import { parseEmail } from '../../domain/member.ts';
import { Columns, DELIMITERS, missingColumns } from './csv-columns.ts';
import { CsvScanner, type ScannedRow } from './csv-scanner.ts';
import {
  countLines,
  damaged,
  lineEnd,
  linesOf,
  RECORD_MAX_BYTES,
  type ReadOptions,
  SourceError,
  type SourceRecord,
  skipLineBreaks,
  TOO_LARGE,
  toUtf8,
} from './source.ts';

/** Records in the order of their lines, as many at once as a chunk of the source holds. */
export async function* readCsv(
  source: AsyncIterable<Uint8Array>,
  options: ReadOptions = {},
): AsyncGenerator<SourceRecord[]> {
  const reader = new CsvReader(options);
  for await (const chunk of toUtf8(source, options.encoding)) yield reader.read(chunk);
  yield reader.end();
}

const NOTHING = Buffer.alloc(0);
const CR_LF = '\r\n';
const SEPARATOR_LINE = /^sep=([\t !#-~])$/i;
const TOO_LARGE_ROW = `${TOO_LARGE} (or a quote is left open)`;

class CsvReader {
  readonly #options: ReadOptions;
  /** What came in before the delimiter was known. */
  #start: Buffer = NOTHING;
  #scanner: CsvScanner | null = null;
  #columns: Columns | null = null;

  constructor(options: ReadOptions) {
    this.#options = options;
  }

  read(chunk: Buffer): SourceRecord[] {
    return this.#records(this.#rows(chunk, false));
  }

  end(): SourceRecord[] {
    const records = this.#records(this.#rows(NOTHING, true));
    if (this.#columns === null) throw new SourceError('the file is empty: its first line must name the columns');
    return records;
  }

  #rows(chunk: Buffer, isEnd: boolean): ScannedRow[] {
    if (this.#scanner !== null) return isEnd ? this.#scanner.end() : this.#scanner.read(chunk);
    this.#start = this.#start.length === 0 ? chunk : Buffer.concat([this.#start, chunk]);
    const dialect = dialectOf(this.#start, isEnd || this.#start.length > RECORD_MAX_BYTES, this.#options);
    if (dialect === null) return [];
    this.#scanner = openScanner(dialect.delimiter, dialect.firstLine);
    const rows = this.#scanner.read(this.#start.subarray(dialect.headerStart));
    this.#start = NOTHING;
    return isEnd ? [...rows, ...this.#scanner.end()] : rows;
  }

  #records(rows: readonly ScannedRow[]): SourceRecord[] {
    const records: SourceRecord[] = [];
    for (const row of rows) {
      const record = this.#recordOf(row);
      if (record !== null) records.push(record);
    }
    return records;
  }

  /** Null for a row that says nothing, and for the header. */
  #recordOf({ line, endLine, cells, fault }: ScannedRow): SourceRecord | null {
    if (fault === null && cells.length === 0) return null;
    const wrong = fault ?? (cells.every((cell) => isUtf8(cell)) ? null : damaged(this.#options.encoding));
    if (this.#columns === null) {
      if (wrong !== null) throw new SourceError(`the header ${wrong}`);
      const isHeader = this.#takeHeader(cells.map(String));
      if (isHeader || this.#columns === null) return null;
    }
    const lines = linesOf({ line, endLine });
    if (wrong !== null) return { ...lines, fault: wrong };
    const row = this.#columns.fieldsOf(cells.map(String));
    if ('fault' in row) return { ...lines, fault: row.fault };
    return row.fields.length === 0 ? null : { ...lines, fields: row.fields };
  }

  /** False for a line that is a record already. */
  #takeHeader(names: readonly string[]): boolean {
    if (names.every((name) => name === '')) return true;
    const isRecord = this.#options.isNameOptional === true && isBareAddress(names);
    this.#columns = new Columns(isRecord ? ['email'] : names, this.#options);
    return !isRecord;
  }
}

/** A list of addresses and nothing else has no header: its first line is somebody's. */
function isBareAddress(header: readonly string[]): boolean {
  const [first, ...others] = header;
  return others.length === 0 && 'value' in parseEmail(first);
}

/** How a file is written, told by its beginning. */
interface Dialect {
  readonly delimiter: string;
  /** Where the header begins at the latest, and on which line that is. */
  readonly headerStart: number;
  readonly firstLine: number;
}

/** Null where more of the file is needed to tell. `isAll`: that there will be no more. */
function dialectOf(bytes: Buffer, isAll: boolean, options: ReadOptions): Dialect | null {
  const named = separatorLine(bytes, isAll);
  if (named !== null) return named === 'unknown' ? null : named;
  const delimiter = findDelimiter(bytes, isAll, options);
  return delimiter === null ? null : { delimiter, headerStart: 0, firstLine: 1 };
}

const SEPARATOR_CHARACTERS = 'sep=;'.length;

/** What a first line such as `sep=;` says; null where there is none. */
function separatorLine(bytes: Buffer, isAll: boolean): Dialect | 'unknown' | null {
  const start = skipLineBreaks(bytes, 0);
  const delimiter = SEPARATOR_LINE.exec(bytes.toString('latin1', start, start + SEPARATOR_CHARACTERS))?.[1];
  const end = lineEnd(bytes, start);
  if (end === null) return isAll || bytes.length - start > SEPARATOR_CHARACTERS + CR_LF.length ? null : 'unknown';
  if (delimiter === undefined || bytes.toString('latin1', start + SEPARATOR_CHARACTERS, end).trim() !== '') return null;
  return { delimiter, headerStart: end, firstLine: countLines(bytes, 0, end) + 1 };
}

/**
 * The first delimiter under which the header names the required columns, or the most of them; null where it has not come
 * in as a whole.
 */
function findDelimiter(bytes: Buffer, isAll: boolean, options: ReadOptions): string | null {
  let best: { readonly delimiter: string; readonly missing: number } | null = null;
  for (const delimiter of DELIMITERS) {
    const scanner = openScanner(delimiter);
    const rows = [...scanner.read(bytes), ...(isAll ? scanner.end() : [])];
    const header = rows.find(({ cells, fault }) => fault !== null || cells.length > 0);
    if (header === undefined && !isAll) return null;
    const missing = missingColumns((header?.cells ?? []).map(String), options);
    if (missing === 0) return delimiter;
    if (best === null || missing < best.missing) best = { delimiter, missing };
  }
  return best?.delimiter ?? DELIMITERS[0];
}

function openScanner(delimiter: string, firstLine = 1): CsvScanner {
  return new CsvScanner({ delimiter, maxBytes: RECORD_MAX_BYTES, tooLarge: TOO_LARGE_ROW, firstLine });
}
