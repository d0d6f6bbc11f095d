// Questions about another process, by its number.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { codeOf } from './errors.ts';
import { baseEnvironment, runProgram } from './program.ts';

/** A process of that number exists. It may be another one than was meant: numbers are used again. */
export function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM'; // there, but another user's
  }
}

const listTimeoutMs = 5_000;

/**
 * The process is a PostgreSQL server on this very data folder: not a stranger that got a dead server's number, not a
 * dead one that its parent has not buried (its command line is empty), not one of the server's own children (theirs
 * are rewritten).
 */
export async function isPostmaster(pid: number, cluster: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  return process.platform === 'linux' ? isPostmasterOnLinux(pid, cluster) : isPostmasterElsewhere(pid, cluster);
}

async function isPostmasterOnLinux(pid: number, cluster: string): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''); // ended since: it has no command line
  const [program = '', ...args] = line.split('\0');
  return basename(program) === 'postgres' && args[0] === '-D' && args[1] === cluster;
}

async function isPostmasterElsewhere(pid: number, cluster: string): Promise<boolean> {
  const args = ['-ww', '-o', 'command=', '-p', String(pid)];
  const ps = { file: 'ps', args, options: { cwd: '/', env: { ...baseEnvironment } } };
  const listed = await runProgram(ps, listTimeoutMs);
  return listed.output.includes(`postgres -D ${cluster} `);
}
