/** PostgreSQL's own tools, which are not part of the embedded server: a database dumped and restored as operators do it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { inject } from 'vitest';

const run = promisify(execFile);
const DUMP_MAX_BYTES = 64 * 1_048_576;

/** Why the tools cannot be used here; '' where they can. */
export async function missingTools(): Promise<string> {
  try {
    const { stdout } = await run('pg_dump', ['--version']);
    const { stdout: server } = await run('psql', [inject('databaseUrl'), '-Atc', 'SHOW server_version_num']);
    const [, major = '0'] = /(\d+)\./.exec(stdout) ?? [];
    return Number(major) >= Math.floor(Number(server) / 10_000) ? '' : `pg_dump ${major} is older than the server`;
  } catch {
    return 'there is no pg_dump or psql here';
  }
}

/** `options`: of pg_dump. `before`: SQL that the restoring session begins with. */
export async function dumpInto(
  from: string,
  to: string,
  { options = [], before = '' }: { readonly options?: readonly string[]; readonly before?: string } = {},
): Promise<void> {
  const { stdout } = await run('pg_dump', ['--no-owner', ...options, from], { maxBuffer: DUMP_MAX_BYTES });
  await runScript(to, `${before}\n${stdout}`);
}

/** By psql, which stops at the first error: COPY and its rows can be in it. */
export async function runScript(url: string, script: string): Promise<void> {
  const session = run('psql', ['-q', '-v', 'ON_ERROR_STOP=1', url]);
  session.child.stdin?.end(script);
  await session;
}
