/** `gatehouse key usage` and `gatehouse audit list`. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { newUuid, toId, uuidOf } from '../../src/domain/id.ts';
import { makeKey, makeNetwork, openTestDatabase, type TestNetwork } from '../support/fixtures.ts';
import { gatehouse, gatehouseJson, makeNetworkByCommand } from './command-line.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

async function count({ network }: TestNetwork, keyId: string, startsAt: string, requests: number): Promise<void> {
  const data = { requests, errors: 1, limited: 2, cost: 30 };
  await database.prisma.usageCount.create({
    data: { networkId: network.id, keyId, bucket: 'DAY', startsAt: new Date(startsAt), ...data },
  });
}

describe('key usage', () => {
  const RANGE = ['--bucket', 'day', '--since', '2026-02-01', '--until', '2026-02-03'];

  const DAYS = { bucket: 'DAY', since: '2026-02-01T00:00:00.000Z', until: '2026-02-03T00:00:00.000Z' };

  async function makeUsed() {
    const own = await makeNetwork(database);
    const gone = await makeKey(database, own.network.id, { adminId: own.admin.id });
    await count(own, own.apiKey.id, '2026-02-01T00:00:00Z', 7);
    await count(own, own.apiKey.id, '2026-02-02T00:00:00Z', 5);
    await count(own, own.apiKey.id, '2026-02-03T00:00:00Z', 100);
    await count(own, gone.apiKey.id, '2026-02-02T00:00:00Z', 3);
    await database.prisma.apiKey.delete({ where: { id: gone.apiKey.id } });
    return { own, id: toId('ApiKey', own.apiKey.id), goneId: toId('ApiKey', gone.apiKey.id) };
  }

  test('lists the keys of a network with what each was used, deleted ones without a name', async () => {
    const { own, id, goneId } = await makeUsed();
    const args = ['key', 'usage', '--network', own.network.slug, ...RANGE];
    expect(await gatehouseJson(args)).toEqual({
      ...DAYS,
      keys: [
        { id, name: own.apiKey.name, requests: 12, errors: 2, limited: 4, cost: 60 },
        { id: goneId, name: null, requests: 3, errors: 1, limited: 2, cost: 30 },
      ],
      total: { requests: 15, errors: 3, limited: 6, cost: 90 },
    });
    const { stdout, stderr } = await gatehouse(args);
    const [heading, first, second] = stdout.split('\n').map((line) => line.split(/ {2,}/));
    expect(heading).toEqual(['ID', 'NAME', 'REQUESTS', 'ERRORS', 'LIMITED', 'COST']);
    expect(first).toEqual([id, own.apiKey.name, '12', '2', '4', '60']);
    expect(second).toEqual([goneId, '-', '3', '1', '2', '30']);
    expect(stderr).toBe(
      'From 2026-02-01T00:00:00.000Z to 2026-02-03T00:00:00.000Z: 15 requests, 3 errors, 6 limited, cost 90.\n',
    );
  });

  test('lists the buckets of one key', async () => {
    const { own, id, goneId } = await makeUsed();
    const args = ['key', 'usage', id, '--network', own.network.slug, ...RANGE];
    expect(await gatehouseJson(args)).toEqual({
      id,
      ...DAYS,
      buckets: [
        { startsAt: '2026-02-01T00:00:00.000Z', requests: 7, errors: 1, limited: 2, cost: 30 },
        { startsAt: '2026-02-02T00:00:00.000Z', requests: 5, errors: 1, limited: 2, cost: 30 },
      ],
      total: { requests: 12, errors: 2, limited: 4, cost: 60 },
    });
    expect(await gatehouseJson(['key', 'usage', goneId, '--network', own.network.slug, ...RANGE])).toMatchObject({
      total: { requests: 3 },
    });
    const other = await makeNetwork(database);
    expect(await gatehouseJson(['key', 'usage', id, '--network', other.network.slug, ...RANGE])).toMatchObject({
      buckets: [],
      total: { requests: 0 },
    });
  });

  test.for([
    [['--since', '2020-01-01'], '--since to --until may hold at most 1500 buckets'],
    [['--since', '2026-02-02', '--until', '2026-02-01'], '--until must be later than --since'],
    [['--bucket', 'week'], 'It is one of minute, hour, day.'],
  ] as const)('%j is wrong usage', async ([args, message]) => {
    const { own } = await makeUsed();
    const { code, stderr } = await gatehouse(['key', 'usage', '--network', own.network.slug, ...args]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  test('of what is no key id ends with 1', async () => {
    const slug = await makeNetworkByCommand();
    expect(await gatehouse(['key', 'usage', 'adm_x', '--network', slug])).toMatchObject({ code: 1, stdout: '' });
  });
});

describe('audit list', () => {
  interface Event {
    readonly id: string;
    readonly action: string;
    readonly subjectId: string;
  }
  const list = async (slug: string, ...args: string[]) =>
    (await gatehouseJson(['audit', 'list', '--network', slug, ...args])) as Event[];

  test('gives the events of a network, the latest first, whole', async () => {
    const slug = await makeNetworkByCommand();
    await gatehouseJson(['network', 'update', slug, '--plan', 'premium']);
    const [updated, created] = await list(slug);
    expect([updated?.action, created?.action]).toEqual(['network.updated', 'network.created']);
    expect(updated).toEqual({
      id: expect.stringMatching(/^evt_/),
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
      ...{ action: 'network.updated', actorKind: 'COMMAND_LINE', actorId: null, adminId: null },
      ...{ subjectType: 'Network', subjectId: created?.subjectId },
      details: { before: { plan: 'STANDARD' }, after: { plan: 'PREMIUM' } },
      ...{ requestId: null, address: null, userAgent: null },
    });
    const { stdout } = await gatehouse(['audit', 'list', '--network', slug, '--limit', '1']);
    const [heading, row, end] = stdout.split('\n').map((line) => line.split(/ {2,}/));
    expect(heading).toEqual(['WHEN', 'ACTION', 'ACTOR', 'SUBJECT', 'DETAILS']);
    expect(row?.slice(1, 4)).toEqual(['network.updated', 'COMMAND_LINE', created?.subjectId]);
    expect(end).toEqual(['']);
  });

  test('can be filtered, and is as long as there are events', async () => {
    const own = await makeNetwork(database);
    const { slug } = own.network;
    await database.pool.query(
      `INSERT INTO audit_events (id, network_id, action, actor_kind, actor_id, admin_id, subject_type, subject_id, created_at)
       SELECT gen_random_uuid(), $1, 'key.revoked', 'KEY', $2, $3, 'ApiKey', $2, '2026-02-01'::timestamptz + make_interval(secs => n)
       FROM generate_series(1, 600) AS n`,
      [own.network.id, own.apiKey.id, own.admin.id],
    );
    const [key, admin] = [toId('ApiKey', own.apiKey.id), toId('Admin', own.admin.id)];
    const all = await list(slug);
    expect(all).toHaveLength(601);
    expect(new Set(all.map(({ id }) => id)).size).toBe(601);
    for (const args of [
      ['--actor', key],
      ['--actor', admin],
      ['--action', 'key.revoked,network.updated'],
      ['--subject', key, '--action', 'key.revoked'],
      ['--until', '2026-03-01'],
      ['--actor-kind', 'key,scanner'],
      ['--subject-type', 'apikey', '--actor-kind', 'KEY'],
    ]) {
      expect(await list(slug, ...args)).toHaveLength(600);
    }
    expect(await list(slug, '--actor-kind', 'command_line')).toHaveLength(1);
    expect(await list(slug, '--subject-type', 'member')).toEqual([]);
    expect((await list(slug, '--order', 'asc')).map(({ id }) => id)).toEqual(all.map(({ id }) => id).reverse());
    expect(await list(slug, '--since', '2026-02-01T00:00:10Z', '--until', '2026-02-01T00:05:10Z')).toHaveLength(300);
    expect(await list(slug, '--limit', '300')).toEqual(all.slice(0, 300));
  });

  test('of a deleted network is found by its id', async () => {
    const slug = await makeNetworkByCommand();
    const [created] = await list(slug);
    await gatehouse(['network', 'delete', slug, '--yes']);
    expect((await gatehouse(['audit', 'list', '--network', slug])).code).toBe(1);
    const actions = (await list(created?.subjectId ?? '')).map(({ action }) => action);
    expect(actions).toEqual(['network.deleted', 'network.suspended', 'network.created']);
    expect(uuidOf('Network', created?.subjectId ?? '')).not.toBeNull();
  });

  test.for([
    [['--action', 'key.eaten'], 'The actions are network.created'],
    [['--actor', 'nobody'], '--actor takes the id of a key or an admin'],
    [['--actor-kind', 'robot'], 'They are admin, key, command_line, scanner.'],
    [['--subject', 'evt_01m858tbswec7tg1pkaza6tnrx'], '--subject takes an id'],
  ] as const)('%j is wrong usage', async ([args, message]) => {
    const { code, stderr } = await gatehouse(['audit', 'list', '--network', 'x', ...args]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});

describe('audit failures and audit refusals', () => {
  async function makeRefusals() {
    const own = await makeNetwork(database);
    const other = await makeKey(database, own.network.id, { adminId: own.admin.id });
    const { prisma } = database;
    const networkId = own.network.id;
    const at = (minute: number) => new Date(Date.UTC(2026, 1, 1, 0, minute));
    for (const [keyId, minute] of [
      [own.apiKey.id, 1],
      [own.apiKey.id, 2],
      [other.apiKey.id, 3],
    ] as const) {
      const row = { networkId, keyId, minute: at(minute), count: minute };
      await prisma.authenticationFailure.create({ data: { ...row, id: newUuid(), reason: 'expired' } });
      await prisma.refusedAttempt.create({
        data: { ...row, id: newUuid(), action: 'createApiKey', code: 'FORBIDDEN' },
      });
    }
    return { networkId: toId('Network', networkId), slug: own.network.slug, key: toId('ApiKey', own.apiKey.id) };
  }

  test.for([
    ['failures', { reason: 'expired' }, ['MINUTE', 'KEY', 'REASON', 'COUNT']],
    ['refusals', { action: 'createApiKey', code: 'FORBIDDEN' }, ['MINUTE', 'KEY', 'ACTION', 'CODE', 'COUNT']],
  ] as const)('%s are listed by the minute, the latest first, and can be filtered', async ([verb, what, headings]) => {
    const { networkId, slug, key } = await makeRefusals();
    const list = async (...args: string[]) =>
      (await gatehouseJson(['audit', verb, '--network', slug, ...args])) as { count: number; keyId: string }[];
    expect((await list()).map(({ count: times }) => times)).toEqual([3, 2, 1]);
    expect(await list('--key', key)).toEqual([
      { keyId: key, ...what, minute: '2026-02-01T00:02:00.000Z', count: 2 },
      { keyId: key, ...what, minute: '2026-02-01T00:01:00.000Z', count: 1 },
    ]);
    const range = ['--since', '2026-02-01T00:02:00Z', '--until', '2026-02-01T00:03:00Z'];
    expect((await list(...range)).map(({ count: times }) => times)).toEqual([2]);
    expect(await list('--limit', '1')).toHaveLength(1);
    const { stdout } = await gatehouse(['audit', verb, '--network', networkId, '--limit', '1']);
    const [heading, row] = stdout.split('\n').map((line) => line.split(/ {2,}/));
    expect([heading, row?.at(-1)]).toEqual([headings, '3']);
    expect(await gatehouse(['audit', verb, '--network', slug, '--key', 'adm_x'])).toMatchObject({ code: 2 });
  });
});
