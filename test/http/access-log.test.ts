import { describe, expect, onTestFinished, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { mintToken } from '../../src/domain/token.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { suspendNetwork } from '../../src/services/networks.ts';
import { makeKey, makeMembers, makeNetwork } from '../support/fixtures.ts';
import { startTestGateway } from '../support/gateway.ts';
import { post, type RawRequest, send, sendBytes } from '../support/raw-http.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
/** For what comes a moment after an answer: generous, for a busy machine. */
const POLL = { timeout: 10_000 };

/** The request's line, once it is written: that may be a moment after its answer. */
async function logged(requestId: unknown): Promise<Record<string, unknown>> {
  const lines = () => suite.gateway.log.filter((line) => line['requestId'] === requestId && line['msg'] === 'request');
  await expect.poll(lines, POLL).toHaveLength(1);
  return lines()[0] ?? {};
}

async function lineOf(request: RawRequest): Promise<Record<string, unknown>> {
  const { headers } = await send(suite.url, request);
  return logged(headers['x-request-id']);
}

const line = (fields: object) => ({
  level: 'info',
  time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  requestId: expect.stringMatching(/^req_[0-9a-f]{32}$/),
  method: 'POST',
  address: '127.0.0.0/24',
  userAgent: null,
  route: '/graphql',
  networkId: null,
  keyId: null,
  operation: null,
  code: null,
  limit: null,
  points: 0,
  status: 200,
  ms: expect.any(Number),
  msg: 'request',
  ...fields,
});

describe('one line a request, with these fields and no other', () => {
  test('of a query: who asked, in which network, for what', async () => {
    const { apiKey, network, token } = await makeNetwork(suite.database);
    const ids = { networkId: toId('Network', network.id), keyId: toId('ApiKey', apiKey.id) };
    expect(await lineOf(post(token, 'query WhoAmI { me { id } }'))).toEqual(
      line({ ...ids, operation: 'WhoAmI', points: 1 }),
    );
    expect(await lineOf(post(token, '{ me { id } }'))).toEqual(line({ ...ids, points: 1 }));
    const path = `/networks/${network.slug}/graphql`;
    expect(await lineOf({ ...post(token, '{ me { id } }'), path })).toEqual(
      line({ ...ids, points: 1, route: '/networks/{network}/graphql' }),
    );
  });

  test('of a refusal: its code', async () => {
    const { apiKey, network, token } = await makeNetwork(suite.database, { scopes: [] });
    const ids = { networkId: toId('Network', network.id), keyId: toId('ApiKey', apiKey.id) };
    expect(await lineOf(post(null, '{ me { id } }'))).toEqual(line({ code: 'UNAUTHORIZED', status: 401 }));
    expect(await lineOf(post(token, 'query All { members { nodes { id } } }'))).toEqual(
      line({ ...ids, operation: 'All', code: 'FORBIDDEN', status: 403 }),
    );
    expect(await lineOf(post(token, '{ you { id } }'))).toEqual(
      line({ ...ids, code: 'GRAPHQL_VALIDATION_FAILED', status: 422 }),
    );
    expect(await lineOf(post(token, '{ me { id } }', { 'content-type': 'text/plain' }))).toEqual(
      line({ ...ids, code: 'UNSUPPORTED_MEDIA_TYPE', status: 415 }),
    );
    const asked = { ...post(token, '{ me { id } }'), path: '/networks/none/graphql' };
    expect(await lineOf(asked)).toEqual(
      line({ ...ids, route: '/networks/{network}/graphql', code: 'NOT_FOUND', status: 404 }),
    );
  });

  test('of a token that is not let in: whose it is, where that is known', async () => {
    const { database } = suite;
    const own = await makeNetwork(database);
    const make = (input: object) => makeKey(database, own.network.id, { adminId: own.admin.id, ...input });
    const expired = await make({ expiresAt: new Date(Date.now() - 1) });
    const revoked = await make({});
    await revokeApiKey(database, COMMAND_LINE, own.network.id, revoked.apiKey.id);
    const elsewhere = await make({ allowedAddresses: ['203.0.113.0/24'] });
    for (const [{ apiKey, token }, code, status] of [
      [expired, 'TOKEN_EXPIRED', 401],
      [revoked, 'TOKEN_EXPIRED', 401],
      [elsewhere, 'FORBIDDEN', 403],
    ] as const) {
      const ids = { networkId: toId('Network', own.network.id), keyId: toId('ApiKey', apiKey.id) };
      expect(await lineOf(post(token, '{ me { id } }'))).toEqual(line({ ...ids, code, status }));
    }
    expect(await lineOf(post(mintToken('LIVE'), '{ me { id } }'))).toEqual(line({ code: 'UNAUTHORIZED', status: 401 }));
    await suspendNetwork(database, COMMAND_LINE, own.network.id);
    expect(await lineOf(post(own.token, '{ me { id } }'))).toMatchObject({
      keyId: toId('ApiKey', own.apiKey.id),
      code: 'FORBIDDEN',
    });
  });

  test('of whom: a block of addresses, past trusted proxies, and what the program calls itself, bounded', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.77', 'user-agent': `agent/1.0 ${'x'.repeat(1_000)}` };
    expect(await lineOf(post(null, '{ me { id } }', headers))).toMatchObject({
      address: '127.0.0.0/24',
      userAgent: headers['user-agent'].slice(0, 256),
    });
    const behind = await startTestGateway({ TRUST_PROXY: '127.0.0.0/8' });
    onTestFinished(() => behind.close());
    for (const [caller, block] of [
      ['203.0.113.77', '203.0.113.0/24'],
      ['2001:db8:1:2::3', '2001:db8:1::/48'],
    ] as const) {
      await send(behind.url, post(null, '{ me { id } }', { 'x-forwarded-for': caller }));
      const lines = () => behind.log.filter(({ address }) => address === block);
      await expect.poll(lines, POLL).toMatchObject([{ msg: 'request', code: 'UNAUTHORIZED' }]);
    }
  });

  test('of an error beside data: its code, and the status 294', async () => {
    const { token } = await makeNetwork(suite.database);
    expect(await lineOf(post(token, '{ member { id } }'))).toMatchObject({ code: 'BAD_USER_INPUT', status: 294 });
  });

  test('of an address where nothing is, which is not in it', async () => {
    expect(await lineOf({ method: 'GET', path: '/wp-login.php?user=x' })).toEqual(
      line({ method: 'GET', route: 'none', code: 'NOT_FOUND', status: 404 }),
    );
    expect(await lineOf({ method: 'GET', path: '/healthz' })).toEqual(line({ method: 'GET', route: '/healthz' }));
  });
});

