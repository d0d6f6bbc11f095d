import { describe, expect, test } from 'vitest';
import {
  CUSTOM_FIELDS_MAX_BYTES,
  type Fault,
  type Json,
  joinTags,
  type MemberFields,
  mergeCustomFields,
  parseMember,
  splitTags,
} from '../../src/domain/member.ts';

const NOW = new Date('2026-06-01T12:00:00Z');

function parse(record: Record<string, unknown>): ReturnType<typeof parseMember> {
  return parseMember(Object.entries({ email: 'ada@x.org', name: 'Ada', ...record }), NOW);
}

function fields(record: Record<string, unknown>): MemberFields {
  const parsed = parse(record);
  if (!parsed.ok) throw new Error(parsed.faults.map(({ field, reason }) => `${field}: ${reason}`).join('; '));
  return parsed.member;
}

function faults(record: Record<string, unknown>): readonly Fault[] {
  const parsed = parse(record);
  return parsed.ok ? [] : parsed.faults;
}

function faultyFields(record: Record<string, unknown>): string[] {
  return faults(record).map((fault) => fault.field);
}

describe('e-mail addresses as they exist', () => {
  test.each([
    'ada@x.org',
    'ada+lists@x.org',
    "o'hara@x.co.uk",
    'first.last@sub.domain.example.org',
    '"quoted local part"@x.org',
    '"with @ and \\" in it"@x.org',
    'foo..bar@docomo.ne.jp',
    'trailing.dot.@docomo.ne.jp',
    'x@[192.0.2.1]',
    'x@[IPv6:2001:db8::1]',
    'user@localhost',
    'n@ai',
    'пользователь@пример.рф',
    '用户@例え.テスト',
    'नाम@डोमेन.भारत',
    'مثال@مثال.السعودية',
    'i@❤.ws',
    `reply+${'a'.repeat(80)}@reply.github.com`,
    `${'a'.repeat(64)}@${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(57)}.org`,
  ])('%s', (email) => {
    expect(fields({ email }).email).toBe(email);
  });

  test.each([
    '',
    'ada',
    '@x.org',
    'ada@',
    'a b@x.org',
    'Ada <ada@x.org>',
    'ada@x..org',
    'ada@-x.org',
    'ada@x.org-',
    'ada@x org',
    'ada,bob@x.org',
    'ada@x.org,bob@x.org',
    'ada\u200e@x.org',
    'ada@x\u00a0.org',
    'ada\n@x.org',
    'ada@x\ufffd.org',
    'ada@x\ue000.org',
    'ada@x\u{f0000}.org',
    'ada@x\u0378.org',
    'ada@x\uffff.org',
    'ad\ufffd@x.org',
    '"ad\ufffd a"@x.org',
    `ada@${'b'.repeat(64)}.org`,
    `${'a'.repeat(249)}@x.org`,
  ])('refuses %j', (email) => {
    expect(faultyFields({ email })).toEqual(['email']);
  });

  test('blanks around one are dropped, its case is kept and folded for comparing', () => {
    expect(fields({ email: ' Ada.LOVELACE@X.org\t' })).toMatchObject({
      email: 'Ada.LOVELACE@X.org',
      emailFolded: 'ada.lovelace@x.org',
    });
    expect(fields({ email: 'ÅSA@x.org' }).emailFolded).toBe(fields({ email: 'a\u030asa@X.ORG' }).emailFolded);
  });
});

