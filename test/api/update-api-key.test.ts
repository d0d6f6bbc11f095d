import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { digestOf } from '../../src/domain/token.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { updateNetwork } from '../../src/services/networks.ts';
import { makeAdmin, makeKey, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const QUERY = `mutation($input: UpdateApiKeyInput!) { updateApiKey(input: $input) {
  apiKey { id name note scopes expiresAt allowedAddresses status } userErrors { code message field }
} }`;
const DAY_MS = 86_400_000;

async function update(token: string, input: object) {
  return suite.call(token, QUERY, { variables: { input } });
}

async function other(own: TestNetwork, more: Partial<Parameters<typeof makeKey>[2]> = {}) {
  return makeKey(suite.database, own.network.id, { adminId: own.admin.id, ...more });
}

describe('updateApiKey', () => {
  test('changes a note that looks the same in the record, where addresses are left out', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey } = await other(own, { note: 'ask ann@acme.test' });
    const id = toId('ApiKey', apiKey.id);
    const reply = await update(own.token, { id, note: 'ask bob@acme.test' });
    expect(reply.body.data.updateApiKey.apiKey.note).toBe('ask bob@acme.test');
    const events = await suite.database.prisma.auditEvent.findMany({ where: { subjectId: apiKey.id } });
    expect(events.map(({ action }) => action).sort()).toEqual(['key.created', 'key.updated']);
    expect(JSON.stringify(events)).not.toMatch(/ann@|bob@/);
  });

  test('changes what is given, and it holds at the very next request', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey, token } = await other(own);
    const id = toId('ApiKey', apiKey.id);
    const expiresAt = new Date(Date.now() + DAY_MS).toISOString();
    const fields = { name: 'new name', note: 'two\nlines', scopes: ['MEMBERS_READ'], expiresAt };
    const reply = await update(own.token, { id, ...fields, allowedAddresses: ['127.0.0.1/8', '::1'] });
    expect(reply.body.data.updateApiKey).toEqual({
      apiKey: { id, ...fields, allowedAddresses: ['127.0.0.0/8', '::1/128'], status: 'ACTIVE' },
      userErrors: [],
    });
    const me = await suite.call(token, '{ me { scopes apiKey { name } } }');
    expect(me.body.data.me).toEqual({ scopes: ['MEMBERS_READ'], apiKey: { name: 'new name' } });
    expect((await suite.call(token, '{ apiKeys { nodes { id } } }')).status).toBe(403);
  });

  test('leaves what is left out, and takes away what may be null', async () => {
    const own = await makeNetwork(suite.database);
    const expiresAt = new Date(Date.now() + DAY_MS);
    const { apiKey } = await other(own, { note: 'a note', expiresAt, scopes: ['keys:read'] });
    const id = toId('ApiKey', apiKey.id);
    const kept = { id, name: apiKey.name, scopes: ['KEYS_READ'], allowedAddresses: [], status: 'ACTIVE' };
    expect((await update(own.token, { id })).body.data.updateApiKey.apiKey).toEqual({
      ...kept,
      note: 'a note',
      expiresAt: expiresAt.toISOString(),
    });
    const taken = await update(own.token, { id, note: null, expiresAt: null });
    expect(taken.body.data.updateApiKey.apiKey).toEqual({ ...kept, note: null, expiresAt: null });
  });

  test.for(['name', 'scopes', 'allowedAddresses'])('refuses a null %s, which could mean two things', async (field) => {
    const own = await makeNetwork(suite.database);
    const reply = await update(own.token, { id: toId('ApiKey', own.apiKey.id), [field]: null });
    expect(reply.body.errors?.[0]).toMatchObject({
      message: `\`${field}\` must not be null: leave it out where it is to stay`,
      extensions: { code: 'BAD_USER_INPUT', field },
    });
  });

  test('is on record with what changed before and after; what is so already is not', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey } = await other(own, { name: 'old', scopes: ['keys:read'] });
    const id = toId('ApiKey', apiKey.id);
    await update(own.token, { id, name: 'new', scopes: ['KEYS_READ'], note: 'ask ops@example.test' });
    await update(own.token, { id, name: 'new', note: 'ask ops@example.test' });
    const where = { subjectId: apiKey.id, action: 'key.updated' };
    expect((await suite.database.prisma.auditEvent.findMany({ where })).map(({ details }) => details)).toEqual([
      { before: { name: 'old', note: null }, after: { name: 'new', note: 'ask [redacted]' } },
    ]);
  });

  test('names all that is wrong at once, and changes nothing', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey } = await other(own);
    const id = toId('ApiKey', apiKey.id);
    const wrong = { name: own.apiKey.name, note: 'x'.repeat(1_001), expiresAt: '2020-01-01T00:00:00Z' };
    const reply = await update(own.token, { id, ...wrong, allowedAddresses: ['nowhere'] });
    expect(
      reply.body.data.updateApiKey.userErrors.map(({ code, field }: { code: string; field: string[] }) => [
        code,
        field[1],
      ]),
    ).toEqual([
      ['TOO_LONG', 'note'],
      ['OUT_OF_RANGE', 'expiresAt'],
      ['INVALID', 'allowedAddresses'],
      ['NAME_TAKEN', 'name'],
    ]);
    const stored = await suite.database.prisma.apiKey.findUniqueOrThrow({ where: { id: apiKey.id } });
    expect(stored).toMatchObject({ name: apiKey.name, note: null, expiresAt: null, allowedAddresses: [] });
  });

  test('of two that take one name at once, one is refused', async () => {
    const own = await makeNetwork(suite.database);
    const keys = [await other(own), await other(own), await other(own)];
    const replies = await Promise.all(
      keys.map(({ apiKey }) => update(own.token, { id: toId('ApiKey', apiKey.id), name: 'same' })),
    );
    const codes = replies.map(({ body }) => body.data.updateApiKey.userErrors[0]?.code ?? 'done');
    expect(codes.sort()).toEqual(['NAME_TAKEN', 'NAME_TAKEN', 'done']);
  });

  test('brings nothing back that has ended: revoked, expired, or its admin gone', async () => {
    const own = await makeNetwork(suite.database);
    const revoked = await other(own);
    await revokeApiKey(suite.database, COMMAND_LINE, own.network.id, revoked.apiKey.id);
    const expired = await other(own, { expiresAt: new Date(Date.now() - 1) });
    const admin = await makeAdmin(suite.database, own.network.id);
    const orphan = await makeKey(suite.database, own.network.id, { adminId: admin.id });
    await suite.database.prisma.admin.update({ where: { id: admin.id }, data: { removedAt: new Date() } });
    for (const { apiKey, token } of [revoked, expired, orphan]) {
      const input = { id: toId('ApiKey', apiKey.id), expiresAt: null };
      const reply = await update(own.token, input);
      expect(reply.body.data.updateApiKey).toMatchObject({ apiKey: null, userErrors: [{ code: 'KEY_ENDED' }] });
      expect((await suite.call(token, '{ me { id } }')).status).toBe(401);
    }
  });

  test('a network’s bound on the life of keys holds from when it is set, for what is touched', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey } = await other(own);
    const id = toId('ApiKey', apiKey.id);
    await updateNetwork(suite.database, COMMAND_LINE, own.network.id, { maxKeyLifeSeconds: 7 * 86_400 });
    const codes = async (input: object) =>
      (await update(own.token, { id, ...input })).body.data.updateApiKey.userErrors.map(
        ({ code }: { code: string }) => code,
      );
    expect(await codes({ note: 'untouched by it' })).toEqual([]);
    expect(await codes({ expiresAt: null })).toEqual(['OUT_OF_RANGE']);
    expect(await codes({ expiresAt: new Date(Date.now() + 8 * DAY_MS) })).toEqual(['OUT_OF_RANGE']);
    expect(await codes({ expiresAt: new Date(Date.now() + 6 * DAY_MS) })).toEqual([]);
    const made = await suite.call(
      own.token,
      'mutation { createApiKey(input: { name: "for ever", scopes: [] }) { userErrors { code field } } }',
    );
    expect(made.body.data.createApiKey.userErrors).toEqual([{ code: 'OUT_OF_RANGE', field: ['input', 'expiresAt'] }]);
    // It is the time from the making that counts: it cannot be pushed on and on.
    await suite.database.pool.query(`UPDATE api_keys SET created_at = now() - interval '5 days' WHERE id = $1`, [
      apiKey.id,
    ]);
    expect(await codes({ expiresAt: new Date(Date.now() + 3 * DAY_MS) })).toEqual(['OUT_OF_RANGE']);
  });

  test('a write that was checked under the old scopes has ended when it returns', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey, token } = await other(own);
    // A write under the key's secret, held inside its transaction.
    const lock = await hold(suite.database.pool, 'SELECT pg_advisory_xact_lock_shared($1::bigint)', [
      digestOf(token).readBigInt64BE(0),
    ]);
    const narrowing = update(own.token, { id: toId('ApiKey', apiKey.id), scopes: [] });
    await lock.untilAwaited();
    // New requests go by the new scopes already, while the old write goes on.
    expect((await suite.call(token, '{ apiKeys { nodes { id } } }')).status).toBe(403);
    await lock.release();
    expect((await narrowing).body.data.updateApiKey.userErrors).toEqual([]);
  });

  refusesAsAllDo(suite, {
    query: 'mutation($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { createdBy { id } } } }',
    variables: ({ apiKey }) => ({ input: { id: toId('ApiKey', apiKey.id), name: 'never' } }),
    scopes: ['keys:read', 'keys:write'],
  });
});
