import { describe, expect, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { makeAdmin, makeKey, makeNetwork } from '../support/fixtures.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const QUERY = `query($id: ID!) { apiKey(id: $id) {
  id name redactedToken status scopes environment createdAt createdBy { id name } createdByKey { id }
  expiresAt lastUsedAt revokedAt revokedBy { id }
} }`;

describe('apiKey', () => {
  test('gives every field of a key, and of its token the start and the last four alone', async () => {
    const { admin, network, token } = await makeNetwork(suite.database, { scopes: ['keys:read'] });
    const expiresAt = new Date('2030-01-02T03:04:05.678Z');
    const made = await makeKey(suite.database, network.id, {
      adminId: admin.id,
      name: 'CI',
      scopes: ['members:read', 'members:email'],
      expiresAt,
    });
    const reply = await suite.call(token, QUERY, { variables: { id: toId('ApiKey', made.apiKey.id) } });
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({
      data: {
        apiKey: {
          id: toId('ApiKey', made.apiKey.id),
          name: 'CI',
          redactedToken: `${made.token.slice(0, 12)}…${made.token.slice(-4)}`,
          status: 'ACTIVE',
          scopes: ['MEMBERS_READ', 'MEMBERS_EMAIL'],
          environment: 'LIVE',
          createdAt: made.apiKey.createdAt.toISOString(),
          createdBy: { id: toId('Admin', admin.id), name: admin.name },
          createdByKey: null,
          expiresAt: expiresAt.toISOString(),
          lastUsedAt: null,
          revokedAt: null,
          revokedBy: null,
        },
      },
    });
    expect(JSON.stringify(reply.body)).not.toContain(made.token.slice(12, -4));
  });

  test('names the admin whom it acts for, not the owner, and still after that admin was removed', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const admin = await makeAdmin(suite.database, network.id, 'ADMIN');
    const { apiKey } = await makeKey(suite.database, network.id, { adminId: admin.id, scopes: [] });
    await suite.database.prisma.admin.update({ where: { id: admin.id }, data: { removedAt: new Date() } });
    const variables = { id: toId('ApiKey', apiKey.id) };
    const reply = await suite.call(token, 'query($id: ID!) { apiKey(id: $id) { createdBy { id removedAt } } }', {
      variables,
    });
    expect(reply.body.data.apiKey.createdBy).toEqual({ id: toId('Admin', admin.id), removedAt: expect.any(String) });
  });

  test.for([
    ['REVOKED', 'by the operator, who is no admin', null],
    ['REVOKED', 'by a key, on its admin’s authority', 'key'],
  ] as const)('is %s %s', async ([status, , by]) => {
    const { admin, network, token } = await makeNetwork(suite.database);
    const { apiKey } = await makeKey(suite.database, network.id, { adminId: admin.id });
    const id = toId('ApiKey', apiKey.id);
    if (by === null) await revokeApiKey(suite.database, COMMAND_LINE, network.id, apiKey.id);
    else await suite.call(token, `mutation { revokeApiKey(input: { id: "${id}" }) { userErrors { code } } }`);
    const reply = await suite.call(token, QUERY, { variables: { id } });
    expect(reply.body.data.apiKey).toMatchObject({
      status,
      revokedAt: expect.stringMatching(/Z$/),
      revokedBy: by === null ? null : { id: toId('Admin', admin.id) },
    });
  });

  test('turns EXPIRED when its time is up', async () => {
    const { admin, network, token } = await makeNetwork(suite.database);
    const { apiKey } = await makeKey(suite.database, network.id, {
      adminId: admin.id,
      expiresAt: new Date(Date.now() + 3_600_000),
    });
    const variables = { id: toId('ApiKey', apiKey.id) };
    expect((await suite.call(token, QUERY, { variables })).body.data.apiKey.status).toBe('ACTIVE');
    await suite.database.prisma.apiKey.update({
      where: { id: apiKey.id },
      data: { expiresAt: new Date(Date.now() - 1) },
    });
    expect((await suite.call(token, QUERY, { variables })).body.data.apiKey.status).toBe('EXPIRED');
  });

  test.for([
    ['an id that was never given out', () => toId('ApiKey', newUuid())],
    ['what is no id', () => 'key_1'],
    ['an id of another type', (uuid: string) => toId('Member', uuid)],
    ['a bare UUID', (uuid: string) => uuid],
  ] as const)('is null for %s', async ([, id]) => {
    const { apiKey, token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, QUERY, { variables: { id: id(apiKey.id) } });
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({ data: { apiKey: null } });
  });

  test('of another network is not there', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const variables = { id: toId('ApiKey', other.apiKey.id) };
    expect((await suite.call(own.token, QUERY, { variables })).body).toEqual({ data: { apiKey: null } });
  });

  test.for([
    ['is missing', {}],
    ['is null', { id: null }],
    ['is an object', { id: {} }],
  ] as const)('refuses an id that %s, naming it', async ([, variables]) => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, QUERY, { variables });
    expect(reply.status).toBe(422);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining('"$id"'),
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  refusesAsAllDo(suite, {
    query: 'query($id: ID!) { apiKey(id: $id) { name } network { slug } }',
    variables: ({ apiKey }) => ({ id: toId('ApiKey', apiKey.id) }),
    scopes: ['keys:read', 'network:read'],
  });
});
