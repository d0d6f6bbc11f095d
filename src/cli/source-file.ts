/** The file that an import reads, or standard input (`-`). */
import { open } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { unpack } from '../services/members/container.ts';
import { detectFormat, SourceError, type SourceFormat } from '../services/members/source.ts';
import { Refused } from './failure.ts';

export interface SourceFile {
  readonly source: AsyncIterable<Uint8Array>;
  readonly format: SourceFormat;
  /** Null where nobody knows how much there is. */
  readonly bytes: number | null;
  close(): void;
}

const FORMATS: Readonly<Record<string, SourceFormat>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
};

/**
 * The format is the one given, else what the name says (that of a packed file, without .gz), else what the first character
 * looks like.
 */
export async function openSource(
  name: string,
  given: SourceFormat | undefined,
  signal: AbortSignal,
): Promise<SourceFile> {
  const { stream, bytes } = name === '-' ? { stream: process.stdin, bytes: null } : await openFile(name);
  // Ends a read that waits for data that may never come.
  addAbortSignal(signal, stream);
  const close = (): void => {
    stream.destroy();
  };
  try {
    const { source, isCompressed } = await unpack(stream);
    const format = given ?? (name === '-' ? undefined : FORMATS[extname(name.replace(GZIP_NAME, '')).toLowerCase()]);
    const total = isCompressed ? null : bytes;
    if (format !== undefined) return { source, format, bytes: total, close };
    return { ...(await detectFormat(source)), bytes: total, close };
  } catch (error) {
    close();
    if (error instanceof SourceError) throw new Refused([unreadable(error.message)]);
    throw error;
  }
}

const GZIP_NAME = /\.gz$/i;

async function openFile(name: string): Promise<{ stream: Readable; bytes: number | null }> {
  const path = resolve(name);
  try {
    const file = await open(path);
    const stats = await file.stat();
    if (stats.isDirectory()) {
      await file.close();
      throw new Refused([unreadable(`${path} is a folder`)]);
    }
    return { stream: file.createReadStream(), bytes: stats.isFile() ? stats.size : null };
  } catch (error) {
    if (error instanceof Refused) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    const reason = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'it may not be read' : code;
    throw new Refused([unreadable(`Cannot read ${path}: ${reason}`)]);
  }
}

function unreadable(message: string): { code: string; message: string; field: string[] } {
  return { code: 'INVALID', message, field: ['file'] };
}
