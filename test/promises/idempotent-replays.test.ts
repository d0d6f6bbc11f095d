/** What is told of a request that an earlier one had done: that it was, and what it counts. */
import { describe, expect, test } from 'vitest';
import { graphql } from '../support/client.ts';
import { makeNetwork, PLENTY, type TestNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

const UPSERT = `mutation($email: String!) { upsertMembers(input: { members: [{ email: $email, name: "A" }] }) {
  results { outcome } } }`;

function send(own: Pick<TestNetwork, 'token'>, key: string, query: string, variables: object = {}) {
  return graphql(suite.url, own.token, query, { variables: { ...variables }, headers: { 'idempotency-key': key } });
}

/** Of the key in this minute, the request that asks for it included. */
async function used({ token }: TestNetwork): Promise<{ requests: number; points: number }> {
  const { headers, cost } = await suite.call(token, '{ me { id } }');
  const left = /"requests";r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1] ?? Number.NaN;
  return {
    requests: PLENTY.requestsPerMinute - Number(left),
    points: PLENTY.costPerMinute - (cost?.remaining ?? Number.NaN),
  };
}

describe('sent again, a request', () => {
  test('says so, counts as one request and costs no points', async () => {
    const own = await makeNetwork(suite.database);
    const first = await send(own, 'a', UPSERT, { email: 'a@example.test' });
    expect([first.headers.get('idempotent-replayed'), first.cost?.actual]).toEqual([null, first.cost?.requested]);
    const before = await used(own);
    const again = await send(own, 'a', UPSERT, { email: 'a@example.test' });
    expect([again.headers.get('idempotent-replayed'), again.cost?.actual]).toEqual(['true', 0]);
    // Besides it, one request and its points to look.
    expect(await used(own)).toEqual({ requests: before.requests + 2, points: before.points + 1 });
    const other = await send(own, 'b', UPSERT, { email: 'a@example.test' });
    expect([other.headers.get('idempotent-replayed'), other.cost?.actual]).toEqual([null, other.cost?.requested]);
  });

  test('says nothing of the kind where a part of it had still to be done', async () => {
    const own = await makeNetwork(suite.database);
    const query = `mutation { one: createApiKey(input: { name: "one", scopes: [] }) { token }
      two: createApiKey(input: { name: "two", scopes: [] }) { token } }`;
    await send(own, 's', query);
    await suite.database.pool.query('DELETE FROM idempotent_writes WHERE key_id = $1 AND ordinal = 1', [own.apiKey.id]);
    const again = await send(own, 's', query);
    expect([again.headers.get('idempotent-replayed'), again.cost?.actual]).toEqual([null, again.cost?.requested]);
    const third = await send(own, 's', query);
    expect([third.headers.get('idempotent-replayed'), third.cost?.actual]).toEqual(['true', 0]);
  });
});
