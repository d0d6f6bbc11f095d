import { describe, expect, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import type { Reply } from '../support/client.ts';
import { makeAdmin, makeKey, makeNetwork } from '../support/fixtures.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const QUERY = `mutation($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) {
  apiKey { id status revokedAt revokedBy { id } } userErrors { code message field }
} }`;
const NO_SUCH_KEY = {
  apiKey: null,
  userErrors: [{ code: 'NOT_FOUND', message: 'There is no such API key', field: ['input', 'id'] }],
};

function revoke(token: string, id: string): Promise<Reply> {
  return suite.call(token, QUERY, { variables: { input: { id } } });
}

describe('revokeApiKey', () => {
  test('ends a key: its token is refused at the very next request', async () => {
    const { admin, network, token } = await makeNetwork(suite.database);
    const other = await makeKey(suite.database, network.id, { adminId: admin.id });
    expect((await suite.call(other.token, '{ me { id } }')).status).toBe(200);
    const id = toId('ApiKey', other.apiKey.id);
    const reply = await revoke(token, id);
    expect(reply.status).toBe(200);
    const { apiKey } = reply.body.data.revokeApiKey;
    expect(reply.body.data.revokeApiKey).toEqual({
      apiKey: { id, status: 'REVOKED', revokedAt: expect.any(String), revokedBy: { id: toId('Admin', admin.id) } },
      userErrors: [],
    });
    const refused = await suite.call(other.token, '{ me { id } }');
    expect(refused.status).toBe(401);
    expect(refused.body.errors?.[0]?.message).toBe(`API token was revoked at ${apiKey.revokedAt}`);
  });

  test('ends a key of another admin of the network', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const colleague = await makeAdmin(suite.database, network.id);
    const { apiKey } = await makeKey(suite.database, network.id, { adminId: colleague.id });
    const reply = await revoke(token, toId('ApiKey', apiKey.id));
    expect(reply.body.data.revokeApiKey.apiKey.status).toBe('REVOKED');
  });

  test('ends the key that asks for it', async () => {
    const { apiKey, token } = await makeNetwork(suite.database);
    const reply = await revoke(token, toId('ApiKey', apiKey.id));
    expect(reply.body.data.revokeApiKey).toMatchObject({ apiKey: { status: 'REVOKED' }, userErrors: [] });
    expect((await revoke(token, toId('ApiKey', apiKey.id))).status).toBe(401);
  });

  test('changes nothing the second time', async () => {
    const { admin, network, token } = await makeNetwork(suite.database);
    const { apiKey } = await makeKey(suite.database, network.id, { adminId: admin.id });
    const id = toId('ApiKey', apiKey.id);
    const first = await revoke(token, id);
    const second = await revoke(token, id);
    expect(second.body).toEqual(first.body);
    const where = { networkId: network.id, subjectId: apiKey.id, action: 'key.revoked' };
    expect(await suite.database.prisma.auditEvent.findMany({ where })).toEqual([
      expect.objectContaining({ actorKind: 'KEY', requestId: first.headers.get('x-request-id') }),
    ]);
  });

  test('after which a second mutation of the same request is refused', async () => {
    const { admin, apiKey, network, token } = await makeNetwork(suite.database);
    const other = await makeKey(suite.database, network.id, { adminId: admin.id });
    const reply = await suite.call(
      token,
      `mutation { first: revokeApiKey(input: { id: "${toId('ApiKey', apiKey.id)}" }) { userErrors { code } }
        second: revokeApiKey(input: { id: "${toId('ApiKey', other.apiKey.id)}" }) { userErrors { code } } }`,
    );
    expect(reply.status).toBe(294); // the first has changed something
    expect(reply.body.data).toBeNull();
    expect(reply.body.errors?.[0]).toMatchObject({ path: ['second'], extensions: { code: 'TOKEN_EXPIRED' } });
    expect((await suite.call(other.token, '{ me { id } }')).status).toBe(200);
  });

  test.for([
    ['a key that was never made', () => toId('ApiKey', newUuid())],
    ['what is no id', () => 'key_1'],
    ['the id of another type', (uuid: string) => toId('Member', uuid)],
    ['an empty id', () => ''],
  ] as const)('finds no key by %s', async ([, id]) => {
    const { apiKey, token } = await makeNetwork(suite.database);
    const reply = await revoke(token, id(apiKey.id));
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({ data: { revokeApiKey: NO_SUCH_KEY } });
  });

  test('finds no key of another network, and that one goes on', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const reply = await revoke(own.token, toId('ApiKey', other.apiKey.id));
    expect(reply.body).toEqual({ data: { revokeApiKey: NO_SUCH_KEY } });
    expect((await suite.call(other.token, '{ me { id } }')).status).toBe(200);
    const where = { networkId: { in: [own.network.id, other.network.id] }, action: 'key.revoked' };
    expect(await suite.database.prisma.auditEvent.count({ where })).toBe(0);
  });

  test.for([
    ['is missing', {}],
    ['is null', { id: null }],
    ['is a list', { id: ['key_1'] }],
  ] as const)('refuses an id that %s, naming it', async ([, input]) => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, QUERY, { variables: { input } });
    expect(reply.status).toBe(422);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining('id'),
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  refusesAsAllDo(suite, {
    query: 'mutation($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { apiKey { createdBy { id } } } }',
    variables: ({ apiKey }) => ({ input: { id: toId('ApiKey', apiKey.id) } }),
    scopes: ['keys:read', 'keys:write'],
  });
});
