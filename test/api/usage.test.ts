import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { ALL_SCOPES } from '../../src/domain/scope.ts';
import { bucketStart } from '../../src/domain/usage.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { rotateApiKey } from '../../src/services/api-keys/rotate.ts';
import { FLUSH_SETTINGS, untilCounted } from '../support/counted.ts';
import { makeKey, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { refusesAsAllDo } from '../support/refusals.ts';
import { recordStatements } from '../support/statements.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ ...FLUSH_SETTINGS, BASE_DOMAIN: 'gatehouse.test' });
const statements = recordStatements();

const FIGURES = 'requests errors limited cost';
const DAY_MS = 86_400_000;

/** Counts as a flush would have written them, in the bucket that a moment is in. */
async function count(
  { network }: Pick<TestNetwork, 'network'>,
  keyId: string,
  bucket: 'MINUTE' | 'HOUR' | 'DAY',
  at: Date | string,
  requests: number,
): Promise<void> {
  const startsAt = new Date(bucketStart(bucket, new Date(at).getTime()));
  const data = { requests, errors: 1, limited: 2, cost: requests * 10 };
  await suite.database.prisma.usageCount.create({
    data: { networkId: network.id, keyId, bucket, startsAt, ...data },
  });
}

const usageOfKey = async ({ token, apiKey }: TestNetwork, args: string, fields = `since until ${FIGURES}`) => {
  const query = `query($id: ID!) { apiKey(id: $id) { usage${args} { ${fields} } } }`;
  const { body } = await suite.call(token, query, { variables: { id: toId('ApiKey', apiKey.id) } });
  expect(body.errors).toBeUndefined();
  return body.data.apiKey.usage;
};

describe('usage', () => {
  test('of a key and of the network is what was asked, once it is written, and when it was used last', async () => {
    const own = await makeNetwork(suite.database);
    for (let asked = 0; asked < 4; asked += 1) await suite.call(own.token, '{ me { id } }');
    await suite.call(own.token, '{ nonsense }');
    await untilCounted(suite.database, { keyId: own.apiKey.id }, 5);
    const query = `{ network { usage(bucket: MINUTE) { ${FIGURES} } }
      me { apiKey { lastUsedAt lastUsedAddress usage(bucket: DAY) { ${FIGURES} buckets { ${FIGURES} } } } } }`;
    const { body } = await suite.call(own.token, query);
    const figures = { requests: 5, errors: 1, limited: 0, cost: 4 };
    expect(body.data.network.usage).toEqual(figures);
    const { usage, lastUsedAt, lastUsedAddress } = body.data.me.apiKey;
    expect(usage).toMatchObject(figures);
    expect([usage.buckets.length, usage.buckets.at(-1)]).toEqual([30, figures]);
    expect(Math.abs(Date.now() - Date.parse(lastUsedAt))).toBeLessThan(60_000);
    expect(lastUsedAddress).toBe('127.0.0.0/24');
  });

  test('goes on through a rotation, and tells whether the old token is still in use', async () => {
    const own = await makeNetwork(suite.database);
    const key = await makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    const id = toId('ApiKey', key.apiKey.id);
    const rotated = await rotateApiKey(suite.database, COMMAND_LINE, own.network.id, key.apiKey.id, 3_600);
    if (!rotated.ok) throw new Error(rotated.errors[0].message);
    const query = `{ apiKey(id: "${id}") { lastUsedAt previousToken { lastUsedAt } usage { requests } } }`;
    const read = async () => (await suite.call(own.token, query)).body.data.apiKey;
    await suite.call(rotated.token, '{ me { id } }');
    await untilCounted(suite.database, { keyId: key.apiKey.id }, 1);
    expect(await read()).toEqual({
      lastUsedAt: expect.any(String),
      previousToken: { lastUsedAt: null },
      usage: { requests: 1 },
    });
    await suite.call(key.token, '{ me { id } }');
    await untilCounted(suite.database, { keyId: key.apiKey.id }, 2);
    const after = await read();
    expect(after).toMatchObject({ previousToken: { lastUsedAt: after.lastUsedAt }, usage: { requests: 2 } });
  });

  test('shows every bucket from since to until, which are rounded to whole ones, empty ones too', async () => {
    const own = await makeNetwork(suite.database);
    await count(own, own.apiKey.id, 'DAY', '2026-02-01T00:00:00Z', 7);
    await count(own, own.apiKey.id, 'DAY', '2026-02-03T00:00:00Z', 5);
    await count(own, own.apiKey.id, 'DAY', '2026-02-04T00:00:00Z', 100);
    const args = '(bucket: DAY, since: "2026-01-31T18:30:00Z", until: "2026-02-03T00:00:00.001Z")';
    expect(await usageOfKey(own, args, `since until ${FIGURES} buckets { startsAt ${FIGURES} }`)).toEqual({
      since: '2026-01-31T00:00:00.000Z',
      until: '2026-02-04T00:00:00.000Z',
      ...{ requests: 12, errors: 2, limited: 4, cost: 120 },
      buckets: [
        { startsAt: '2026-01-31T00:00:00.000Z', requests: 0, errors: 0, limited: 0, cost: 0 },
        { startsAt: '2026-02-01T00:00:00.000Z', requests: 7, errors: 1, limited: 2, cost: 70 },
        { startsAt: '2026-02-02T00:00:00.000Z', requests: 0, errors: 0, limited: 0, cost: 0 },
        { startsAt: '2026-02-03T00:00:00.000Z', requests: 5, errors: 1, limited: 2, cost: 50 },
      ],
    });
    // A moment that is a bucket's start ends before it.
    const until = await usageOfKey(own, '(bucket: DAY, since: "2026-01-31T00:00:00Z", until: "2026-02-03T00:00:00Z")');
    expect(until).toMatchObject({ until: '2026-02-03T00:00:00.000Z', requests: 7 });
  });

  test.for([
    ['MINUTE', 60],
    ['HOUR', 24],
    ['DAY', 30],
  ] as const)('by the %s is of the last %i where nobody says since when', async ([bucket, length]) => {
    const own = await makeNetwork(suite.database);
    const usage = await usageOfKey(own, `(bucket: ${bucket})`, 'since until buckets { startsAt }');
    expect(usage.buckets).toHaveLength(length);
    expect(Date.parse(usage.until)).toBeGreaterThan(Date.now() - 1_000);
  });

  test('is exact above 2^31', async () => {
    const own = await makeNetwork(suite.database);
    await count(own, own.apiKey.id, 'DAY', '2026-02-01T00:00:00Z', 900_719_925_474_099);
    const usage = await usageOfKey(own, '(bucket: DAY, since: "2026-02-01T00:00:00Z", until: "2026-02-02T00:00:00Z")');
    expect(usage).toMatchObject({ requests: 900_719_925_474_099, cost: 9_007_199_254_740_990 });
  });

  test('of the network outlives a deleted key', async () => {
    const own = await makeNetwork(suite.database);
    const gone = await makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    await count(own, gone.apiKey.id, 'DAY', new Date(), 9);
    await suite.database.prisma.apiKey.delete({ where: { id: gone.apiKey.id } });
    const { body } = await suite.call(own.token, '{ network { usage(bucket: DAY) { requests } } }');
    expect(body.data.network.usage.requests).toBeGreaterThanOrEqual(9);
  });

  test('of any number of keys, over one range, is one query', async () => {
    const own = await makeNetwork(suite.database);
    const keys = await Promise.all(
      Array.from({ length: 12 }, () => makeKey(suite.database, own.network.id, { adminId: own.admin.id })),
    );
    for (const [at, { apiKey }] of keys.entries()) await count(own, apiKey.id, 'DAY', '2026-02-01T00:00:00Z', at + 1);
    const range = 'bucket: DAY, since: "2026-02-01T00:00:00Z", until: "2026-02-02T00:00:00Z"';
    statements.length = 0;
    const { body } = await suite.call(
      own.token,
      `{ apiKeys { nodes { id usage(${range}) { requests } } } network { usage(${range}) { requests } } }`,
    );
    expect(statements.filter((text) => /FROM usage_counts/.test(text))).toHaveLength(2);
    const found = Object.fromEntries(
      body.data.apiKeys.nodes.map(({ id, usage }: { id: string; usage: { requests: number } }) => [id, usage.requests]),
    );
    expect(found).toEqual({
      [toId('ApiKey', own.apiKey.id)]: 0,
      ...Object.fromEntries(keys.map(({ apiKey }, at) => [toId('ApiKey', apiKey.id), at + 1])),
    });
    expect(body.data.network.usage.requests).toBe(78);
  });

  test('of another network is in no answer', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    await count(other, other.apiKey.id, 'DAY', '2026-02-01T00:00:00Z', 5);
    // Even a row of the caller's key that names another network, which nothing writes, would not be shown.
    await count(other, own.apiKey.id, 'DAY', '2026-02-01T00:00:00Z', 5);
    const args = '(bucket: DAY, since: "2026-02-01T00:00:00Z", until: "2026-02-02T00:00:00Z")';
    expect(await usageOfKey(own, args, 'requests')).toEqual({ requests: 0 });
    const query = `query($id: ID!) { network { usage${args} { requests } } apiKey(id: $id) { usage { requests } }
      node(id: $id) { ... on ApiKey { usage { requests } } } }`;
    const { body } = await suite.call(own.token, query, { variables: { id: toId('ApiKey', other.apiKey.id) } });
    expect(body.data).toEqual({ network: { usage: { requests: 0 } }, apiKey: null, node: null });
  });
});

