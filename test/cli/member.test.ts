import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HARD_CSV, HARD_JSONL, HARD_MEMBERS } from '../services/hard-cases.ts';
import { ROOT } from '../support/program.ts';
import { gatehouse, gatehouseJson, makeNetworkByCommand, testSettings } from './command-line.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-members-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const NOTHING = { created: 0, updated: 0, unchanged: 0, rejected: [], rejectedCount: 0 };
const COUNT = HARD_MEMBERS.length;

describe('member import', () => {
  test('CSV and JSON Lines, from a file and from standard input, again and again', async () => {
    const network = await makeNetworkByCommand();
    const args = ['member', 'import', '--network', network];
    expect(await gatehouseJson([...args, await file('hard.csv', HARD_CSV)])).toEqual({ ...NOTHING, created: COUNT });
    const unchanged = { ...NOTHING, unchanged: COUNT };
    expect(await gatehouseJson([...args, await file('hard.jsonl', HARD_JSONL)])).toEqual(unchanged);
    for (const input of [HARD_CSV, HARD_JSONL])
      expect(await gatehouseJson([...args, '-'], { input })).toEqual(unchanged);
    const unnamed = await file('hard.txt', HARD_CSV);
    expect(await gatehouseJson([...args, unnamed])).toEqual(unchanged);
    expect(await gatehouseJson([...args, '--format', 'csv', unnamed])).toEqual(unchanged);
  });

  test('says at the end what it did, line by line what it rejected, and ends with 0', async () => {
    const network = await makeNetworkByCommand();
    const path = await file('some.csv', 'email,name\nada@x.org,Ada\nnobody,"No\nBody"\nADA@x.org,Ada\n');
    expect(await gatehouse(['member', 'import', '--network', network, path])).toEqual({
      code: 0,
      stdout: `Imported into ${network}: 1 created, 1 updated, 0 unchanged, 1 rejected.\n  line 3: email: must be an e-mail address; name: must not hold line breaks or control characters\n`,
      stderr: '',
    });
  });

  test.each([
    ['empty.csv', '', 'the file is empty'],
    ['headless.csv', 'a@x.org,Ada\n', 'the header lacks the required column email and name'],
    ['twice.csv', 'email,name,email\n', 'the header names the column of cell 3 twice'],
    ['array.jsonl', '[{"email":"a@x.org","name":"A"}]', 'this is a JSON array'],
  ])('%s is refused as a whole', async (name, content, message) => {
    const network = await makeNetworkByCommand();
    const args = ['member', 'import', '--network', network, await file(name, content)];
    expect(await gatehouseJson(args, { code: 1 })).toEqual({
      ...NOTHING,
      errors: [{ code: 'INVALID', message: expect.stringContaining(message), field: ['file'] }],
    });
  });

  test('a file that cannot be read is one sentence', async () => {
    const network = await makeNetworkByCommand();
    for (const [path, reason] of [
      [join(folder, 'none.csv'), 'there is no such file'],
      [folder, 'is a folder'],
    ] as const) {
      const answer = await gatehouse(['member', 'import', '--network', network, path]);
      expect(answer).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(reason) });
      expect(answer.stderr.split('\n')).toHaveLength(2);
    }
  });
});

describe('member export', () => {
  test('feeds an import of another network', async () => {
    const [from, to] = [await makeNetworkByCommand(), await makeNetworkByCommand()];
    await gatehouseJson(['member', 'import', '--network', from, '-'], { input: HARD_CSV });
    for (const [format, expected] of [
      ['jsonl', { created: COUNT }],
      ['csv', { unchanged: COUNT }],
    ] as const) {
      const exported = await gatehouse(['member', 'export', '--network', from, '--format', format]);
      expect(exported).toMatchObject({ code: 0, stderr: '' });
      const report = await gatehouseJson(['member', 'import', '--network', to, '-'], { input: exported.stdout });
      expect(report).toEqual({ ...NOTHING, ...expected });
    }
    const plain = await gatehouse(['member', 'export', '--network', from]);
    expect(await gatehouse(['member', 'export', '--network', to])).toEqual(plain);
    expect(await gatehouseJson(['member', 'export', '--network', to])).toHaveLength(COUNT);
  });

  test('ends quietly when its reader has had enough', async () => {
    const network = await makeNetworkByCommand();
    const people = Array.from(
      { length: 5_000 },
      (_, index) => `{"email":"${index}@x.org","name":"N","bio":"${'x'.repeat(500)}"}\n`,
    );
    await gatehouseJson(['member', 'import', '--network', network, '-'], { input: people.join('') });
    const args = ['src/cli/main.ts', 'member', 'export', '--network', network];
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