describe('names in any script', () => {
  test.each([
    'Ada',
    "D'Arcy Ní Bhriain",
    'José María Ñandú',
    'Jose\u0301',
    '田中 さくら',
    '김민준',
    'محمد الأحمد',
    'שרה כהן',
    'ณัฐพล',
    'Ọlọ́run',
    '👩🏽‍🚀 Zoë',
    '𝒜𝒹𝒶',
    'Х Æ A-12',
    'ي'.repeat(200),
    '👩'.repeat(200),
  ])('%s', (name) => {
    expect(fields({ name }).name).toBe(name);
  });

  test.each([
    ['', 'must have 1 to 200 characters'],
    ['  \u00a0 ', 'must have 1 to 200 characters'],
    ['x'.repeat(201), 'must have 1 to 200 characters'],
    ['two\nlines', 'must not hold line breaks or control characters'],
    ['bell\u0007', 'must not hold line breaks or control characters'],
    ['nul\0', 'must not hold a NUL or half of a surrogate pair'],
    ['half \ud83d', 'must not hold a NUL or half of a surrogate pair'],
    [null, 'is required'],
    [7, 'must be a text'],
    ['ﷺ'.repeat(200), "must have at most 2048 bytes in Unicode's compatibility form (NFKC)"],
  ])('refuses %j', (name, reason) => {
    expect(faults({ name })).toEqual([{ field: 'name', reason }]);
  });
});