describe('usage refuses, naming the argument and its bound,', () => {
  const ago = (days: number) => new Date(Date.now() - days * DAY_MS).toISOString();

  test.for([
    [
      'an end before its start',
      'since: "2026-02-02T00:00:00Z", until: "2026-02-01T00:00:00Z", bucket: DAY',
      'until',
      /later than `since`/,
    ],
    [
      'an end at its start',
      'since: "2026-02-01T00:00:00Z", until: "2026-02-01T00:00:00Z"',
      'until',
      /later than `since`/,
    ],
    ['more than 1500 buckets', `since: "${ago(1_501)}", bucket: DAY`, 'since', /at most 1500 buckets, not 150[0-9]/],
    [
      'minutes that are deleted by now',
      `since: "${ago(8)}", until: "${ago(7.9)}", bucket: MINUTE`,
      'since',
      /kept for 7 days/,
    ],
    ['hours that are deleted by now', `since: "${ago(402)}", until: "${ago(401)}"`, 'since', /kept for 400 days/],
  ] as const)('%s', async ([, args, field, message]) => {
    const own = await makeNetwork(suite.database);
    const { body } = await suite.call(own.token, `{ network { usage(${args}) { requests } } }`);
    expect(body.errors?.[0]).toMatchObject({
      message: expect.stringMatching(message),
      extensions: { code: 'BAD_USER_INPUT', field },
    });
  });

  test('more than 20,000 buckets in one request, however they are asked for', async () => {
    const own = await makeNetwork(suite.database);
    const fields = Array.from(
      { length: 15 },
      (_, at) => `u${at}: usage(bucket: DAY, since: "${ago(1_400 - at)}") { requests }`,
    );
    const { body } = await suite.call(own.token, `{ network { ${fields.join(' ')} } }`);
    expect(body.errors?.[0]?.extensions).toMatchObject({ code: 'QUERY_TOO_EXPENSIVE' });
  });
});

describe('usage, like all there is,', () => {
  test('needs usage:read, on whatever way it is reached', async () => {
    const own = await makeNetwork(suite.database, { scopes: ALL_SCOPES.filter((scope) => scope !== 'usage:read') });
    const id = toId('ApiKey', own.apiKey.id);
    for (const query of [
      '{ me { apiKey { usage { requests } } } }',
      `{ node(id: "${id}") { ... on ApiKey { usage { requests } } } }`,
      '{ members { nodes { network { usage { requests } } } } }',
    ]) {
      const { status, body } = await suite.call(own.token, query);
      expect([status, body.errors?.[0]?.extensions['missingScopes']]).toEqual([403, ['usage:read']]);
    }
  });

  refusesAsAllDo(suite, { query: '{ network { usage { requests } } }', scopes: ['network:read', 'usage:read'] });
});
