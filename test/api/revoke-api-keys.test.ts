import { describe, expect, test } from 'vitest';
import { newUuid, toId, uuidOf } from '../../src/domain/id.ts';
import { digestOf } from '../../src/domain/token.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKeys } from '../../src/services/api-keys/revoke.ts';
import { makeAdmin, makeKey, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const SEVERAL = `mutation($input: RevokeApiKeysInput!) { revokeApiKeys(input: $input) {
  results { apiKey { id status revokedReason } userErrors { code field } } revokedCount hasMore userErrors { code field }
} }`;
const ONE = `mutation($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) {
  apiKey { status revokedReason } revokedCount userErrors { code field } } }`;

async function several(token: string, input: object) {
  const reply = await suite.call(token, SEVERAL, { variables: { input } });
  expect(reply.body.errors).toBeUndefined();
  return reply.body.data.revokeApiKeys;
}

async function one(token: string, input: object) {
  const reply = await suite.call(token, ONE, { variables: { input } });
  expect(reply.body.errors).toBeUndefined();
  return reply.body.data.revokeApiKey;
}

async function statusOf(token: string): Promise<number> {
  return (await suite.call(token, '{ me { id } }')).status;
}

async function other(own: TestNetwork) {
  return makeKey(suite.database, own.network.id, { adminId: own.admin.id });
}

/** A key that another made, over HTTP. */
async function child(token: string): Promise<{ id: string; token: string }> {
  const query = `mutation { createApiKey(input: { name: "${newUuid()}", scopes: [KEYS_WRITE, KEYS_READ] }) { token apiKey { id } } }`;
  const { token: made, apiKey } = (await suite.call(token, query)).body.data.createApiKey;
  return { id: apiKey.id, token: made };
}

test('includeCreated waits for what is made under a key of the line that another call has ended, and ends that, too', async () => {
  const own = await makeNetwork(suite.database);
  const top = await other(own);
  const middle = await child(top.token);
  const middleUuid = uuidOf('ApiKey', middle.id);
  // A write that began under the middle key, and another call that has ended that key and does not wait for it.
  const underWay = await hold(suite.database.pool, 'SELECT pg_advisory_xact_lock_shared($1::bigint)', [
    digestOf(middle.token).readBigInt64BE(0),
  ]);
  await suite.database.pool.query(
    `UPDATE api_keys SET revoked_at = now(), revoked_by_kind = 'COMMAND_LINE' WHERE id = $1`,
    [middleUuid],
  );
  const revoked = one(own.token, { id: toId('ApiKey', top.apiKey.id), includeCreated: true });
  await underWay.untilAwaited();
  const late = newUuid();
  await underWay.run(
    `INSERT INTO api_keys (id, network_id, admin_id, name, name_folded, redacted_token, scopes, environment,
       created_by_kind, created_by_id, allowed_addresses, ancestor_ids)
     SELECT $1::uuid, network_id, admin_id, $1::text, $1::text, redacted_token, scopes, environment, 'KEY', id,
       allowed_addresses, ancestor_ids || id FROM api_keys WHERE id = $2`,
    [late, middleUuid],
  );
  await underWay.release();
  expect((await revoked).revokedCount).toBe(2);
  const { revokedAt } = await suite.database.prisma.apiKey.findUniqueOrThrow({ where: { id: late } });
  expect(revokedAt).not.toBeNull();
});

describe('revokeApiKeys', () => {
  test('takes an empty part of a name for no filter at all: it ends nothing', async () => {
    const own = await makeNetwork(suite.database);
    const kept = await other(own);
    const outcome = await several(own.token, { filter: { name: '' } });
    expect(outcome).toMatchObject({ results: [], revokedCount: 0, userErrors: [{ code: 'BLANK' }] });
    expect(await statusOf(kept.token)).toBe(200);
  });

  test('ends several at once, with a result for each, in the order that was asked for', async () => {
    const own = await makeNetwork(suite.database);
    const [a, b, kept] = [await other(own), await other(own), await other(own)];
    const [idA, idB] = [toId('ApiKey', a.apiKey.id), toId('ApiKey', b.apiKey.id)];
    const unknown = toId('ApiKey', newUuid());
    const outcome = await several(own.token, { ids: [idB, unknown, idA, 'key_1', idB], reason: 'spring cleaning' });
    const done = (id: string) => ({
      apiKey: { id, status: 'REVOKED', revokedReason: 'spring cleaning' },
      userErrors: [],
    });
    const missing = (index: string) => ({
      apiKey: null,
      userErrors: [{ code: 'NOT_FOUND', field: ['input', 'ids', index] }],
    });
    expect(outcome).toEqual({
      results: [done(idB), missing('1'), done(idA), missing('3'), done(idB)],
      revokedCount: 2,
      hasMore: false,
      userErrors: [],
    });
    expect(await Promise.all([a, b, kept].map(({ token }) => statusOf(token)))).toEqual([401, 401, 200]);
  });

  test('ends none of another network’s', async () => {
    const [own, foreign] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const outcome = await several(own.token, { ids: [toId('ApiKey', foreign.apiKey.id)] });
    expect(outcome).toMatchObject({ results: [{ apiKey: null }], revokedCount: 0 });
    expect(await statusOf(foreign.token)).toBe(200);
  });

  test('ends by a filter what was not used since, but neither what was nor the caller’s own', async () => {
    const own = await makeNetwork(suite.database);
    const [used, unused, young] = [await other(own), await other(own), await other(own)];
    const pool = suite.database.pool;
    await pool.query(`UPDATE api_keys SET created_at = now() - interval '90 days' WHERE id = ANY($1::uuid[])`, [
      [used.apiKey.id, unused.apiKey.id, own.apiKey.id],
    ]);
    await pool.query(`UPDATE api_keys SET last_used_at = now() - interval '1 day' WHERE id = $1`, [used.apiKey.id]);
    const unusedSince = new Date(Date.now() - 30 * 86_400_000).toISOString();
    const outcome = await several(own.token, { filter: { unusedSince }, reason: 'unused' });
    expect(outcome).toMatchObject({
      results: [{ apiKey: { id: toId('ApiKey', unused.apiKey.id), status: 'REVOKED' }, userErrors: [] }],
      revokedCount: 1,
      hasMore: false,
    });
    const tokens = [own.token, used.token, unused.token, young.token];
    expect(await Promise.all(tokens.map(statusOf))).toEqual([200, 200, 401, 200]);
  });

  test.for([
    ['the future', -3_600],
    ['now', 0],
    ['so short ago that a use may not be known yet', 299],
  ] as const)('takes no unusedSince of %s, and ends nothing', async ([, agoSeconds]) => {
    const own = await makeNetwork(suite.database);
    const { token } = await other(own);
    const unusedSince = new Date(Date.now() - agoSeconds * 1_000).toISOString();
    expect(await several(own.token, { filter: { unusedSince, name: 'key' } })).toEqual({
      results: [],
      revokedCount: 0,
      hasMore: false,
      userErrors: [{ code: 'OUT_OF_RANGE', field: ['input', 'filter', 'unusedSince'] }],
    });
    expect(await statusOf(token)).toBe(200);
  });

  test('ends all that the operator names, however many there are, and says so of each', async () => {
    const own = await makeNetwork(suite.database);
    const keyIds = Array.from({ length: 1_101 }, () => newUuid());
    const common = { networkId: own.network.id, adminId: own.admin.id, redactedToken: '', scopes: [] };
    await suite.database.prisma.apiKey.createMany({
      data: keyIds.map((id) => ({ ...common, id, name: id, nameFolded: id, createdByKind: 'COMMAND_LINE' as const })),
    });
    const outcome = await revokeApiKeys(suite.database, COMMAND_LINE, own.network.id, { keyIds }, { reason: 'all' });
    expect(outcome).toMatchObject({ ok: true, revokedCount: 1_101, hasMore: false });
    expect(outcome.ok && outcome.keys.map(({ id }) => id)).toEqual(keyIds);
    expect(outcome.ok && outcome.keys.filter(({ apiKey }) => apiKey?.revokedReason !== 'all')).toEqual([]);
    expect(await suite.database.prisma.apiKey.count({ where: { id: { in: keyIds }, revokedAt: null } })).toBe(0);
    const events = { networkId: own.network.id, action: 'key.revoked' };
    expect(await suite.database.prisma.auditEvent.count({ where: events })).toBe(1_101);
  });

  test('by a filter says whether there are more than one call ends', async () => {
    const own = await makeNetwork(suite.database);
    const { prisma } = suite.database;
    const common = { networkId: own.network.id, adminId: own.admin.id, redactedToken: '', scopes: [] };
    await prisma.apiKey.createMany({
      data: Array.from({ length: 252 }, (_, at) => ({
        ...common,
        id: newUuid(),
        name: `many ${at}`,
        nameFolded: `many ${at}`,
        createdByKind: 'COMMAND_LINE' as const,
      })),
    });
    const input = { filter: { name: 'MANY' } };
    expect(await several(own.token, input)).toMatchObject({ revokedCount: 250, hasMore: true });
    expect(await several(own.token, input)).toMatchObject({ revokedCount: 2, hasMore: false });
    expect(await several(own.token, input)).toMatchObject({ results: [], revokedCount: 0, hasMore: false });
  });

  test.for([
    ['neither ids nor a filter', {}, 'INVALID', ['input']],
    ['both', { ids: [], filter: { name: 'x' } }, 'INVALID', ['input']],
    ['an empty filter, which would end every key', { filter: {} }, 'BLANK', ['input', 'filter']],
    ['a filter of nulls', { filter: { name: null, status: null } }, 'BLANK', ['input', 'filter']],
    ['251 ids', { ids: Array(251).fill('key_1') }, 'TOO_LONG', ['input', 'ids']],
    ['a reason of 501 characters', { ids: [], reason: 'x'.repeat(501) }, 'TOO_LONG', ['input', 'reason']],
    ['a reason with a token', { ids: [], reason: 'found gk_live_abc' }, 'INVALID', ['input', 'reason']],
  ] as const)('refuses %s, and ends nothing', async ([, input, code, field]) => {
    const own = await makeNetwork(suite.database);
    const { token } = await other(own);
    const outcome = await several(own.token, input);
    expect(outcome).toEqual({ results: [], revokedCount: 0, hasMore: false, userErrors: [{ code, field }] });
    expect(await statusOf(token)).toBe(200);
  });

  refusesAsAllDo(suite, {
    query:
      'mutation($input: RevokeApiKeysInput!) { revokeApiKeys(input: $input) { results { apiKey { createdBy { id } } } } }',
    variables: ({ apiKey }) => ({ input: { ids: [toId('ApiKey', apiKey.id)] } }),
    scopes: ['keys:read', 'keys:write'],
  });
});

describe('includeCreated', () => {
  test('takes along what a key made, and what those made, and nothing else', async () => {
    const own = await makeNetwork(suite.database);
    const stolen = await other(own);
    const made = await child(stolen.token);
    const [grandchild, bystander] = [await child(made.token), await child(own.token)];
    const outcome = await one(own.token, {
      id: toId('ApiKey', stolen.apiKey.id),
      includeCreated: true,
      reason: 'stolen',
    });
    expect(outcome).toEqual({
      apiKey: { status: 'REVOKED', revokedReason: 'stolen' },
      revokedCount: 3,
      userErrors: [],
    });
    const tokens = [stolen.token, made.token, grandchild.token, bystander.token, own.token];
    expect(await Promise.all(tokens.map(statusOf))).toEqual([401, 401, 401, 200, 200]);
  });

  test('left out, ends the key alone', async () => {
    const own = await makeNetwork(suite.database);
    const stolen = await other(own);
    const made = await child(stolen.token);
    await one(own.token, { id: toId('ApiKey', stolen.apiKey.id) });
    expect([await statusOf(stolen.token), await statusOf(made.token)]).toEqual([401, 200]);
  });

  test('finds what a key made through one that was revoked, and through one that was deleted', async () => {
    const own = await makeNetwork(suite.database);
    const stolen = await other(own);
    const [revoked, deleted] = [await child(stolen.token), await child(stolen.token)];
    const [a, b] = [await child(revoked.token), await child(deleted.token)];
    for (const { id } of [revoked, deleted]) await one(own.token, { id });
    const remove = `mutation { deleteApiKey(input: { id: "${deleted.id}" }) { deletedId } }`;
    expect((await suite.call(own.token, remove)).body.data.deleteApiKey).toEqual({ deletedId: deleted.id });
    expect([await statusOf(a.token), await statusOf(b.token)]).toEqual([200, 200]);
    await one(own.token, { id: toId('ApiKey', stolen.apiKey.id), includeCreated: true });
    expect([await statusOf(a.token), await statusOf(b.token)]).toEqual([401, 401]);
  });

  test('of a key that was deleted is refused, and what that key made goes on', async () => {
    const own = await makeNetwork(suite.database);
    const gone = await other(own);
    const made = await child(gone.token);
    const id = toId('ApiKey', gone.apiKey.id);
    await one(own.token, { id });
    await suite.call(own.token, `mutation { deleteApiKey(input: { id: "${id}" }) { deletedId } }`);
    expect(await one(own.token, { id, includeCreated: true })).toMatchObject({
      apiKey: null,
      userErrors: [{ code: 'NOT_FOUND' }],
    });
    expect(await statusOf(made.token)).toBe(200);
  });

  test('takes along what was still being made while it ran', async () => {
    const own = await makeNetwork(suite.database);
    const stolen = await other(own);
    // Somebody else's row of the same name: the creation is checked, and waits inside its transaction.
    const name = 'made meanwhile';
    const lock = await hold(
      suite.database.pool,
      `INSERT INTO api_keys (id, network_id, admin_id, name, name_folded, redacted_token, scopes, created_by_kind)
       VALUES (gen_random_uuid(), $1, $2, $3, $3, '', '{}', 'COMMAND_LINE')`,
      [own.network.id, own.admin.id, name],
    );
    const query = `mutation { createApiKey(input: { name: "${name}", scopes: [KEYS_WRITE] }) { token } }`;
    const making = suite.call(stolen.token, query);
    await lock.untilAwaited();
    const ending = one(own.token, { id: toId('ApiKey', stolen.apiKey.id), includeCreated: true });
    await expect.poll(() => statusOf(stolen.token)).toBe(401);
    await lock.run('ROLLBACK');
    const { token } = (await making).body.data.createApiKey;
    await ending;
    expect(await statusOf(token)).toBe(401);
    await lock.release();
  });

  test('takes a line along that is longer than one transaction ends', async () => {
    const own = await makeNetwork(suite.database);
    const stolen = await other(own);
    const common = { networkId: own.network.id, adminId: own.admin.id, redactedToken: '', scopes: [] };
    const maker = { createdByKind: 'KEY' as const, createdById: stolen.apiKey.id };
    const names = Array.from({ length: 620 }, (_, at) => `made ${at}`);
    await suite.database.prisma.apiKey.createMany({
      data: names.map((name) => ({ ...common, ...maker, id: newUuid(), name, nameFolded: name })),
    });
    const outcome = await one(own.token, { id: toId('ApiKey', stolen.apiKey.id), includeCreated: true });
    expect(outcome).toMatchObject({ revokedCount: 621, userErrors: [] });
    const where = { networkId: own.network.id, revokedAt: null };
    expect((await suite.database.prisma.apiKey.findMany({ where })).map(({ id }) => id)).toEqual([own.apiKey.id]);
    const events = { networkId: own.network.id, action: 'key.revoked' };
    expect(await suite.database.prisma.auditEvent.count({ where: events })).toBe(621);
  });

  test('of the caller’s own key ends the caller’s own line to its end', async () => {
    const own = await makeNetwork(suite.database);
    const [made, kept] = [await child(own.token), await other(own)];
    await one(own.token, { id: toId('ApiKey', own.apiKey.id), includeCreated: true });
    expect(await Promise.all([own, made, kept].map(({ token }) => statusOf(token)))).toEqual([401, 401, 200]);
  });

  test('a line of keys ends at 32 generations', async () => {
    const own = await makeNetwork(suite.database);
    const line = Array.from({ length: 32 }, () => newUuid());
    await suite.database.prisma.apiKey.update({ where: { id: own.apiKey.id }, data: { ancestorIds: line } });
    const query = 'mutation { createApiKey(input: { name: "x", scopes: [] }) { token userErrors { code field } } }';
    expect((await suite.call(own.token, query)).body.data.createApiKey).toEqual({
      token: null,
      userErrors: [{ code: 'OUT_OF_RANGE', field: ['input'] }],
    });
  });
});

describe('revokeCurrentApiKey', () => {
  const QUERY = `mutation($input: RevokeCurrentApiKeyInput) { revokeCurrentApiKey(input: $input) {
    apiKey { id status revokedReason } userErrors { code field } } }`;

  test('ends the caller’s key, without any scope', async () => {
    const { apiKey, token } = await makeNetwork(suite.database, { scopes: [] });
    const reply = await suite.call(token, QUERY, { variables: { input: { reason: 'done with it' } } });
    expect(reply.body).toEqual({
      data: {
        revokeCurrentApiKey: {
          apiKey: { id: toId('ApiKey', apiKey.id), status: 'REVOKED', revokedReason: 'done with it' },
          userErrors: [],
        },
      },
    });
    expect(await statusOf(token)).toBe(401);
    const where = { subjectId: apiKey.id, action: 'key.revoked' };
    const [event] = await suite.database.prisma.auditEvent.findMany({ where });
    expect(event).toMatchObject({ actorKind: 'KEY', actorId: apiKey.id });
  });

  test('refuses a reason over its bound, and the key goes on', async () => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, QUERY, { variables: { input: { reason: 'x'.repeat(501) } } });
    expect(reply.body.data.revokeCurrentApiKey).toEqual({
      apiKey: null,
      userErrors: [{ code: 'TOO_LONG', field: ['input', 'reason'] }],
    });
    expect(await statusOf(token)).toBe(200);
  });

  test('returns when the key’s writes under way have ended', async () => {
    const { token } = await makeNetwork(suite.database);
    const lock = await hold(suite.database.pool, 'SELECT pg_advisory_xact_lock_shared($1::bigint)', [
      digestOf(token).readBigInt64BE(0),
    ]);
    const ending = suite.call(token, QUERY);
    await lock.untilAwaited();
    expect(await statusOf(token)).toBe(401);
    await lock.release();
    expect((await ending).body.data.revokeCurrentApiKey.userErrors).toEqual([]);
  });
});