describe('also of what no route ever sees', () => {
  /** The request's line, by the id in the answer. */
  async function lineOfBytes(bytes: string): Promise<Record<string, unknown>> {
    const [, requestId] = /x-request-id: (\S+)/i.exec(await sendBytes(suite.url, bytes)) ?? [];
    return logged(requestId);
  }

  test.for([
    ['what is not HTTP', 'nonsense\r\n\r\n', { method: null, code: 'BAD_USER_INPUT', status: 400 }],
    [
      'headers over their bound',
      `GET / HTTP/1.1\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`,
      { method: null, code: 'PAYLOAD_TOO_LARGE', status: 431 },
    ],
    [
      'CONNECT',
      'CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\n\r\n',
      { method: 'CONNECT', code: 'METHOD_NOT_ALLOWED', status: 405 },
    ],
    [
      'an expectation that nobody knows',
      'GET /nowhere HTTP/1.1\r\nhost: x\r\nexpect: a miracle\r\nconnection: close\r\n\r\n',
      { method: 'GET', code: 'EXPECTATION_FAILED', status: 417 },
    ],
  ] as const)('%s', async ([, bytes, fields]) => {
    expect(await lineOfBytes(bytes)).toEqual(line({ route: 'none', ...fields }));
  });
});

test('no line holds what was sent or what was answered: no token, variable, whole address, name, header or path', async () => {
  const { admin, network, token } = await makeNetwork(suite.database);
  const [member] = await makeMembers(suite.database, network.id, 1, () => ({
    name: 'Secret Name',
    email: 'secret.address@example.test',
  }));
  const from = suite.gateway.log.length;
  const query = `query Find($email: String = "default.address@example.test") { member(email: $email) { name email }
    literal: member(email: "literal.address@example.test") { id } me { email } }`;
  const headers = {
    'user-agent': `agent/1.0 (${token}; ops@secret.test)`,
    referer: 'https://secret.test/',
    'x-forwarded-for': '203.0.113.7',
    cookie: 'a=secret-cookie',
  };
  const search = `?${new URLSearchParams({ query: '{ me { id } }', variables: '{"secretVariable":"x"}' })}`;
  const requests: RawRequest[] = [
    { ...post(token, query, headers), body: JSON.stringify({ query, variables: { email: member?.email } }) },
    { ...post(token, '', headers), method: 'GET', path: `/graphql${search}` },
    post(token.replace('gk_live_', 'gk_live_x'), '{ me { id } }', headers),
    post(token, `query ${token} { me { id } }`, headers),
    post(token, '{ secretField }', headers),
    { ...post(token, '{ me { id } }', headers), path: '/networks/secret-network/graphql' },
    { ...post(token, '{ me { id } }', headers), path: `/secret-path/${token}` },
    { ...post(token, '', headers), body: '{"secret-json' },
  ];
  for (const request of requests) await lineOf(request);
  const text = JSON.stringify(suite.gateway.log.slice(from));
  for (const secret of [
    token,
    token.slice(12, -6),
    admin.email,
    'address@example',
    'Secret Name',
    'secret',
    '203.0.113.7',
    '127.0.0.1',
  ]) {
    expect(text).not.toContain(secret);
  }
});

