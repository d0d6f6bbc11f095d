/** The options of `gatehouse member import`, and what it says of a file. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { membersOf } from '../services/members.ts';
import { makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { gatehouse, gatehouseJson } from './command-line.ts';

let database: Database;
let folder: string;
beforeAll(async () => {
  database = await openTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-import-'));
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

async function newNetwork(): Promise<{ id: string; args: string[]; slug: string }> {
  const { id, slug } = (await makeNetwork(database)).network;
  return { id, slug, args: ['member', 'import', '--network', slug] };
}

async function namesIn(networkId: string): Promise<string[]> {
  return (await membersOf(database, networkId)).map(({ name }) => name);
}

describe('the report', () => {
  test('names the columns that were read under other names, became custom fields, and were left out', async () => {
    const { slug, args } = await newNetwork();
    const path = await file('people.csv', 'Email Address,First Name,Team,Notes\nada@x.org,Ada,red,x\n');
    const columns = {
      renamed: [
        { column: 'Email Address', field: 'email' },
        { column: 'First Name', field: 'firstName' },
      ],
      customFields: ['firstName', 'Team'],
      ignored: [{ column: 'Notes', reason: 'left out by --map' }],
    };
    const report = { created: 1, updated: 0, unchanged: 0, rejected: [], rejectedCount: 0, columns };
    expect(await gatehouseJson([...args, '--map', 'notes=', path])).toEqual(report);
    expect(await gatehouse([...args, '--map', 'Notes=', path])).toEqual({
      code: 0,
      stdout:
        `Imported into ${slug}: 0 created, 0 updated, 1 unchanged, 0 rejected.\n` +
        '  Columns read under other names: Email Address as email, First Name as firstName.\n' +
        '  Custom fields: firstName, Team.\n' +
        '  Not imported: Notes (left out by --map).\n',
      stderr: '',
    });
  });
});

describe('--map', () => {
  test('says which column is which field', async () => {
    const { id, args } = await newNetwork();
    const path = await file('map.csv', 'a=b,Who,Joined\na@x.org,Ada,2024-01-02\n');
    const map = ['--map', 'a=b=Email', '--map', 'who=name', '--map', 'Joined=created_at'];
    expect(await gatehouseJson([...args, ...map, path])).toMatchObject({ created: 1, columns: { customFields: [] } });
    const [member] = await membersOf(database, id);
    expect(member).toMatchObject({ email: 'a@x.org', name: 'Ada', createdAt: new Date('2024-01-02') });
  });

  test.each([
    [['--map', 'email'], 'It is a column and a field, such as "Mail=email".'],
    [['--map', '=email'], 'It is a column and a field'],
    [['--map', 'a=email', '--map', 'a=name'], 'The column "a" is mapped twice.'],
    [['--map', 'a=email', '--map', 'b=E-Mail'], 'Two columns are mapped to email.'],
  ])('%j is wrong usage', async (options, message) => {
    const { args } = await newNetwork();
    const { code, stderr } = await gatehouse([...args, ...options, 'x.csv']);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  test('a column that the file does not have is refused, and nothing is imported', async () => {
    const { id, args } = await newNetwork();
    const path = await file('typo.csv', 'email,name\na@x.org,Ada\n');
    const { code, stderr } = await gatehouse([...args, '--map', 'Nmae=name', path]);
    expect([code, stderr]).toEqual([1, 'error: the header has no column "Nmae" to map\nNothing was imported.\n']);
    expect(await namesIn(id)).toEqual([]);
  });
});

test('--dry-run reports what would be done, and changes nothing', async () => {
  const { id, slug, args } = await newNetwork();
  const path = await file('dry.csv', 'email,name\na@x.org,Ada\nnobody,Bob\n');
  expect(await gatehouseJson([...args, '--dry-run', path])).toMatchObject({
    dryRun: true,
    created: 1,
    rejected: [{ line: 3, reason: 'email: must be an e-mail address' }],
  });
  const { code, stdout } = await gatehouse([...args, '--dry-run', '--fail-on-rejected', path]);
  expect([code, stdout.split('\n')[0]]).toEqual([
    1,
    `Dry run: nothing was changed in ${slug}. An import would report: 1 created, 0 updated, 0 unchanged, 1 rejected.`,
  ]);
  expect(await namesIn(id)).toEqual([]);
});

test('--fail-on-rejected imports what can be imported, and ends with 1 where a line was rejected', async () => {
  const { id, slug, args } = await newNetwork();
  const path = await file('fail.csv', 'email,name\na@x.org,Ada\nnobody,Bob\n');
  expect(await gatehouse([...args, '--fail-on-rejected', path])).toEqual({
    code: 1,
    stdout:
      `Imported into ${slug}: 1 created, 0 updated, 0 unchanged, 1 rejected.\n` +
      '  line 3: email: must be an e-mail address\n',
    stderr: 'error: 1 line was rejected (--fail-on-rejected)\n',
  });
  expect(await namesIn(id)).toEqual(['Ada']);
  expect(await gatehouseJson([...args, '--fail-on-rejected', path], { code: 1 })).toMatchObject({
    errors: [{ code: 'INVALID', message: '1 line was rejected (--fail-on-rejected)', field: ['file'] }],
    unchanged: 1,
    rejected: [{ line: 3 }],
  });
  const good = await file('good.csv', 'email,name\na@x.org,Ada\n');
  expect(await gatehouse([...args, '--fail-on-rejected', good])).toMatchObject({ code: 0, stderr: '' });
});

test('--encoding names how the file is written; a name that does not exist is wrong usage', async () => {
  const { id, args } = await newNetwork();
  const path = await file('latin.csv', Buffer.from('email;name\nrene@x.org;Ren\xe9 \x80\n', 'latin1'));
  expect(await gatehouseJson([...args, path])).toMatchObject({
    rejected: [{ line: 2, reason: expect.stringContaining('--encoding windows-1252') }],
  });
  expect(await gatehouseJson([...args, '--encoding', 'ISO-8859-1', path])).toMatchObject({ created: 1, rejected: [] });
  expect(await namesIn(id)).toEqual(['René €']);
  const { code, stderr } = await gatehouse([...args, '--encoding', 'ansi', path]);
  expect([code, stderr]).toEqual([2, expect.stringContaining('utf-8, utf-16le, utf-16be, windows-1252')]);
});

test('--without-names takes a list of addresses', async () => {
  const { id, args } = await newNetwork();
  const path = await file('list.csv', 'Email\nada.secret@x.org\n');
  expect(await gatehouseJson([...args, '--without-names', path])).toMatchObject({ created: 1, rejected: [] });
  expect(await namesIn(id)).toEqual([expect.stringMatching(/^Member [0-9a-z]{6}$/)]);
});

describe('files that are packed', () => {
  test('a .gz file is unpacked, its format told by the rest of its name or by its content', async () => {
    const { args } = await newNetwork();
    const csv = gzipSync('email,name\na@x.org,Ada\n');
    const jsonl = gzipSync('{"email":"a@x.org","name":"Ada"}\n');
    expect(await gatehouseJson([...args, await file('packed.csv.gz', csv)])).toMatchObject({ created: 1 });
    expect(await gatehouseJson([...args, await file('packed.jsonl.GZ', jsonl)])).toMatchObject({ unchanged: 1 });
    expect(await gatehouseJson([...args, await file('packed', jsonl)])).toMatchObject({ unchanged: 1 });
  });

  test('one that is cut short says so, and what was imported before', async () => {
    const { id, args } = await newNetwork();
    // Numbers that do not compress, so that the first batch is complete before the cut.
    const lines = Array.from(
      { length: 3_000 },
      (_, index) => `${index}@x.org,N,${Math.sin(index)}${Math.cos(index)}\n`,
    );
    const packed = gzipSync(`email,name,n\n${lines.join('')}`);
    const path = await file('cut.csv.gz', packed.subarray(0, packed.length - 1_000));
    const document = await gatehouseJson([...args, path], { code: 1 });
    const count = (await namesIn(id)).length;
    expect(document).toMatchObject({ errors: [{ code: 'INVALID', field: ['file'] }], created: count });
    expect(JSON.stringify(document)).toContain('The gzip data is cut short: the file is not complete');
    expect(count).toBeGreaterThan(0);
  });

  test('a workbook of Excel is refused with what to do', async () => {
    const { args } = await newNetwork();
    const workbook = Buffer.concat([
      Buffer.from('PK\u0003\u0004', 'latin1'),
      Buffer.alloc(26),
      Buffer.from('[Content_Types].xml'),
    ]);
    const { code, stdout, stderr } = await gatehouse([...args, await file('members.xlsx', workbook)]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('File > Save As > CSV UTF-8 (Comma delimited) (*.csv)');
  });
});
