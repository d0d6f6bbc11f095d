// Starting and stopping the server process itself. It is started in a session of its own, so that a Ctrl-C in our
// terminal does not reach it and it outlives us; and as our child without a shell between, so that it is buried when it
// ends before us (under a container's first process nobody else would).
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Programs } from './binaries.ts';
import { ProgramError } from './errors.ts';
import { readServerLock } from './lock-files.ts';
import { boundLog, logSize, openLog, readLogEnd } from './log.ts';
import type { Place } from './place.ts';
import { isPostmaster } from './process.ts';
import type { Command } from './program.ts';
import { commandAs, type RunAs } from './run-as.ts';
import { serverArguments } from './settings.ts';

/** A server that we started. */
export interface Started {
  /** Undefined while it runs. Then how it ended: `again` if another server was there or someone stopped it. */
  ending: () => Promise<'again' | ProgramError | undefined>;
  /** For a start that is given up. */
  stop: () => Promise<void>;
}

/** By a file that PostgreSQL writes in place from the first day to the last. */
async function identityOf(cluster: string): Promise<string> {
  const { ino, birthtimeNs } = await stat(join(cluster, 'global', 'pg_control'), { bigint: true });
  return `${ino}.${birthtimeNs}`;
}

/** Resolves once the process exists, long before it answers. */
export async function startPostmaster(
  { cluster, log }: Place,
  socketFolder: string,
  runAs: RunAs,
  programs: Programs,
): Promise<Started> {
  await boundLog(log);
  const from = await logSize(log);
  const program = join(programs.folder, 'bin', 'postgres');
  const given = serverArguments(cluster, socketFolder, await identityOf(cluster));
  const child = await spawnLogging(commandAs(runAs, program, given), log, runAs);
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    ending: async () => {
      if (isRunning()) return undefined;
      const stopped = child.exitCode === 0 || child.signalCode === 'SIGKILL';
      return stopped ? 'again' : readEnding(log, from, child.pid);
    },
    stop: async () => {
      child.kill('SIGINT');
      await waitWhile(async () => isRunning());
    },
  };
}

async function spawnLogging({ file, args, options }: Command, log: string, runAs: RunAs): Promise<ChildProcess> {
  const handle = await openLog(log);
  try {
    // So that this user, should it start the server itself one day, may write it too.
    if (runAs.way === 'user') await handle.chown(runAs.identity.uid, runAs.identity.gid);
    const child = spawn(file, args, { ...options, detached: true, stdio: ['ignore', handle.fd, handle.fd] });
    await once(child, 'spawn'); // or it throws the reason why not
    child.unref();
    return child;
  } finally {
    await handle.close();
  }
}

// The lock file is empty for a moment while another server writes it.
const anotherIsThere = /lock file ".*" (already exists|is empty)|pre-existing shared memory block .* is still in use/;

async function readEnding(log: string, from: number, pid: number | undefined): Promise<'again' | ProgramError> {
  const lines = (await readLogEnd(log, from)).split('\n');
  // Two that start at once share the log. What the program loader says bears no number.
  const own = lines.filter((line) => line.includes(`[${pid}]`));
  const output = (own.length > 0 ? own : lines).join('\n');
  return anotherIsThere.test(output) ? 'again' : new ProgramError('postgres', output);
}

/**
 * A fast shutdown writes what is in memory and ends; on a slow disk that can take its time. Past the limit it is left
 * to end by itself.
 */
const stopTimeoutMs = 30_000;
const pollEveryMs = 20;

/**
 * What `pg_ctl stop -m fast` does, but only to a process that is surely our server: its number may have passed to
 * another.
 */
export async function stopPostmaster(cluster: string): Promise<void> {
  const lock = await readServerLock(cluster);
  if (!lock || !(await isPostmaster(lock.pid, cluster))) return;
  process.kill(lock.pid, 'SIGINT');
  await waitWhile(() => isPostmaster(lock.pid, cluster));
}

async function waitWhile(isRunning: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + stopTimeoutMs;
  while (Date.now() < deadline && (await isRunning())) await pause(pollEveryMs);
}
