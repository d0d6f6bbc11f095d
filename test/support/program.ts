/** Gatehouse's programs as processes of their own, with all that they print kept. None outlives its test file. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterFile } from './cleanup.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Program {
  readonly pid: number;
  /** All that it has printed so far. */
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<Ending>;
  kill(signal: NodeJS.Signals): Promise<Ending>;
}

/** What programs compile to, kept from one to the next as `npm start` keeps it: a third of the time that each takes. */
const NODE_COMPILE_CACHE = join(tmpdir(), 'gatehouse-test-compile-cache');

/** `settings`: all of its environment but for PATH, the time zone and that cache. `input`: its standard input. */
export function startProgram(
  file: string,
  args: readonly string[],
  settings: Record<string, string> = {},
  input = '',
): Program {
  const { PATH = '', TZ } = process.env;
  const env = { PATH, NODE_COMPILE_CACHE, ...(TZ === undefined ? {} : { TZ }), ...settings };
  const child = spawn(file, args, { cwd: ROOT, env, stdio: ['pipe', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  // A program that ends without reading its input closes the pipe under us.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const ended = once(child, 'close').then(([code, signal]): Ending => {
    return { code, signal };
  });
  const kill = (signal: NodeJS.Signals): Promise<Ending> => {
    child.kill(signal);
    return ended;
  };
  // One that could not be spawned has told its test so.
  afterFile(() => kill('SIGKILL').catch(() => undefined));
  return { pid: child.pid ?? 0, output, ended, kill };
}

export interface GatewayProgram extends Program {
  /** Where it listens, once it does. Rejects, with what it printed, where it ends before. */
  readonly url: Promise<string>;
}

/** `npm start`, without npm. On any free port unless `settings` say otherwise. `options`: of Node itself. */
export function startGatewayProgram(settings: Record<string, string>, options: readonly string[] = []): GatewayProgram {
  const program = startProgram(process.execPath, [...options, 'src/main.ts'], { PORT: '0', ...settings });
  const url = untilListening(program);
  url.catch(() => undefined); // a test that kills it before that does not ask
  return { ...program, url };
}

async function untilListening({ output, ended }: Program): Promise<string> {
  const over = ended.then(() => true);
  for (;;) {
    const url = /Gatehouse listens on (\S+)/.exec(output.stdout)?.[1];
    if (url !== undefined && output.stdout.endsWith('\n\n')) return url;
    const isOver = await Promise.race([over, new Promise<false>((resolve) => setTimeout(resolve, 10, false))]);
    if (isOver) throw new Error(`it ended before it listened:\n${output.stdout}${output.stderr}`);
  }
}

/** The token that a first start prints; null where it printed none. */
export function printedToken({ output }: Program): string | null {
  return /gk_(?:live|test)_[0-9A-Za-z]+/.exec(output.stdout)?.[0] ?? null;
}

/** `npm run gatehouse -- …`, without npm, to its end. */
export async function runCommand(
  args: readonly string[],
  settings: Record<string, string>,
  input?: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const program = startProgram(process.execPath, ['src/cli/main.ts', ...args], settings, input);
  const { code } = await program.ended;
  return { code, ...program.output };
}

/** What a gateway that has a METRICS_PORT tells Prometheus: its log says where. */
export async function metricsOf({ output }: GatewayProgram): Promise<string> {
  const [, url] = /"url":"([^"]+\/metrics)"/.exec(output.stderr) ?? [];
  if (url === undefined) throw new Error('the gateway has no metrics');
  return (await fetch(url)).text();
}
