import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { digestOf } from '../../src/domain/token.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { makeKey, makeNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const FIELDS = 'id name scopes redactedToken previousToken { redactedToken expiresAt lastUsedAt }';
const ROTATE = `mutation($id: ID!, $seconds: Int!) { rotateApiKey(input: { id: $id, overlapSeconds: $seconds }) {
  apiKey { ${FIELDS} } token userErrors { code message field } } }`;
const END = `mutation($id: ID!) { endApiKeyOverlap(input: { id: $id }) { apiKey { ${FIELDS} } userErrors { code } } }`;

async function rotate(token: string, keyId: string, seconds: number) {
  const reply = await suite.call(token, ROTATE, { variables: { id: toId('ApiKey', keyId), seconds } });
  expect(reply.body.errors).toBeUndefined();
  return reply.body.data.rotateApiKey;
}

async function end(token: string, keyId: string) {
  return (await suite.call(token, END, { variables: { id: toId('ApiKey', keyId) } })).body.data.endApiKeyOverlap;
}

async function statusOf(token: string): Promise<number> {
  return (await suite.call(token, '{ me { id } }')).status;
}

async function makeOther() {
  const own = await makeNetwork(suite.database);
  return { own, ...(await makeKey(suite.database, own.network.id, { adminId: own.admin.id })) };
}

/** As the last-used buffer writes it, and as time passes. */
async function setSecret(token: string, column: 'last_used_at' | 'expires_at', at: Date): Promise<void> {
  await suite.database.pool.query(`UPDATE secrets SET ${column} = $2 WHERE digest = $1`, [digestOf(token), at]);
}

