/** An import by the command line against COPY of the same rows into the same table, triggers and indexes and all. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import type { Database } from '../../../src/database/database.ts';
import { makeNetwork } from '../community.ts';
import { copy } from '../copy.ts';
import { importLine } from '../people.ts';
import type { Result } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { perSecond } from './clock.ts';
import { flatness } from './flatness.ts';

/** As `npm run gatehouse` has it. */
const NODE = ['--max-old-space-size=256', '--max-semi-space-size=4', '--import', './.config/require-node.mjs'];
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** Tells at the end of a process the most memory that it had, in kilobytes. */
const PEAK = `data:text/javascript,import{resourceUsage}from'node:process';process.on('exit',()=>process.stderr.write('peak '+resourceUsage().maxRSS))`;
const COLUMNS = `external_id, name, name_folded, email, email_folded, role, status, avatar_url, location, tags, custom_fields,
  created_at, updated_at`;

/** To be run last: it changes the table that the others read. */
export async function importing(stage: Stage, members: number): Promise<Result[]> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-bench-import-'));
  try {
    const few = await runImport(stage, folder, 'imported-few', members / 10);
    const all = await runImport(stage, folder, 'imported', members);
    const copied = await copyRate(stage.database, all.networkId);
    const rate = {
      title: `import of ${members.toLocaleString('en')} members`,
      unit: 'rows/s',
      gateway: { name: 'gatehouse member import', rates: [all.rate] },
      rivals: [{ name: 'COPY … FROM, the same table', rates: [copied], aim: null }],
    };
    const peaks = { early: few.peakMb, late: all.peakMb };
    return [rate, ...flatness('the memory of an import, at most', ['a tenth of it', 'all of it'], peaks)];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** From a file into a new network, the start of the process included. */
async function runImport({ database, environment, signal }: Stage, folder: string, slug: string, rows: number) {
  const networkId = await makeNetwork(database, slug);
  const file = join(folder, `${slug}.jsonl`);
  await pipeline(Readable.from(linesOf(slug, rows)), createWriteStream(file));
  let peakMb = 0;
  const rate = await perSecond(async () => {
    const command = ['src/cli/main.ts', 'member', 'import', '--json', '--network', slug, file];
    const child = spawn(process.execPath, [...NODE, '--import', PEAK, ...command], {
      cwd: ROOT,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    const [said, complained] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    const { created } = JSON.parse(said || '{}') as { readonly created?: number };
    assert.equal(created, rows, complained);
    peakMb = Number(/peak (\d+)/.exec(complained)?.[1]) / 1_024;
    return rows;
  });
  return { networkId, rate, peakMb };
}

function* linesOf(slug: string, rows: number): Generator<string> {
  for (let index = 0; index < rows; index += 1) yield importLine(slug, index);
}

/** More of them take as long each, and together longer than a statement may. */
const COPIED_MAX = 200_000;

/** Rows a second of a COPY of a network's members into another one. */
async function copyRate(database: Database, networkId: string): Promise<number> {
  const target = await makeNetwork(database, 'copied');
  const client = await database.pool.connect();
  try {
    // An id of another version: new, and in the same order.
    const rows = await copy(
      client,
      `COPY (SELECT overlay(id::text PLACING '8' FROM 15 FOR 1), '${target}', ${COLUMNS} FROM members
             WHERE network_id = '${networkId}' ORDER BY id LIMIT ${COPIED_MAX}) TO STDOUT`,
    );
    return await perSecond(async () => {
      await copy(client, `COPY members (id, network_id, ${COLUMNS}) FROM STDIN`, rows);
      return rows.length;
    });
  } finally {
    client.release();
  }
}
