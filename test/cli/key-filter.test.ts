/** `gatehouse key list | revoke` by what the keys are. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { toId, uuidOf } from '../../src/domain/id.ts';
import { makeAdmin, makeKey, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { gatehouse, gatehouseJson } from './command-line.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const DAY_MS = 86_400_000;
const day = (days: number) => new Date(Date.now() + days * DAY_MS);

/** Keys that differ in all that a filter can ask for. */
async function makeKeys() {
  const own = await makeNetwork(database);
  const { network, admin } = own;
  const other = await makeAdmin(database, network.id, 'ADMIN');
  const make = async (name: string, input: object, data: object = {}) => {
    const { apiKey } = await makeKey(database, network.id, { adminId: admin.id, name, ...input });
    await database.prisma.apiKey.update({ where: { id: apiKey.id }, data });
    return apiKey.id;
  };
  await database.prisma.apiKey.update({ where: { id: own.apiKey.id }, data: { name: 'Own', lastUsedAt: day(0) } });
  const revoked = { revokedAt: day(-1), revokedByKind: 'COMMAND_LINE' };
  await make('Test', { environment: 'TEST', scopes: ['usage:read'] }, { createdAt: day(-100), lastUsedAt: day(-95) });
  await make('Other admin', { adminId: other.id, scopes: ['members:read'] }, { createdAt: day(-50) });
  await make('Ends', { scopes: ['members:read'], expiresAt: day(5) }, { lastUsedAt: day(-2) });
  await make('Ended', { scopes: [], expiresAt: day(-1) }, { lastUsedAt: day(-3) });
  await make('Gone', { scopes: [] }, { ...revoked, lastUsedAt: day(-4) });
  await make('Child', { scopes: [] }, { createdByKind: 'KEY', createdById: own.apiKey.id, lastUsedAt: day(-5) });
  return { own, network: ['--network', network.slug], other: toId('Admin', other.id), otherEmail: other.email };
}

interface Listed {
  readonly id: string;
  readonly name: string;
}

async function names(network: readonly string[], ...args: readonly string[]): Promise<string[]> {
  const listed = (await gatehouseJson(['key', 'list', ...network, ...args])) as Listed[];
  return listed.map(({ name }) => name);
}

test('key list finds what apiKeys finds', async () => {
  const { own, network, other, otherEmail } = await makeKeys();
  const key = toId('ApiKey', own.apiKey.id);
  const wanted: readonly (readonly [readonly string[], readonly string[]])[] = [
    [
      ['--status', 'revoked,expired'],
      ['Ended', 'Gone'],
    ],
    [['--environment', 'test'], ['Test']],
    [
      ['--scope', 'members:read'],
      ['Own', 'Other admin', 'Ends'],
    ],
    [['--created-by', otherEmail], ['Other admin']],
    [['--created-by', other], ['Other admin']],
    [['--created-by-key', key], ['Child']],
    [
      ['--expires-before', day(6).toISOString()],
      ['Ends', 'Ended'],
    ],
    [
      ['--unused-for', '40d'],
      ['Test', 'Other admin'],
    ],
    [['--unused-since', day(-94).toISOString()], ['Test']],
    [
      ['--name', 'END'],
      ['Ends', 'Ended'],
    ],
    [
      ['--name', 'e', '--status', 'active', '--scope', 'members:read', '--unused-for', '1d'],
      ['Other admin', 'Ends'],
    ],
    [[], ['Own', 'Test', 'Other admin', 'Ends', 'Ended', 'Gone', 'Child']],
  ];
  for (const [args, found] of wanted) expect([args, await names(network, ...args)]).toEqual([args, found]);
});

test('key list sorts as apiKeys does', async () => {
  const { network } = await makeKeys();
  const byUse = ['Other admin', 'Test', 'Child', 'Gone', 'Ended', 'Ends', 'Own'];
  expect(await names(network, '--sort', 'last_used_at')).toEqual(byUse);
  expect(await names(network, '--sort', 'last_used_at', '--order', 'desc')).toEqual(byUse.toReversed());
  expect((await names(network, '--sort', 'created_at')).slice(0, 2)).toEqual(['Test', 'Other admin']);
  expect((await names(network, '--sort', 'expires_at')).slice(0, 2)).toEqual(['Ended', 'Ends']);
  expect((await names(network, '--sort', 'id', '--order', 'desc')).at(-1)).toBe('Own');
  expect((await names(network, '--sort', 'name', '--status', 'active'))[0]).toBe('Child');
});

describe('key revoke', () => {
  test('ends what the same options find, and what more satisfies not all of them', async () => {
    const { network } = await makeKeys();
    const which = ['--scope', 'members:read', '--unused-for', '1d', '--name', 'e'];
    const found = (await gatehouseJson(['key', 'list', ...network, ...which])) as Listed[];
    expect(await gatehouseJson(['key', 'revoke', ...network, ...which, '--reason', 'cleaning'])).toEqual({
      ids: found.map(({ id }) => id),
      revokedCount: 2,
    });
    expect(await names(network, '--status', 'active')).toEqual(['Own', 'Test', 'Child']);
    const id = uuidOf('ApiKey', found[0]?.id ?? '') ?? '';
    expect((await database.prisma.apiKey.findUniqueOrThrow({ where: { id } })).revokedReason).toBe('cleaning');
  });

  test('ends more than one call finds', async () => {
    const { own, network } = await makeKeys();
    await database.pool.query(
      `INSERT INTO api_keys (id, network_id, admin_id, name, name_folded, redacted_token, scopes, created_by_kind)
       SELECT gen_random_uuid(), $1, $2, 'many ' || n, 'many ' || n, '', '{}', 'COMMAND_LINE' FROM generate_series(1, 260) AS n`,
      [own.network.id, own.admin.id],
    );
    expect(await gatehouseJson(['key', 'revoke', ...network, '--name', 'many'])).toMatchObject({ revokedCount: 260 });
  });

  test.for([
    [['--status', 'dead'], 'They are active, expired, revoked.'],
    [['--created-by-key', 'adm_x'], 'It is the id of a key'],
    [['--name', ''], 'It is a part of the name.'],
    [['--unused-for', '90d', '--unused-since', '2026-01-01'], 'cannot be used with'],
    [[], 'give either ids or options that say which keys'],
    [['key_01h455vb4pex5vsknk084sn02q', '--name', 'x'], 'give either ids or options that say which keys'],
  ] as const)('%j is wrong usage, and ends nothing', async ([args, message]) => {
    const { network } = await makeKeys();
    const { code, stderr } = await gatehouse(['key', 'revoke', ...network, ...args]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(await names(network, '--status', 'active')).toHaveLength(5);
  });

  test('of an admin whom nobody knows is refused, and ends nothing', async () => {
    const { network } = await makeKeys();
    const args = ['key', 'revoke', ...network, '--created-by', 'nobody@example.test'];
    expect(await gatehouseJson(args, { code: 1 })).toMatchObject({ errors: [{ code: 'NOT_FOUND' }] });
    expect(await names(network, '--status', 'active')).toHaveLength(5);
  });
});
