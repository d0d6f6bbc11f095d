/** Imports that are large, that are cut short, and that run at the same time. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { BATCH_MAX_RECORDS } from '../../src/services/members/import.ts';
import { IMPORT_LOCK } from '../../src/services/members/store-batch.ts';
import { makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { ROOT, startProgram } from '../support/program.ts';
import { gatehouseJson, testSettings } from './command-line.ts';

const LARGE_LINES = 200_000;
/** They come four times each: what is unchanged is read like the rest, and takes a third of the time. */
const LARGE_PEOPLE = 50_000;
/** The old generation may grow to this; all records of the large file would take several times as much. */
const HEAP_MB = 64;
/** The young generation, as `npm run gatehouse` has it: left to itself, it takes what it likes before it is collected. */
const YOUNG_MB = 4;
/** Code and Prisma's WebAssembly come on top: about 140 MB without any work. */
const RESIDENT_MAX_MB = 260;

let database: Database;
let folder: string;
beforeAll(async () => {
  database = await openTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-large-'));
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

async function newNetwork(): Promise<string> {
  return (await makeNetwork(database)).network.slug;
}

/** A file of so many lines about so many people, over and over. One of every thousand lines is at fault. */
async function csvOf(lines: number, people = lines): Promise<string> {
  const path = join(folder, `${lines}.csv`);
  const file = createWriteStream(path);
  file.write('email,name,externalId,tags,createdAt,team\n');
  for (let line = 0; line < lines; line += 1) {
    const person = line % people;
    const email = line % 1_000 === 999 ? 'nobody' : `person.${person}@example.org`;
    const isTaken = file.write(
      `${email},Person ${person},e${person},red;blue,2024-01-02T03:04:05Z,"Team ${person % 7}, ""A"""\n`,
    );
    if (!isTaken) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
  return path;
}

async function countOf(slug: string): Promise<number> {
  return database.prisma.member.count({ where: { network: { slug } } });
}

/** Runs a command; the end of its output, and the most that it had in memory, in MB. */
async function measured(args: readonly string[]): Promise<{ last: string; residentMb: number }> {
  const peak = `data:text/javascript,import{resourceUsage}from'node:process';process.on('exit',()=>process.stderr.write('peak '+resourceUsage().maxRSS))`;
  const node = [
    `--max-old-space-size=${HEAP_MB}`,
    `--max-semi-space-size=${YOUNG_MB}`,
    '--import',
    peak,
    'src/cli/main.ts',
  ];
  const child = spawn(process.execPath, [...node, ...args], {
    cwd: ROOT,
    env: { ...testSettings(), PATH: process.env['PATH'] },
  });
  const output = { last: '', stderr: '' };
  child.stdout.on('data', (text: Buffer) => {
    output.last = (output.last + text.toString()).slice(-100_000);
  });
  child.stderr.on('data', (text: Buffer) => (output.stderr += text.toString()));
  await once(child, 'close');
  return { last: output.last, residentMb: Number(/peak (\d+)/.exec(output.stderr)?.[1]) / 1_024 };
}

test('a large file is imported and exported in constant memory', { timeout: 240_000 }, async () => {
  const [network, path] = [await newNetwork(), await csvOf(LARGE_LINES, LARGE_PEOPLE)];
  const imported = await measured(['member', 'import', '--json', '--network', network, path]);
  const rejectedCount = LARGE_LINES / 1_000;
  const created = LARGE_PEOPLE - LARGE_PEOPLE / 1_000;
  const unchanged = LARGE_LINES - rejectedCount - created;
  expect(JSON.parse(imported.last)).toMatchObject({ created, updated: 0, unchanged, rejectedCount });
  // The feed's counter rises once a batch, and not where nothing changed.
  const feed = await database.prisma.memberFeed.findFirst({ where: { network: { slug: network } } });
  expect(Number(feed?.position)).toBe(LARGE_PEOPLE / BATCH_MAX_RECORDS);
  expect(imported.residentMb).toBeLessThan(RESIDENT_MAX_MB);
  const exported = await measured(['member', 'export', '--network', network]);
  expect(JSON.parse(exported.last.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ tags: ['red', 'blue'] });
  expect(exported.residentMb).toBeLessThan(RESIDENT_MAX_MB);
});

test('a dry run of a large packed file takes no more memory, and tells what the import then does', async () => {
  const [network, path] = [await newNetwork(), await csvOf(100_000, 80_000)];
  await pipeline(createReadStream(path), createGzip({ level: 1 }), createWriteStream(`${path}.gz`));
  const dryRun = await measured(['member', 'import', '--json', '--dry-run', '--network', network, `${path}.gz`]);
  expect(JSON.parse(dryRun.last)).toMatchObject({ created: 79_920, updated: 0, unchanged: 19_980, rejectedCount: 100 });
  expect(dryRun.residentMb).toBeLessThan(RESIDENT_MAX_MB);
  expect(await countOf(network)).toBe(0);
}, 240_000);

test('after a kill -9 whole batches are there, with their audit events, and running it again finishes', async () => {
  const [network, path] = [await newNetwork(), await csvOf(20_000)];
  const args = ['src/cli/main.ts', 'member', 'import', '--network', network, path];
  const killed = startProgram(process.execPath, args, testSettings());
  while ((await countOf(network)) < 2_000) await pause(5);
  await killed.kill('SIGKILL');
  const { id } = await database.prisma.network.findUniqueOrThrow({ where: { slug: network } });
  // The server may still be finishing the batch that was under way, and holds its turn until then.
  await database.pool.query('SELECT pg_advisory_lock($1, hashtext($2)), pg_advisory_unlock_all()', [IMPORT_LOCK, id]);
  const kept = await countOf(network);
  const events = await database.prisma.auditEvent.findMany({ where: { networkId: id, action: 'members.imported' } });
  const created = events.map((event) => (event.details as { created: number }).created);
  expect(created.reduce((sum, count) => sum + count, 0)).toBe(kept);
  expect(kept % 999).toBe(0);
  const report = await gatehouseJson(['member', 'import', '--network', network, path]);
  expect(report).toMatchObject({ created: 19_980 - kept, updated: 0, unchanged: kept, rejectedCount: 20 });
  expect(await countOf(network)).toBe(19_980);
});

test('Ctrl-C ends it after the batch under way, and says what is done', async () => {
  const [network, path] = [await newNetwork(), await csvOf(20_000)];
  const args = ['src/cli/main.ts', 'member', 'import', '--json', '--network', network, path];
  const stopped = startProgram(process.execPath, args, testSettings());
  while ((await countOf(network)) < 1) await pause(5);
  const { code } = await stopped.kill('SIGINT');
  const report = JSON.parse(stopped.output.stdout) as { created: number };
  expect(report).toMatchObject({ errors: [{ code: 'INTERRUPTED' }], created: await countOf(network) });
  expect([code, report.created < 19_980]).toEqual([1, true]);
  expect(stopped.output.stderr).toContain('Run it again to finish.');
});

test('two processes that import one file at the same time neither fail nor duplicate', async () => {
  const [network, path] = [await newNetwork(), await csvOf(5_000)];
  const args = ['member', 'import', '--network', network, path];
  const reports = (await Promise.all([gatehouseJson(args), gatehouseJson(args)])) as {
    created: number;
    unchanged: number;
  }[];
  const sum = (count: 'created' | 'unchanged'): number => reports.reduce((total, report) => total + report[count], 0);
  expect([sum('created'), sum('unchanged'), await countOf(network)]).toEqual([4_995, 4_995, 4_995]);
});

test('a source that goes silent can be stopped; what was committed is kept', async () => {
  const network = await newNetwork();
  const args = ['src/cli/main.ts', 'member', 'import', '--network', network, '-'];
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...testSettings(), PATH: process.env['PATH'] } });
  const lines = Array.from({ length: 1_500 }, (_, index) => `${index}@x.org,Nr ${index}\n`);
  child.stdin.write(`email,name\n${lines.join('')}`);
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  while ((await countOf(network)) < 1_000) await pause(5);
  child.kill('SIGTERM');
  const [code] = (await once(child, 'close')) as [number | null];
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining('The import was stopped.\nDone before that, and kept: 1,000 created'),
  ]);
});
