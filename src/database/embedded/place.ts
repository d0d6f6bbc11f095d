// Where the data of a DATA_DIR lie: in it, or, for a DATA_DIR that the user PostgreSQL runs as cannot reach, in a
// folder of the system's whose name is derived from DATA_DIR's path. Data that exist decide: they are
// always found again.
import { createHash } from 'node:crypto';
import { lstat, mkdir, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { codeOf, EmbeddedError, orBringYourOwn } from './errors.ts';
import type { Identity, Machine } from './machine.ts';
import { canEnter, makePassable } from './reach.ts';
import { chooseRunAs } from './run-as.ts';

export interface Place {
  /** Holds all that follows, and is where to look for it. */
  home: string;
  /** PostgreSQL's data folder. */
  cluster: string;
  log: string;
  /** Sentences to show at every start. */
  notices: readonly string[];
}

export async function locate(dataDir: string, machine: Machine): Promise<Place> {
  const home = await makeDataDir(dataDir, machine);
  const owner = await ownerOf(join(home, clusterName));
  if (owner) {
    if (machine.self.uid !== 0) await chooseRunAs(machine, owner); // refuses another user's data
    return placeIn(home);
  }
  const elsewhere = elsewhereFor(home, machine);
  if (await exists(elsewhere)) return movedTo(elsewhere, home, machine);
  if (machine.self.uid !== 0) return placeIn(home);
  const runAs = await chooseRunAs(machine);
  if (await canEnter(home, runAs.identity)) return placeIn(home);
  await makePassable(machine.systemFolder);
  await makePassable(elsewhere);
  return movedTo(elsewhere, home, machine);
}

const clusterName = 'postgres';

function placeIn(home: string): Place {
  return { home, cluster: join(home, clusterName), log: join(home, 'postgres.log'), notices: [] };
}

function movedTo(elsewhere: string, home: string, machine: Machine): Place {
  if (machine.self.uid !== 0) {
    throw new EmbeddedError(
      `The data of ${home} lie in ${elsewhere} and belong to root: ` +
        `run Gatehouse as root, name another folder in DATA_DIR, ${orBringYourOwn}.`,
    );
  }
  const notice =
    `The embedded database lies in ${elsewhere}, not in ${home}, ` +
    'because PostgreSQL refuses to run as root and no other user can reach that folder.';
  return { ...placeIn(elsewhere), notices: [notice] };
}

export async function ownerOf(cluster: string): Promise<Identity | undefined> {
  const stats = await stat(cluster).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  return stats && { uid: stats.uid, gid: stats.gid };
}

const controlCharacter = /\p{Cc}/u;

/** The real path, so that every way to write it leads to one place. */
async function makeDataDir(dataDir: string, { self }: Machine): Promise<string> {
  if (controlCharacter.test(dataDir)) {
    throw new EmbeddedError('DATA_DIR has a control character in it, such as a line break: name another folder.');
  }
  const stats = await stat(dataDir).catch(() => undefined); // whatever is wrong with it, making it will tell
  if (stats && !stats.isDirectory()) {
    throw new EmbeddedError(`DATA_DIR is ${dataDir}, which is not a folder: name one, ${orBringYourOwn}.`);
  }
  // As root, the database may run as another user, who must be able to pass; what is inside is closed one by one.
  await mkdir(dataDir, { recursive: true, mode: self.uid === 0 ? 0o711 : 0o700 });
  return realpath(dataDir);
}

const nameLimit = 40;

function elsewhereFor(home: string, { systemFolder }: Machine): string {
  const readable = basename(home)
    .replace(/[^\w.-]/g, '_')
    .slice(0, nameLimit);
  return join(systemFolder, `${readable}-${digestOf(home)}`);
}

/** A short name for a path. */
export function digestOf(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 16);
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(() => true, unlessMissing);
}

function unlessMissing(error: unknown): false {
  if (codeOf(error) === 'ENOENT') return false;
  throw error;
}
