// What the embedded database needs to know of the machine and of the user that it runs as. A value, so that a test
// can describe another machine: one where namespaces are forbidden, or one without binaries.
import { readFile } from 'node:fs/promises';
import { arch, platform } from 'node:process';
import { baseEnvironment, runProgram } from './program.ts';

export interface Identity {
  uid: number;
  gid: number;
}

export interface Machine {
  platform: string;
  arch: string;
  /** Who we are; on systems without user ids, 0 is never meant. */
  self: Identity;
  /** Whether a command may be run in a user namespace of its own. Asked once. */
  namespaces: () => Promise<boolean>;
  /** Users that have an entry in /etc/passwd. */
  users: () => Promise<readonly PasswdEntry[]>;
  /** A folder that root may fill and every user may reach, for what cannot stay in DATA_DIR. */
  systemFolder: string;
  /** A folder every user may write in, with a short path. */
  temporaryFolder: string;
}

export interface PasswdEntry extends Identity {
  name: string;
}

export function thisMachine(): Machine {
  return {
    platform,
    arch,
    self: { uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 },
    namespaces: once(probeNamespaces),
    users: once(readUsers),
    systemFolder: '/var/lib/gatehouse',
    // Not os.tmpdir(), which follows TMPDIR: two processes on one DATA_DIR must find the same folder.
    temporaryFolder: '/tmp',
  };
}

const probeTimeoutMs = 5_000;

async function probeNamespaces(): Promise<boolean> {
  if (platform !== 'linux') return false;
  // It runs itself: the one program that is surely there if the first one is.
  const args = ['--user', '--map-user=1000', '--map-group=1000', 'unshare', '--version'];
  const probe = { file: 'unshare', args, options: { cwd: '/', env: baseEnvironment } };
  const outcome = await runProgram(probe, probeTimeoutMs);
  return outcome.ok;
}

async function readUsers(): Promise<PasswdEntry[]> {
  // Without the file there are no entries: whoever needs one says so.
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    return name && uid && gid ? [{ name, uid: Number(uid), gid: Number(gid) }] : [];
  });
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= ask();
    return answer;
  };
}
