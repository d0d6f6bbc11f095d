// The server's two lock files: `postmaster.pid` in the data folder and one beside its socket. Both name its process and
// its data folder. After a crash they stay; PostgreSQL replaces one whose process is gone, but refuses to start for
// ever if that number has been given to another process since. So what is stale is removed here first.
//
// Should we ever be wrong, PostgreSQL still does not run twice on one folder: it also marks it in shared memory.
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from './errors.ts';
import { isAlive, isPostmaster } from './process.ts';
import { socketFile } from './socket.ts';

export interface LockFile {
  pid: number;
  cluster: string;
  /** Not yet known to a server that has just begun to start. */
  socketFolder: string | undefined;
}

export async function readServerLock(cluster: string): Promise<LockFile | undefined> {
  const text = await readIfThere(serverLockFile(cluster));
  return text === undefined ? undefined : parse(text);
}

/**
 * To be called when nothing answers at the socket. Resolves to false if a server holds its lock all the same: it is
 * coming up, or going down.
 */
export async function clearStaleLocks(cluster: string, socketFolder: string): Promise<boolean> {
  for (const file of [serverLockFile(cluster), `${socketFile(socketFolder)}.lock`]) {
    if (!(await clearStaleLock(file, cluster))) return false;
  }
  return true;
}

async function clearStaleLock(file: string, cluster: string): Promise<boolean> {
  const text = await readIfThere(file);
  if (text === undefined) return true;
  const { pid } = parse(text);
  if (await isPostmaster(pid, cluster)) return false;
  if (Number.isNaN(pid)) {
    if (!(await isOlderThan(file, beingWrittenMs))) return false;
  } else if (!isAlive(pid)) {
    return true; // PostgreSQL replaces it itself
  }
  await removeIfStill(file, text);
  return true;
}

/** A server makes the file and writes it at once; one without a number that is older was left by a full disk. */
const beingWrittenMs = 2_000;

async function isOlderThan(file: string, ageMs: number): Promise<boolean> {
  const stats = await stat(file).catch(() => undefined); // gone: not ours to judge
  return stats !== undefined && Date.now() - stats.mtimeMs > ageMs;
}

/**
 * Another process may have found the same, removed it and started a server since, and then this is the new server's
 * file. So it is moved aside in one step, looked at, and put back if it is not the one that was judged.
 */
async function removeIfStill(file: string, judged: string): Promise<void> {
  const aside = `${file}.stale-${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return; // another was quicker
    throw error;
  }
  if ((await readIfThere(aside)) !== judged) await link(aside, file).catch(unlessAgainThere);
  await rm(aside, { force: true });
}

function unlessAgainThere(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error;
}

function serverLockFile(cluster: string): string {
  return join(cluster, 'postmaster.pid');
}

async function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
}

function parse(text: string): LockFile {
  // A line counts once it is ended: the server may be in the middle of writing it, and the beginning of its path is the
  // path of another folder.
  const [pid = '', cluster = '', , , socketFolder] = text.split('\n').slice(0, -1);
  return { pid: Math.abs(Number.parseInt(pid, 10)), cluster, socketFolder: socketFolder || undefined };
}
