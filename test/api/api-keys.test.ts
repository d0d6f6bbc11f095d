import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { makeKey, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const QUERY = `query($first: Int, $filter: ApiKeyFilter, $orderBy: ApiKeyOrder) {
  apiKeys(first: $first, filter: $filter, orderBy: $orderBy) { nodes { name status environment } pageInfo { hasNextPage } }
}`;

/** The network's first key, and five more. */
async function makeKeys(own: TestNetwork): Promise<void> {
  const { admin, network } = own;
  await suite.database.prisma.apiKey.update({
    where: { id: own.apiKey.id },
    data: { name: 'first', nameFolded: 'first' },
  });
  const make = async (name: string, environment: 'LIVE' | 'TEST') =>
    (await makeKey(suite.database, network.id, { adminId: admin.id, name, environment })).apiKey.id;
  await make('live', 'LIVE');
  await make('Test', 'TEST');
  await revokeApiKey(suite.database, COMMAND_LINE, network.id, await make('revoked', 'LIVE'));
  const past = new Date(Date.now() - 1_000);
  await suite.database.prisma.apiKey.update({
    where: { id: await make('expired', 'TEST') },
    data: { expiresAt: past },
  });
  const both = await make('Expired and revoked', 'LIVE');
  await suite.database.prisma.apiKey.update({ where: { id: both }, data: { expiresAt: past } });
  await revokeApiKey(suite.database, COMMAND_LINE, network.id, both);
}

describe('apiKeys', () => {
  test('lists the network’s keys, revoked and expired ones too, and never a token', async () => {
    const own = await makeNetwork(suite.database, { scopes: ['keys:read'] });
    await makeKeys(own);
    const reply = await suite.call(own.token, QUERY, {});
    expect(reply.status).toBe(200);
    expect(reply.body.data.apiKeys.nodes).toEqual([
      { name: 'first', status: 'ACTIVE', environment: 'LIVE' },
      { name: 'live', status: 'ACTIVE', environment: 'LIVE' },
      { name: 'Test', status: 'ACTIVE', environment: 'TEST' },
      { name: 'revoked', status: 'REVOKED', environment: 'LIVE' },
      { name: 'expired', status: 'EXPIRED', environment: 'TEST' },
      { name: 'Expired and revoked', status: 'REVOKED', environment: 'LIVE' },
    ]);
  });

  test.for([
    [{ status: ['ACTIVE'] }, ['first', 'live', 'Test']],
    [{ status: ['EXPIRED'] }, ['expired']],
    [{ status: ['REVOKED', 'EXPIRED'] }, ['revoked', 'expired', 'Expired and revoked']],
    [{ environment: ['TEST'] }, ['Test', 'expired']],
    [{ environment: ['LIVE'], status: ['REVOKED'] }, ['revoked', 'Expired and revoked']],
    [{ status: [] }, []],
    [{ status: null, environment: null }, ['first', 'live', 'Test', 'revoked', 'expired', 'Expired and revoked']],
  ] as const)('filters by %o', async ([filter, names]) => {
    const own = await makeNetwork(suite.database);
    await makeKeys(own);
    const reply = await suite.call(own.token, QUERY, { variables: { filter } });
    expect(reply.body.data.apiKeys.nodes.map(({ name }: { name: string }) => name)).toEqual(names);
  });

  test('sorts by name without regard to case, and by id among equals', async () => {
    const own = await makeNetwork(suite.database);
    await makeKeys(own);
    const reply = await suite.call(own.token, QUERY, { variables: { orderBy: { field: 'NAME', direction: 'DESC' } } });
    const names = ['Test', 'revoked', 'live', 'first', 'Expired and revoked', 'expired'];
    expect(reply.body.data.apiKeys.nodes.map(({ name }: { name: string }) => name)).toEqual(names);
  });

  test('shows nothing of another network’s', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    await makeKeys(other);
    const reply = await suite.call(own.token, '{ apiKeys { nodes { id } pageInfo { hasNextPage } } }');
    const nodes = [{ id: toId('ApiKey', own.apiKey.id) }];
    expect(reply.body).toEqual({ data: { apiKeys: { nodes, pageInfo: { hasNextPage: false } } } });
  });

  test.for([
    ['first', 0],
    ['first', 251],
    ['last', 0],
    ['last', 251],
  ] as const)('refuses %s: %i, naming it and its bound', async ([name, count]) => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, `{ apiKeys(${name}: ${count}) { nodes { id } } }`);
    expect(reply.status).toBe(400);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: `\`${name}\` must be from 1 to 250, not ${count}`,
      extensions: { code: 'BAD_USER_INPUT', field: name },
    });
  });

  refusesAsAllDo(suite, {
    query: '{ apiKeys { nodes { name createdBy { name } } } network { slug } }',
    scopes: ['keys:read', 'network:read'],
  });
});
