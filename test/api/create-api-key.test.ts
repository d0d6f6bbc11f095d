import { describe, expect, test } from 'vitest';
import { toId, uuidOf } from '../../src/domain/id.ts';
import { digestOf } from '../../src/domain/token.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import type { Reply } from '../support/client.ts';
import { makeKey, makeNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const QUERY = `mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  apiKey { id name redactedToken status scopes environment createdBy { id } createdByKey { id } expiresAt lastUsedAt revokedAt }
  token userErrors { code message field }
} }`;
const YEAR_MS = 365 * 86_400_000;

function create(token: string, input: Record<string, unknown>): Promise<Reply> {
  return suite.call(token, QUERY, { variables: { input } });
}

async function countKeys(networkId: string): Promise<number> {
  return suite.database.prisma.apiKey.count({ where: { networkId } });
}

describe('createApiKey', () => {
  test('makes a key that acts for the caller’s admin, and its token works', async () => {
    const { admin, apiKey, token } = await makeNetwork(suite.database);
    const expiresAt = new Date(Date.now() + YEAR_MS).toISOString();
    const reply = await create(token, {
      name: 'CI',
      scopes: ['MEMBERS_READ', 'NETWORK_READ'],
      expiresAt,
      environment: 'TEST',
    });
    expect(reply.status).toBe(200);
    const made = reply.body.data.createApiKey;
    expect(made.token).toMatch(/^gk_test_[0-9A-Za-z]{49}$/);
    expect(made).toEqual({
      apiKey: {
        id: expect.stringMatching(/^key_[0-9a-z]{26}$/),
        name: 'CI',
        redactedToken: `${made.token.slice(0, 12)}…${made.token.slice(-4)}`,
        status: 'ACTIVE',
        scopes: ['MEMBERS_READ', 'NETWORK_READ'],
        environment: 'TEST',
        createdBy: { id: toId('Admin', admin.id) },
        createdByKey: { id: toId('ApiKey', apiKey.id) },
        expiresAt,
        lastUsedAt: null,
        revokedAt: null,
      },
      token: made.token,
      userErrors: [],
    });
    const me = await suite.call(made.token, '{ me { id scopes apiKey { id } } }');
    expect(me.body.data.me).toEqual({
      id: toId('Admin', admin.id),
      scopes: ['MEMBERS_READ', 'NETWORK_READ'],
      apiKey: { id: made.apiKey.id },
    });
  });

  test('makes a live key without an end where nothing else is said', async () => {
    const { token } = await makeNetwork(suite.database);
    const made = (await create(token, { name: 'plain', scopes: [] })).body.data.createApiKey;
    expect(made.token).toMatch(/^gk_live_/);
    expect(made.apiKey).toMatchObject({ environment: 'LIVE', expiresAt: null, scopes: [] });
  });

  test('stores the token’s digest and nothing else of it, and an audit event without either', async () => {
    const { apiKey, network, token } = await makeNetwork(suite.database);
    const reply = await create(token, { name: 'secret', scopes: [] });
    const made = reply.body.data.createApiKey;
    const keyId = uuidOf('ApiKey', made.apiKey.id);
    const { rows } = await suite.database.pool.query('SELECT digest FROM secrets WHERE key_id = $1', [keyId]);
    expect(rows).toEqual([{ digest: digestOf(made.token) }]);
    const events = await suite.database.prisma.auditEvent.findMany({
      where: { networkId: network.id, subjectId: keyId },
    });
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      action: 'key.created',
      actorKind: 'KEY',
      actorId: apiKey.id,
      subjectType: 'ApiKey',
      requestId: reply.headers.get('x-request-id'),
      details: { after: { name: 'secret', scopes: [], environment: 'LIVE', expiresAt: null } },
    });
    const secret = made.token.slice(12, -4);
    const tables = await suite.database.pool.query(
      `SELECT (SELECT string_agg(k::text, '') FROM api_keys k WHERE network_id = $1) AS keys,
              (SELECT string_agg(e::text, '') FROM audit_events e WHERE network_id = $1) AS events`,
      [network.id],
    );
    const stored = JSON.stringify(tables.rows);
    expect(stored).not.toContain(secret);
    expect(stored).not.toContain(digestOf(made.token).toString('hex'));
    expect(JSON.stringify(suite.gateway.log)).not.toContain(secret);
  });

  test('takes a name without the blanks around it, in one Unicode composition', async () => {
    const { token } = await makeNetwork(suite.database);
    const reply = await create(token, { name: ' \tCafe\u0301 ', scopes: [] });
    expect(reply.body.data.createApiKey.apiKey.name).toBe('Caf\u00e9');
  });

  test.for([
    ['an empty name', { name: '' }, 'BLANK', 'Name is required', ['input', 'name']],
    ['a name of blanks', { name: ' \n ' }, 'BLANK', 'Name is required', ['input', 'name']],
    [
      'a name of 101 characters',
      { name: '👩'.repeat(101) },
      'TOO_LONG',
      'Name must have 1 to 100 characters',
      ['input', 'name'],
    ],
    [
      'a name with a line break',
      { name: 'a\nb' },
      'INVALID',
      'Name must not hold control characters',
      ['input', 'name'],
    ],
    ['a name with a NUL', { name: 'a\u0000' }, 'INVALID', 'Name must not hold control characters', ['input', 'name']],
    [
      'a name that is no Unicode',
      { name: 'a\ud800' },
      'INVALID',
      'Name must not hold control characters',
      ['input', 'name'],
    ],
    [
      'an end that is past',
      { expiresAt: '2020-01-01T00:00:00Z' },
      'OUT_OF_RANGE',
      'Expiry must lie ahead, by a minute to 10 years',
      ['input', 'expiresAt'],
    ],
    [
      'an end over ten years ahead',
      { expiresAt: new Date(Date.now() + 10 * YEAR_MS + 4 * 86_400_000) },
      'OUT_OF_RANGE',
      'Expiry must lie ahead, by a minute to 10 years',
      ['input', 'expiresAt'],
    ],
    [
      'a scope that the caller lacks',
      { scopes: ['USAGE_READ', 'MEMBERS_READ'] },
      'SCOPE_NOT_HELD',
      'no scope that its maker lacks: usage:read',
      ['input', 'scopes'],
    ],
  ] as const)('refuses %s, naming the field and its bound', async ([, input, code, message, field]) => {
    const { network, token } = await makeNetwork(suite.database, {
      scopes: ['keys:write', 'keys:read', 'members:read'],
    });
    const reply = await create(token, { name: 'fine', scopes: [], ...input });
    expect(reply.status).toBe(200);
    expect(reply.body.data.createApiKey).toEqual({
      apiKey: null,
      token: null,
      userErrors: [{ code, message: expect.stringContaining(message), field }],
    });
    expect(await countKeys(network.id)).toBe(1);
  });

  test('names all that is wrong at once', async () => {
    const { token } = await makeNetwork(suite.database, { scopes: ['keys:write', 'keys:read'] });
    const reply = await create(token, { name: '', scopes: ['MEMBERS_READ'], expiresAt: '2020-01-01T00:00:00Z' });
    const codes = reply.body.data.createApiKey.userErrors.map(({ code }: { code: string }) => code);
    expect(codes).toEqual(['BLANK', 'OUT_OF_RANGE', 'SCOPE_NOT_HELD']);
  });

  test.for([
    ['1 character', 'x'],
    ['100 characters, however many units each takes', '👩🏽'.repeat(50)],
  ] as const)('takes a name of %s', async ([, name]) => {
    const { token } = await makeNetwork(suite.database);
    const reply = await create(token, { name, scopes: [] });
    expect(reply.body.data.createApiKey).toMatchObject({ apiKey: { name }, userErrors: [] });
  });

  test('takes a scope given twice once', async () => {
    const { token } = await makeNetwork(suite.database);
    const reply = await create(token, { name: 'x', scopes: ['KEYS_READ', 'KEYS_READ'] });
    expect(reply.body.data.createApiKey.apiKey.scopes).toEqual(['KEYS_READ']);
  });

  test('refuses a name that a key has which is not revoked, and takes it once that one is', async () => {
    const { admin, network, token } = await makeNetwork(suite.database);
    const { apiKey } = await makeKey(suite.database, network.id, { adminId: admin.id, name: 'CI' });
    const taken = {
      code: 'NAME_TAKEN',
      message: 'Token already exists: choose a different name',
      field: ['input', 'name'],
    };
    const refused = (await create(token, { name: ' CI', scopes: [] })).body.data.createApiKey;
    expect(refused).toEqual({ apiKey: null, token: null, userErrors: [taken] });
    await revokeApiKey(suite.database, COMMAND_LINE, network.id, apiKey.id);
    const made = (await create(token, { name: 'CI', scopes: [] })).body.data.createApiKey;
    expect(made).toMatchObject({ apiKey: { name: 'CI' }, userErrors: [] });
  });

  test('lets one of many through that ask for the same name at once', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const replies = await Promise.all(Array.from({ length: 8 }, () => create(token, { name: 'same', scopes: [] })));
    const outcomes = replies.map(({ body }) => body.data.createApiKey.userErrors[0]?.code ?? 'made');
    expect(outcomes.sort()).toEqual([...Array(7).fill('NAME_TAKEN'), 'made']);
    expect(await countKeys(network.id)).toBe(2);
    expect(await suite.database.prisma.auditEvent.count({ where: { networkId: network.id, actorKind: 'KEY' } })).toBe(
      1,
    );
  });

  test('names are a network’s own: another network’s is no hindrance', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const reply = await create(own.token, { name: other.apiKey.name, scopes: [] });
    expect(reply.body.data.createApiKey.userErrors).toEqual([]);
  });

  test.for([
    ['name', { scopes: [] }, 'name'],
    ['scopes', { name: 'x' }, 'scopes'],
    ['scopes', { name: 'x', scopes: ['EVERYTHING'] }, 'scopes'],
    ['scopes', { name: 'x', scopes: ['members:read'] }, 'scopes'],
    ['expiresAt', { name: 'x', scopes: [], expiresAt: '2030-01-01' }, 'expiresAt'],
    ['expiresAt', { name: 'x', scopes: [], expiresAt: '2030-02-31T00:00:00Z' }, 'expiresAt'],
    ['expiresAt', { name: 'x', scopes: [], expiresAt: 1_900_000_000 }, 'expiresAt'],
    ['environment', { name: 'x', scopes: [], environment: 'PROD' }, 'environment'],
    ['field of another’s', { name: 'x', scopes: [], networkId: 'net_1' }, 'networkId'],
  ] as const)('refuses a wrong %s, %o, before anything runs', async ([, input, named]) => {
    const { network, token } = await makeNetwork(suite.database);
    const reply = await create(token, input);
    expect(reply.status).toBe(422);
    expect(reply.body).not.toHaveProperty('data');
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining(named),
      extensions: { code: 'BAD_USER_INPUT' },
    });
    expect(await countKeys(network.id)).toBe(1);
  });

  test('is refused to a key that has lost keys:write since its request began', async () => {
    const { apiKey, network, token } = await makeNetwork(suite.database);
    // Held where its write begins, long after the request's own check.
    const lock = digestOf(token).readBigInt64BE(0);
    const held = await hold(suite.database.pool, 'SELECT pg_advisory_xact_lock($1::bigint)', [lock]);
    const reply = create(token, { name: 'late', scopes: [] });
    await held.untilAwaited();
    await held.run(`UPDATE api_keys SET scopes = '{keys:read}' WHERE id = $1`, [apiKey.id]);
    await held.release();
    expect((await reply).body.data ?? null).toBeNull();
    expect((await reply).body.errors).toEqual([
      expect.objectContaining({
        message: 'Forbidden: this token lacks the scope keys:write',
        path: ['createApiKey'],
        extensions: expect.objectContaining({ code: 'FORBIDDEN', missingScopes: ['keys:write'] }),
      }),
    ]);
    expect(await countKeys(network.id)).toBe(1);
  });

  refusesAsAllDo(suite, {
    query: 'mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { token apiKey { createdBy { id } } } }',
    variables: () => ({ input: { name: 'never', scopes: [] } }),
    scopes: ['keys:read', 'keys:write'],
  });
});
