/** Exports as other systems write them, imported as they are, and read back. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { toId } from '../../src/domain/id.ts';
import type { ImportInput, ImportReport } from '../../src/services/members/import.ts';
import { makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { exportText, importReport, importText, jsonLines, membersOf } from './members.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

interface Imported {
  readonly report: ImportReport;
  /** As an export writes them, without what is null or empty. */
  readonly members: readonly Record<string, unknown>[];
}

async function imported(content: string | Buffer, options: Partial<ImportInput> = {}): Promise<Imported> {
  const { id } = (await makeNetwork(database)).network;
  const report = await importReport(database, id, 'csv', content, options);
  const lines = (await exportText(database, id, 'jsonl')).trimEnd().split('\n');
  const members = lines
    .filter((line) => line !== '')
    .map((line) => Object.entries(JSON.parse(line) as Record<string, unknown>))
    .map((entries) => Object.fromEntries(entries.filter(([, value]) => value !== null && String(value) !== '')));
  // What an export writes comes back unchanged, whatever the columns of the first file were called.
  for (const format of ['csv', 'jsonl'] as const) {
    const again = await importText(database, id, format, await exportText(database, id, format));
    expect(again).toMatchObject({ created: 0, updated: 0, unchanged: members.length, rejectedCount: 0 });
  }
  return { report, members };
}

const MEMBER = { role: 'MEMBER', status: 'ACTIVE' };

describe('an export of', () => {
  test('Ghost: its members', async () => {
    const { report, members } = await imported(
      'id,email,name,note,subscribed_to_emails,complimentary_plan,stripe_customer_id,created_at,deleted_at,labels,tiers\n' +
        '64b5f0,ada@x.org,Ada Lovelace,,true,false,cus_1,2023-07-18T02:15:30.000Z,,"VIP, London",Gold\n',
    );
    expect(members).toEqual([
      {
        ...MEMBER,
        email: 'ada@x.org',
        name: 'Ada Lovelace',
        createdAt: '2023-07-18T02:15:30.000Z',
        customFields: { id: '64b5f0' },
        subscribed_to_emails: 'true',
        complimentary_plan: 'false',
        stripe_customer_id: 'cus_1',
        labels: 'VIP, London',
        tiers: 'Gold',
      },
    ]);
    expect(report.columns.renamed).toEqual([{ column: 'created_at', field: 'createdAt' }]);
    expect(report.columns.customFields).toEqual([
      ...['id', 'note', 'subscribed_to_emails', 'complimentary_plan', 'stripe_customer_id'],
      ...['deleted_at', 'labels', 'tiers'],
    ]);
  });

  test('Discourse: its users', async () => {
    const { members } = await imported(
      'id,name,username,email,title,created_at,last_seen_at,trust_level,admin,moderator\n' +
        '7,Alan Turing,alan,alan@x.org,,2013-02-05 19:16:30 UTC,2024-01-02 03:04:05 UTC,2,false,true\n',
    );
    expect(members).toMatchObject([
      {
        email: 'alan@x.org',
        name: 'Alan Turing',
        createdAt: '2013-02-05T19:16:30.000Z',
        lastActiveAt: '2024-01-02T03:04:05.000Z',
        username: 'alan',
        trust_level: '2',
      },
    ]);
  });

  test('CiviCRM: its contacts', async () => {
    const { report, members } = await imported(
      '"Contact ID","Contact Type","External Identifier","Display Name","First Name","Last Name","Email","City","Image Url"\n' +
        '"12","Individual","crm-12","Dr. Grace Hopper","Grace","Hopper","grace@x.org","Arlington","https://x.org/g.png"\n',
    );
    expect(members).toMatchObject([
      {
        email: 'grace@x.org',
        name: 'Dr. Grace Hopper',
        externalId: 'crm-12',
        avatarUrl: 'https://x.org/g.png',
        firstName: 'Grace',
        lastName: 'Hopper',
        'Contact ID': '12',
        City: 'Arlington',
      },
    ]);
    expect(report.columns.renamed).toContainEqual({ column: 'First Name', field: 'firstName' });
    expect(report.columns.customFields).toEqual(['Contact ID', 'Contact Type', 'firstName', 'lastName', 'City']);
  });

  test('Mailchimp: an audience, whose first and last names make the name', async () => {
    const { members } = await imported(
      '"Email Address","First Name","Last Name","Phone Number",MEMBER_RATING,OPTIN_TIME,TIMEZONE,LAST_CHANGED,TAGS\n' +
        'lin@x.org,Lin,Huiyin,,2,"2020-01-02 03:04:05",Asia/Shanghai,"2024-01-02 03:04:05","architect;poet"\n' +
        'cher@x.org,Cher,,,1,,,,\n' +
        'x@x.org,,,,1,,,,\n',
    );
    expect(members).toMatchObject([
      {
        email: 'lin@x.org',
        name: 'Lin Huiyin',
        firstName: 'Lin',
        lastName: 'Huiyin',
        timeZone: 'Asia/Shanghai',
        tags: ['architect', 'poet'],
        OPTIN_TIME: '2020-01-02 03:04:05',
      },
      { name: 'Cher', firstName: 'Cher' },
    ]);
  });

  test('a shop, where some have no name but its parts', async () => {
    const { members } = await imported(
      'name,first_name,surname,email\nAda L.,Ada,Lovelace,ada@x.org\n,Bob,Ross,bob@x.org\n',
    );
    expect(members).toEqual([
      {
        ...MEMBER,
        email: 'ada@x.org',
        name: 'Ada L.',
        first_name: 'Ada',
        surname: 'Lovelace',
        createdAt: expect.any(String),
      },
      {
        ...MEMBER,
        email: 'bob@x.org',
        name: 'Bob Ross',
        first_name: 'Bob',
        surname: 'Ross',
        createdAt: expect.any(String),
      },
    ]);
  });

  test('pandas: to_csv with its row numbers in an unnamed first column', async () => {
    const { report, members } = await imported(
      ',email,full_name,joined_at,score\n0,ada@x.org,Ada,2024-01-02 03:04:05+00:00,1.5\n1,bob@x.org,Bob,2024-01-03 00:00:00+00:00,\n',
    );
    expect(report).toMatchObject({ created: 2, rejected: [] });
    expect(report.columns.ignored).toEqual([{ column: '', reason: 'taken as row numbers, as pandas writes them' }]);
    expect(members).toEqual([
      { ...MEMBER, email: 'ada@x.org', name: 'Ada', createdAt: '2024-01-02T03:04:05.000Z', score: '1.5' },
      { ...MEMBER, email: 'bob@x.org', name: 'Bob', createdAt: '2024-01-03T00:00:00.000Z' },
    ]);
  });

  const rows = (delimiter: string): string =>
    ['E-Mail|Name|Created At|Straße', 'rene@x.org|René Müller|2024-01-02|Allee 5, Köln', '']
      .join('\r\n')
      .replaceAll('|', delimiter);
  const RENE = {
    ...MEMBER,
    email: 'rene@x.org',
    name: 'René Müller',
    createdAt: '2024-01-02T00:00:00.000Z',
    Straße: 'Allee 5, Köln',
  };

  test.each([
    [
      'CSV UTF-8, with commas',
      Buffer.from(`\ufeff${rows(',').replace('Allee 5, Köln', '"Allee 5, Köln"')}`),
      undefined,
    ],
    ['CSV of a German Excel, with semicolons, in windows-1252', Buffer.from(rows(';'), 'latin1'), 'windows-1252'],
    ['CSV that names its separator', Buffer.from(`sep=;\r\n${rows(';')}`), undefined],
    ['Unicode text: UTF-16 with tabs', Buffer.from(`\ufeff${rows('\t')}`, 'utf16le'), undefined],
    ['UTF-16 without a mark', Buffer.from(rows(';'), 'utf16le'), 'utf-16le'],
  ])('Excel: %s', async (_what, content, encoding) => {
    const { report, members } = await imported(content, { encoding });
    expect(members).toEqual([RENE]);
    expect(report).toMatchObject({ created: 1, rejected: [], columns: { customFields: ['Straße'] } });
  });
});

