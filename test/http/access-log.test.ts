import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { post, type RawRequest, send } from '../support/raw-http.ts';
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
  route: '/graphql',
  networkId: null,
  keyId: null,
  operation: null,
  code: null,
  status: 200,
  ms: expect.any(Number),
  msg: 'request',
  ...fields,
});

describe('one line a request, with these fields and no other', () => {
  test('of a query: who asked, in which network, for what', async () => {
    const { apiKey, network, token } = await makeNetwork(suite.database);
    const ids = { networkId: toId('Network', network.id), keyId: toId('ApiKey', apiKey.id) };
    expect(await lineOf(post(token, 'query WhoAmI { me { id } }'))).toEqual(line({ ...ids, operation: 'WhoAmI' }));
    expect(await lineOf(post(token, '{ me { id } }'))).toEqual(line(ids));
    const path = `/networks/${network.slug}/graphql`;
    expect(await lineOf({ ...post(token, '{ me { id } }'), path })).toEqual(
      line({ ...ids, route: '/networks/{network}/graphql' }),
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
      line({ ...ids, code: 'GRAPHQL_VALIDATION_FAILED', status: 400 }),
    );
    expect(await lineOf(post(token, '{ me { id } }', { 'content-type': 'text/plain' }))).toEqual(
      line({ code: 'UNSUPPORTED_MEDIA_TYPE', status: 415 }),
    );
    const asked = { ...post(token, '{ me { id } }'), path: '/networks/none/graphql' };
    expect(await lineOf(asked)).toEqual(
      line({ ...ids, route: '/networks/{network}/graphql', code: 'NOT_FOUND', status: 404 }),
    );
  });

  test('of an error beside data: its code, and the status 200', async () => {
    const { token } = await makeNetwork(suite.database);
    expect(await lineOf(post(token, '{ member { id } }'))).toMatchObject({ code: 'BAD_USER_INPUT', status: 200 });
  });

  test('of an address where nothing is, which is not in it', async () => {
    expect(await lineOf({ method: 'GET', path: '/wp-login.php?user=x' })).toEqual(
      line({ method: 'GET', route: 'none', code: 'NOT_FOUND', status: 404 }),
    );
    expect(await lineOf({ method: 'GET', path: '/healthz' })).toEqual(line({ method: 'GET', route: '/healthz' }));
  });
});

test('no line holds what was sent or what was answered: no token, variable, address, name, header or path', async () => {
  const { admin, network, token } = await makeNetwork(suite.database);
  const [member] = await makeMembers(suite.database, network.id, 1, () => ({
    name: 'Secret Name',
    email: 'secret.address@example.test',
  }));
  const from = suite.gateway.log.length;
  const query = `query Find($email: String = "default.address@example.test") { member(email: $email) { name email }
    literal: member(email: "literal.address@example.test") { id } me { email } }`;
  const headers = {
    'user-agent': 'secret-agent',
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

test('an operation’s name, which the caller chooses, is kept to its first 100 characters', async () => {
  const { token } = await makeNetwork(suite.database);
  const name = 'q'.repeat(100_000);
  expect(await lineOf(post(token, `query ${name} { me { id } }`))).toMatchObject({
    operation: name.slice(0, 100),
    status: 200,
  });
});