describe('an encoding hides nothing that a client puts into its User-Agent', () => {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  test.for<readonly [encoding: string, encode: (token: string) => string]>([
    ['an address in percent-encoding', () => 'ada%40example.org'],
    ['an address in percent-encoding twice', () => 'ada%2540example.org'],
    ['an address with a full-width sign, as bytes of UTF-8', () => Buffer.from('ada＠example.org').toString('latin1')],
    ['an address of another script, as bytes of UTF-8', () => Buffer.from('用户@例子.广告').toString('latin1')],
    ['a token in base64', (token) => base64(token)],
    ['credentials', (token) => `Basic ${base64(`ci:${token}`)}`],
    ['a token in hexadecimal', (token) => Buffer.from(token).toString('hex')],
    ['a token in base64 in percent-encoding', (token) => encodeURIComponent(base64(`a:${token}`))],
  ])('%s: neither the log nor the audit trail keeps it', async ([, encode]) => {
    const { token, apiKey } = await makeNetwork(suite.database);
    const encoded = encode(token);
    const query = `mutation { updateApiKey(input: { id: "${toId('ApiKey', apiKey.id)}", note: "seen" }) { userErrors { code } } }`;
    const found = await lineOf(post(token, query, { 'user-agent': `acme/1.0 ${encoded}` }));
    expect(found['userAgent']).toMatch(/^acme\/1\.0 .*\[redacted\]$/);
    const events = await suite.database.prisma.auditEvent.findMany({ where: { subjectId: apiKey.id } });
    const kept = events.map(({ userAgent }) => userAgent).filter((userAgent) => userAgent !== null);
    expect(kept).toEqual([found['userAgent']]);
    expect(JSON.stringify([found, kept])).not.toContain(encoded.slice(2, 14));
  });
});

test('an operation’s name, which the caller chooses, is kept to its first 100 characters', async () => {
  const { token } = await makeNetwork(suite.database);
  const name = 'q'.repeat(100_000);
  expect(await lineOf(post(token, `query ${name} { me { id } }`))).toMatchObject({
    operation: name.slice(0, 100),
    status: 200,
  });
});
