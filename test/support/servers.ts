/** The embedded PostgreSQL servers of this machine, by the command lines of all processes. */
import { readdir, readFile } from 'node:fs/promises';

/** The process ids of the servers whose data are in a folder, or are the folder. */
export async function serversIn(folder: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''); // it ended meanwhile
      const [program = '', flag, cluster = ''] = line.split('\0');
      const isIn = program.endsWith('/postgres') && flag === '-D' && `${cluster}/`.startsWith(`${folder}/`);
      return isIn ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

export async function killServers(folder: string): Promise<void> {
  for (const pid of await serversIn(folder)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself since it was listed.
    }
  }
}
