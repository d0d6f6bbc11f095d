// POST /leaked-tokens: whoever holds a token may end it, and learns nothing.
import { describe, expect, test } from 'vitest';
import { toId, uuidOf } from '../../src/domain/id.ts';
import { mintToken } from '../../src/domain/token.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { rotateApiKey } from '../../src/services/api-keys/rotate.ts';
import { makeKey, makeNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { send } from '../support/raw-http.ts';
import { mistyped } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

// Each test calls from an address of its own, as a proxy tells it.
const REQUEST_TIMEOUT_MS = 4_000;
const suite = useGateway({
  TRUST_PROXY: '127.0.0.0/8',
  REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS),
  STATEMENT_TIMEOUT_MS: '500',
});
let addresses = 0;

function newAddress(): string {
  addresses += 1;
  return `198.51.100.${addresses}`;
}

async function report(body: unknown, from = newAddress()) {
  const headers = { 'content-type': 'application/json', 'x-forwarded-for': from, 'user-agent': 'scanner/1.0' };
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const reply = await send(suite.url, { path: '/leaked-tokens', headers, body: text });
  return { status: reply.status, headers: reply.headers, body: JSON.parse(reply.text) };
}

async function statusOf(token: string): Promise<number> {
  return (await suite.call(token, '{ me { id } }')).status;
}

async function makeOther() {
  const own = await makeNetwork(suite.database);
  return { own, ...(await makeKey(suite.database, own.network.id, { adminId: own.admin.id })) };
}