describe('JSON Lines in the shape of the API', () => {
  async function importedLines(...records: object[]) {
    const { id } = (await makeNetwork(database)).network;
    const report = await importReport(database, id, 'jsonl', jsonLines(...records));
    return { id, report, members: await membersOf(database, id) };
  }
  const ADA = { email: 'ada@x.org', name: 'Ada' };

  test('a node of members comes in as it is: its custom fields are custom fields, its id and times are passed over', async () => {
    const { report, members } = await importedLines({
      __typename: 'Member',
      id: toId('Member', '01890a5d-ac96-774b-bcce-b302099a8057'),
      externalId: null,
      ...ADA,
      role: 'ADMIN',
      status: 'ACTIVE',
      avatarUrl: null,
      location: null,
      tags: ['a;b', 'c'],
      timeZone: 'UTC',
      permalink: null,
      customFields: { level: 7, nested: { x: [1] } },
      createdAt: '2024-01-02T03:04:05.000Z',
      updatedAt: '2024-05-02T03:04:05.000Z',
      lastActiveAt: '2024-03-02T03:04:05.000Z',
      network: { slug: 'acme' },
    });
    expect(members).toMatchObject([
      {
        ...ADA,
        role: 'ADMIN',
        tags: ['a;b', 'c'],
        customFields: { level: 7, nested: { x: [1] } },
        createdAt: new Date('2024-01-02T03:04:05.000Z'),
        lastActiveAt: new Date('2024-03-02T03:04:05.000Z'),
      },
    ]);
    expect(report.columns).toEqual({
      renamed: [],
      customFields: ['level', 'nested'],
      ignored: ['__typename', 'id', 'updatedAt', 'network'].map((column) => ({
        column,
        reason: 'managed by Gatehouse',
      })),
    });
  });

  test("another system's id and its times are custom fields", async () => {
    const { members } = await importedLines({ ...ADA, id: 17, updated_at: '2024-01-01' });
    expect(members[0]?.customFields).toEqual({ id: 17, updated_at: '2024-01-01' });
  });

  test('a text of tags is one tag', async () => {
    const { members } = await importedLines({ ...ADA, tags: 'a;b' });
    expect(members[0]?.tags).toEqual(['a;b']);
  });

  test('keys in any style; a name that is null is made of its parts', async () => {
    const { members, report } = await importedLines({
      email_address: 'ada@x.org',
      name: null,
      first_name: 'Ada',
      last_name: null,
      created_at: '2024-01-02',
    });
    expect(members).toMatchObject([{ ...ADA, customFields: { first_name: 'Ada' }, createdAt: new Date('2024-01-02') }]);
    expect(report.columns.customFields).toEqual(['first_name', 'last_name']);
  });

  test('what cannot be read as a record is a line at fault', async () => {
    const { report } = await importedLines(
      { ...ADA, customFields: ['x'] },
      { ...ADA, customFields: { email: 'b@x.org' } },
      { Mail: 'a@x.org', 'Email Address': 'b@x.org', name: 'Two' },
      { ...ADA, name: null },
    );
    expect(report.rejected).toMatchObject([
      { line: 1, reason: 'customFields: must be an object' },
      { line: 2, reason: 'customFields: no name may be that of a field of a member' },
      { line: 3, reason: expect.stringMatching(/^has 2 columns for email/) },
      { line: 4, reason: 'name: is required' },
    ]);
  });

  test('custom fields that bear names of the API come back from an export', async () => {
    const customFields = { id: 'x', updatedAt: 'y', customFields: { z: 1 }, network: 2, __proto__x: 3, team: 'T' };
    const { id, members } = await importedLines({ ...ADA, customFields });
    expect(members[0]?.customFields).toEqual(customFields);
    const exported = await exportText(database, id, 'jsonl');
    expect(await importText(database, id, 'jsonl', exported)).toMatchObject({ unchanged: 1 });
    const copy = await importedLines(JSON.parse(exported) as object);
    expect(copy.members[0]?.customFields).toEqual(customFields);
  });

  test('a column to map that is on no line is told of', async () => {
    const { id } = (await makeNetwork(database)).network;
    const map = new Map([
      ['Mail 1', 'email'],
      ['Nmae', 'name'],
    ]);
    const report = await importReport(database, id, 'jsonl', jsonLines({ 'Mail 1': 'a@x.org', name: 'A' }), { map });
    expect(report).toMatchObject({
      created: 1,
      columns: { ignored: [{ column: 'Nmae', reason: 'not found on any line' }] },
    });
  });
});

