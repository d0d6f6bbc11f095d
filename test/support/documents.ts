/** The documents of the repository as programs: their fenced examples, run in something like a fresh clone. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TOKEN_PATTERN } from '../../src/domain/token.ts';
import { ROOT } from './program.ts';

export interface Example {
  /** What stands behind the opening fence: `sh`, `js`, … */
  readonly language: string;
  readonly text: string;
  readonly line: number;
  /** The comment on the line before, if there is one: `not run: …` and the like. */
  readonly mark: string;
  /** Whether only blank lines part it from the example before it: then it is what that one prints. */
  readonly follows: boolean;
}

const FENCE = /^```(\w*)$/;
const COMMENT = /^<!-- (.*) -->$/;

export function readDocument(file: string): Promise<string> {
  return readFile(join(ROOT, file), 'utf8');
}

export function examplesIn(document: string): Example[] {
  const examples: Example[] = [];
  const lines = document.split('\n');
  let follows = false;
  for (let at = 0; at < lines.length; at += 1) {
    const language = FENCE.exec(lines[at] ?? '')?.[1];
    if (language === undefined) {
      follows = follows && lines[at] === '';
      continue;
    }
    const end = lines.indexOf('```', at + 1);
    const text = lines.slice(at + 1, end).join('\n');
    examples.push({ language, text, line: at + 1, mark: COMMENT.exec(lines[at - 1] ?? '')?.[1] ?? '', follows });
    at = end;
    follows = true;
  }
  return examples;
}

/** The rows of the table under a heading of these columns, cell by cell. */
export function tableIn(document: string, heading: readonly string[]): string[][] {
  const lines = document.split('\n');
  const start = lines.indexOf(`| ${heading.join(' | ')} |`);
  if (start < 0) throw new Error(`there is no table of ${heading.join(', ')}`);
  const rows = lines.slice(start + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, end < 0 ? rows.length : end).map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}

/** A gateway that was started with `npm start` in a folder like a fresh clone. */
export interface Clone {
  readonly folder: string;
  /** All that `npm start` has printed. */
  readonly output: { stdout: string; stderr: string };
  readonly port: string;
  /** The token that the first start printed. */
  readonly token: string;
  /** Runs a program there as a reader would, with TOKEN set. */
  run(file: string, args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }>;
  /** Runs shell examples one after the other in one shell; gives what each prints. */
  runShell(examples: readonly Example[]): Promise<string[]>;
  /** A file of an example with the gateway's real address in it. */
  write(name: string, text: string): Promise<string>;
  close(): Promise<void>;
}

const PARTS = ['package.json', '.config', 'node_modules', 'prisma', 'src'];
const BANNER_END = /listens on http:\/\/127\.0\.0\.1:(\d+)[\s\S]*\n\n$/;

export async function openClone(): Promise<Clone> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-clone-'));
  for (const part of PARTS) await symlink(join(ROOT, part), join(folder, part));
  const { PATH = '', HOME = folder } = process.env;
  const environment = { PATH, HOME };
  const gateway = execute('npm', ['start'], folder, { ...environment, PORT: '0' });
  const port = await Promise.race([
    waitFor(() => BANNER_END.exec(gateway.output.stdout)?.[1]),
    gateway.ended.then(() => Promise.reject(new Error(`npm start ended: ${gateway.output.stderr}`))),
  ]);
  const [token = ''] = gateway.output.stdout.match(TOKEN_PATTERN) ?? [];
  const here = (text: string) => text.replaceAll(':4000', `:${port}`);

  const clone: Clone = {
    folder,
    output: gateway.output,
    port,
    token,
    async run(file, args) {
      const program = execute(file, args, folder, { ...environment, TOKEN: token });
      return { code: await program.ended, ...program.output };
    },
    async runShell(examples) {
      const parts = examples.map(({ text }) => `printf '\\n${SEPARATOR}\\n'\n${here(text)}\n`);
      await writeFile(join(folder, 'examples.sh'), `set -e -o pipefail\n${parts.join('\n')}`);
      const { code, stdout, stderr } = await clone.run('bash', ['examples.sh']);
      const printed = stdout.split(`\n${SEPARATOR}\n`).slice(1);
      if (code === 0) return printed;
      const failed = examples[printed.length - 1];
      throw new Error(`the example of line ${failed?.line} ended with ${code}:\n${printed.at(-1)}\n${stderr}`);
    },
    async write(name, text) {
      const path = join(folder, name);
      await writeFile(path, here(text));
      return path;
    },
    async close() {
      // As a process manager would: npm alone is told, and the gateway has to hear of it.
      gateway.end();
      await gateway.ended;
      if (!gateway.output.stderr.includes('"msg":"stopped"')) throw new Error('the gateway did not stop with npm');
      await rm(folder, { recursive: true, force: true });
    },
  };
  return clone;
}

const SEPARATOR = '@@@ the next example @@@';

function execute(file: string, args: readonly string[], cwd: string, env: Record<string, string>) {
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  const ended = once(child, 'close').then(([code]): number | null => code);
  return { output, ended, end: () => child.kill('SIGTERM') };
}

async function waitFor<Value>(look: () => Value | undefined): Promise<Value> {
  for (;;) {
    const value = look();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether a program is on this machine. */
export function isHere(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
