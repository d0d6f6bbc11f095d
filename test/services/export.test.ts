import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { exportMembers } from '../../src/services/members/export.ts';
import { makeMembers, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { HARD_CSV, HARD_MEMBERS } from './hard-cases.ts';
import { exportText, importText, jsonLines, membersOf } from './members.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

async function newNetwork(): Promise<string> {
  return (await makeNetwork(database)).network.id;
}

const FULL = {
  email: 'ada@x.org',
  name: 'Ada, "the first"',
  externalId: '1',
  role: 'ADMIN',
  status: 'INVITED',
  avatarUrl: 'https://x.org/a.png',
  location: 'London\r\nUK',
  tags: ['a;b', 'c\\', 'd'],
  timeZone: 'Europe/London',
  permalink: 'https://x.org/u/ada',
  createdAt: '2024-02-29T12:34:56.789Z',
  lastActiveAt: '2026-02-28T23:59:59.001Z',
};

describe('formats', () => {
  test('JSON Lines: every field, null where there is none, custom fields beside them', async () => {
    const network = await newNetwork();
    const plain = { email: 'b@x.org', name: 'B', createdAt: '2024-01-01T00:00:00.000Z' };
    await importText(database, network, 'jsonl', jsonLines({ ...FULL, height: 1.75, nested: { a: [1] } }, plain));
    const nothing = { externalId: null, role: 'MEMBER', status: 'ACTIVE', avatarUrl: null, location: null, tags: [] };
    const lacking = { timeZone: null, permalink: null };
    expect(await exportText(database, network, 'jsonl')).toBe(
      jsonLines(
        { ...FULL, height: 1.75, nested: { a: [1] } },
        {
          email: plain.email,
          name: plain.name,
          ...nothing,
          ...lacking,
          createdAt: plain.createdAt,
          lastActiveAt: null,
        },
      ),
    );
  });

  test('CSV: the known columns, then the custom ones by name; nothing is defused or dropped', async () => {
    const network = await newNetwork();
    await importText(
      database,
      network,
      'jsonl',
      jsonLines({ ...FULL, team: '=1+1', 'a b': 7 }, { email: 'b@x.org', name: 'B', createdAt: '2024-01-01', x: [1] }),
    );
    expect(await exportText(database, network, 'csv')).toBe(
      'email,name,externalId,role,status,avatarUrl,location,tags,timeZone,permalink,createdAt,lastActiveAt,a b,team,x\n' +
        'ada@x.org,"Ada, ""the first""",1,ADMIN,INVITED,https://x.org/a.png,"London\r\nUK",a\\;b;c\\\\;d,Europe/London,https://x.org/u/ada,2024-02-29T12:34:56.789Z,2026-02-28T23:59:59.001Z,7,=1+1,\n' +
        'b@x.org,B,,MEMBER,ACTIVE,,,,,,2024-01-01T00:00:00.000Z,,,,[1]\n',
    );
  });

  test('a custom field that has the name of a newer field goes out as that field, and comes back as it', async () => {
    const network = await newNetwork();
    const customFields = { timeZone: 'Europe/Oslo', permalink: 7, team: 'x' };
    await makeMembers(database, network, 1, () => ({ customFields }));
    const csv = await exportText(database, network, 'csv');
    expect(csv.split('\n')[0]).toMatch(/,timeZone,permalink,createdAt,lastActiveAt,team$/);
    const exported = JSON.parse(await exportText(database, network, 'jsonl')) as { email: string; name: string };
    expect(exported).toMatchObject(customFields);
    const { email, name } = exported;
    await importText(database, network, 'jsonl', jsonLines({ email, name, timeZone: 'Europe/Oslo', permalink: null }));
    const [member] = await membersOf(database, network);
    expect(member).toMatchObject({ timeZone: 'Europe/Oslo', permalink: null, customFields: { team: 'x' } });
  });

  test('JSON: one array', async () => {
    const network = await newNetwork();
    expect(JSON.parse(await exportText(database, network, 'json'))).toEqual([]);
    await importText(database, network, 'jsonl', jsonLines(FULL, { email: 'b@x.org', name: 'B' }));
    expect(JSON.parse(await exportText(database, network, 'json'))).toMatchObject([FULL, { email: 'b@x.org' }]);
  });

  test('more custom fields than CSV can hold are refused, before anything is written', async () => {
    const network = await newNetwork();
    await makeMembers(database, network, 21, (index) => ({
      customFields: Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`f${index * 50 + at}`, 'x'])),
    }));
    let written = '';
    const outcome = await exportMembers(database, network, 'csv', async (text) => {
      written += text;
    });
    expect([outcome, written]).toMatchObject([{ ok: false, errors: [{ code: 'OUT_OF_RANGE' }] }, '']);
    expect(await exportText(database, network, 'jsonl')).toContain('"f1049":"x"');
  });
});

