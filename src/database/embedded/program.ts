// Running one short program to its end: no shell, a bounded time, bounded output.
import { execFile } from 'node:child_process';

export interface Command {
  file: string;
  args: string[];
  options: { cwd: string; env: Record<string, string>; uid?: number; gid?: number };
}

/**
 * All that PostgreSQL's programs see of the environment: none of our secrets, none of the caller's PG… variables,
 * messages in English. The path is fixed, so that what is found there is the system's.
 */
export const baseEnvironment: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
};

export interface Outcome {
  ok: boolean;
  /** What it printed, on both streams; for one that could not be started or took too long, why. */
  output: string;
}

const outputLimitBytes = 1024 * 1024;

export function runProgram(command: Command, timeoutMs: number): Promise<Outcome> {
  return new Promise((settle) => {
    const options = {
      ...command.options,
      timeout: timeoutMs,
      maxBuffer: outputLimitBytes,
      killSignal: 'SIGKILL',
    } as const;
    execFile(command.file, command.args, options, (error, stdout, stderr) => {
      const why = error?.killed ? `it took more than ${timeoutMs / 1_000} s` : error && !stderr ? error.message : '';
      settle({ ok: error === null, output: [stdout, stderr, why].filter(Boolean).join('\n') });
    });
  });
}
