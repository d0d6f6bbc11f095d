// Whether a user without privileges can reach a path. Computed from mode bits, because root may ask about others; it
// knows no access control lists and no further groups, so it errs towards no.
import type { Stats } from 'node:fs';
import { chmod, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Identity } from './machine.ts';

const execute = 0o1;
const read = 0o4;

/** The folder and every one above it can be entered. `path` is real: absolute and without links. */
export async function canEnter(path: string, identity: Identity): Promise<boolean> {
  const above = dirname(path);
  if (above !== path && !(await canEnter(above, identity))) return false;
  return allows(await stat(path), identity, execute);
}

/** The file can be read (and run, for a program). */
export async function canRead(path: string, identity: Identity, program = false): Promise<boolean> {
  if (!(await canEnter(dirname(path), identity))) return false;
  return allows(await stat(path), identity, program ? read | execute : read);
}

/** Makes a folder, if there is none, that everyone may pass through, whatever our umask is. */
export async function makePassable(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true });
  if (made !== undefined) await chmod(folder, 0o711);
}

function allows(stats: Stats, { uid, gid }: Identity, bits: number): boolean {
  const shift = stats.uid === uid ? 6 : stats.gid === gid ? 3 : 0;
  return ((stats.mode >> shift) & bits) === bits;
}
