import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { toId } from '../../src/domain/id.ts';
import { graphql } from '../support/client.ts';
import { makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

let database: Database;
let gateway: TestGateway;
beforeAll(async () => {
  database = await openTestDatabase();
  gateway = await startTestGateway();
});
afterAll(async () => {
  await gateway.close();
  await database.close();
});

describe('me', () => {
  test('tells who is calling, with a token that has no scope at all', async () => {
    const { admin, apiKey, network, token } = await makeNetwork(database, { scopes: [] });
    const reply = await graphql(gateway.url, token, '{ me { id name email networkId role scopes plan apiKey { id name } } }');
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({
      data: {
        me: {
          id: toId('Admin', admin.id),
          name: admin.name,
          email: admin.email,
          networkId: toId('Network', network.id),
          role: 'OWNER',
          scopes: [],
          plan: 'STANDARD',
          apiKey: { id: toId('ApiKey', apiKey.id), name: apiKey.name },
        },
      },
    });
  });
});
