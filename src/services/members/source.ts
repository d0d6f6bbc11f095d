/** What an import reads: bytes of any origin, as records with the physical line that each begins on. */

/** One record of a source: what it says, or why it cannot be read. */
export type SourceRecord =
  | { readonly line: number; readonly fields: Iterable<readonly [string, unknown]> }
  | { readonly line: number; readonly fault: string };

export type SourceFormat = 'csv' | 'jsonl';

/** A record is held in memory as a whole; one that is larger is rejected, so that memory stays constant. */
export const RECORD_MAX_BYTES = 256 * 1_024;
export const TOO_LARGE = `is larger than ${RECORD_MAX_BYTES} bytes`;
export const NOT_UTF8 = 'is not valid UTF-8';

/** The source as a whole cannot be read. Thrown before the first record. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

const LF = 0x0a;
const CR = 0x0d;
const BOM_BYTES = 3;

/** The bytes as UTF-8 without a byte order mark. A spreadsheet's "Unicode text" is UTF-16, which is told by its mark. */
export async function* toUtf8(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let start = Buffer.alloc(0);
  let decode: ((bytes: Buffer) => Buffer) | null = null;
  for await (const chunk of source) {
    if (decode !== null) {
      yield decode(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      continue;
    }
    start = Buffer.concat([start, chunk]);
    if (start.length < BOM_BYTES) continue;
    decode = decoderOf(start);
    yield decode(start);
  }
  if (decode === null && start.length > 0) yield start;
}

function decoderOf(start: Buffer): (bytes: Buffer) => Buffer {
  const encoding = utf16Of(start);
  if (encoding !== null) {
    const decoder = new TextDecoder(encoding);
    return (bytes) => Buffer.from(decoder.decode(bytes, { stream: true }));
  }
  let skip = start.subarray(0, BOM_BYTES).equals(Buffer.of(0xef, 0xbb, 0xbf)) ? BOM_BYTES : 0;
  return (bytes) => {
    const rest = bytes.subarray(skip);
    skip = 0;
    return rest;
  };
}

function utf16Of(start: Buffer): 'utf-16le' | 'utf-16be' | null {
  if (start[0] === 0xff && start[1] === 0xfe) return 'utf-16le';
  return start[0] === 0xfe && start[1] === 0xff ? 'utf-16be' : null;
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
