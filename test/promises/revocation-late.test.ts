// Promise 1, for a request that takes its time: what was found before its body came, or before an operation of a batch, ended.
import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { graphql } from '../support/client.ts';
import { makeKey, makeNetwork } from '../support/fixtures.ts';
import { startTestGateway } from '../support/gateway.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

const ME = '{"query":"{ me { id } apiKeys { nodes { name } } }"}';

/** Sends the head and a byte of the body; what it gives sends the rest and resolves to the answer. */
async function begin(url: string, token: string, body: string) {
  const asked = request(`${url}/graphql`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      accept: 'application/graphql-response+json',
    },
  });
  const answered = new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
    asked.on('error', reject);
    asked.on('response', async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve({ status: response.statusCode, text });
    });
  });
  asked.write(body.slice(0, 1));
  // Long enough for its head to have been looked at.
  await new Promise((resolve) => setTimeout(resolve, 300));
  return () => {
    asked.end(body.slice(1));
    return answered;
  };
}

describe('a token that ends while its request is on the way', () => {
  test('reads nothing, though its body began before: revoked by another gateway', async () => {
    const own = await makeNetwork(suite.database);
    const victim = await makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    const other = await startTestGateway();
    const finish = await begin(suite.url, victim.token, ME);
    const revoke = `mutation { revokeApiKey(input: { id: "${toId('ApiKey', victim.apiKey.id)}" }) { apiKey { status } } }`;
    expect((await graphql(other.url, own.token, revoke)).body.data.revokeApiKey.apiKey.status).toBe('REVOKED');
    const { status, text } = await finish();
    expect(status).toBe(401);
    expect(text).toContain('API token was revoked');
    expect(text).not.toContain('"data"');
    await other.close();
  });

  test('is let in where it goes on, however slowly it was asked', async () => {
    const own = await makeNetwork(suite.database);
    const finish = await begin(suite.url, own.token, ME);
    expect((await finish()).status).toBe(200);
  });

  test('reads nothing in what is left of a batch that ended it', async () => {
    const own = await makeNetwork(suite.database);
    const victim = await makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    const batch = [
      { query: '{ me { id } }' },
      { query: 'mutation { revokeCurrentApiKey { apiKey { status } } }' },
      { query: '{ apiKeys { nodes { name } } }' },
      { query: '{ me { id } }' },
    ];
    const response = await fetch(`${suite.url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${victim.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(batch),
    });
    const [first, second, third, fourth] = (await response.json()) as Record<string, unknown>[];
    expect([first, second]).toMatchObject([
      { data: {} },
      { data: { revokeCurrentApiKey: { apiKey: { status: 'REVOKED' } } } },
    ]);
    for (const late of [third, fourth]) {
      expect(late).not.toHaveProperty('data');
      expect(late).toMatchObject({ errors: [{ extensions: { code: 'TOKEN_EXPIRED', status: 401 } }] });
    }
  });
});
