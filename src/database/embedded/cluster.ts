// PostgreSQL's data folder: made once, whole or not at all, and checked before each start.
import { chown, lchown, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findPrograms, type Programs, programsFor } from './binaries.ts';
import { codeOf, EmbeddedError, orBringYourOwn, ProgramError } from './errors.ts';
import type { Identity, Machine } from './machine.ts';
import { type Outcome, runProgram } from './program.ts';
import { chooseRunAs, commandAs, inNamespace, type RunAs } from './run-as.ts';
import { makeWhole, removeLeftovers } from './staging.ts';

/** The owner of all data, and the only database user. */
export const databaseUser = 'gatehouse';

/** Makes the data folder if there is none yet; refuses one that our programs cannot serve. */
export async function ensureCluster(cluster: string, machine: Machine): Promise<void> {
  const installed = await findPrograms(machine);
  if (await isMade(cluster, installed)) return;
  await removeLeftovers(cluster);
  const runAs = await chooseRunAs(machine);
  await createCluster(cluster, runAs, await programsFor(runAs, installed, machine), machine);
}

/** It takes 0.7 s on a fast disk. */
const initdbTimeoutMs = 120_000;

export async function createCluster(
  cluster: string,
  runAs: RunAs,
  programs: Programs,
  machine: Machine,
): Promise<void> {
  await makeWhole(cluster, async (folder) => {
    if (runAs.way === 'user') await chown(folder, runAs.identity.uid, runAs.identity.gid);
    const outcome = await initdb(folder, runAs, programs, machine);
    if (!outcome.ok) throw new ProgramError('initdb', outcome.output);
  });
}

async function initdb(folder: string, runAs: RunAs, programs: Programs, machine: Machine): Promise<Outcome> {
  const program = join(programs.folder, 'bin', 'initdb');
  const args = ['-U', databaseUser, '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-instructions', '-D', folder];
  const outcome = await runProgram(commandAs(runAs, program, args), initdbTimeoutMs);
  // A container may run us under a number that no /etc/passwd knows. In a namespace we can have one that it knows.
  const nameless = !outcome.ok && runAs.way === 'direct' && outcome.output.includes('could not look up effective user');
  const named = nameless ? await inNamespace(machine) : undefined;
  return named ? runProgram(commandAs(named, program, args), initdbTimeoutMs) : outcome;
}

async function isMade(cluster: string, { major, version }: Programs): Promise<boolean> {
  const names = await readdir(cluster).catch((error: unknown): string[] => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  if (names.length === 0) return false;
  // The folder appears as a whole, so it is there now if it ever will be.
  if (!names.includes(versionFile)) throw notData(cluster);
  const made = (await readFile(join(cluster, versionFile), 'utf8')).trim();
  if (Number.parseInt(made, 10) === major) return true;
  throw new EmbeddedError(
    `The data in ${cluster} were made by PostgreSQL ${made}, and this Gatehouse brings PostgreSQL ${version}: ` +
      `use the release of Gatehouse that made them, name another folder in DATA_DIR, ${orBringYourOwn}.`,
  );
}

const versionFile = 'PG_VERSION';

function notData(cluster: string): EmbeddedError {
  return new EmbeddedError(
    `${cluster} holds files that are not PostgreSQL's data: move them away, ` +
      `name another folder in DATA_DIR, ${orBringYourOwn}.`,
  );
}

/**
 * Gives the data to another user: root's, made where namespaces were allowed, go to nobody where they no longer are.
 * The folder itself comes last, so that an interrupted handing over is done again.
 */
export async function handOver(folder: string, to: Identity): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await handOver(path, to);
    else await lchown(path, to.uid, to.gid);
  }
  await chown(folder, to.uid, to.gid);
}
