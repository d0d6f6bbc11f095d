// As whom PostgreSQL runs. It refuses to run as root, so root has two ways out: a user namespace in which it is some
// other user (nothing is copied, files stay root's), or, where namespaces are forbidden, really another user.
import { EmbeddedError, orBringYourOwn } from './errors.ts';
import type { Identity, Machine, PasswdEntry } from './machine.ts';
import { baseEnvironment, type Command } from './program.ts';

export type RunAs =
  | { way: 'direct'; identity: Identity }
  /** `inner` is who it believes to be; to the file system it is `identity`, without root's privileges. */
  | { way: 'namespace'; identity: Identity; inner: Identity }
  | { way: 'user'; identity: Identity };

/**
 * @param owner who owns the data, if there is any: PostgreSQL insists on running as the owner of its data.
 */
export async function chooseRunAs(machine: Machine, owner?: Identity): Promise<RunAs> {
  const { self } = machine;
  if (self.uid !== 0) return ordinary(machine, owner);
  if (owner && owner.uid !== 0) return { way: 'user', identity: owner };
  return (await inNamespace(machine)) ?? asNobody(machine);
}

function ordinary(machine: Machine, owner?: Identity): RunAs {
  if (owner && owner.uid !== machine.self.uid) {
    throw new EmbeddedError(
      `The data in DATA_DIR belong to user ${owner.uid} and Gatehouse runs as user ${machine.self.uid}: ` +
        `run it as that user, name another folder in DATA_DIR, ${orBringYourOwn}.`,
    );
  }
  return { way: 'direct', identity: machine.self };
}

/** The namespace way, or undefined where it is barred. */
export async function inNamespace(machine: Machine): Promise<RunAs | undefined> {
  if (!(await machine.namespaces())) return undefined;
  // initdb looks its user up, so the number must be one that /etc/passwd knows; which one, matters to nobody.
  const others = (await machine.users()).filter((user) => user.uid !== 0);
  const inner = others.find((user) => user.uid === 1000) ?? others[0];
  return inner && { way: 'namespace', identity: machine.self, inner: idsOf(inner) };
}

async function asNobody(machine: Machine): Promise<RunAs> {
  const nobody = (await machine.users()).find((user) => user.name === 'nobody');
  if (machine.platform !== 'linux' || !nobody) {
    throw new EmbeddedError(
      'PostgreSQL refuses to run as root, and there is no other user here for it: ' +
        `run Gatehouse as an ordinary user, ${orBringYourOwn}.`,
    );
  }
  return { way: 'user', identity: idsOf(nobody) };
}

function idsOf({ uid, gid }: PasswdEntry): Identity {
  return { uid, gid };
}

/** `cwd` is `/` because the caller's folder may be one that this user may not enter, and then nothing starts. */
export function commandAs(runAs: RunAs, file: string, args: readonly string[]): Command {
  const options = { cwd: '/', env: { ...baseEnvironment } };
  if (runAs.way === 'direct') return { file, args: [...args], options };
  if (runAs.way === 'user') return { file, args: [...args], options: { ...options, ...runAs.identity } };
  const { uid, gid } = runAs.inner;
  return { file: 'unshare', args: ['--user', `--map-user=${uid}`, `--map-group=${gid}`, file, ...args], options };
}
