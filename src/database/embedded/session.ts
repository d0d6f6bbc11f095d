// One database session over the server's socket, in which every wait is bounded.
import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, DatabaseError } from 'pg';
import { SessionClient, sessionConfig } from '../session-client.ts';
import { sessionSettings } from '../session-settings.ts';
import { databaseUser } from './cluster.ts';
import { codeOf, EmbeddedError, orBringYourOwn } from './errors.ts';
import { socketPort } from './socket.ts';

export interface Session {
  /** Resolves to the first column of the first row. Without an answer in time, the session is over. */
  ask: (sql: string, values?: readonly unknown[], limitMs?: number) => Promise<unknown>;
  /** Settles when the session is over, whoever ended it. */
  ended: Promise<void>;
  close: () => Promise<void>;
}

export type Attempt =
  | { kind: 'open'; session: Session }
  /** Nobody listens. */
  | { kind: 'absent' }
  /** A server is there and will be ready: `recovering` from a crash, or just `busy` starting or stopping. */
  | { kind: 'recovering' | 'busy'; reason: string };

const connectTimeoutMs = 5_000;
const answerTimeoutMs = 5_000;
const closeTimeoutMs = 2_000;

// How long an answer may take is bounded on this side.
const settings = sessionSettings({ statementTimeoutMs: 0, lockTimeoutMs: 0, idleInTransactionTimeoutMs: 0 });

export async function openSession(folder: string): Promise<Attempt> {
  const socket = new Socket();
  // Not the gateway's own database: there, its advisory locks could be the same as ours.
  const connection = {
    host: folder,
    port: socketPort,
    user: databaseUser,
    database: 'postgres',
    ssl: false,
    application_name: 'gatehouse embedded',
    connectionTimeoutMillis: connectTimeoutMs,
    stream: () => socket,
  };
  const client: Client = new SessionClient(sessionConfig(connection, settings));
  client.on('error', () => undefined); // a lost session is told by `ended` and by whatever is being asked
  const ended = new Promise<void>((settle) => {
    client.once('end', () => settle());
  });
  try {
    await client.connect();
  } catch (error) {
    socket.destroy();
    return classify(error, folder);
  }
  return { kind: 'open', session: { ended, ...talkOn(client, socket) } };
}

function talkOn(client: Client, socket: Socket): Pick<Session, 'ask' | 'close'> {
  return {
    ask: async (sql, values = [], limitMs = answerTimeoutMs) => {
      const timer = setTimeout(() => socket.destroy(new Error(`no answer in ${limitMs / 1_000} s`)), limitMs);
      try {
        const { rows } = await client.query<unknown[]>({ text: sql, values: [...values], rowMode: 'array' });
        return rows[0]?.[0];
      } finally {
        clearTimeout(timer);
      }
    },
    close: async () => {
      const limit = new AbortController();
      const farewell = client.end().catch(() => undefined); // it ends either way
      // A server that is stopped or gone does not answer the farewell.
      await Promise.race([farewell, pause(closeTimeoutMs, undefined, { signal: limit.signal }).catch(() => undefined)]);
      limit.abort();
      socket.destroy();
    },
  };
}

/** The server answered, with a fault in what it was asked or in doing it; otherwise it went down meanwhile. */
export function isAnswer(error: unknown): boolean {
  const operatorIntervention = '57';
  return error instanceof DatabaseError && error.code?.startsWith(operatorIntervention) !== true;
}

const cannotConnectNow = '57P03';

function classify(error: unknown, folder: string): Attempt {
  const code = codeOf(error);
  const reason = error instanceof Error ? error.message : String(error);
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return { kind: 'absent' };
  if (code === cannotConnectNow && !reason.includes('shutting down')) return { kind: 'recovering', reason };
  if (code !== 'EACCES' && code !== 'EPERM') return { kind: 'busy', reason };
  throw new EmbeddedError(
    `The embedded database's socket in ${folder} is closed to this user: run Gatehouse as the user that started it, ` +
      `name another folder in DATA_DIR, ${orBringYourOwn}.`,
    { cause: error },
  );
}
