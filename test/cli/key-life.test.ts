import { expect, test } from 'vitest';
import { newUuid, toId, uuidOf } from '../../src/domain/id.ts';
import { graphql } from '../support/client.ts';
import { useGateway } from '../support/suite.ts';
import { gatehouse, gatehouseJson, makeNetworkByCommand } from './command-line.ts';

const suite = useGateway();

async function makeNetwork(): Promise<readonly ['--network', string]> {
  const slug = await makeNetworkByCommand();
  await gatehouseJson(['admin', 'create', '--network', slug, '--email', 'ada@acme.test', '--name', 'Ada']);
  return ['--network', slug];
}

async function makeKey(network: readonly string[], name: string, ...more: string[]) {
  const args = ['key', 'create', ...network, '--name', name, '--scope', 'members:read', ...more];
  return (await gatehouseJson(args)) as { id: string; token: string };
}

async function statusOf(token: string): Promise<number> {
  return (await graphql(suite.url, token, '{ me { id } }')).status;
}

test('create and update take a note, addresses, scopes and an end; show shows them', async () => {
  const network = await makeNetwork();
  const { id, token } = await makeKey(network, 'CI', '--note', 'on build-7', '--allow', '127.0.0.1/8,::1');
  expect(await gatehouseJson(['key', 'show', ...network, id])).toMatchObject({
    name: 'CI',
    note: 'on build-7',
    allowedAddresses: ['127.0.0.0/8', '::1/128'],
    expiresAt: null,
    previousToken: null,
    status: 'ACTIVE',
  });
  const elsewhere = ['--allow', '203.0.113.7', '--scope', 'keys:read', '--expires-in', '90d', '--name', 'CI 2'];
  expect(await gatehouseJson(['key', 'update', ...network, id, ...elsewhere])).toMatchObject({
    name: 'CI 2',
    note: 'on build-7',
    scopes: ['keys:read'],
    allowedAddresses: ['203.0.113.7/32'],
    expiresAt: expect.stringMatching(/Z$/),
  });
  expect(await statusOf(token)).toBe(403);
  const back = ['--allow-all', '--no-expiry', '--note', ''];
  expect(await gatehouseJson(['key', 'update', ...network, id, ...back])).toMatchObject({
    note: null,
    allowedAddresses: [],
    expiresAt: null,
    scopes: ['keys:read'],
  });
  expect(await statusOf(token)).toBe(200);
  const table = (await gatehouse(['key', 'show', ...network, id])).stdout;
  expect(table).toMatch(/^name +CI 2$/m);
  expect(table).toMatch(/^allowedAddresses +-$/m);
  expect(await gatehouse(['key', 'update', ...network, id])).toMatchObject({ code: 2 });
  expect(await gatehouse(['key', 'update', ...network, id, '--allow', 'nowhere'])).toMatchObject({ code: 2 });
  // The operator gives no key more than its admin's role has, or the network's policy.
  const { slug } = { slug: network[1] };
  await gatehouseJson(['network', 'update', slug, '--max-key-lifetime', '30d']);
  expect(await gatehouseJson(['key', 'update', ...network, id, '--expires-in', '31d'], { code: 1 })).toMatchObject({
    errors: [{ code: 'OUT_OF_RANGE', field: ['expiresAt'] }],
  });
  expect(await gatehouseJson(['network', 'show', slug])).toMatchObject({ maxKeyLifeSeconds: 30 * 86_400 });
  expect(await gatehouseJson(['network', 'update', slug, '--max-key-lifetime', 'none'])).toMatchObject({
    maxKeyLifeSeconds: null,
  });
});

test('rotate prints the new token alone; the old one works until its overlap is ended', async () => {
  const network = await makeNetwork();
  const { id, token } = await makeKey(network, 'CI');
  const rotated = await gatehouse(['key', 'rotate', ...network, id, '--overlap', '24h']);
  expect(rotated.stdout).toMatch(/^gk_live_[0-9A-Za-z]{49}\n$/);
  expect(rotated.stderr).toContain('The old one works for another 86400 seconds');
  const next = rotated.stdout.trim();
  expect([await statusOf(token), await statusOf(next)]).toEqual([200, 200]);
  expect(await gatehouseJson(['key', 'show', ...network, id])).toMatchObject({
    previousToken: { redactedToken: expect.stringContaining(token.slice(-4)), lastUsedAt: null },
  });
  await gatehouseJson(['key', 'end-overlap', ...network, id]);
  expect([await statusOf(token), await statusOf(next)]).toEqual([401, 200]);
  const last = (await gatehouseJson(['key', 'rotate', ...network, id, '--overlap', '0'])) as { token: string };
  expect(last).toEqual({ id, name: 'CI', token: expect.stringMatching(/^gk_live_/), overlapSeconds: 0 });
  expect([await statusOf(next), await statusOf(last.token)]).toEqual([401, 200]);
  expect(await gatehouseJson(['key', 'rotate', ...network, id, '--overlap', '8d'], { code: 1 })).toMatchObject({
    errors: [{ code: 'OUT_OF_RANGE', field: ['overlapSeconds'] }],
  });
});

