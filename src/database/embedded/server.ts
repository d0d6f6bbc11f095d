// The embedded database: a real PostgreSQL on a folder of ours, for a gateway that was given no DATABASE_URL. Processes
// that share the folder share the server; the first one starts it and the last one out stops it. If it dies, it is
// started again.
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { databaseUser, ensureCluster } from './cluster.ts';
import { explain } from './errors.ts';
import { databaseName } from './gatehouse-database.ts';
import { attach, type Joined, join } from './join.ts';
import { isLastToLeave } from './lease.ts';
import { boundLog } from './log.ts';
import { type Machine, thisMachine } from './machine.ts';
import { locate, type Place } from './place.ts';
import { stopPostmaster } from './postmaster.ts';
import { socketFolderFor, socketPort } from './socket.ts';

export { EmbeddedError } from './errors.ts';

export interface EmbeddedConnection {
  /** The folder of the Unix socket, as `pg` takes it. */
  host: string;
  port: number;
  user: string;
  database: string;
}

export interface EmbeddedServer {
  connection: EmbeddedConnection;
  /** Sentences to show at every start. */
  notices: readonly string[];
  /** To be called once all other sessions of this process are closed. Never fails, and is bounded. */
  close(): Promise<void>;
}

/** @throws EmbeddedError */
export async function openEmbedded(options: { dataDir: string }): Promise<EmbeddedServer> {
  return openEmbeddedOn(options, thisMachine());
}

/** For tests: the same, on a machine described by the caller. */
export async function openEmbeddedOn(options: { dataDir: string }, machine: Machine): Promise<EmbeddedServer> {
  const dataDir = resolve(options.dataDir);
  try {
    const place = await locate(dataDir, machine);
    await ensureCluster(place.cluster, machine);
    const joined = await join(place, socketFolderFor(place, machine), machine, new AbortController().signal);
    return serve(place, joined, machine);
  } catch (error) {
    throw explain(error, dataDir);
  }
}

function serve(place: Place, joined: Joined, machine: Machine): EmbeddedServer {
  const closing = new AbortController();
  const kept = keepJoined(place, joined, machine, closing.signal);
  const stopBounding = keepLogBounded(place.log);
  let closed: Promise<void> | undefined;
  const close = async () => {
    stopBounding();
    closing.abort();
    const held = await kept;
    if (held && (await leave(held, place))) return;
    // The lease was lost just before: we may be the last all the same.
    const again = await attachOnce(place, joined.socketFolder, machine);
    if (again) await leave(again, place);
  };
  return {
    connection: { host: joined.socketFolder, port: socketPort, user: databaseUser, database: databaseName },
    notices: place.notices,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

const joinAgainAfterMs = 1_000;

/**
 * Comes back to a server that dropped us: without a lease, another process would take itself for the last one and stop
 * it under us, and a server that died would stay dead. Settles after `signal`, to the lease we then hold, if any.
 */
async function keepJoined(
  place: Place,
  first: Joined,
  machine: Machine,
  signal: AbortSignal,
): Promise<Joined | undefined> {
  const aborted = new Promise<void>((settle) => {
    signal.addEventListener('abort', () => settle(), { once: true });
  });
  let held: Joined | undefined = first;
  while (!signal.aborted) {
    if (held) await Promise.race([held.session.ended, aborted]);
    if (signal.aborted) break;
    // What it fails with now, every query of the gateway tells as well; so it is only tried again.
    held = await join(place, first.socketFolder, machine, signal).catch(() => undefined);
    if (!held) await pause(joinAgainAfterMs, undefined, { signal }).catch(() => undefined); // closing ends the pause
  }
  return held;
}

async function attachOnce(place: Place, socketFolder: string, machine: Machine): Promise<Joined | undefined> {
  const found = await attach(place, socketFolder, machine).catch(() => undefined); // out of reach: nothing to leave
  return found?.kind === 'joined' ? found.joined : undefined;
}

/** Resolves to false if the session was gone, so that nobody could be asked whether others are there. */
async function leave({ session }: Joined, place: Place): Promise<boolean> {
  const isLast = await isLastToLeave(session).catch(() => undefined);
  // A server that does not stop is found by the next start; there is nobody to tell.
  if (isLast) await stopPostmaster(place.cluster).catch(() => undefined);
  await session.close();
  return isLast !== undefined;
}

const boundLogEveryMs = 30_000;

function keepLogBounded(log: string): () => void {
  // A log that cannot be cut is no reason to stop serving.
  const timer = setInterval(() => void boundLog(log).catch(() => undefined), boundLogEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}
