import { describe, expect, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const QUERY = 'query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }';

describe('nodes', () => {
  test('answers in the order of the ids, null for each that is nothing the token may see', async () => {
    const own = await makeNetwork(suite.database, { scopes: ['members:read'] });
    const other = await makeNetwork(suite.database);
    const [a, b] = (await makeMembers(suite.database, own.network.id, 2)).map(({ id }) => toId('Member', id));
    const [foreign] = (await makeMembers(suite.database, other.network.id, 1)).map(({ id }) => toId('Member', id));
    const ids = [b, toId('Member', newUuid()), a, foreign, toId('ApiKey', own.apiKey.id), 'nonsense', b];
    const reply = await suite.call(own.token, QUERY, { variables: { ids } });
    expect(reply.status).toBe(200);
    const node = (id: string | undefined) => ({ id, __typename: 'Member' });
    expect(reply.body).toEqual({ data: { nodes: [node(b), null, node(a), null, null, null, node(b)] } });
  });

  test('answers nothing with nothing', async () => {
    const { token } = await makeNetwork(suite.database);
    expect((await suite.call(token, QUERY, { variables: { ids: [] } })).body).toEqual({ data: { nodes: [] } });
  });

  test('takes a single id for a list of one', async () => {
    const { apiKey, token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, `{ nodes(ids: "${toId('ApiKey', apiKey.id)}") { __typename } }`);
    expect(reply.body).toEqual({ data: { nodes: [{ __typename: 'ApiKey' }] } });
  });

  test('takes 250 ids and refuses 251, naming the bound', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const ids = (await makeMembers(suite.database, network.id, 251)).map(({ id }) => toId('Member', id));
    const most = await suite.call(token, QUERY, { variables: { ids: ids.slice(0, 250) } });
    expect(most.body.data.nodes.map(({ id }: { id: string }) => id)).toEqual(ids.slice(0, 250));
    const more = await suite.call(token, QUERY, { variables: { ids } });
    expect(more.status).toBe(294);
    expect(more.body.errors?.[0]).toMatchObject({
      message: '`ids` takes at most 250 ids, not 251',
      extensions: { code: 'BAD_USER_INPUT', field: 'ids' },
    });
  });

  test.for([
    ['are missing', {}],
    ['are null', { ids: null }],
    ['hold a null', { ids: [null] }],
    ['hold a list', { ids: [['mem_1']] }],
  ] as const)('refuses ids that %s, naming them', async ([, variables]) => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, QUERY, { variables });
    expect(reply.status).toBe(422);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining('"$ids"'),
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  refusesAsAllDo(suite, {
    query: 'query($ids: [ID!]!) { nodes(ids: $ids) { ... on Member { email network { slug } } } }',
    variables: ({ network }) => ({ ids: [toId('Network', network.id)] }),
    scopes: ['members:email', 'network:read'],
  });
});
