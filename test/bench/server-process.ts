/** The servers under measurement: each a process of its own, which prints its address once it listens. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Loaded first, as by `npm start`: it puts Node in production mode, the other servers too. */
const PRELOAD = new URL('../../.config/require-node.mjs', import.meta.url).href;
/** What Node runs for each. */
const FILES = {
  gateway: '../../src/main.ts',
  'gateway-on-redis': '../../src/main.ts',
  'without-windows': 'servers/without-windows.ts',
  'gateway-uncounted': '../../src/main.ts',
  'bare-yoga': 'servers/bare-yoga.ts',
  stock: 'servers/stock.ts',
  'bare-pg': 'servers/bare-pg.ts',
  postgraphile: 'servers/postgraphile.ts',
} as const;
export type ServerName = keyof typeof FILES;
/** What differs from the environment of all. */
const SETTINGS: Partial<Record<ServerName, Readonly<Record<string, string>>>> = {
  'gateway-uncounted': { USAGE_FLUSH_INTERVAL_MS: '0' },
};

export interface ServerProcess {
  readonly url: string;
  /** The most memory that it has had so far, in MB; null where the system does not say (Linux does). */
  peakMb(): Promise<number | null>;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
const PEAK_MEMORY = /^VmHWM:\s*(\d+) kB/m;
const ADDRESS = /http:\/\/\S+/;

/** Standard error, the gateway's log, goes to a file in `folder`; it is shown where the start fails. */
export async function startServer(
  name: ServerName,
  environment: Readonly<Record<string, string>>,
  folder: string,
): Promise<ServerProcess> {
  const logFile = join(folder, `${name}.log`);
  const log = await open(logFile, 'a');
  const file = fileURLToPath(new URL(FILES[name], import.meta.url));
  const child = spawn(process.execPath, ['--import', PRELOAD, file], {
    env: { ...process.env, ...environment, ...SETTINGS[name] },
    stdio: ['ignore', 'pipe', log.fd],
  });
  try {
    return { url: await addressOf(child), peakMb: () => peakMb(child), stop: () => stop(child) };
  } catch (error) {
    await stop(child);
    throw new Error(`${name} did not start:\n${await readFile(logFile, 'utf8')}`, { cause: error });
  } finally {
    await log.close();
  }
}

async function addressOf(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new TypeError('standard output is not piped');
  const deadline = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  const lines = createInterface(child.stdout);
  try {
    for await (const line of lines) {
      const address = ADDRESS.exec(line)?.[0];
      if (address !== undefined) return new URL(address).origin;
    }
    throw new Error('it ended without an address');
  } finally {
    clearTimeout(deadline);
    // What else it prints is read and dropped, so that the pipe never fills.
    child.stdout.resume();
  }
}

async function peakMb(child: ChildProcess): Promise<number | null> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
  const kilobytes = PEAK_MEMORY.exec(status)?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) / 1_024;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  const deadline = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  child.kill('SIGTERM');
  await ended;
  clearTimeout(deadline);
}
