import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const FIELDS =
  'id slug name plan requestsPerMinute networkRequestsPerMinute costPerMinute monthlyQuota { limit } createdAt updatedAt';

describe('network', () => {
  test('is the network that the token belongs to, whole', async () => {
    const { network, token } = await makeNetwork(suite.database, {
      scopes: ['network:read'],
      network: { plan: 'STANDARD' },
    });
    const reply = await suite.call(token, `{ network { ${FIELDS} } }`);
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({
      data: {
        network: {
          id: toId('Network', network.id),
          slug: network.slug,
          name: network.name,
          plan: 'STANDARD',
          requestsPerMinute: 100,
          networkRequestsPerMinute: 1_000,
          costPerMinute: 10_000,
          monthlyQuota: null,
          createdAt: network.createdAt.toISOString(),
          updatedAt: network.updatedAt.toISOString(),
        },
      },
    });
  });

  test.for([
    ['PREMIUM', {}, [300, 3_000, 30_000]],
    ['CUSTOM', { requestsPerMinute: 7 }, [7, 70, 700]],
    ['CUSTOM', { requestsPerMinute: 7, networkRequestsPerMinute: 8, costPerMinute: 9 }, [7, 8, 9]],
  ] as const)('shows the numbers of the plan %s with %o', async ([plan, numbers, expected]) => {
    const { token } = await makeNetwork(suite.database, { network: { plan, ...numbers } });
    const { body } = await suite.call(token, `{ network { ${FIELDS} } }`);
    const { requestsPerMinute, networkRequestsPerMinute, costPerMinute } = body.data.network;
    expect([body.data.network.plan, requestsPerMinute, networkRequestsPerMinute, costPerMinute]).toEqual([
      plan,
      ...expected,
    ]);
  });

  test.for([
    ['its id', (slug: string, id: string) => [`/networks/${id}/graphql`, slug]],
    ['its slug', (slug: string) => [`/networks/${slug}/graphql`, slug]],
    ['its slug, without regard to case', (slug: string) => [`/networks/${slug.toUpperCase()}/graphql`, slug]],
  ] as const)('can be addressed by %s', async ([, address]) => {
    const { network, token } = await makeNetwork(suite.database);
    const [path = '', slug] = address(network.slug, toId('Network', network.id));
    const reply = await suite.call(token, '{ network { slug } }', { path });
    expect(reply.body).toEqual({ data: { network: { slug } } });
  });

  test('takes no arguments: a token has one network', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const reply = await suite.call(own.token, `{ network(id: "${toId('Network', other.network.id)}") { id } }`);
    expect(reply.status).toBe(422);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining('"id"'),
      extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
    });
  });

  refusesAsAllDo(suite, {
    query: '{ network { slug } members { nodes { id } } }',
    scopes: ['members:read', 'network:read'],
  });
});