describe('the other fields', () => {
  test('what is not said stays undefined; null and blanks erase what a member can lack', () => {
    const nothing = { externalId: undefined, role: undefined, status: undefined, avatarUrl: undefined };
    expect(fields({})).toMatchObject({ ...nothing, location: undefined, tags: undefined, createdAt: undefined });
    expect(fields({}).lastActiveAt).toBeUndefined();
    for (const none of [null, '', '  ']) {
      const erased = fields({ externalId: none, avatarUrl: none, location: none, tags: none, lastActiveAt: none });
      expect(erased).toMatchObject({ externalId: null, avatarUrl: null, location: null, tags: [], lastActiveAt: null });
      expect(fields({ role: none, status: none, createdAt: none })).toEqual(fields({}));
    }
  });

  test('an externalId may be a number', () => {
    expect(fields({ externalId: 42 }).externalId).toBe('42');
    expect(faultyFields({ externalId: 1.5 })).toEqual(['externalId']);
    expect(faultyFields({ externalId: 2 ** 60 })).toEqual(['externalId']);
    expect(faultyFields({ externalId: 'x'.repeat(201) })).toEqual(['externalId']);
  });

  test('role and status, in any case', () => {
    expect(fields({ role: ' Moderator ', status: 'invited' })).toMatchObject({ role: 'MODERATOR', status: 'INVITED' });
    expect(faults({ role: 'king', status: 1 })).toEqual([
      { field: 'role', reason: 'must be one of OWNER, ADMIN, MODERATOR, MEMBER' },
      { field: 'status', reason: 'must be one of ACTIVE, INVITED, SUSPENDED' },
    ]);
  });

  test('an avatar is an http or https URL', () => {
    expect(fields({ avatarUrl: 'https://cdn.example.org/a b.png?x=1' }).avatarUrl).toBe(
      'https://cdn.example.org/a b.png?x=1',
    );
    for (const avatarUrl of [
      'javascript:alert(1)',
      '/a.png',
      'ftp://x/a',
      'https://',
      `https://x/${'a'.repeat(2_048)}`,
    ]) {
      expect(faultyFields({ avatarUrl })).toEqual(['avatarUrl']);
    }
  });

  test('a permalink is an http or https URL of up to 2,048 characters', () => {
    const longest = `https://x.org/${'a'.repeat(2_048 - 'https://x.org/'.length)}`;
    for (const permalink of ['https://community.example.org/u/ada', longest]) {
      expect(fields({ permalink }).permalink).toBe(permalink);
    }
    for (const permalink of ['/u/ada', 'community.example.org', 'javascript:alert(1)', `${longest}a`, 7]) {
      expect(faultyFields({ permalink })).toEqual(['permalink']);
    }
  });

  test.each([
    ['Europe/Berlin', 'Europe/Berlin'],
    [' europe/berlin ', 'Europe/Berlin'],
    ['America/Argentina/Buenos_Aires', 'America/Argentina/Buenos_Aires'],
    ['UTC', 'UTC'],
    ['Asia/Kolkata', 'Asia/Kolkata'],
    ['Asia/Calcutta', 'Asia/Calcutta'],
    ['US/Pacific', 'US/Pacific'],
  ])('the time zone %j is stored as %s', (timeZone, stored) => {
    expect(fields({ timeZone }).timeZone).toBe(stored);
  });

  test.each([
    'Berlin',
    'Europe/Atlantis',
    '+02:00',
    'Eastern Time (US & Canada)',
    'x'.repeat(1_000),
    2,
    'Europe/Berlin\0',
  ])('refuses the time zone %j', (timeZone) => {
    const reason = 'must be the IANA name of a time zone, such as Europe/Berlin or UTC';
    expect(faults({ timeZone })).toEqual([{ field: 'timeZone', reason }]);
  });

  test('null and blanks erase the time zone and the permalink', () => {
    for (const none of [null, '', ' ']) {
      expect(fields({ timeZone: none, permalink: none })).toMatchObject({ timeZone: null, permalink: null });
    }
    expect(fields({})).toMatchObject({ timeZone: undefined, permalink: undefined });
  });

  test('a location may have several lines', () => {
    expect(fields({ location: '12 Main St\nLondon' }).location).toBe('12 Main St\nLondon');
    expect(faultyFields({ location: 'x'.repeat(201) })).toEqual(['location']);
  });

  test.each([
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['2024-01-01 10:00:00 UTC', '2024-01-01T10:00:00.000Z'],
    ['2024-01-01T10:00Z', '2024-01-01T10:00:00.000Z'],
    ['2024-01-01 10:00:00.123456+0530', '2024-01-01T04:30:00.123Z'],
    ['2024-01-01t10:00:00,5-08', '2024-01-01T18:00:00.500Z'],
    ['1969-12-31T23:59:59Z', '1969-12-31T23:59:59.000Z'],
    ['1888-05-01', '1888-05-01T00:00:00.000Z'],
    ['1000-01-01', '1000-01-01T00:00:00.000Z'],
    ['2026-06-02T12:00:00Z', '2026-06-02T12:00:00.000Z'],
  ])('createdAt %s', (createdAt, expected) => {
    expect(fields({ createdAt }).createdAt?.toISOString()).toBe(expected);
  });

  test.each([
    ['2023-02-29', 'must be a day and time that exist'],
    ['2024-01-01T24:00Z', 'must be a day and time that exist'],
    ['2024-01-01T10:00+25:00', 'must be a day and time that exist'],
    ['2024-01-01T10:00', 'must name its time zone, such as Z or +02:00'],
    ['0999-12-31T23:59:59Z', 'must be between the year 1000 and tomorrow'],
    ['2026-06-02T12:00:01Z', 'must be between the year 1000 and tomorrow'],
    ['yesterday', 'must be a time in ISO 8601, such as 2026-01-31 or 2026-01-31T08:30:00Z'],
    [1_700_000_000, 'must be a time in ISO 8601, such as 2026-01-31 or 2026-01-31T08:30:00Z'],
  ])('refuses createdAt %s', (createdAt, reason) => {
    expect(faults({ createdAt })).toEqual([{ field: 'createdAt', reason }]);
  });

  test('all faults come together, and none shows a value', () => {
    const parsed = parseMember(Object.entries({ role: 'SECRET', createdAt: 'SECRET', 'a\nSECRET': 1, tags: 7 }), NOW);
    expect(parsed.ok).toBe(false);
    expect(parsed).toMatchObject({
      faults: [
        { field: 'role' },
        { field: 'tags' },
        { field: 'createdAt' },
        { field: 'customFields' },
        { field: 'email' },
        { field: 'name' },
      ],
    });
    expect(JSON.stringify(parsed)).not.toContain('SECRET');
  });
});