describe('deleteApiKey', () => {
  const QUERY = 'mutation($id: ID!) { deleteApiKey(input: { id: $id }) { deletedId userErrors { code field } } }';
  const remove = async (token: string, uuid: string) =>
    (await suite.call(token, QUERY, { variables: { id: toId('ApiKey', uuid) } })).body.data.deleteApiKey;

  test('removes a revoked key for good: from lists, by id, and its token is unknown', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey, token } = await other(own);
    const id = toId('ApiKey', apiKey.id);
    await one(own.token, { id });
    expect(await remove(own.token, apiKey.id)).toEqual({ deletedId: id, userErrors: [] });
    const reply = await suite.call(own.token, `{ apiKey(id: "${id}") { id } apiKeys { nodes { id } } }`);
    expect(reply.body.data).toEqual({ apiKey: null, apiKeys: { nodes: [{ id: toId('ApiKey', own.apiKey.id) }] } });
    expect((await suite.call(token, '{ me { id } }')).body.errors?.[0]?.message).toBe('Invalid API token');
    expect(await remove(own.token, apiKey.id)).toMatchObject({ deletedId: null, userErrors: [{ code: 'NOT_FOUND' }] });
  });

  test('removes an expired key, and its name is free', async () => {
    const own = await makeNetwork(suite.database);
    const expiresAt = new Date(Date.now() - 1);
    const { apiKey } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id, name: 'old', expiresAt });
    expect((await remove(own.token, apiKey.id)).userErrors).toEqual([]);
    await makeKey(suite.database, own.network.id, { adminId: own.admin.id, name: 'old' });
  });

  test('refuses a key that works, and the caller’s own', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey, token } = await other(own);
    const refusal = { deletedId: null, userErrors: [{ code: 'KEY_ACTIVE', field: ['input', 'id'] }] };
    expect(await remove(own.token, apiKey.id)).toEqual(refusal);
    expect(await remove(own.token, own.apiKey.id)).toEqual(refusal);
    expect([await statusOf(token), await statusOf(own.token)]).toEqual([200, 200]);
  });

  test('leaves its audit trail, with one event more', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey } = await other(own);
    await one(own.token, { id: toId('ApiKey', apiKey.id) });
    await remove(own.token, apiKey.id);
    const where = { subjectId: apiKey.id };
    const events = await suite.database.prisma.auditEvent.findMany({ where, orderBy: { id: 'asc' } });
    expect(events.map(({ action }) => action)).toEqual(['key.created', 'key.revoked', 'key.deleted']);
    expect(events.at(-1)?.details).toMatchObject({ before: { name: apiKey.name, status: 'REVOKED' } });
  });

  test('waits for writes under a key that is being revoked, so that its rows do not go from under the revocation', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey, token } = await other(own);
    const lock = await hold(suite.database.pool, 'SELECT pg_advisory_xact_lock_shared($1::bigint)', [
      digestOf(token).readBigInt64BE(0),
    ]);
    const revoking = one(own.token, { id: toId('ApiKey', apiKey.id) });
    await lock.untilAwaited();
    // By another key: one alone has not two connections of so small a pool.
    const second = await makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    const removing = remove(second.token, apiKey.id);
    await lock.untilAwaited(2);
    expect(await suite.database.prisma.apiKey.count({ where: { id: apiKey.id } })).toBe(1);
    await lock.release();
    expect((await revoking).userErrors).toEqual([]);
    expect((await removing).userErrors).toEqual([]);
  });

  test('removes another admin’s ended key, too', async () => {
    const own = await makeNetwork(suite.database);
    const admin = await makeAdmin(suite.database, own.network.id, 'ADMIN');
    const { apiKey } = await makeKey(suite.database, own.network.id, { adminId: admin.id, scopes: [] });
    await one(own.token, { id: toId('ApiKey', apiKey.id) });
    expect((await remove(own.token, apiKey.id)).userErrors).toEqual([]);
  });

  refusesAsAllDo(suite, {
    query:
      'mutation($id: ID!) { deleteApiKey(input: { id: $id }) { deletedId } revokeApiKeys(input: { ids: [] }) { results { apiKey { createdBy { id } } } } }',
    variables: ({ apiKey }) => ({ id: toId('ApiKey', apiKey.id) }),
    scopes: ['keys:read', 'keys:write'],
  });
});
