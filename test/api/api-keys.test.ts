import { describe, expect, test, vi } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { makeAdmin, makeKey, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
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

interface Page {
  readonly nodes: readonly { readonly name: string }[];
  readonly pageInfo: Readonly<Record<'startCursor' | 'endCursor', string | null>> &
    Readonly<Record<'hasNextPage' | 'hasPreviousPage', boolean>>;
}

/** The names of all keys, a key a page, from the start or from the end. */
async function walkAll(token: string, orderBy: object, forward: boolean): Promise<string[]> {
  const [size, from, cursorOf, hasMore] = forward
    ? (['first', 'after', 'endCursor', 'hasNextPage'] as const)
    : (['last', 'before', 'startCursor', 'hasPreviousPage'] as const);
  const query = `query($cursor: String, $orderBy: ApiKeyOrder) { apiKeys(${size}: 1, ${from}: $cursor, orderBy: $orderBy) {
    nodes { name } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`;
  const names: string[] = [];
  for (let cursor: string | null = null; ; ) {
    const reply: Awaited<ReturnType<typeof suite.call>> = await suite.call(token, query, {
      variables: { cursor, orderBy },
    });
    const { nodes, pageInfo }: Page = reply.body.data.apiKeys;
    for (const { name } of nodes) names.push(name);
    cursor = pageInfo[cursorOf];
    if (!pageInfo[hasMore]) return forward ? names : names.reverse();
  }
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

  test.for([
    ['scope', { scope: ['AUDIT_READ', 'USAGE_READ'] }, ['audits']],
    ['scope, none of which anybody has', { scope: ['MEMBERS_WRITE'] }, []],
    ['the admin', { createdBy: 'ADMIN' }, ['colleague’s']],
    ['the key that made it', { createdByKey: 'AUDITS' }, ['child']],
    ['what is no id', { createdBy: ['adm_1', 'key_1'] }, []],
    ['end', { expiresBefore: '2030-01-01T00:00:00Z' }, ['audits']],
    ['a part of the name, without regard to case', { name: 'AUD' }, ['audits']],
    ['a part of the name that is no pattern', { name: '%' }, ['100 %']],
    ['not used since', { unusedSince: '2026-01-01T00:00:00Z' }, ['child']],
    ['all at once', { name: 'd', scope: ['AUDIT_READ'], expiresBefore: '2031-01-01T00:00:00Z' }, ['audits']],
  ] as const)('filters by %s', async ([, filter, names]) => {
    const own = await makeNetwork(suite.database);
    const colleague = await makeAdmin(suite.database, own.network.id);
    const { pool, prisma } = suite.database;
    await pool.query('UPDATE api_keys SET scopes = $2, name = $3, name_folded = $3 WHERE id = $1', [
      own.apiKey.id,
      ['keys:read'],
      'own',
    ]);
    const make = async (name: string, more: object = {}) =>
      (await makeKey(suite.database, own.network.id, { adminId: own.admin.id, name, scopes: [], ...more })).apiKey;
    const expiresAt = new Date('2029-06-01T00:00:00Z');
    const audits = await make('Audits', { scopes: ['audit:read'], expiresAt });
    await prisma.apiKey.update({ where: { id: audits.id }, data: { name: 'audits' } });
    await make('colleague’s', { adminId: colleague.id });
    const child = await make('child');
    await make('100 %');
    await pool.query(
      `UPDATE api_keys SET created_by_kind = 'KEY', created_by_id = $2, created_at = '2025-01-01' WHERE id = $1`,
      [child.id, audits.id],
    );
    const ids: Record<string, string> = { ADMIN: toId('Admin', colleague.id), AUDITS: toId('ApiKey', audits.id) };
    const given = Object.fromEntries(
      Object.entries(filter).map(([field, value]) => [
        field,
        typeof value === 'string' ? (ids[value] ?? value) : value,
      ]),
    );
    const reply = await suite.call(own.token, QUERY, { variables: { filter: given } });
    expect(reply.body.data.apiKeys.nodes.map(({ name }: { name: string }) => name)).toEqual(names);
  });

  test.for([
    ['createdBy', { createdBy: Array.from({ length: 101 }, (_, at) => `adm_${at}`) }],
    ['name', { name: 'x'.repeat(101) }],
    ['name', { name: 'a\u0000' }],
  ] as const)('refuses a filter.%s over its bound, naming it', async ([field, filter]) => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, QUERY, { variables: { filter } });
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining(`filter.${field}`),
      extensions: { code: 'BAD_USER_INPUT', field: `filter.${field}` },
    });
  });

  test.for([
    ['LAST_USED_AT', 'last_used_at', ['never', 'never too', 'long ago', 'lately']],
    ['EXPIRES_AT', 'expires_at', ['long ago', 'lately', 'never', 'never too']],
  ] as const)('sorts by %s, page by page, both ways, what has none where it says', async ([field, column, names]) => {
    const own = await makeNetwork(suite.database);
    const rename = 'UPDATE api_keys SET name = $2 WHERE id = $1';
    await suite.database.pool.query(rename, [own.apiKey.id, 'never']);
    for (const [name, at] of [
      ['lately', '2030-01-02'],
      ['never too', null],
      ['long ago', '2030-01-01'],
    ] as const) {
      const { apiKey } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id, name });
      await suite.database.pool.query(`UPDATE api_keys SET ${column} = $2 WHERE id = $1`, [apiKey.id, at]);
    }
    const walk = (direction: 'ASC' | 'DESC', forward: boolean) => walkAll(own.token, { field, direction }, forward);
    expect(await walk('ASC', true)).toEqual(names);
    expect(await walk('ASC', false)).toEqual(names);
    expect(await walk('DESC', true)).toEqual([...names].reverse());
    expect(await walk('DESC', false)).toEqual([...names].reverse());
  });

  test('its statuses agree with its filter, whatever the gateway’s clock', async () => {
    const own = await makeNetwork(suite.database);
    const expiresAt = new Date(Date.now() + 3_600_000);
    await makeKey(suite.database, own.network.id, { adminId: own.admin.id, name: 'an hour left', expiresAt });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 3_600_000, shouldAdvanceTime: true });
    try {
      const nodesOf = async (status: string) =>
        (await suite.call(own.token, QUERY, { variables: { filter: { status: [status] } } })).body.data.apiKeys.nodes;
      expect(await nodesOf('ACTIVE')).toEqual([
        expect.objectContaining({ status: 'ACTIVE' }),
        expect.objectContaining({ name: 'an hour left', status: 'ACTIVE' }),
      ]);
      expect(await nodesOf('EXPIRED')).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
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
    expect(reply.status).toBe(294);
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
