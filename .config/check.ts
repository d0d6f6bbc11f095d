/**
 * `npm run check`: all that CI checks, each step to its end even where an earlier one failed. What follows `--` goes to
 * the test runner. Exit code 1 where anything failed.
 */
import { spawn } from 'node:child_process';

interface Step {
  readonly name: string;
  /** A script of package.json with its arguments. */
  readonly script: readonly string[];
  /** Whether its output is shown as it comes; else only where the step fails. */
  readonly live?: boolean;
}

const STEPS: readonly Step[] = [
  { name: 'types', script: ['types'] },
  { name: 'lint', script: ['lint'] },
  { name: 'layers', script: ['layers'] },
  { name: 'schema', script: ['schema', '--', '--check'] },
  { name: 'migrations', script: ['migration', '--', '--check'] },
  { name: 'tests', script: ['test', '--', ...process.argv.slice(2)], live: true },
];

interface Result {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: string;
}

const results: Result[] = [];
for (const step of STEPS) {
  const result = await run(step);
  results.push(result);
  console.log(line(result));
}

const failed = results.filter((result) => !result.ok);
console.log(
  failed.length === 0 ? '\ncheck: all is well' : `\ncheck: ${failed.map(({ name }) => name).join(', ')} failed`,
);
process.exitCode = failed.length === 0 ? 0 : 1;

function line({ name, ok, seconds }: Result): string {
  return `${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(12)} ${seconds.padStart(6)} s`;
}

async function run({ name, script, live = false }: Step): Promise<Result> {
  const startedMs = performance.now();
  const child = spawn('npm', ['run', '--silent', ...script], {
    stdio: ['ignore', live ? 'inherit' : 'pipe', live ? 'inherit' : 'pipe'],
  });
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => output.push(chunk));
  const ok = await new Promise<boolean>((resolve) => {
    child.once('error', (error) => {
      output.push(Buffer.from(`${String(error)}\n`));
      resolve(false);
    });
    child.once('close', (code) => resolve(code === 0));
  });
  if (!ok) process.stdout.write(Buffer.concat(output));
  return { name, ok, seconds: ((performance.now() - startedMs) / 1000).toFixed(1) };
}
