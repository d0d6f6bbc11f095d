// The lookup of every verification: the same through both ways in, and believed only where it can be read.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { prepare, run } from '../../src/database/prepared.ts';
import { nowOf, SECRETS_BY_DIGEST, type SecretRow, toSecretRecord } from '../../src/database/secrets.ts';
import { epochMs } from '../../src/database/times.ts';
import { digestOf } from '../../src/domain/token.ts';
import { readEpochMs, UnreadableValueError } from '../../src/domain/unreadable.ts';
import { judge } from '../../src/domain/verification.ts';
import { makeKey, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { openPool, withClient } from '../support/postgres.ts';
import { scratchUrl } from '../support/scratch.ts';
import { useScratchGateway } from '../support/suite.ts';

const TIME = new Date('2026-11-24T09:30:00.123Z');

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const byPool = (of: Database, digest: Buffer): Promise<SecretRow[]> =>
  run<SecretRow>(of.pool, prepare(SECRETS_BY_DIGEST), [[digest]]);
const byPrisma = (of: Database, digest: Buffer): Promise<SecretRow[]> =>
  of.prisma.$queryRawUnsafe<SecretRow[]>(SECRETS_BY_DIGEST, [digest]);

test('both ways in read the same record, to the millisecond', async () => {
  const network = { plan: 'CUSTOM', requestsPerMinute: 7, monthlyQuota: 1_000, suspendedAt: TIME } as const;
  const { network: made, admin } = await makeNetwork(database, { network });
  const key = await makeKey(database, made.id, {
    adminId: admin.id,
    allowedAddresses: ['10.0.0.0/8'],
    expiresAt: TIME,
  });
  await database.prisma.apiKey.update({
    where: { id: key.apiKey.id },
    data: { revokedAt: TIME, revokedByKind: 'COMMAND_LINE' },
  });
  const digest = digestOf(key.token);
  const [fromPool] = (await byPool(database, digest)).map(toSecretRecord);
  const [fromPrisma] = (await byPrisma(database, digest)).map(toSecretRecord);
  expect(fromPool).toEqual(fromPrisma);
  expect(fromPool).toMatchObject({
    digest,
    revokedAt: TIME,
    expiresAt: TIME,
    expired: true,
    networkSuspendedAt: TIME,
    adminRemovedAt: null,
    adminCreatedAt: admin.createdAt,
    numbers: { requestsPerMinute: 7 },
    monthly: { quota: 1_000, used: 0 },
  });
});

test.each([
  ['is revoked', `revoked_by_kind = 'COMMAND_LINE', revoked_at = 'infinity'`, 'revoked'],
  ['is revoked since ever', `revoked_by_kind = 'COMMAND_LINE', revoked_at = '-infinity'`, 'revoked'],
  ['has expired', `expires_at = '-infinity'`, 'expired'],
  ['never expires', `expires_at = 'infinity'`, 'valid'],
])('infinity counts as a time: a key that %s', async (_, change, status) => {
  const { apiKey, token } = await makeNetwork(database);
  await database.pool.query(`UPDATE api_keys SET ${change} WHERE id = $1`, [apiKey.id]);
  for (const look of [byPool, byPrisma]) {
    const [row] = await look(database, digestOf(token));
    expect(judge(row === undefined ? null : toSecretRecord(row), null).status).toBe(status);
  }
});

describe('a column that cannot be read refuses the row', () => {
  /** Another value of each column, which must not pass for what is stored. */
  const EVERYWHERE = [undefined, Number.NaN, {}];
  const ALSO: Readonly<Record<string, readonly unknown[]>> = {
    plan: ['PLATINUM', ''],
    role: ['SUPPORT'],
    environment: ['STAGING'],
    scopes: ['members:read', [null]],
    allowed_addresses: ['', [null]],
    expired: [null, 'f'],
    month_requests: [null, '1e3', '-1'],
    monthly_quota: ['many', -1],
    monthly_quota_enforced: [null, 't'],
    requests_per_minute: ['', -1, 1.5],
    month_ms: [null],
    admin_created_ms: [null],
    revoked_ms: ['24/11/2026 09:30:00 UTC', new Date(Number.NaN)],
    digest: [Buffer.alloc(0), '\\x00'],
  };

  test('whichever it is', async () => {
    const { token } = await makeNetwork(database);
    const [row] = await byPool(database, digestOf(token));
    if (row === undefined) throw new Error('no such secret');
    expect(() => toSecretRecord(row)).not.toThrow();
    expect(Object.keys(ALSO).filter((column) => !(column in row))).toEqual([]);
    for (const column of Object.keys(row)) {
      for (const value of [...EVERYWHERE, ...(ALSO[column] ?? [])]) {
        const read = column === 'now_ms' ? nowOf : toSecretRecord;
        expect(() => read({ ...row, [column]: value }), `${column}: ${value}`).toThrow(UnreadableValueError);
      }
    }
  });
});

test('no setting of the session shapes a decision’s times', async () => {
  const url = await scratchUrl({ migrated: false });
  const sql = `SELECT ${epochMs('t')} AS ms FROM unnest($1::timestamptz[]) AS t`;
  const times = [TIME.toISOString(), null, 'infinity', '-infinity', '0044-03-15 BC'];
  const wanted = [TIME.getTime(), null, 8.64e15, -8.64e15, Date.UTC(-43, 2, 15)];
  await withClient(url, async (client) => {
    const settings = `SET DateStyle = 'SQL, DMY'; SET extra_float_digits = -15; SET IntervalStyle = iso_8601; SET TimeZone = 'Asia/Kathmandu'`;
    await client.query(settings);
    // The last is a day's beginning in the session's zone, which only UTC has in common with ours.
    const { rows } = await client.query(sql, [times.slice(0, -1)]);
    expect(rows.map(({ ms }) => (ms === null ? null : readEpochMs(ms, 'it').getTime()))).toEqual(wanted.slice(0, -1));
  });
});

test('a time whose text cannot be read fails its statement, and is never null', async () => {
  const url = await scratchUrl({ migrated: false });
  // A pool without our settings, as a session would be that lost them.
  const pool = openPool({ connectionString: url, max: 1, options: '-c DateStyle=German' });
  try {
    await expect(run(pool, { text: 'SELECT now() AS time' }, [])).rejects.toThrow(UnreadableValueError);
    expect(await run(pool, { text: 'SELECT null::timestamptz AS time' }, [])).toEqual([{ time: null }]);
  } finally {
    await pool.close();
  }
});

test.each(['SQL, DMY', 'German', 'Postgres'])(
  'Prisma reads no time in DateStyle %s, nor in another zone',
  async (style) => {
    const { prisma } = database;
    for (const setting of [`SET LOCAL DateStyle = '${style}'`, `SET LOCAL TimeZone = 'America/New_York'`]) {
      const reading = prisma.$transaction(async (transaction) => {
        await transaction.$executeRawUnsafe(setting);
        return transaction.network.findFirst();
      });
      await expect(reading).rejects.toThrow();
    }
    const client = await database.pool.connect();
    try {
      await client.query(`SET DateStyle = '${style}'`);
      await expect(client.query('SELECT now() AS time')).rejects.toThrow(UnreadableValueError);
    } finally {
      client.release(true);
    }
  },
);

describe('what a release does not know', () => {
  const suite = useScratchGateway();
  const QUERY = '{ me { id } }';

  test.each([
    ['a plan', 'ALTER TYPE plan ADD VALUE', 'PLATINUM', 'UPDATE networks SET plan = $2 WHERE id = $1::uuid'],
    ['a role', 'ALTER TYPE admin_role ADD VALUE', 'SUPPORT', 'UPDATE admins SET role = $2 WHERE network_id = $1::uuid'],
    [
      'an environment',
      'ALTER TYPE key_environment ADD VALUE',
      'STAGING',
      'UPDATE api_keys SET environment = $2 WHERE network_id = $1::uuid',
    ],
    [
      'an address block',
      null,
      'everywhere',
      'UPDATE api_keys SET allowed_addresses = ARRAY[$2::text] WHERE network_id = $1::uuid',
    ],
  ])('%s refuses its own tokens as a bug that is logged, and no other token', async (_, alter, value, update) => {
    const { database, gateway } = suite;
    const strange = await makeNetwork(database);
    const other = await makeNetwork(database);
    if (alter !== null) await database.pool.query(`${alter} '${value}'`);
    // Types are cached by a session: a new one sees the new value.
    await withClient(urlOf(database), (client) =>
      client.query(update.replace('$2', `'${value}'`), [strange.network.id]),
    );
    const logged = gateway.log.length;
    const [refused, ...others] = await Promise.all([
      suite.call(strange.token, QUERY),
      ...Array.from({ length: 5 }, () => suite.call(other.token, QUERY)),
    ]);
    expect([refused?.status, refused?.body.errors?.[0]?.extensions.code]).toEqual([500, 'INTERNAL_SERVER_ERROR']);
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const bugs = gateway.log.slice(logged).filter(({ level }) => level === 'error');
    expect(bugs).toEqual([expect.objectContaining({ requestId: refused?.body.errors?.[0]?.extensions.requestId })]);
    expect(JSON.stringify(bugs)).toContain('cannot be read');
  });
});

function urlOf({ pool }: Database): string {
  return String((pool as unknown as { options: { connectionString: string } }).options.connectionString);
}
