// The folder of the server's Unix socket, its only door. Whoever can enter the folder is let in as the owner of all
// data, so it is closed to everyone else.
import { chown, lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, EmbeddedError, orBringYourOwn } from './errors.ts';
import type { Identity, Machine } from './machine.ts';
import { digestOf, type Place } from './place.ts';

/** Names the socket's file; nothing listens on TCP. */
export const socketPort = 5432;

/** The socket's path and its terminating zero must fit in 108 bytes on Linux, 104 on macOS. */
const pathLimitBytes = 103;

export function socketFile(folder: string): string {
  return join(folder, `.s.PGSQL.${socketPort}`);
}

/** Beside the data, or, where that path is too long, in the temporary folder under a name derived from it. */
export function socketFolderFor({ home }: Place, { temporaryFolder, self }: Machine): string {
  const beside = join(home, 'socket');
  if (Buffer.byteLength(socketFile(beside)) <= pathLimitBytes) return beside;
  return join(temporaryFolder, `gatehouse-${self.uid}-${digestOf(home)}`);
}

/** Makes the folder for the user that the server runs as. */
export async function makeSocketFolder(folder: string, identity: Identity, machine: Machine): Promise<void> {
  await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error;
  });
  await refuseStrangers(folder, identity, machine);
  await chown(folder, identity.uid, identity.gid);
}

/**
 * To be called before anything is said at a socket in the folder. In a temporary folder anyone may have made one of
 * that name, with a server of their own in it.
 *
 * @param owner of the data, as whom the server runs.
 */
export async function refuseStrangers(folder: string, owner: Identity, { self }: Machine): Promise<void> {
  const stats = await lstat(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined; // then nobody is there
    throw error;
  });
  if (!stats) return;
  const ours = stats.uid === self.uid || stats.uid === owner.uid;
  if (stats.isDirectory() && ours && (stats.mode & 0o077) === 0) return;
  throw new EmbeddedError(
    `${folder}, where the database's socket would be, belongs to another user or is open to others: ` +
      `remove it, name a folder with a shorter path in DATA_DIR, ${orBringYourOwn}.`,
  );
}
