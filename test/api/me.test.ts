import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { makeKey, makeNetwork } from '../support/fixtures.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });

describe('me', () => {
  test('tells who is calling, with a token that has no scope at all', async () => {
    const { admin, apiKey, network, token } = await makeNetwork(suite.database, {
      scopes: [],
      network: { plan: 'STANDARD' },
    });
    const reply = await suite.call(
      token,
      '{ me { id name email networkId role createdAt scopes plan apiKey { id name } } }',
    );
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({
      data: {
        me: {
          id: toId('Admin', admin.id),
          name: admin.name,
          email: admin.email,
          networkId: toId('Network', network.id),
          role: 'OWNER',
          createdAt: admin.createdAt.toISOString(),
          scopes: [],
          plan: 'STANDARD',
          apiKey: { id: toId('ApiKey', apiKey.id), name: apiKey.name },
        },
      },
    });
  });

  test('tells the scopes that are left of the key’s within its admin’s present role', async () => {
    const { admin, network } = await makeNetwork(suite.database);
    const scopes = ['audit:read', 'keys:read'] as const;
    const { token } = await makeKey(suite.database, network.id, { adminId: admin.id, scopes });
    const ask = async () => (await suite.call(token, '{ me { role scopes } }')).body.data.me;
    expect(await ask()).toEqual({ role: 'OWNER', scopes: ['AUDIT_READ', 'KEYS_READ'] });
    await suite.database.prisma.admin.update({ where: { id: admin.id }, data: { role: 'ADMIN' } });
    expect(await ask()).toEqual({ role: 'ADMIN', scopes: ['KEYS_READ'] });
  });

  test('tells the plan as it is now', async () => {
    const { network, token } = await makeNetwork(suite.database);
    await suite.database.prisma.network.update({ where: { id: network.id }, data: { plan: 'PREMIUM' } });
    expect((await suite.call(token, '{ me { plan } }')).body.data.me.plan).toBe('PREMIUM');
  });

  test('is answered to a test key as to a live one', async () => {
    const { admin, network } = await makeNetwork(suite.database);
    const { token } = await makeKey(suite.database, network.id, { adminId: admin.id, environment: 'TEST' });
    expect(token).toMatch(/^gk_test_/);
    const reply = await suite.call(token, '{ me { apiKey { environment } } }');
    expect(reply.body).toEqual({ data: { me: { apiKey: { environment: 'TEST' } } } });
  });

  test('takes no arguments', async () => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, '{ me(id: "adm_1") { id } }');
    expect(reply.status).toBe(422);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining('"id"'),
      extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
    });
  });

  refusesAsAllDo(suite, {
    query: '{ me { name apiKey { createdBy { name } } } network { slug } }',
    scopes: ['keys:read', 'network:read'],
  });
});
