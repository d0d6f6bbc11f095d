// Promise 5, at its last line of defence: whatever is handed to the log, no token, digest or address comes out.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { parseEmail } from '../../src/domain/member.ts';
import { redactLine } from '../../src/domain/redaction.ts';
import { digestOf, mintToken } from '../../src/domain/token.ts';
import { createLogger, type Logger } from '../../src/observability/logger.ts';
import { makeMembers, makeNetwork, openTestDatabase } from '../support/fixtures.ts';

interface Written {
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a line's shape is what a test looks into
  readonly entry: any;
}

function written(work: (log: Logger) => void, level = 'trace'): Written {
  let text = '';
  work(createLogger(level, { write: (line) => (text += line) }));
  expect(text.split('\n')).toHaveLength(2);
  return { text, entry: JSON.parse(text) };
}

const TOKEN = mintToken('LIVE');

const ADDRESSES = [
  'ada@example.org',
  'Ada.Lovelace+list@mail.example.co.uk',
  'o’neill@example.org',
  "o'brien@example.org",
  'ends-in-a-sign!@example.org',
  '{odd}=|~`^*/$&%#?@example.org',
  '"quoted local"@example.org',
  String.raw`"xyzzy\"plugh\\"@example.org`,
  'ada@localhost',
  'ada@[192.0.2.1]',
  'ada@[IPv6:2001:db8::1]',
  'संपर्क@डाटामेल.भारत',
  '用户@例子.广告',
  'квіточка@пошта.укр',
  'δοκιμή@παράδειγμα.ελ',
  'ada@xn--e1afmkfd.xn--p1ai',
  'ada@😀.ws',
];

/** The ways in which a text gets into a line. */
const WAYS: Readonly<Record<string, (log: Logger, text: string) => void>> = {
  'the message': (log, text) => log.info(text),
  'a field': (log, text) => log.info({ field: text }, 'a message'),
  'a field’s name': (log, text) => log.info({ [text]: 1 }, 'a message'),
  'a field deep inside': (log, text) => log.info({ a: [{ b: { c: `before ${text} after` } }] }, 'a message'),
  'an error’s message': (log, text) => log.error({ error: new Error(`it failed: ${text}`) }, 'a bug'),
  'an error’s causes': (log, text) =>
    log.error({ error: new Error('one', { cause: new Error('two', { cause: new Error(`(${text})`) }) }) }, 'a bug'),
  'an error’s code': (log, text) => log.error({ error: Object.assign(new Error('one'), { code: text }) }, 'a bug'),
  'an error’s stack': (log, text) =>
    log.error({ error: Object.assign(new Error('one'), { stack: `Error: one\n    at ${text}` }) }, 'a bug'),
  'an error in place of fields': (log, text) => log.error(new Error(text)),
  'an error under pino’s own name for it': (log, text) => log.error({ err: new Error(text) }, 'a bug'),
};