describe('lists without names', () => {
  test('new members are called by the end of their ids, which tells nothing of the address; others keep their names', async () => {
    const { id } = (await makeNetwork(database)).network;
    await importText(database, id, 'csv', 'email,name\nada@x.org,Ada\n');
    const csv = 'Email Address;team\nADA@x.org;red\ncarol.secret@x.org;blue\n';
    const options = { isNameOptional: true };
    expect(await importText(database, id, 'csv', csv, options)).toMatchObject({ created: 1, updated: 1, rejected: [] });
    const [ada, carol] = await membersOf(database, id);
    expect(ada).toMatchObject({ name: 'Ada', customFields: { team: 'red' } });
    expect(carol?.name).toBe(`Member ${toId('Member', carol?.id ?? '').slice(-6)}`);
    expect(await importText(database, id, 'csv', csv, options)).toMatchObject({ unchanged: 2 });
    await expect(importText(database, id, 'csv', csv)).rejects.toThrow('the header lacks the required column name');
  });

  test('a bare list of addresses needs no header', async () => {
    const { report, members } = await imported('ada@x.org\r\nbob@x.org\r\n', { isNameOptional: true });
    expect(report).toMatchObject({ created: 2, rejected: [] });
    expect(members.map(({ email }) => email)).toEqual(['ada@x.org', 'bob@x.org']);
  });

  test('JSON Lines without names, or with null', async () => {
    const { id } = (await makeNetwork(database)).network;
    const lines = jsonLines({ email: 'a@x.org' }, { email: 'b@x.org', name: null }, { name: 'C' });
    const report = await importText(database, id, 'jsonl', lines, { isNameOptional: true });
    expect(report).toMatchObject({ created: 2, rejected: [{ line: 3, reason: 'email: is required' }] });
  });
});