test('revoke takes an id or a token, on standard input too, and says no token again', async () => {
  const network = await makeNetwork();
  const [a, b, c] = [await makeKey(network, 'a'), await makeKey(network, 'b'), await makeKey(network, 'c')];
  const reason = ['--reason', 'found in a log'];
  expect(await gatehouseJson(['key', 'revoke', ...network, a.id, ...reason])).toMatchObject({
    status: 'REVOKED',
    revokedReason: 'found in a log',
    revokedCount: 1,
  });
  const byToken = await gatehouse(['key', 'revoke', ...network, b.token]);
  expect(byToken).toMatchObject({ code: 0, stdout: expect.stringContaining(b.id) });
  const piped = await gatehouse(['key', 'revoke', ...network, '--include-created', '-'], `${c.token}\n`);
  expect(piped.stdout).toContain('1 keys have ended now');
  expect(await Promise.all([a, b, c].map(({ token }) => statusOf(token)))).toEqual([401, 401, 401]);
  // A token of another network's key, and one that nobody has.
  const foreign = await makeKey(await makeNetwork(), 'foreign');
  const wrong = await gatehouse(['key', 'revoke', ...network, foreign.token]);
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('has no key gk_[redacted]') });
  expect(await statusOf(foreign.token)).toBe(200);
  for (const { stdout, stderr } of [byToken, piped, wrong]) {
    for (const { token } of [a, b, c, foreign]) expect(stdout + stderr).not.toContain(token.slice(12, -4));
  }
});

test('delete removes what has ended, and nothing else', async () => {
  const network = await makeNetwork();
  const { id } = await makeKey(network, 'CI');
  expect(await gatehouseJson(['key', 'delete', ...network, id], { code: 1 })).toMatchObject({
    errors: [{ code: 'KEY_ACTIVE' }],
  });
  await gatehouseJson(['key', 'revoke', ...network, id]);
  expect(await gatehouseJson(['key', 'update', ...network, id, '--name', 'x'], { code: 1 })).toMatchObject({
    errors: [{ code: 'KEY_ENDED', field: ['id'] }],
  });
  expect(await gatehouseJson(['key', 'delete', ...network, id])).toEqual({ id, name: 'CI', deleted: true });
  expect(await gatehouseJson(['key', 'list', ...network])).toEqual([]);
  expect(await gatehouse(['key', 'show', ...network, id])).toMatchObject({ code: 1 });
});

test('revoke ends all ids that are given, more than one transaction ends', async () => {
  const network = await makeNetwork();
  const { id } = await makeKey(network, 'first');
  const { prisma } = suite.database;
  const { networkId, adminId } = await prisma.apiKey.findUniqueOrThrow({ where: { id: uuidOf('ApiKey', id) ?? '' } });
  const uuids = Array.from({ length: 501 }, () => newUuid());
  const common = { networkId, adminId, redactedToken: '', scopes: [], createdByKind: 'COMMAND_LINE' as const };
  await prisma.apiKey.createMany({
    data: uuids.map((uuid) => ({ ...common, id: uuid, name: uuid, nameFolded: uuid })),
  });
  const ids = [...uuids.map((uuid) => toId('ApiKey', uuid)), id];
  expect(await gatehouseJson(['key', 'revoke', ...network, ...ids])).toEqual({ ids, revokedCount: 502 });
  expect(await prisma.apiKey.count({ where: { networkId, revokedAt: null } })).toBe(0);
});

test('revoke takes several ids, or all keys that were not used for a time', async () => {
  const network = await makeNetwork();
  const [a, b, c] = [await makeKey(network, 'a'), await makeKey(network, 'b'), await makeKey(network, 'c')];
  expect(await gatehouseJson(['key', 'revoke', ...network, a.id, b.id])).toEqual({
    ids: [a.id, b.id],
    revokedCount: 2,
  });
  await suite.database.pool.query(`UPDATE api_keys SET created_at = now() - interval '91 days' WHERE id = $1`, [
    uuidOf('ApiKey', c.id),
  ]);
  const young = await makeKey(network, 'young');
  expect(await gatehouseJson(['key', 'revoke', ...network, '--unused-for', '90d', '--reason', 'unused'])).toEqual({
    ids: [c.id],
    revokedCount: 1,
  });
  expect(await Promise.all([a, b, c, young].map(({ token }) => statusOf(token)))).toEqual([401, 401, 401, 200]);
  expect(await gatehouse(['key', 'revoke', ...network])).toMatchObject({ code: 2 });
  const soon = ['--unused-for', '4m'];
  expect(await gatehouseJson(['key', 'revoke', ...network, ...soon], { code: 1 })).toMatchObject({
    errors: [{ code: 'OUT_OF_RANGE', field: ['unusedSince'], message: expect.stringContaining('300 seconds') }],
  });
  expect(await gatehouse(['key', 'revoke', ...network, a.id, '--unused-for', '90d'])).toMatchObject({ code: 2 });
});