describe('rotateApiKey', () => {
  test('twice in one operation: each shows the token that it has replaced', async () => {
    const { own, apiKey } = await makeOther();
    const once =
      'rotateApiKey(input: { id: $id, overlapSeconds: 60 }) { token apiKey { previousToken { redactedToken } } }';
    const query = `mutation($id: ID!) { a: ${once} b: ${once} }`;
    const { body } = await suite.call(own.token, query, { variables: { id: toId('ApiKey', apiKey.id) } });
    const { a, b } = body.data;
    expect(b.apiKey.previousToken.redactedToken).toBe(`${a.token.slice(0, 12)}…${a.token.slice(-4)}`);
  });

  test('gives a new token to the same key, and the old one works on for the overlap', async () => {
    const { own, apiKey, token } = await makeOther();
    const before = Date.now();
    const rotated = await rotate(own.token, apiKey.id, 3_600);
    expect(rotated).toEqual({
      apiKey: {
        id: toId('ApiKey', apiKey.id),
        name: apiKey.name,
        scopes: expect.any(Array),
        redactedToken: `${rotated.token.slice(0, 12)}…${rotated.token.slice(-4)}`,
        previousToken: {
          redactedToken: `${token.slice(0, 12)}…${token.slice(-4)}`,
          expiresAt: expect.any(String),
          lastUsedAt: null,
        },
      },
      token: expect.stringMatching(/^gk_live_/),
      userErrors: [],
    });
    const overlapMs = Date.parse(rotated.apiKey.previousToken.expiresAt) - before;
    expect(Math.abs(overlapMs - 3_600_000)).toBeLessThan(60_000);
    expect([await statusOf(token), await statusOf(rotated.token)]).toEqual([200, 200]);
    const ids = await Promise.all(
      [token, rotated.token].map(
        async (each) => (await suite.call(each, '{ me { apiKey { id } } }')).body.data.me.apiKey,
      ),
    );
    expect(ids).toEqual([{ id: toId('ApiKey', apiKey.id) }, { id: toId('ApiKey', apiKey.id) }]);
  });

  test('without an overlap ends the old token at once, and says when', async () => {
    const { own, apiKey, token } = await makeOther();
    const rotated = await rotate(own.token, apiKey.id, 0);
    expect(rotated.apiKey.previousToken).toBeNull();
    const refused = await suite.call(token, '{ me { id } }');
    expect(refused.body.errors?.[0]).toMatchObject({
      message: expect.stringMatching(/^API token expired at /),
      extensions: { code: 'TOKEN_EXPIRED', status: 401 },
    });
    expect(await statusOf(rotated.token)).toBe(200);
  });

  test('inside an overlap ends the oldest token at once', async () => {
    const { own, apiKey, token: first } = await makeOther();
    const second = (await rotate(own.token, apiKey.id, 3_600)).token;
    const { token: third, apiKey: shown } = await rotate(own.token, apiKey.id, 3_600);
    expect(await Promise.all([first, second, third].map(statusOf))).toEqual([401, 200, 200]);
    expect(shown.previousToken.redactedToken.slice(-4)).toBe(second.slice(-4));
  });

  test('shows whether the old token is still in use, and stops showing it when it has ended', async () => {
    const { own, apiKey, token } = await makeOther();
    await rotate(own.token, apiKey.id, 3_600);
    const usedAt = new Date('2026-11-20T08:00:00.000Z');
    await setSecret(token, 'last_used_at', usedAt);
    const query = 'query($id: ID!) { apiKey(id: $id) { previousToken { lastUsedAt } } }';
    const shown = () => suite.call(own.token, query, { variables: { id: toId('ApiKey', apiKey.id) } });
    expect((await shown()).body.data.apiKey.previousToken).toEqual({ lastUsedAt: usedAt.toISOString() });
    await setSecret(token, 'expires_at', new Date(Date.now() - 1));
    expect((await shown()).body.data.apiKey.previousToken).toBeNull();
    expect(await statusOf(token)).toBe(401);
  });

  test('makes no key live longer: its old token ends with it at the latest', async () => {
    const own = await makeNetwork(suite.database);
    const expiresAt = new Date(Date.now() + 600_000);
    const { apiKey } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id, expiresAt });
    const rotated = await rotate(own.token, apiKey.id, 3_600);
    expect(rotated.apiKey.previousToken.expiresAt).toBe(expiresAt.toISOString());
    const stored = await suite.database.prisma.apiKey.findUniqueOrThrow({ where: { id: apiKey.id } });
    expect(stored.expiresAt).toEqual(expiresAt);
  });

  test('keeps what the key is and has been: scopes, addresses, uses, maker', async () => {
    const { own, apiKey } = await makeOther();
    const read = () => suite.database.prisma.apiKey.findUniqueOrThrow({ where: { id: apiKey.id } });
    const { redactedToken: _before, ...before } = await read();
    await rotate(own.token, apiKey.id, 0);
    expect(await read()).toMatchObject(before);
  });

  test.for([-1, 604_801, 2_147_483_647])(
    'refuses an overlap of %i seconds, and nothing has changed',
    async (seconds) => {
      const { own, apiKey, token } = await makeOther();
      expect(await rotate(own.token, apiKey.id, seconds)).toEqual({
        apiKey: null,
        token: null,
        userErrors: [
          {
            code: 'OUT_OF_RANGE',
            message: 'The overlap must be 0 to 604800 seconds (7 days)',
            field: ['input', 'overlapSeconds'],
          },
        ],
      });
      expect(await statusOf(token)).toBe(200);
      expect(await suite.database.prisma.secret.count({ where: { keyId: apiKey.id } })).toBe(1);
    },
  );

  test('lets a key rotate itself: the caller’s token goes on for the overlap', async () => {
    const { apiKey, token } = await makeNetwork(suite.database);
    const rotated = await rotate(token, apiKey.id, 60);
    expect([await statusOf(token), await statusOf(rotated.token)]).toEqual([200, 200]);
  });

  test('gives no token to a key that has ended', async () => {
    const { own, apiKey } = await makeOther();
    await revokeApiKey(suite.database, COMMAND_LINE, own.network.id, apiKey.id);
    expect(await rotate(own.token, apiKey.id, 60)).toMatchObject({
      token: null,
      userErrors: [{ code: 'KEY_ENDED', field: ['input', 'id'] }],
    });
    expect(await suite.database.prisma.secret.count({ where: { keyId: apiKey.id } })).toBe(1);
  });

  test('is on record without a secret', async () => {
    const { own, apiKey, token } = await makeOther();
    const rotated = await rotate(own.token, apiKey.id, 60);
    const where = { subjectId: apiKey.id, action: 'key.rotated' };
    const [event] = await suite.database.prisma.auditEvent.findMany({ where });
    expect(event?.details).toEqual({
      before: { redactedToken: `${token.slice(0, 12)}…${token.slice(-4)}` },
      after: {
        redactedToken: rotated.apiKey.redactedToken,
        previousExpiresAt: rotated.apiKey.previousToken.expiresAt,
      },
    });
  });

  test('many at once leave the newest two tokens and no other', async () => {
    const { own, apiKey, token } = await makeOther();
    const all = await Promise.all(Array.from({ length: 6 }, () => rotate(own.token, apiKey.id, 600)));
    const statuses = await Promise.all([token, ...all.map((one) => one.token)].map(statusOf));
    expect(statuses.sort()).toEqual([200, 200, 401, 401, 401, 401, 401]);
    const living = await suite.database.pool.query(
      'SELECT count(*) FILTER (WHERE expires_at IS NULL) AS current, count(*) FILTER (WHERE expires_at > now()) AS previous FROM secrets WHERE key_id = $1',
      [apiKey.id],
    );
    expect(living.rows).toEqual([{ current: '1', previous: '1' }]);
  });

  test('forgets ended tokens, in the end', async () => {
    const { own, apiKey, token } = await makeOther();
    for (let round = 0; round < 15; round += 1) await rotate(own.token, apiKey.id, 0);
    await suite.database.pool.query(
      `UPDATE secrets SET expires_at = expires_at - interval '2 hours' WHERE key_id = $1 AND expires_at IS NOT NULL`,
      [apiKey.id],
    );
    await rotate(own.token, apiKey.id, 0);
    // Ten that ended long ago, the one that ended now, and the current one.
    expect(await suite.database.prisma.secret.count({ where: { keyId: apiKey.id } })).toBe(12);
    expect(await statusOf(token)).toBe(401);
  });

  test('returns when the writes under the token that it ended have ended', async () => {
    const { own, apiKey, token } = await makeOther();
    const lock = await hold(suite.database.pool, 'SELECT pg_advisory_xact_lock_shared($1::bigint)', [
      digestOf(token).readBigInt64BE(0),
    ]);
    const rotating = rotate(own.token, apiKey.id, 0);
    await lock.untilAwaited();
    expect(await statusOf(token)).toBe(401);
    await lock.release();
    expect((await rotating).userErrors).toEqual([]);
  });

  refusesAsAllDo(suite, {
    query:
      'mutation($id: ID!) { rotateApiKey(input: { id: $id, overlapSeconds: 0 }) { token apiKey { createdBy { id } } } }',
    variables: ({ apiKey }) => ({ id: toId('ApiKey', apiKey.id) }),
    scopes: ['keys:read', 'keys:write'],
  });
});

