import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { toId } from '../../src/domain/id.ts';
import { HARD_CSV, HARD_JSONL, HARD_MEMBERS } from '../services/hard-cases.ts';
import { importText, jsonLines } from '../services/members.ts';
import { makeMembers, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { ROOT } from '../support/program.ts';
import { gatehouse, gatehouseJson, testSettings } from './command-line.ts';

let database: Database;
let folder: string;
beforeAll(async () => {
  database = await openTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-members-'));
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const NOTHING = { created: 0, updated: 0, unchanged: 0, rejected: [], rejectedCount: 0 };
const COUNT = HARD_MEMBERS.length;
const CUSTOM_FIELDS = ['Bio, in short'];
const OF_JSONL = { renamed: [], customFields: CUSTOM_FIELDS, ignored: [] };
const OF_CSV = {
  renamed: [
    { column: 'Email', field: 'email' },
    { column: 'NAME', field: 'name' },
    { column: 'Tags', field: 'tags' },
  ],
  customFields: CUSTOM_FIELDS,
  ignored: [],
};
const NO_COLUMNS = { renamed: [], customFields: [], ignored: [] };

async function newNetwork(): Promise<{ id: string; slug: string }> {
  return (await makeNetwork(database)).network;
}

describe('member import', () => {
  test('CSV and JSON Lines, from a file and from standard input, the format told or not', async () => {
    const { slug } = await newNetwork();
    const args = ['member', 'import', '--network', slug];
    expect(await gatehouseJson([...args, await file('hard.csv', HARD_CSV)])).toEqual({
      ...NOTHING,
      created: COUNT,
      columns: OF_CSV,
    });
    const csv = { ...NOTHING, unchanged: COUNT, columns: OF_CSV };
    const jsonl = { ...NOTHING, unchanged: COUNT, columns: OF_JSONL };
    expect(await gatehouseJson([...args, await file('hard.jsonl', HARD_JSONL)])).toEqual(jsonl);
    expect(await gatehouseJson([...args, '-'], { input: HARD_CSV })).toEqual(csv);
    expect(await gatehouseJson([...args, '-'], { input: HARD_JSONL })).toEqual(jsonl);
    expect(await gatehouseJson([...args, '--format', 'csv', await file('hard.txt', HARD_CSV)])).toEqual(csv);
  });

  test('says at the end what it did, line by line what it rejected, and ends with 0', async () => {
    const { slug } = await newNetwork();
    const path = await file('some.csv', 'email,name\nada@x.org,Ada\nnobody,"No\nBody"\nADA@x.org,Ada\n');
    expect(await gatehouse(['member', 'import', '--network', slug, path])).toEqual({
      code: 0,
      stdout:
        `Imported into ${slug}: 1 created, 1 updated, 0 unchanged, 1 rejected.\n` +
        '  lines 3 to 4: email: must be an e-mail address; name: must not hold line breaks or control characters\n',
      stderr: '',
    });
  });

  test('a file that cannot be read under its header is refused as a whole', async () => {
    const { slug } = await newNetwork();
    const args = ['member', 'import', '--network', slug, await file('headless.csv', 'a@x.org,Ada\n')];
    const message =
      'the header lacks the required column email and name: if a column has it under another name, say so with ' +
      '--map "COLUMN=email", or accept members without a name with --without-names\nNothing was imported.';
    const errors = [{ code: 'INVALID', message, field: ['file'] }];
    expect(await gatehouseJson(args, { code: 1 })).toEqual({ ...NOTHING, columns: NO_COLUMNS, errors });
  });

  test('a file that cannot be read is one sentence', async () => {
    const { slug } = await newNetwork();
    const none = join(folder, 'none.csv');
    for (const [path, reason] of [
      [none, `Cannot read ${none}: there is no such file`],
      [folder, `${folder} is a folder`],
    ]) {
      const answer = await gatehouse(['member', 'import', '--network', slug, path ?? '']);
      expect(answer).toEqual({ code: 1, stdout: '', stderr: `error: ${reason}\n` });
    }
  });
});

describe('member export', () => {
  test('feeds an import of another network', async () => {
    const [from, to] = [await newNetwork(), await newNetwork()];
    await importText(database, from.id, 'csv', HARD_CSV);
    const exported = await gatehouse(['member', 'export', '--network', from.slug]);
    expect(exported).toMatchObject({ code: 0, stderr: '' });
    const args = ['member', 'import', '--network', to.slug, '-'];
    expect(await gatehouseJson(args, { input: exported.stdout })).toEqual({
      ...NOTHING,
      created: COUNT,
      columns: OF_JSONL,
    });
    expect(await gatehouse(['member', 'export', '--network', to.slug])).toEqual(exported);
    const { stdout } = await gatehouse(['member', 'export', '--network', to.slug, '--format', 'csv']);
    expect(await gatehouseJson(args, { input: stdout })).toEqual({
      ...NOTHING,
      unchanged: COUNT,
      columns: OF_JSONL,
    });
    expect(await gatehouseJson(['member', 'export', '--network', to.slug])).toHaveLength(COUNT);
  });

  test('ends quietly when its reader has had enough', async () => {
    const { id, slug } = await newNetwork();
    const bio = 'x'.repeat(500);
    await importText(
      database,
      id,
      'jsonl',
      jsonLines(...Array.from({ length: 5_000 }, (_, index) => ({ email: `${index}@x.org`, name: 'N', bio }))),
    );
    const args = ['src/cli/main.ts', 'member', 'export', '--network', slug];
    const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...testSettings(), PATH: process.env['PATH'] } });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    const [code] = (await once(child, 'close')) as [number | null];
    expect([code, stderr]).toEqual([0, '']);
  });
});

describe('member conflicts', () => {
  const EMAILS = ['ada@bücher.example', 'ada@xn--bcher-kva.example', 'bob@bücher.example'];

  test('lists members that have one mailbox, for people and for programs', async () => {
    const { id, slug } = await newNetwork();
    const [ada, other] = await makeMembers(database, id, 3, (index) => ({
      email: EMAILS[index] ?? '',
      externalId: `${index}`,
    }));
    const [one, two] = [toId('Member', String(ada?.id)), toId('Member', String(other?.id))];
    const args = ['member', 'conflicts', '--network', slug];
    expect(await gatehouseJson(args)).toEqual([
      {
        mailbox: EMAILS[1],
        member: { id: two, email: EMAILS[1], externalId: '1' },
        heldBy: { id: one, email: EMAILS[0], externalId: '0' },
      },
    ]);
    const { stdout } = await gatehouse(args);
    expect(stdout).toContain(one);
    expect(stdout).toContain(two);
    expect(stdout).not.toContain('bob@');
    await database.pool.query('DELETE FROM members WHERE id = $1', [other?.id]);
    expect(await gatehouseJson(args)).toEqual([]);
  });
});
