/**
 * Where the rows and cells of CSV begin and end, byte by byte, by RFC 4180 and these leniencies, no others:
 *
 * - a line ends in LF, CR LF or CR, and the last one may lack its end;
 * - blanks around a quoted cell are not part of it: `a, "b" ,c`;
 * - a quote inside an unquoted cell is a character of it (`Robert "Bob" Smith`, `5" pipe`), unless two cells of the row
 *   hold an odd number of quotes each: then the delimiter between them may stand inside of quotes.
 *
 * Any other row is at fault as a whole. Which lines it has depends on how its quotes are read: it ends behind all that
 * may stand between quotes (csv-quotes.ts), so that no text of a cell is ever taken for a row.
 */
import {
  breaksOff,
  CLOSED,
  CR,
  LF,
  nextState,
  QUOTE,
  QUOTE_SEEN,
  QUOTED,
  QuoteReadings,
  START,
  UNQUOTED,
} from './csv-quotes.ts';
import { countLines } from './source.ts';

export interface ScannedRow {
  /** The physical lines on which it begins and ends; the first of the file is 1. */
  readonly line: number;
  readonly endLine: number;
  /** None for a blank line, and for a row at fault. */
  readonly cells: readonly Buffer[];
  readonly fault: string | null;
}

export const CLOSING_QUOTE = 'has a closing quote that does not end its cell';
export const OPEN_QUOTE = 'has a quote that is never closed';
export const SPLIT_QUOTES =
  'has quotes in two unquoted cells: put each of these cells in quotes, and double the quotes inside';

const NOTHING = Buffer.alloc(0);

export interface ScannerOptions {
  /** One ASCII character. */
  readonly delimiter: string;
  /** Of one row. A larger one is at fault, as `tooLarge` says; its bytes are not kept. */
  readonly maxBytes: number;
  readonly tooLarge: string;
  /** The number of the line that the first byte is on. */
  readonly firstLine: number;
}

export class CsvScanner {
  readonly #delimiter: number;
  readonly #options: ScannerOptions;
  #rows: ScannedRow[] = [];

  /** The bytes of the row under way from its beginning, or from #forgotten bytes behind it; the next to look at is #at. */
  #bytes: Buffer = NOTHING;
  #at = 0;
  #forgotten = 0;
  /** The line that #at is on, and the one that the row began on. */
  #line: number;
  #rowLine: number;

  #state = START;
  #cells: Buffer[] = [];
  #fault: string | null = null;
  /** In a row at fault, in the place of #state. */
  #readings: QuoteReadings | null = null;
  /** Where the row ends in the first of them. */
  #firstEnd: { readonly at: number; readonly line: number } | null = null;
  #cellStart = 0;
  /** Of a quoted cell: what is between its quotes. */
  #contentStart = 0;
  #contentEnd = 0;
  #hasDoubled = false;
  /** In an unquoted cell; and the unquoted cells of the row with an odd number of them. */
  #quotes = 0;
  #oddCells = 0;

  constructor(options: ScannerOptions) {
    this.#options = options;
    this.#delimiter = options.delimiter.charCodeAt(0);
    this.#line = options.firstLine;
    this.#rowLine = options.firstLine;
  }

  /** The rows that end in these bytes. */
  read(chunk: Buffer): ScannedRow[] {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#scan(false);
    while (this.#isTooLarge() && this.#firstEnd !== null) {
      // No cell is as large as that: what would make it one is no reading.
      this.#endAtFirst(this.#firstEnd);
      this.#scan(false);
    }
    if (this.#isTooLarge()) this.#forget();
    return this.#takeRows();
  }

  /** What is left, once all bytes were read. */
  end(): ScannedRow[] {
    this.#scan(true);
    while (this.#firstEnd !== null) {
      this.#endAtFirst(this.#firstEnd);
      this.#scan(true);
    }
    if (this.#isInsideQuotes()) {
      this.#fault ??= OPEN_QUOTE;
      // The end of the last line begins no other.
      const last = this.#bytes.at(-1);
      if (last === LF || last === CR) this.#line -= 1;
    }
    if (this.#forgotten + this.#at > 0) this.#endRow(this.#at);
    return this.#takeRows();
  }

  #takeRows(): ScannedRow[] {
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }

  #isTooLarge(): boolean {
    return this.#forgotten + this.#at > this.#options.maxBytes;
  }

