// The server's log, kept to a bounded size: once it has grown past the limit, its end moves to a second file and it
// begins anew. The server appends, so it goes on writing at the new beginning.
import { type FileHandle, open, rm, stat, truncate, writeFile } from 'node:fs/promises';

export const logLimitBytes = 1024 * 1024;

export async function openLog(path: string): Promise<FileHandle> {
  return open(path, 'a', 0o600);
}

export async function boundLog(path: string): Promise<void> {
  if ((await logSize(path)) <= logLimitBytes) return;
  await rm(`${path}.1`, { force: true }); // it may be another user's, as the log is not
  await writeFile(`${path}.1`, await readLogEnd(path), { mode: 0o600 });
  await truncate(path, 0); // what was written since the line above is lost, which a log can bear
}

export async function logSize(path: string): Promise<number> {
  const stats = await stat(path).catch(() => undefined); // none yet
  return stats?.size ?? 0;
}

/** What was written since it was `from` bytes long, at most the limit. */
export async function readLogEnd(path: string, from = 0): Promise<string> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const start = Math.max(from <= size ? from : 0, size - logLimitBytes);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
