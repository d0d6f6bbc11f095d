/** What an import reads: bytes of any origin, as records with the physical line that each begins on. */
import type { ColumnTally } from './column-report.ts';
import { type Decoder, decoderOf, MARK_MAX_BYTES } from './decoder.ts';
import { replay } from './peek.ts';
import type { ColumnMap } from './resolve-columns.ts';

/** The physical lines of a source on which a record begins and ends; the first is 1. */
export interface Lines {
  readonly line: number;
  /** Absent: the line that it begins on. */
  readonly endLine?: number;
}

/** The lines alone, of whatever is known of a record. */
export function linesOf({ line, endLine = line }: Lines): Lines {
  return endLine === line ? { line } : { line, endLine };
}

/** One record of a source: what it says, or why it cannot be read. */
export type SourceRecord =
  | (Lines & { readonly fields: Iterable<readonly [string, unknown]> })
  | (Lines & { readonly fault: string });

export type SourceFormat = 'csv' | 'jsonl';

/** A record is held in memory as a whole; one that is larger is rejected, so that memory stays constant. */
export const RECORD_MAX_BYTES = 256 * 1_024;
export const TOO_LARGE = `is larger than ${RECORD_MAX_BYTES} bytes`;
export const NOT_UTF8 = 'is not valid UTF-8 or UTF-16: name the encoding of the file, as in --encoding windows-1252';

/** How a source is read. All of it can be left out. */
export interface ReadOptions {
  /** A label of the WHATWG's Encoding Standard, such as windows-1252. Absent: UTF-8, or what a byte order mark says. */
  readonly encoding?: string | undefined;
  /** What columns are meant to be, beyond what their names say. */
  readonly map?: ColumnMap;
  /** Whether a record may lack a name. */
  readonly isNameOptional?: boolean;
  /** Where to count what became of the columns. */
  readonly tally?: ColumnTally;
}

/** Why a record is rejected whose bytes are not in the encoding of its source. */
export function damaged(encoding: string | undefined): string {
  return encoding === undefined ? NOT_UTF8 : `is not valid ${encoding}`;
}

/** The source as a whole cannot be read. Thrown before the first record. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

const LF = 0x0a;
const CR = 0x0d;
/**
 * The bytes as UTF-8 without a byte order mark. Without an encoding, UTF-16 is told by its mark, which a spreadsheet's
 * "Unicode text" has. What is damaged comes out as bytes that are not valid UTF-8, in its place, so that a reader sees
 * which record it is in.
 */
export async function* toUtf8(source: AsyncIterable<Uint8Array>, encoding?: string): AsyncGenerator<Buffer> {
  let start: Buffer = Buffer.alloc(0);
  let decoder: Decoder | null = null;
  for await (const chunk of source) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (decoder !== null) {
      yield decoder.decode(bytes);
      continue;
    }
    start = Buffer.concat([start, bytes]);
    if (start.length < MARK_MAX_BYTES) continue;
    decoder = decoderOf(start, encoding);
    yield decoder.decode(start.subarray(decoder.markBytes));
  }
  if (decoder === null && start.length > 0) {
    decoder = decoderOf(start, encoding);
    yield decoder.decode(start.subarray(decoder.markBytes));
  }
  if (decoder !== null) yield decoder.end();
}

/** Where a line ends: the index just after its LF, CR LF or CR. Null where it does not end in these bytes. */
export function lineEnd(bytes: Buffer, start: number): number | null {
  const lf = bytes.indexOf(LF, start);
  // Almost every line ends in LF or CR LF: only what stands before that can hold a CR alone.
  const cr = bytes.subarray(start, lf < 0 ? bytes.length : lf).indexOf(CR);
  if (cr < 0) return lf < 0 ? null : lf + 1;
  const after = start + cr + 1;
  // A CR at the end of what is known may be half of CR LF.
  if (after === bytes.length) return null;
  return bytes[after] === LF ? after + 1 : after;
}

/** How many lines end within a range: LF, CR LF and CR each end one. */
export function countLines(bytes: Buffer, start: number, end: number): number {
  let lines = 0;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at];
    if (byte === LF || (byte === CR && bytes[at + 1] !== LF)) lines += 1;
  }
  return lines;
}

/** The first byte at or after `start` that is no line break. */
export function skipLineBreaks(bytes: Buffer, start: number): number {
  let at = start;
  while (bytes[at] === LF || bytes[at] === CR) at += 1;
  return at;
}

/** The format by the first byte that is no blank: JSON Lines are objects. Gives the source back, nothing lost of it. */
export async function detectFormat(
  source: AsyncIterable<Uint8Array>,
): Promise<{ format: SourceFormat; source: AsyncIterable<Uint8Array> }> {
  const chunks = source[Symbol.asyncIterator]();
  const seen: Uint8Array[] = [];
  let first = '';
  while (first === '') {
    const next = await chunks.next();
    if (next.done === true) break;
    seen.push(next.value);
    // Latin-1 keeps one character a byte; a byte order mark is no letter that a format begins with.
    first = Buffer.from(next.value)
      .toString('latin1')
      .replace(/^[ÿþï»¿\0]+/, '')
      .trim()
      .charAt(0);
  }
  return { format: first === '{' || first === '[' ? 'jsonl' : 'csv', source: replay(seen, chunks) };
}
