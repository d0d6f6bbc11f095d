// Coming to a server on the data: attach to the one that runs, or start one. Several processes may do this at once,
// while others leave, so it is one loop that looks, does the next thing, and looks again until it holds a lease.
import { setTimeout as pause } from 'node:timers/promises';
import { findPrograms, type Programs, programsFor } from './binaries.ts';
import { handOver } from './cluster.ts';
import { EmbeddedError, orBringYourOwn, ProgramError } from './errors.ts';
import { ensureDatabase } from './gatehouse-database.ts';
import { takeLease } from './lease.ts';
import { clearStaleLocks, readServerLock } from './lock-files.ts';
import type { Machine } from './machine.ts';
import { ownerOf, type Place } from './place.ts';
import { type Started, startPostmaster } from './postmaster.ts';
import { canEnter } from './reach.ts';
import { chooseRunAs, type RunAs } from './run-as.ts';
import { type Attempt, isAnswer, openSession, type Session } from './session.ts';
import { makeSocketFolder, refuseStrangers } from './socket.ts';
import { removeLeftovers } from './staging.ts';

export interface Joined {
  session: Session;
  socketFolder: string;
}

/** For a server that goes down, comes up, or is started by another at this moment. */
const joinTimeoutMs = 15_000;
/** For a server that comes up after a crash and has much to replay. */
const recoveryTimeoutMs = 120_000;
/** A start takes some ten milliseconds, a recovery seconds, and the server logs each time it is asked too early. */
const pollEveryMs = 20;
const pollPatientlyEveryMs = 200;
const patientAfterMs = 1_000;
const startAgainAfterMs = 200;

/**
 * The data folder must be there: one that has vanished (an unmounted disk) is not replaced by an empty one.
 *
 * @param socketFolder where the server's socket is to be, if we start it.
 */
export async function join(place: Place, socketFolder: string, machine: Machine, signal: AbortSignal): Promise<Joined> {
  const installed = await findPrograms(machine);
  let started: Started | undefined;
  const step = async (found: Unready) => {
    const ending = await started?.ending();
    if (ending instanceof ProgramError) throw ending;
    if (ending === 'again') {
      started = undefined;
      await pause(startAgainAfterMs, undefined, { signal });
    } else if (found.kind === 'absent' && !started && (await clearStaleLocks(place.cluster, socketFolder))) {
      started = await start(place, socketFolder, installed, machine);
    }
  };
  try {
    return await untilJoined(() => attach(place, socketFolder, machine), step, place, signal);
  } catch (error) {
    await started?.stop(); // nobody would be there to stop it later
    throw error;
  }
}

async function untilJoined(
  look: () => Promise<Found>,
  step: (found: Unready) => Promise<void>,
  place: Place,
  signal: AbortSignal,
): Promise<Joined> {
  const begunAt = Date.now();
  let recoveredAt = begunAt;
  for (;;) {
    signal.throwIfAborted();
    const found = await look();
    if (found.kind === 'joined') return found.joined;
    const now = Date.now();
    if (found.kind === 'recovering' && now - begunAt < recoveryTimeoutMs) recoveredAt = now;
    if (now - recoveredAt > joinTimeoutMs) throw tookTooLong(found, place);
    await step(found);
    await pause(now - begunAt < patientAfterMs ? pollEveryMs : pollPatientlyEveryMs, undefined, { signal });
  }
}

type Unready = Exclude<Attempt, { kind: 'open' }>;
type Found = { kind: 'joined'; joined: Joined } | Unready;

/** Takes a lease on the server that runs, if one does. */
export async function attach({ cluster }: Place, socketFolder: string, machine: Machine): Promise<Found> {
  const owner = (await ownerOf(cluster)) ?? machine.self;
  const attachAt = async (folder: string) => {
    await refuseStrangers(folder, owner, machine);
    return takeLeaseAt(folder);
  };
  const first = await attachAt(socketFolder);
  if (first.kind !== 'absent') return first;
  // It may have been started by a process that put its socket elsewhere. A copied data folder names its original's.
  const lock = await readServerLock(cluster);
  if (!lock?.socketFolder || lock.cluster !== cluster || lock.socketFolder === socketFolder) return first;
  return attachAt(lock.socketFolder);
}

async function takeLeaseAt(socketFolder: string): Promise<Found> {
  const attempt = await openSession(socketFolder);
  if (attempt.kind !== 'open') return attempt;
  const { session } = attempt;
  try {
    if (await takeLease(session)) {
      await ensureDatabase(session);
      return { kind: 'joined', joined: { session, socketFolder } };
    }
  } catch (error) {
    await session.close();
    if (isAnswer(error)) throw error;
    return { kind: 'busy', reason: String(error) };
  }
  await session.close();
  return { kind: 'busy', reason: 'the last process that used it is stopping it' };
}

async function start(place: Place, socketFolder: string, installed: Programs, machine: Machine): Promise<Started> {
  await removeLeftovers(place.cluster);
  const runAs = await runAsOwner(place, machine);
  await makeSocketFolder(socketFolder, runAs.identity, machine);
  return startPostmaster(place, socketFolder, runAs, await programsFor(runAs, installed, machine));
}

async function runAsOwner({ home, cluster }: Place, machine: Machine): Promise<RunAs> {
  const owner = await ownerOf(cluster);
  if (!owner) throw new EmbeddedError(`The embedded database's data, which were in ${cluster}, are gone.`);
  const runAs = await chooseRunAs(machine, owner);
  if (owner.uid === runAs.identity.uid) return runAs;
  // Root's data, made where namespaces were allowed, on a machine where they are not.
  if (await canEnter(home, runAs.identity)) await handOver(cluster, runAs.identity);
  else throw unreachable(home);
  return runAs;
}

function unreachable(home: string): EmbeddedError {
  return new EmbeddedError(
    `The data in ${home} belong to root, PostgreSQL refuses to run as root, and no other user can reach that folder: ` +
      `let all users pass through it and the folders above it (chmod o+x), allow user namespaces, ${orBringYourOwn}.`,
  );
}

function tookTooLong(found: Unready, { log }: Place): EmbeddedError {
  const reason = 'reason' in found ? found.reason : 'nothing answers at its socket';
  return new EmbeddedError(
    `The embedded PostgreSQL was not ready in time (${reason}): try again, see ${log}, ${orBringYourOwn}.`,
  );
}
