/** The real command line, as a process of its own, on the run's database. */
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { TEST_SECRET } from '../support/gateway.ts';
import { runCommand } from '../support/program.ts';

export interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function testSettings(): Record<string, string> {
  return { DATABASE_URL: inject('databaseUrl'), GATEHOUSE_SECRETS: TEST_SECRET, NODE_COMPILE_CACHE };
}

/** Dozens of processes load the same modules: from here in less than half the time. */
const NODE_COMPILE_CACHE = join(tmpdir(), 'gatehouse-test-compile-cache');

export function gatehouse(args: readonly string[], input = ''): Promise<Answer> {
  return runCommand(args, testSettings(), input);
}

/** With --json: the one document on standard output. Throws where the command does not end with `code`. */
export async function gatehouseJson(args: readonly string[], { code = 0, input = '' } = {}): Promise<unknown> {
  const answer = await gatehouse([...args, '--json'], input);
  if (answer.code !== code) throw new Error(`exit code ${answer.code}: ${answer.stdout}${answer.stderr}`);
  return JSON.parse(answer.stdout);
}

export function newSlug(): string {
  return `cli-${randomBytes(6).toString('hex')}`;
}

/** A network that the command line made; its slug. */
export async function makeNetworkByCommand(): Promise<string> {
  const slug = newSlug();
  await gatehouseJson(['network', 'create', '--slug', slug, '--name', 'By command']);
  return slug;
}
