/** What an import reads: bytes of any origin, as records with the physical line that each begins on. */

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
export const NOT_UTF8 = 'is not valid UTF-8 or UTF-16';

/** The source as a whole cannot be read. Thrown before the first record. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

const LF = 0x0a;
const CR = 0x0d;
const BOM_BYTES = 3;

/**
 * The bytes as UTF-8 without a byte order mark. A spreadsheet's "Unicode text" is UTF-16, which is told by its mark. What is
 * damaged in UTF-16 comes out as bytes that are not valid UTF-8, in its place, so that a reader sees which record it is in.
 */
export async function* toUtf8(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let start: Buffer = Buffer.alloc(0);
  let decoder: Decoder | null = null;
  for await (const chunk of source) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (decoder !== null) {
      yield decoder.decode(bytes);
      continue;
    }
    start = Buffer.concat([start, bytes]);
    if (start.length < BOM_BYTES) continue;
    decoder = decoderOf(start);
    yield decoder.decode(start.subarray(decoder.markBytes));
  }
  if (decoder === null && start.length > 0) {
    decoder = decoderOf(start);
    yield decoder.decode(start.subarray(decoder.markBytes));
  }
  if (decoder !== null) yield decoder.end();
}

interface Decoder {
  /** Of the byte order mark. */
  readonly markBytes: number;
  decode(bytes: Buffer): Buffer;
  /** What was left over. */
  end(): Buffer;
}

function decoderOf(start: Buffer): Decoder {
  if (start[0] === 0xff && start[1] === 0xfe) return new Utf16Decoder(false);
  if (start[0] === 0xfe && start[1] === 0xff) return new Utf16Decoder(true);
  const isMarked = start.subarray(0, BOM_BYTES).equals(Buffer.of(0xef, 0xbb, 0xbf));
  return { markBytes: isMarked ? BOM_BYTES : 0, decode: (bytes) => bytes, end: () => Buffer.alloc(0) };
}

const UNIT_BYTES = 2;
/** It is part of no UTF-8. */
const DAMAGE = Buffer.of(0xff);
const LONE_SURROGATES = /(\p{Cs}+)/u;
const HIGH_SURROGATE = /[\ud800-\udbff]$/;

class Utf16Decoder implements Decoder {
  readonly markBytes = UNIT_BYTES;
  readonly #isBigEndian: boolean;
  /** Half of a unit, or of a pair. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(isBigEndian: boolean) {
    this.#isBigEndian = isBigEndian;
  }

  decode(bytes: Buffer): Buffer {
    const all = Buffer.concat([this.#rest, bytes]);
    const units = all.subarray(0, all.length - (all.length % UNIT_BYTES));
    const text = this.#textOf(units);
    const whole = HIGH_SURROGATE.test(text) ? text.slice(0, -1) : text;
    this.#rest = all.subarray(whole.length * UNIT_BYTES);
    return encode(whole);
  }

  end(): Buffer {
    return this.#rest.length === 0 ? this.#rest : DAMAGE;
  }

  #textOf(units: Buffer): string {
    return (this.#isBigEndian ? Buffer.from(units).swap16() : units).toString('utf16le');
  }
}

function encode(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text);
  const parts = text.split(LONE_SURROGATES);
  return Buffer.concat(parts.map((part) => (part.isWellFormed() ? Buffer.from(part) : DAMAGE)));
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

async function* replay(seen: Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* seen.splice(0);
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}
