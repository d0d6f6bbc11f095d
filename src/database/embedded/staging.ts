// Making a folder as a whole or not at all: it is filled under another name beside its place, then renamed. Whoever is
// killed in the middle leaves only a folder of the other name, which a later start clears away.
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codeOf } from './errors.ts';
import { isAlive } from './process.ts';

/** Longer than any filling may take: what is older was left behind, even if its maker's number lives again. */
const leftoverAgeMs = 10 * 60_000;

/** If another process was first, its folder stands and ours is discarded. */
export async function makeWhole(target: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const folder = `${target}.new-${process.pid}-${randomBytes(4).toString('hex')}`;
  await mkdir(folder, { mode: 0o700 });
  try {
    await fill(folder);
    await rename(folder, target);
    await flushFolder(dirname(target));
  } catch (error) {
    // Should this fail too, the first error is the one to tell, and a later start clears the folder.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    if (!anotherWasFirst(error)) throw error;
  }
}

// A folder is renamed onto an empty one only: a finished one is never replaced.
function anotherWasFirst(error: unknown): boolean {
  const code = codeOf(error);
  const renaming = error instanceof Error && 'syscall' in error && error.syscall === 'rename';
  return renaming && (code === 'ENOTEMPTY' || code === 'EEXIST');
}

async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function removeLeftovers(target: string): Promise<void> {
  const prefix = `${basename(target)}.new-`;
  for (const name of await readdir(dirname(target))) {
    if (!name.startsWith(prefix)) continue;
    const folder = join(dirname(target), name);
    if (!(await isLeftover(folder, Number.parseInt(name.slice(prefix.length), 10)))) continue;
    // An orphaned initdb may still be writing in it, or another process clearing it: the next start tries again.
    await rm(folder, { recursive: true, force: true, maxRetries: 2 }).catch(() => undefined);
  }
}

async function isLeftover(folder: string, maker: number): Promise<boolean> {
  if (!isAlive(maker)) return true;
  const stats = await stat(folder).catch(() => undefined); // gone meanwhile: nothing to clear
  return stats !== undefined && Date.now() - stats.mtimeMs > leftoverAgeMs;
}
