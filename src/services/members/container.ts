/** What a source is packed into, told by its first bytes: gzip is unpacked, a workbook is refused with what to do. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { peek } from './peek.ts';
import { SourceError } from './source.ts';

const GZIP = Buffer.of(0x1f, 0x8b);
const ZIP = Buffer.from('PK\u0003\u0004', 'latin1');
/** Of Microsoft's Compound File Binary Format: Excel's older .xls. */
const COMPOUND_FILE = Buffer.of(0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1);
/** As far as the name of a ZIP archive's first file goes, and the media type that OpenDocument has in it. */
const HEAD_BYTES = 120;
/** Names that stand at the beginning of Excel's workbooks and of OpenDocument's spreadsheets. */
const WORKBOOK = /\[Content_Types\]\.xml|_rels\/\.rels|docProps\/|xl\/|opendocument\.spreadsheet/;

const WORKBOOK_ADVICE =
  'This is a workbook of a spreadsheet program, and not CSV. Save the sheet as CSV and import that: in Excel, choose ' +
  'File > Save As > CSV UTF-8 (Comma delimited) (*.csv); in LibreOffice, File > Save As > Text CSV; in Google Sheets, ' +
  'File > Download > Comma Separated Values (.csv)';
const ARCHIVE_ADVICE = 'This is a ZIP archive: unpack it, and import the CSV or JSON Lines file in it';

export interface Unpacked {
  readonly source: AsyncIterable<Uint8Array>;
  /** Then how many bytes come out of it is not known before its end. */
  readonly isCompressed: boolean;
}

/** Throws a SourceError for what no import can read. */
export async function unpack(source: AsyncIterable<Uint8Array>): Promise<Unpacked> {
  const { start, rest } = await peek(source, HEAD_BYTES);
  if (begins(start, GZIP)) return { source: gunzip(rest), isCompressed: true };
  if (begins(start, COMPOUND_FILE)) throw new SourceError(WORKBOOK_ADVICE);
  if (begins(start, ZIP))
    throw new SourceError(WORKBOOK.test(start.toString('latin1')) ? WORKBOOK_ADVICE : ARCHIVE_ADVICE);
  return { source: rest, isCompressed: false };
}

function begins(start: Buffer, mark: Buffer): boolean {
  return start.subarray(0, mark.length).equals(mark);
}

/** A chunk at a time, so that a small file that unpacks to a huge one takes no more memory than any other. */
async function* gunzip(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unpacked = createGunzip();
  const packing = pipeline(Readable.from(source, { objectMode: false }), unpacked);
  // Whoever reads hears of it below.
  packing.catch(() => undefined);
  try {
    for await (const chunk of unpacked) yield chunk as Buffer;
  } catch (error) {
    throw gzipFault(error) ?? error;
  }
}

/** Null for what is no fault of the data. */
function gzipFault(error: unknown): SourceError | null {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'Z_BUF_ERROR') return new SourceError('The gzip data is cut short: the file is not complete');
  return code.startsWith('Z_')
    ? new SourceError('The gzip data is damaged: pack the file again, or import it unpacked')
    : null;
}
