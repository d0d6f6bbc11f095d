/** Folders for the embedded database. Each is gone after its test file, and the server in it. */
import { mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterFile } from './cleanup.ts';

/** An empty folder with a short path. */
export async function dataFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'gh-')));
  afterFile(async () => {
    for (const pid of await serversIn(folder)) process.kill(pid, 'SIGKILL');
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  return folder;
}

/** The process ids of the PostgreSQL servers whose data are in a folder, by the command lines of all processes. */
export async function serversIn(folder: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map(async (pid) => ({ pid, line: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') })),
  );
  return lines.filter(({ line }) => isServerIn(folder, line)).map(({ pid }) => Number(pid));
}

function isServerIn(folder: string, commandLine: string): boolean {
  const [program = '', flag, cluster = ''] = commandLine.split('\0');
  return program.endsWith('/postgres') && flag === '-D' && cluster.startsWith(`${folder}/`);
}