describe('tags', () => {
  test('blanks, empty and repeated ones are dropped, the order stays', () => {
    expect(fields({ tags: ['b', ' a ', '', 'b'] }).tags).toEqual(['b', 'a']);
  });

  test('a text is one tag, whatever is in it: only a cell of CSV holds several', () => {
    expect(fields({ tags: ' red; blue ' }).tags).toEqual(['red; blue']);
    expect(fields({ tags: splitTags(' red ; blue;;red;') }).tags).toEqual(['red', 'blue']);
    expect(fields({ tags: '' }).tags).toEqual([]);
  });

  test('at most 50 of 50 characters', () => {
    const most = Array.from({ length: 50 }, (_, index) => `${index}`);
    expect(fields({ tags: most }).tags).toEqual(most);
    expect(faultyFields({ tags: [...most, 'one more'] })).toEqual(['tags']);
    expect(faultyFields({ tags: ['x'.repeat(51)] })).toEqual(['tags']);
    expect(faultyFields({ tags: ['a\nb'] })).toEqual(['tags']);
    expect(faultyFields({ tags: [1] })).toEqual(['tags']);
  });

  test.each([[['a;b', 'c']], [['\\']], [['\\;', ';\\', '\\\\;;']], [['C:\\temp', 'plain']], [[]]])(
    '%j survives a cell',
    (tags) => {
      expect(splitTags(joinTags(tags)).filter((tag) => tag !== '')).toEqual(tags);
    },
  );

  test('a backslash before anything else is itself', () => {
    expect(splitTags(String.raw`C:\temp;a\;b`)).toEqual(['C:\\temp', 'a;b']);
  });
});

describe('custom fields', () => {
  test('any other name, with any JSON value', () => {
    const given = { team: 'red', 'T-shirt size': 'M', height: 1.75, nested: { a: [1, null, { b: true }] } };
    expect(Object.fromEntries(fields(given).customFields)).toEqual(given);
  });

  test('a field named __proto__ is one like any other', () => {
    const record: unknown = JSON.parse('{"email":"a@x.org","name":"A","__proto__":{"x":{"__proto__":1}}}');
    const parsed = parseMember(Object.entries(record as object), NOW);
    const custom = parsed.ok ? parsed.member.customFields : new Map<string, Json>();
    const merged = mergeCustomFields({}, custom);
    expect(JSON.stringify('value' in merged ? merged.value : merged)).toBe('{"__proto__":{"x":{"__proto__":1}}}');
  });

  test.each([
    ['NUL', { bio: 'a\0b' }, 'bio'],
    ['a NUL deep inside', { bio: { a: ['a\0b'] } }, 'bio'],
    ['a NUL in a key', { bio: { 'a\0': 1 } }, 'bio'],
    ['half a surrogate pair', { bio: '\udc00' }, 'bio'],
    ['a number that JSON programs round', { id: 2 ** 53 }, 'id'],
    ['a number that is none', { id: Number.POSITIVE_INFINITY }, 'id'],
    ['17 levels', { deep: JSON.parse(`${'['.repeat(17)}${']'.repeat(17)}`) as unknown }, 'deep'],
    ['an empty name', { '': 1 }, 'customFields'],
    ['a long name', { ['x'.repeat(101)]: 1 }, 'customFields'],
    ['a name with a line break', { 'a\nb': 1 }, 'customFields'],
    ['a name with blanks around it', { ' a': 1 }, 'customFields'],
    ['51 fields', Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`f${index}`, 1])), 'customFields'],
    ['more than 16 KiB', { bio: 'x'.repeat(CUSTOM_FIELDS_MAX_BYTES) }, 'customFields'],
  ])('refuses %s', (_what, record, field) => {
    expect(faultyFields(record)).toEqual([field]);
  });

  test('-0 is 0, as JSON has it', () => {
    expect(Object.is(fields({ zero: -0 }).customFields.get('zero'), 0)).toBe(true);
  });

  test('a merge keeps what is not named, null erases, and the bounds hold for the whole', () => {
    const given = new Map<string, Json>([
      ['a', null],
      ['b', 2],
    ]);
    expect(mergeCustomFields({ a: 1, c: 3 }, given)).toEqual({ value: { b: 2, c: 3 } });
    const full = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`f${index}`, 1]));
    expect(mergeCustomFields(full, new Map([['one more', 1]]))).toEqual({ reason: 'must be at most 50' });
    expect(mergeCustomFields({ a: 'x'.repeat(9_000) }, new Map([['b', 'x'.repeat(9_000)]]))).toHaveProperty('reason');
  });
});