describe('a report of leaked tokens', () => {
  test('ends those that live, each with its key, and says why', async () => {
    const { own, apiKey, token } = await makeOther();
    const foreign = await makeNetwork(suite.database);
    const where = 'https://git.example.org/acme/app/blob/main/.env';
    expect((await report({ tokens: [token, foreign.token], where })).status).toBe(202);
    expect(await Promise.all([token, foreign.token, own.token].map(statusOf))).toEqual([401, 401, 200]);
    const query = `{ apiKey(id: "${toId('ApiKey', apiKey.id)}") { status revokedReason revokedBy { id } } }`;
    expect((await suite.call(own.token, query)).body.data.apiKey).toEqual({
      status: 'REVOKED',
      revokedReason: `Reported as leaked: ${where}`,
      revokedBy: null,
    });
  });

  test('ends a token that lives on from a rotation alone: its key goes on with the current one', async () => {
    const { own, apiKey, token } = await makeOther();
    const rotated = await rotateApiKey(suite.database, COMMAND_LINE, own.network.id, apiKey.id, 3_600);
    await report({ tokens: [token] });
    expect([await statusOf(token), await statusOf(rotated.ok ? rotated.token : '')]).toEqual([401, 200]);
    await report({ tokens: [rotated.ok ? rotated.token : ''] });
    expect(await statusOf(rotated.ok ? rotated.token : '')).toBe(401);
  });

  test('is on record: by nobody who is known, from where, without the token', async () => {
    const { apiKey, own, token } = await makeOther();
    const from = newAddress();
    await report({ tokens: [token], where: `log of ops@example.test: ${token} <b>x</b>` }, from);
    const events = await suite.database.prisma.auditEvent.findMany({ where: { subjectId: apiKey.id } });
    const leaked = events.filter(({ action }) => action !== 'key.created');
    expect(leaked).toEqual([
      expect.objectContaining({
        networkId: own.network.id,
        action: 'key.leaked',
        actorKind: 'SCANNER',
        actorId: null,
        address: from,
        userAgent: 'scanner/1.0',
        requestId: expect.stringMatching(/^req_/),
        details: {
          before: { status: 'ACTIVE', redactedTokens: [`${token.slice(0, 12)}…${token.slice(-4)}`] },
          after: { status: 'REVOKED', name: apiKey.name },
          where: 'log of [redacted]: gk_[redacted] <b>x</b>',
          livingInLine: 0,
        },
      }),
    ]);
    expect(JSON.stringify(suite.gateway.log)).not.toContain(token.slice(12, -6));
  });

  test('is answered alike whatever the tokens were: living, ended, unknown, none', async () => {
    const { own, apiKey, token } = await makeOther();
    const ended = await makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    await revokeApiKey(suite.database, COMMAND_LINE, own.network.id, ended.apiKey.id);
    const expiresAt = new Date(Date.now() - 1);
    const expired = await makeKey(suite.database, own.network.id, { adminId: own.admin.id, expiresAt });
    const sets = [
      [token],
      [token],
      [ended.token],
      [expired.token],
      [mintToken('LIVE')],
      [mistyped(own.token)],
      ['not a token'],
      [''],
    ];
    for (const tokens of sets) {
      const { status, headers, body } = await report({ tokens });
      const { date: _date, 'x-request-id': _id, ...kept } = headers;
      expect({ status, body, kept }).toEqual({
        status: 202,
        body: { status: 'accepted' },
        kept: {
          'content-type': 'application/json; charset=utf-8',
          'cache-control': 'no-store',
          'content-length': '21',
          'x-content-type-options': 'nosniff',
          connection: 'keep-alive',
          'keep-alive': 'timeout=65',
        },
      });
    }
    // What had ended already is not on record again.
    const where = { action: 'key.leaked', networkId: own.network.id };
    expect((await suite.database.prisma.auditEvent.findMany({ where })).map(({ subjectId }) => subjectId)).toEqual([
      apiKey.id,
    ]);
  });

  test.for([
    ['text', (token: string) => `export TOKEN="${token}" # production`],
    ['a letter after it', (token: string) => `${token}n`],
    ['letters before and after it', (token: string) => `x${token}${'y'.repeat(60)}`],
    ['itself again', (token: string) => token + token],
    ['another token', (token: string) => mintToken('LIVE') + token + mintToken('TEST')],
    ['the start of another', (token: string) => `gk_live_${token}_gk_test_`],
  ] as const)('finds a token in what stands around it: %s', async ([, within]) => {
    const { token } = await makeOther();
    await report({ tokens: [within(token)] });
    expect(await statusOf(token)).toBe(401);
  });

  test('keeps where they were found as one line that turns nothing round and commands no terminal', async () => {
    const { own, apiKey, token } = await makeOther();
    await report({ tokens: [token], where: 'a\u001b[31mred\u202egnp.exe\r\nFAKE \u2066LINE\u2028end' });
    const kept = 'a\ufffd[31mred\ufffdgnp.exe FAKE \ufffdLINE end';
    const query = `{ apiKey(id: "${toId('ApiKey', apiKey.id)}") { revokedReason } }`;
    expect((await suite.call(own.token, query)).body.data.apiKey.revokedReason).toBe(`Reported as leaked: ${kept}`);
    const event = await suite.database.prisma.auditEvent.findFirstOrThrow({
      where: { subjectId: apiKey.id, action: 'key.leaked' },
    });
    expect(event.details).toMatchObject({ where: kept });
  });

  test('leaves what a key had made alive, and says how many of it live', async () => {
    const { own, apiKey, token } = await makeOther();
    const make = (name: string, expiresAt: string | null) =>
      suite.call(
        token,
        'mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { token apiKey { id } } }',
        {
          variables: { input: { name, scopes: [], expiresAt } },
        },
      );
    const made = [await make('a', null), await make('b', null), await make('c', null)];
    const [living, , ended] = made.map(({ body }) => body.data.createApiKey);
    await revokeApiKey(suite.database, COMMAND_LINE, own.network.id, uuidOf('ApiKey', ended.apiKey.id) ?? '');
    await report({ tokens: [token] });
    expect([await statusOf(token), await statusOf(living.token)]).toEqual([401, 200]);
    const event = await suite.database.prisma.auditEvent.findFirstOrThrow({
      where: { subjectId: apiKey.id, action: 'key.leaked' },
    });
    expect(event.details).toMatchObject({ livingInLine: 2 });
    await revokeApiKey(suite.database, COMMAND_LINE, own.network.id, apiKey.id, { includeCreated: true });
    expect(await statusOf(living.token)).toBe(401);
  });

  test('takes 100 strings', async () => {
    const { token } = await makeOther();
    expect((await report({ tokens: [...Array(99).fill('x'), token], where: 'x'.repeat(500) })).status).toBe(202);
    expect(await statusOf(token)).toBe(401);
  });

  test.for([
    ['101 strings', { tokens: Array(101).fill('x') }, 'tokens'],
    ['no strings', { tokens: [] }, 'tokens'],
    ['no list', { tokens: 'x' }, 'tokens'],
    ['numbers', { tokens: [1] }, 'tokens'],
    ['a string of 1,001 characters', { tokens: ['x'.repeat(1_001)] }, 'tokens'],
    ['501 characters of where', { tokens: ['x'], where: 'x'.repeat(501) }, 'where'],
    ['a where with a NUL', { tokens: ['x'], where: 'a\0' }, 'where'],
    ['a where that is no text', { tokens: ['x'], where: {} }, 'where'],
    ['a list', [], 'tokens'],
    ['null', null, 'object'],
  ] as const)('is refused with %s, naming it', async ([, body, named]) => {
    const reply = await report(body);
    expect(reply).toMatchObject({
      status: 422,
      body: { error: 'bad_user_input', message: expect.stringContaining(named) },
    });
  });

  test('is refused where it is not JSON', async () => {
    expect(await report('{"tokens')).toMatchObject({
      status: 400,
      body: { error: 'graphql_parse_failed', message: 'The body is not JSON' },
    });
  });

  test('is refused with what names no token, without saying it again', async () => {
    const { token } = await makeOther();
    const reply = await report({ tokens: Array(101).fill(token) });
    expect(JSON.stringify(reply.body)).not.toContain(token);
    expect(await statusOf(token)).toBe(200);
  });

  test('is answered in good time, and alike, where keys are held; the others have ended by then, these end later', async () => {
    const own = await makeNetwork(suite.database);
    const made = [1, 2, 3, 4, 5, 6].map(() => makeKey(suite.database, own.network.id, { adminId: own.admin.id }));
    const keys = await Promise.all(made);
    const stuck = keys.slice(0, 3);
    const lock = await hold(suite.database.pool, 'SELECT 1 FROM api_keys WHERE id = ANY($1::uuid[]) FOR UPDATE', [
      stuck.map(({ apiKey }) => apiKey.id),
    ]);
    const startedMs = performance.now();
    const reply = await report({ tokens: keys.map(({ token }) => token) });
    expect([reply.status, reply.body]).toEqual([202, { status: 'accepted' }]);
    expect(performance.now() - startedMs).toBeLessThan(REQUEST_TIMEOUT_MS);
    expect(await Promise.all(keys.map(({ token }) => statusOf(token)))).toEqual([200, 200, 200, 401, 401, 401]);
    await lock.release();
    const statuses = () => Promise.all(stuck.map(({ token }) => statusOf(token)));
    await expect.poll(statuses, { timeout: 15_000, interval: 100 }).toEqual([401, 401, 401]);
  });

  test('is let in 20 times a minute from one address, and from others meanwhile', async () => {
    const from = newAddress();
    const statuses: number[] = [];
    for (let sent = 0; sent < 21; sent += 1) statuses.push((await report({ tokens: ['x'] }, from)).status);
    expect(statuses).toEqual([...Array(20).fill(202), 429]);
    const refused = await report({ tokens: ['x'] }, from);
    expect(refused.body).toMatchObject({
      error: 'rate_limited',
      message: expect.stringMatching(/^Rate limit exceeded/),
      limit: { name: 'leak-reports', scope: 'address', max: 20, windowSeconds: 60, remaining: 0 },
    });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(60);
    expect((await report({ tokens: ['x'] })).status).toBe(202);
  });

  test.for(['GET', 'PUT', 'DELETE'])('is not sent by %s', async (method) => {
    const reply = await fetch(`${suite.url}/leaked-tokens`, { method });
    expect([reply.status, reply.headers.get('allow')]).toEqual([405, 'POST']);
  });
});