describe('an export can be imported', () => {
  const text = (min: number, max: number): fc.Arbitrary<string> =>
    fc
      .string({ unit: 'grapheme', minLength: min, maxLength: max })
      .map((given) => given.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '').trim())
      .filter((given) => [...given].length >= min && [...given].length <= max && given.isWellFormed());
  const local = fc.constantFrom('ada', 'ADA+x', "o'b", '"q;, "', 'ñ', '用户', 'foo..bar', '=x');
  const domain = fc.constantFrom('x.org', 'пример.рф', '[192.0.2.1]', 'i❤.ws');
  const person = <Custom>(custom: fc.Arbitrary<Custom>) =>
    fc.record(
      {
        email: fc.tuple(local, domain),
        name: text(1, 60),
        externalId: fc.option(text(1, 20)),
        role: fc.constantFrom('OWNER', 'ADMIN', 'MODERATOR', 'MEMBER'),
        status: fc.constantFrom('ACTIVE', 'INVITED', 'SUSPENDED'),
        avatarUrl: fc.option(fc.webUrl()),
        location: fc.option(fc.constantFrom('Berlin', 'two\nlines', '"quoted", 7', 'cr\rlf\r\n!')),
        tags: fc.uniqueArray(text(1, 20), { maxLength: 4 }),
        timeZone: fc.option(fc.constantFrom('UTC', 'Asia/Kolkata', 'America/Argentina/Buenos_Aires')),
        permalink: fc.option(fc.webUrl()),
        createdAt: fc
          .date({ min: new Date(0), max: new Date('2026-01-01'), noInvalidDate: true })
          .map((date) => date.toISOString()),
        lastActiveAt: fc.option(fc.date({ min: new Date(0), max: new Date('2026-01-01'), noInvalidDate: true })),
        custom,
      },
      { requiredKeys: ['email', 'name', 'custom'] },
    );
  const people = <Custom extends object>(custom: fc.Arbitrary<Custom>) =>
    fc
      .uniqueArray(person(custom), { maxLength: 12, selector: ({ externalId }) => externalId ?? Symbol() })
      .map((given) =>
        given.map(({ email: [name, host], custom: more, ...rest }, index) => ({
          ...rest,
          // Their names are nothing but their own in here, whatever they look like.
          customFields: more,
          // Unique, whatever folding makes of the rest of it.
          email: name.startsWith('"') ? `"${index}${name.slice(1)}@${host}` : `${index}${name}@${host}`,
        })),
      );
  // What an import might take for a field, a part of a name, or Gatehouse's own.
  const lookalike = fc.constantFrom(
    ...['First Name', 'first_name', 'lastName', 'Mail', 'Email Address', 'created_at', 'id', 'updatedAt', 'network'],
    ...['timezone', 'Display Name', 'customFields', '__typename', 'last_seen_at', 'sep=;'],
  );
  const customName = fc
    .oneof(lookalike, text(1, 20))
    .filter(
      (name) => !/^(?:email|name|externalId|role|status|avatarUrl|location|tags|createdAt|lastActiveAt)$/i.test(name),
    );

  async function there(lines: string): Promise<string> {
    const network = await newNetwork();
    expect(await importText(database, network, 'jsonl', lines)).toMatchObject({ rejected: [] });
    return network;
  }

  async function roundTrip(from: string, format: 'csv' | 'jsonl', count: number): Promise<void> {
    const to = await newNetwork();
    const exported = await exportText(database, from, format);
    expect(await importText(database, to, format, exported)).toEqual({
      created: count,
      updated: 0,
      unchanged: 0,
      rejectedCount: 0,
      rejected: [],
    });
    expect(await exportText(database, to, 'jsonl')).toBe(await exportText(database, from, 'jsonl'));
    expect(await importText(database, from, format, exported)).toMatchObject({
      created: 0,
      updated: 0,
      unchanged: count,
    });
  }

  const noNul = (value: unknown): boolean => !/\\u0000|\\ud[89a-f]/i.test(JSON.stringify(value));
  const isExact = (value: unknown): boolean => {
    if (typeof value === 'number') return Math.abs(value) <= Number.MAX_SAFE_INTEGER;
    return typeof value !== 'object' || value === null || Object.values(value).every(isExact);
  };
  const isKept = (value: unknown): boolean => value !== null && noNul(value) && isExact(value);

  test('JSON Lines: any member, with any JSON in its custom fields, comes back the same', async () => {
    const custom = fc.dictionary(customName, fc.jsonValue({ maxDepth: 3 }).filter(isKept), { maxKeys: 4 });
    await fc.assert(
      fc.asyncProperty(people(custom), async (given) =>
        roundTrip(await there(jsonLines(...given)), 'jsonl', given.length),
      ),
      { numRuns: 15 },
    );
  });

  test('CSV: any member whose custom fields are texts comes back the same', async () => {
    const cell = fc.string({ unit: 'grapheme', minLength: 1 }).filter((value) => noNul(value) && !value.includes('\0'));
    const custom = fc.dictionary(customName, cell, { maxKeys: 4 });
    await fc.assert(
      fc.asyncProperty(people(custom), async (given) =>
        roundTrip(await there(jsonLines(...given)), 'csv', given.length),
      ),
      { numRuns: 15 },
    );
  });

  test('the hard cases come back from both', async () => {
    const from = await newNetwork();
    await importText(database, from, 'csv', HARD_CSV);
    await roundTrip(from, 'jsonl', HARD_MEMBERS.length);
    await roundTrip(from, 'csv', HARD_MEMBERS.length);
  });

  test('a number that went out as CSV stays a number where it comes back', async () => {
    const network = await there(
      jsonLines({ email: 'a@x.org', name: 'A', height: 1.75, list: [1, { a: 2 }], none: '' }),
    );
    const before = await membersOf(database, network);
    const exported = await exportText(database, network, 'csv');
    expect(await importText(database, network, 'csv', exported)).toMatchObject({ unchanged: 1 });
    expect(await membersOf(database, network)).toEqual(before);
    expect(await importText(database, network, 'csv', exported.replace('1.75', '1.80'))).toMatchObject({ updated: 1 });
    expect((await membersOf(database, network))[0]?.customFields).toEqual({
      height: '1.80',
      list: [1, { a: 2 }],
      none: '',
    });
  });
});

describe('a long export', () => {
  test('is of one moment, by id, page by page, whatever is written meanwhile', async () => {
    const network = await newNetwork();
    const members = await makeMembers(database, network, 2_500);
    const parts: string[] = [];
    await exportMembers(database, network, 'jsonl', async (part) => {
      parts.push(part);
      if (parts.length > 2) return;
      await makeMembers(database, network, 10);
      await database.prisma.member.deleteMany({ where: { id: members.at(-1 - parts.length)?.id ?? '' } });
    });
    const emails = parts
      .join('')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { email: string }).email);
    expect(emails).toEqual(members.map((member) => member.email));
  });

  test('whose reader goes away ends, and gives its connection back', async () => {
    const network = await newNetwork();
    await makeMembers(database, network, 10);
    for (let time = 0; time < 10; time += 1) {
      const exporting = exportMembers(database, network, 'jsonl', async (text) => {
        throw new Error(`gone after ${text.length} characters`);
      });
      await expect(exporting).rejects.toThrow('gone');
    }
    expect(database.pool.totalCount - database.pool.idleCount).toBe(0);
  });
});
