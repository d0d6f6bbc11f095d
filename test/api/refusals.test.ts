/** What was refused, shown to whoever reads the trail: by the minute, and never an event each. */
import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { mintToken } from '../../src/domain/token.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { suspendNetwork } from '../../src/services/networks.ts';
import { FLUSH_SETTINGS } from '../support/counted.ts';
import { makeKey, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { mistyped, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ ...FLUSH_SETTINGS, BASE_DOMAIN: 'gatehouse.test' });
const POLL = { timeout: 10_000 };

/** Summed over the minutes: a test may run into the next one. */
async function counts(token: string, list: string, fields: string, filter = ''): Promise<Record<string, number>> {
  const { body } = await suite.call(
    token,
    `{ ${list}(first: 250${filter}) { nodes { keyId ${fields} minute count } } }`,
  );
  expect(body.errors).toBeUndefined();
  const sums: Record<string, number> = {};
  for (const { keyId, minute, count, ...what } of body.data[list].nodes) {
    expect(minute).toMatch(/:00\.000Z$/);
    const name = [keyId, ...Object.values(what)].join(' ');
    sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}

const failures = (token: string, filter = '') => counts(token, 'authenticationFailures', 'reason', filter);
const attempts = (token: string, filter = '') => counts(token, 'refusedAttempts', 'action code', filter);

describe('authenticationFailures', () => {
  test('count what was not let in with the network’s own keys, by the reason', async () => {
    const own = await makeNetwork(suite.database);
    const make = () => makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    const [revoked, expired, elsewhere] = [await make(), await make(), await make()];
    await suite.database.prisma.apiKey.update({
      where: { id: elsewhere.apiKey.id },
      data: { allowedAddresses: ['192.0.2.0/24'] },
    });
    await revokeApiKey(suite.database, COMMAND_LINE, own.network.id, revoked.apiKey.id);
    await suite.database.pool.query('UPDATE api_keys SET expires_at = now() WHERE id = $1', [expired.apiKey.id]);
    const sent = [
      revoked.token,
      revoked.token,
      revoked.token,
      expired.token,
      elsewhere.token,
      mistyped(own.token),
      mintToken('LIVE'),
    ];
    await Promise.all(sent.map((token) => suite.call(token, '{ me { id } }')));
    await suite.call(null, '{ me { id } }');
    const [revokedId = '', expiredId = '', elsewhereId = ''] = [revoked, expired, elsewhere].map(({ apiKey }) =>
      toId('ApiKey', apiKey.id),
    );
    const wanted = {
      [`${revokedId} revoked`]: 3,
      [`${expiredId} expired`]: 1,
      [`${elsewhereId} address not allowed`]: 1,
    };
    await expect.poll(() => failures(own.token), POLL).toEqual(wanted);
    expect(await failures(own.token, `, filter: { keyId: "${expiredId}" }`)).toEqual({ [`${expiredId} expired`]: 1 });
    expect(await failures(own.token, ', filter: { since: "2099-01-01T00:00:00Z" }')).toEqual({});
    expect(await failures(own.token, ', filter: { until: "2020-01-01T00:00:00Z" }')).toEqual({});
  });

  test('of a suspended network are there once it is resumed, its keys by name', async () => {
    const own = await makeNetwork(suite.database);
    await suspendNetwork(suite.database, COMMAND_LINE, own.network.id);
    await suite.call(own.token, '{ me { id } }');
    await suite.database.prisma.network.update({ where: { id: own.network.id }, data: { suspendedAt: null } });
    const query = '{ authenticationFailures { nodes { reason count apiKey { name } } } }';
    const read = async () => (await suite.call(own.token, query)).body.data.authenticationFailures.nodes;
    await expect.poll(read, POLL).toEqual([{ reason: 'suspended', count: 1, apiKey: { name: own.apiKey.name } }]);
  });

  refusesAsAllDo(suite, {
    query: '{ authenticationFailures { nodes { count } } network { slug } }',
    scopes: ['audit:read', 'network:read'],
  });
});

describe('refusedAttempts', () => {
  test('count what is refused of several at once', async () => {
    const own = await makeNetwork(suite.database);
    const foreign = await makeNetwork(suite.database);
    const ids = [toId('ApiKey', foreign.apiKey.id), 'key_nonsense'];
    await suite.call(own.token, 'mutation($ids: [ID!]) { revokeApiKeys(input: { ids: $ids }) { revokedCount } }', {
      variables: { ids },
    });
    const id = toId('ApiKey', own.apiKey.id);
    await expect.poll(() => attempts(own.token), POLL).toEqual({ [`${id} revokeApiKeys NOT_FOUND`]: 1 });
  });

  const creating = (name: string, scope = 'MEMBERS_READ') =>
    `mutation { createApiKey(input: { name: "${name}", scopes: [${scope}] }) { userErrors { code } } }`;

  async function makeRefused(own: TestNetwork) {
    const make = (scopes: readonly string[]) =>
      makeKey(suite.database, own.network.id, { adminId: own.admin.id, scopes });
    const [reader, writer] = [await make(['members:read']), await make(['keys:write'])];
    return { reader, writer };
  }

  test('count what a key may not: without the scope, beyond its own, and with what nobody could have', async () => {
    const own = await makeNetwork(suite.database);
    const { reader, writer } = await makeRefused(own);
    const fragment = `mutation { ...F ...F } fragment F on Mutation { revokeApiKey(input: { id: "x" }) { userErrors { code } } }`;
    for (const [token, query] of [
      [reader.token, creating('one')],
      [reader.token, creating('two')],
      [reader.token, fragment],
      [reader.token, '{ apiKeys { nodes { id } } }'],
      [writer.token, creating('risen')],
      [writer.token, creating('', 'KEYS_WRITE')],
      [writer.token, fragment],
      [writer.token, creating('made', 'KEYS_WRITE')],
    ] as const) {
      await suite.call(token, query);
    }
    const [readerId, writerId] = [toId('ApiKey', reader.apiKey.id), toId('ApiKey', writer.apiKey.id)];
    await expect
      .poll(() => attempts(own.token), POLL)
      .toEqual({
        [`${readerId} createApiKey FORBIDDEN`]: 2,
        [`${readerId} revokeApiKey FORBIDDEN`]: 1,
        [`${writerId} createApiKey SCOPE_NOT_HELD`]: 1,
        [`${writerId} createApiKey BLANK`]: 1,
        [`${writerId} revokeApiKey NOT_FOUND`]: 1,
      });
    expect(Object.keys(await attempts(own.token, `, filter: { keyId: "${readerId}" }`))).toHaveLength(2);
    // None of them is an event.
    const where = { networkId: own.network.id, actorKind: 'KEY' } as const;
    expect(await suite.database.prisma.auditEvent.count({ where })).toBe(1);
  });

  test('count what a limit or a bound refuses before it runs', async () => {
    const own = await makeNetwork(suite.database, {
      network: { plan: 'CUSTOM', requestsPerMinute: 1_000, networkRequestsPerMinute: 10_000, costPerMinute: 100_000 },
    });
    const id = toId('ApiKey', own.apiKey.id);
    const deep = `mutation { rotateApiKey(input: { id: "x", overlapSeconds: 0 }) { ${nested(20)} } }`;
    const revoking = 'deleteApiKey(input: { id: "x" }) { deletedId }';
    const dear = `mutation { ${revoking} updateApiKey(input: { id: "x" }) { apiKey { id } }
      ${Array.from({ length: 60 }, (_, at) => `a${at}: ${revoking}`).join(' ')} }`;
    // createApiKey may run 100 times a minute at these numbers, tried 19 at a time.
    const making = `mutation { ${Array.from({ length: 19 }, (_, at) => `a${at}: createApiKey(input: { name: "", scopes: [] }) { token }`).join(' ')} }`;
    const several = `query Read { me { id } } mutation Change { ...F } fragment F on Mutation { ${deep.slice('mutation {'.length, -1)} }`;
    for (const query of [deep, dear, several]) {
      const { body } = await suite.call(own.token, query);
      expect(body.errors?.[0]?.extensions.code).toBe('QUERY_TOO_EXPENSIVE');
    }
    let code: string | undefined;
    for (let calls = 0; code !== 'RATE_LIMITED' && calls < 20; calls += 1) {
      code = (await suite.call(own.token, making)).body.errors?.[0]?.extensions.code;
    }
    const refused = {
      [`${id} rotateApiKey QUERY_TOO_EXPENSIVE`]: 2,
      [`${id} deleteApiKey QUERY_TOO_EXPENSIVE`]: 1,
      [`${id} updateApiKey QUERY_TOO_EXPENSIVE`]: 1,
      [`${id} createApiKey RATE_LIMITED`]: 1,
    };
    await expect.poll(() => attempts(own.token), POLL).toMatchObject(refused);
  });

  /** So many levels of fields, in a payload of keys. */
  function nested(levels: number): string {
    return `apiKey { ${'createdBy { '.repeat(levels)} id ${'} '.repeat(levels)} }`;
  }

  refusesAsAllDo(suite, {
    query: '{ refusedAttempts { nodes { count } } network { slug } }',
    scopes: ['audit:read', 'network:read'],
  });
});

test('neither shows anything of another network, by key or cursor', async () => {
  const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
  const few = await makeKey(suite.database, other.network.id, { adminId: other.admin.id, scopes: [] });
  await suite.call(few.token, 'mutation { revokeApiKey(input: { id: "x" }) { userErrors { code } } }');
  await suspendNetwork(suite.database, COMMAND_LINE, other.network.id);
  await suite.call(few.token, '{ me { id } }');
  await suite.database.prisma.network.update({ where: { id: other.network.id }, data: { suspendedAt: null } });
  for (const [list, read] of [
    ['authenticationFailures', failures],
    ['refusedAttempts', attempts],
  ] as const) {
    await expect.poll(async () => Object.keys(await read(other.token)).length, POLL).toBe(1);
    expect(await read(own.token)).toEqual({});
    expect(await read(own.token, `, filter: { keyId: "${toId('ApiKey', few.apiKey.id)}" }`)).toEqual({});
    const { body } = await suite.call(other.token, `{ ${list} { pageInfo { endCursor } } }`);
    const query = `query($after: String) { ${list}(after: $after) { nodes { count } } }`;
    const variables = { after: body.data[list].pageInfo.endCursor };
    const reply = await suite.call(own.token, query, { variables });
    expect(reply.body.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'after' });
  }
});