  /** A row that is too large keeps its state alone: where it ends must still be told. */
  #forget(): void {
    this.#fault ??= this.#options.tooLarge;
    this.#readings ??= new QuoteReadings(this.#delimiter, this.#state, true);
    this.#forgotten += this.#at;
    this.#bytes = this.#bytes.subarray(this.#at);
    this.#at = 0;
  }

  #isInsideQuotes(): boolean {
    return this.#readings === null ? this.#state === QUOTED : this.#readings.isInside;
  }

  #scan(isEnd: boolean): void {
    while (this.#at < this.#bytes.length) {
      // Most of a long cell is passed over at once.
      if ((this.#readings?.areAllInside ?? this.#state === QUOTED) && !this.#skipToQuote(isEnd)) return;
      const byte = this.#bytes[this.#at] ?? 0;
      // What a CR or a quote at the end of what is known means, the next byte tells.
      const needsNext = byte === CR || byte === QUOTE;
      if (needsNext && !isEnd && this.#at + 1 === this.#bytes.length) return;
      this.#pass(byte);
    }
  }

  #pass(byte: number): void {
    if (byte === LF || byte === CR) this.#breakLine(byte);
    else if (this.#readings === null) this.#step(byte);
    else this.#stepAtFault(this.#readings, byte);
  }

  /** From inside a quoted cell to its next quote. False where it is not among these bytes. */
  #skipToQuote(isEnd: boolean): boolean {
    const found = this.#bytes.indexOf(QUOTE, this.#at);
    let end = found < 0 ? this.#bytes.length : found;
    // Its LF may be yet to come: a line end is counted once.
    if (found < 0 && !isEnd && this.#bytes[end - 1] === CR) end -= 1;
    this.#line += countLines(this.#bytes, this.#at, end);
    this.#at = end;
    return found >= 0;
  }

  #breakLine(byte: number): void {
    const next = byte === CR && this.#bytes[this.#at + 1] === LF ? this.#at + 2 : this.#at + 1;
    const ends = this.#readings?.breakLine() ?? false;
    if (!this.#isInsideQuotes()) {
      this.#endRow(this.#at, next);
      return;
    }
    if (ends) this.#firstEnd = { at: next, line: this.#line };
    this.#at = next;
    this.#line += 1;
  }

  #step(byte: number): void {
    const before = this.#state;
    const at = this.#at;
    this.#state = nextState(before, byte, this.#delimiter);
    this.#at += 1;
    if (breaksOff(before, this.#state)) {
      this.#fault = CLOSING_QUOTE;
      this.#readings = new QuoteReadings(this.#delimiter, UNQUOTED, false);
    } else if (byte === this.#delimiter && before !== QUOTED) this.#endCell(at, before);
    else if (byte === QUOTE) this.#passQuote(before, at);
  }

  #stepAtFault(readings: QuoteReadings, byte: number): void {
    readings.pass(byte, this.#bytes[this.#at - 1], this.#bytes[this.#at + 1]);
    this.#at += 1;
    if (readings.isFirstAlone && this.#firstEnd !== null) this.#endAtFirst(this.#firstEnd);
  }

  /** The row ended here all along: what was looked at behind it is read again, as rows. */
  #endAtFirst({ at, line }: { readonly at: number; readonly line: number }): void {
    this.#line = line;
    this.#endRow(at);
  }

  #passQuote(before: number, at: number): void {
    if (before === START) this.#contentStart = at + 1;
    else if (before === UNQUOTED) this.#quotes += 1;
    else if (before === QUOTED) this.#contentEnd = at;
    else this.#hasDoubled = true;
  }

  /** `state`: behind its last byte. */
  #endCell(end: number, state: number): void {
    if (this.#quotes % 2 === 1) this.#oddCells += 1;
    this.#cells.push(this.#cellUntil(end, state));
    this.#cellStart = end + 1;
    this.#quotes = 0;
    this.#hasDoubled = false;
  }

  #cellUntil(end: number, state: number): Buffer {
    if (state !== QUOTE_SEEN && state !== CLOSED) return this.#bytes.subarray(this.#cellStart, end);
    const content = this.#bytes.subarray(this.#contentStart, this.#contentEnd);
    return this.#hasDoubled ? undoubled(content) : content;
  }

  /** `end`: of the row. `next`: where the next one begins. */
  #endRow(end: number, next = end): void {
    const isBlankLine = this.#cells.length === 0 && this.#state === START;
    if (this.#fault === null) this.#endCell(end, this.#state);
    if (this.#oddCells > 1) this.#fault ??= SPLIT_QUOTES;
    if (this.#forgotten + end > this.#options.maxBytes) this.#fault ??= this.#options.tooLarge;
    const cells = this.#fault === null && !isBlankLine ? this.#cells : [];
    this.#rows.push({ line: this.#rowLine, endLine: this.#line, cells, fault: this.#fault });
    this.#bytes = this.#bytes.subarray(next);
    this.#at = 0;
    this.#forgotten = 0;
    this.#line += 1;
    this.#rowLine = this.#line;
    this.#beginRow();
  }

  #beginRow(): void {
    this.#state = START;
    this.#cells = [];
    this.#fault = null;
    this.#readings = null;
    this.#firstEnd = null;
    this.#cellStart = 0;
    this.#quotes = 0;
    this.#oddCells = 0;
    this.#hasDoubled = false;
  }
}

/** Each pair of quotes as one. */
function undoubled(content: Buffer): Buffer {
  const cell = Buffer.allocUnsafe(content.length);
  let length = 0;
  for (let at = 0; at < content.length; at += 1) {
    const byte = content[at] ?? 0;
    cell[length] = byte;
    length += 1;
    if (byte === QUOTE) at += 1;
  }
  return cell.subarray(0, length);
}