describe.each(Object.entries(WAYS))('%s', (_name, write) => {
  test.for([TOKEN, mintToken('TEST'), `gk_live_${'x'.repeat(10)}`])('is rid of a token', (token) => {
    const { text } = written((log) => write(log, token));
    expect(text).not.toContain(token.slice('gk_live_'.length));
    expect(text).toContain('gk_[redacted]');
  });

  test('is rid of a digest in PostgreSQL’s form', () => {
    const digest = digestOf(TOKEN).toString('hex');
    for (const form of [digest, digest.toUpperCase()]) {
      const { text } = written((log) => write(log, `Key (digest)=(\\x${form})`));
      expect(text).not.toContain(form);
    }
  });

  test.for(ADDRESSES)('is rid of %s', (address) => {
    expect(parseEmail(address)).toEqual({ value: address });
    const { text } = written((log) => write(log, address));
    // Not a piece of it: neither as it is nor as JSON writes it.
    const pieces = address.split(/[@"\\ ]+/).filter((piece) => piece.length > 2);
    for (const piece of pieces) expect(text).not.toContain(piece);
  });
});

describe('the log', () => {
  test('keeps what it is there for', () => {
    const error = new Error('it failed', { cause: new TypeError('because') });
    const { text, entry } = written((log) => log.error({ error, requestId: 'req_0193a' }, 'a bug'));
    expect(entry).toMatchObject({
      level: 'error',
      requestId: 'req_0193a',
      msg: 'a bug',
      error: { type: 'Error', message: 'it failed', cause: { type: 'TypeError', message: 'because' } },
    });
    expect(new Date(entry.time).toISOString()).toBe(entry.time);
    expect(entry.error.stack).toContain('logger.test.ts');
    expect(text).not.toContain('[redacted]');
  });

  test('leaves the paths of a stack alone', () => {
    const stack = 'Error: x\n    at f (file:///srv/node_modules/@prisma/client/runtime/client.js:1:2)';
    expect(redactLine(JSON.stringify({ stack }))).toBe(JSON.stringify({ stack }));
    const [a, b] = [mintToken('LIVE'), mintToken('TEST')];
    expect(redactLine(`${a}${b}${a}n`)).toBe('gk_[redacted]gk_[redacted]gk_[redacted]');
  });

  test('is one line of JSON, whatever is redacted in it', () => {
    for (const address of ADDRESSES) {
      const { entry } = written((log) => log.info({ a: 'x "y" z', b: `Key (email)=(${address}) exists`, c: '"' }, 'm'));
      expect(entry).toMatchObject({ a: 'x "y" z', c: '"', msg: 'm' });
    }
  });

  test('takes no long time over a long line', () => {
    const long = 100_000;
    const lines = [
      'a'.repeat(long),
      'a.'.repeat(long / 2),
      'a@'.repeat(long / 2),
      `${'\\"'.repeat(long / 2)}@`,
      '0'.repeat(long),
    ];
    const begunAt = performance.now();
    for (const line of lines) redactLine(line);
    expect(performance.now() - begunAt).toBeLessThan(2_000);
  });

  test('says no more of a thrown thing that is no error than what it is', () => {
    const { text } = written((log) => log.error({ error: { detail: 'a person’s data' } }, 'a bug'));
    expect(text).not.toContain('person');
  });

  test('ends with causes that go round in a circle', () => {
    const error = new Error('round');
    error.cause = error;
    expect(written((log) => log.error({ error }, 'a bug')).entry.error.cause.message).toBe('round');
  });

  test('is silent below its level', () => {
    let text = '';
    createLogger('warn', { write: (line) => (text += line) }).info('hello');
    expect(text).toBe('');
  });
});

describe('an error of PostgreSQL, whose detail quotes the row that was refused,', () => {
  const MARK = `person-${randomBytes(6).toString('hex')}`;
  let database: Database;
  let networkId = '';
  beforeAll(async () => {
    database = await openTestDatabase();
    networkId = (await makeNetwork(database)).network.id;
    await makeMembers(database, networkId, 1, () => ({ email: `${MARK}@example.test`, externalId: MARK }));
  });
  afterAll(() => database.close());

  const INSERT = `INSERT INTO members (id, network_id, name, name_folded, email, email_folded, external_id)
                  VALUES (gen_random_uuid(), $1::uuid, 'x', 'x', 'x', $2, $3)`;
  const WAYS_TO_FAIL = {
    pg: () => database.pool.query(INSERT, [networkId, 'x', MARK]),
    Prisma: () =>
      database.prisma.member.create({
        data: {
          id: crypto.randomUUID(),
          networkId,
          name: 'x',
          nameFolded: 'x',
          email: 'x',
          emailFolded: 'x',
          externalId: MARK,
        },
      }),
    'Prisma’s raw queries': () => database.prisma.$executeRawUnsafe(INSERT, networkId, 'x', MARK),
  };

  test('does quote it', async () => {
    await expect(WAYS_TO_FAIL.pg()).rejects.toMatchObject({ detail: expect.stringContaining(MARK) });
  });

  test.for(Object.entries(WAYS_TO_FAIL))('is logged without it: by %s', async ([, fail]) => {
    const error = await fail().then(
      () => null,
      (thrown: unknown) => thrown,
    );
    const { text, entry } = written((log) => log.error({ error }, 'a bug'));
    expect(text).not.toContain(MARK);
    expect(entry.error.message).toMatch(/unique/i);
  });
});