describe('endApiKeyOverlap', () => {
  test('ends the old token at once; a second time it changes nothing', async () => {
    const { own, apiKey, token } = await makeOther();
    const rotated = await rotate(own.token, apiKey.id, 3_600);
    expect(await end(own.token, apiKey.id)).toMatchObject({ apiKey: { previousToken: null }, userErrors: [] });
    expect([await statusOf(token), await statusOf(rotated.token)]).toEqual([401, 200]);
    expect((await end(own.token, apiKey.id)).userErrors).toEqual([]);
    const where = { subjectId: apiKey.id, action: 'key.overlap_ended' };
    expect(await suite.database.prisma.auditEvent.count({ where })).toBe(1);
  });

  test('shows that there is none any more, also beside a mutation that showed it', async () => {
    const { own, apiKey } = await makeOther();
    await rotate(own.token, apiKey.id, 3_600);
    const id = toId('ApiKey', apiKey.id);
    const shown = 'apiKey { previousToken { expiresAt } }';
    const query = `mutation {
      updateApiKey(input: { id: "${id}", note: "x" }) { ${shown} } endApiKeyOverlap(input: { id: "${id}" }) { ${shown} } }`;
    expect((await suite.call(own.token, query)).body.data).toEqual({
      updateApiKey: { apiKey: { previousToken: { expiresAt: expect.any(String) } } },
      endApiKeyOverlap: { apiKey: { previousToken: null } },
    });
  });

  test('leaves a key that was never rotated as it is', async () => {
    const { own, apiKey, token } = await makeOther();
    expect((await end(own.token, apiKey.id)).userErrors).toEqual([]);
    expect(await statusOf(token)).toBe(200);
  });

  refusesAsAllDo(suite, {
    query: 'mutation($id: ID!) { endApiKeyOverlap(input: { id: $id }) { apiKey { createdBy { id } } } }',
    variables: ({ apiKey }) => ({ id: toId('ApiKey', apiKey.id) }),
    scopes: ['keys:read', 'keys:write'],
  });
});
