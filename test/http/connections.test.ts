import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { makeNetwork } from '../support/fixtures.ts';
import { post, type RawRequest, send, sendBytes } from '../support/raw-http.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
/** For what comes a moment after an answer: generous, for a busy machine. */
const POLL = { timeout: 10_000 };

describe('what is no request that can be read', () => {
  const HEADERS_MAX = 16_384;
  test.for([
    ['words', 'hello there\r\n\r\n', 400, 'BAD_USER_INPUT'],
    [
      'a TLS handshake',
      Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
      400,
      'BAD_USER_INPUT',
    ],
    ['zeros', Buffer.alloc(1_000), 400, 'BAD_USER_INPUT'],
    [
      'two lengths',
      'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
      'BAD_USER_INPUT',
    ],
    [
      'a length and chunks',
      'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'BAD_USER_INPUT',
    ],
    ['a length below zero', 'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400, 'BAD_USER_INPUT'],
    ['a line feed in a header', 'GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\nC\r\n\r\n', 400, 'BAD_USER_INPUT'],
    [
      'headers over 16 KiB',
      `GET /healthz HTTP/1.1\r\nHost: x\r\nBig: ${'a'.repeat(HEADERS_MAX)}\r\n\r\n`,
      431,
      'PAYLOAD_TOO_LARGE',
    ],
    [
      'an address over 16 KiB',
      `GET /healthz?${'a'.repeat(HEADERS_MAX)} HTTP/1.1\r\nHost: x\r\n\r\n`,
      414,
      'URI_TOO_LONG',
    ],
  ] as const)('%s: a refusal in JSON with an id, and the connection is closed', async ([, bytes, status, code]) => {
    const text = await sendBytes(suite.url, bytes);
    const [head = '', body = ''] = text.split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(head.toLowerCase()).toContain('\r\nconnection: close');
    expect(head.toLowerCase()).toContain('\r\ncontent-type: application/graphql-response+json; charset=utf-8');
    const requestId = /x-request-id: (\S+)/i.exec(head)?.[1];
    expect(JSON.parse(body)).toEqual({
      errors: [{ message: expect.any(String), extensions: { code, status, requestId } }],
    });
    expect(requestId).toMatch(/^req_[0-9a-f]{32}$/);
    // And it stopped nobody else.
    expect((await fetch(`${suite.url}/healthz`)).status).toBe(200);
  });

  test.for([
    ['/graphql', 'application/graphql-response+json'],
    ['/graphql?query=x', 'application/graphql-response+json'],
    ['/networks/demo/graphql', 'application/graphql-response+json'],
    ['http://x/graphql', 'application/graphql-response+json'],
    ['/healthz', 'application/json'],
    ['/networks/demo', 'application/json'],
  ])('a refusal by the head of %s is %s', async ([target, type]) => {
    const text = await sendBytes(
      suite.url,
      `GET ${target} HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nConnection: close\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 417 /);
    expect(text).toContain(`\r\ncontent-type: ${type}; charset=utf-8\r\n`);
  });

  test('headers of just under 16 KiB are read', async () => {
    const { token } = await makeNetwork(suite.database);
    const { status } = await send(
      suite.url,
      post(token, '{ me { id } }', { 'x-big': 'a'.repeat(HEADERS_MAX - 1_000) }),
    );
    expect(status).toBe(200);
  });
});

test('a connection goes on after refusals, whichever', async () => {
  const { token } = await makeNetwork(suite.database);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const calls: [number, RawRequest][] = [
    [200, post(token, '{ me { id } }')],
    [401, post(null, '{ me { id } }')],
    [401, post('nonsense', '{ me { id } }')],
    [400, post(token, '{ me {')],
    [404, { ...post(token, '{ me { id } }'), path: '/nothing' }],
    [404, { ...post(token, '{ me { id } }'), path: '/networks/none/graphql' }],
    [405, { ...post(token, '{ me { id } }'), method: 'PUT' }],
    [415, post(token, '{ me { id } }', { 'content-type': 'text/plain' })],
    [400, { ...post(token, ''), body: '{' }],
    [401, { ...post(null, ''), body: 'x'.repeat(65_536) }],
    [200, post(token, '{ me { id } }')],
  ];
  try {
    const ports = new Set<number | undefined>();
    for (const [expected, request] of calls) {
      const { localPort, status } = await send(suite.url, { ...request, agent });
      expect(status).toBe(expected);
      ports.add(localPort);
    }
    expect(ports.size).toBe(1);
  } finally {
    agent.destroy();
  }
});

test('a long body that nobody will read closes its connection, and is not taken for the next request', async () => {
  const { token } = await makeNetwork(suite.database);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const smuggled = `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`.repeat(1_000);
  try {
    const refused = await send(suite.url, { ...post(null, ''), body: smuggled, agent });
    expect({ status: refused.status, connection: refused.headers.connection }).toEqual({
      status: 401,
      connection: 'close',
    });
    expect((await send(suite.url, { ...post(token, '{ me { id } }'), agent })).status).toBe(200);
  } finally {
    agent.destroy();
  }
});

test('two requests sent at once on one connection are answered in their order', async () => {
  const { token } = await makeNetwork(suite.database);
  const request = (query: string, more = '') => {
    const body = JSON.stringify({ query });
    const head = `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
    return `${head}${more}Content-Length: ${body.length}\r\n\r\n${body}`;
  };
  const text = await sendBytes(
    suite.url,
    request('{ members { nodes { id } } }') + request('{ me { role } }', 'Connection: close\r\n'),
  );
  const bodies = (text.match(/\{"data":.*\}/g) ?? []).map((body) => JSON.parse(body).data);
  expect(bodies).toEqual([{ members: { nodes: [] } }, { me: { role: 'OWNER' } }]);
});

test('every answer says what it is and that nobody should guess', async () => {
  const { token } = await makeNetwork(suite.database);
  for (const request of [
    post(token, '{ me { id } }'),
    post(null, '{ me { id } }'),
    { method: 'GET', path: '/healthz' },
    { path: '/nothing' },
  ]) {
    const { headers } = await send(suite.url, request);
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['content-type']).toMatch(/json; charset=utf-8$/);
    expect(headers).not.toHaveProperty('x-powered-by');
  }
});

test('every request has an id of its own, and none that the caller made up', async () => {
  const { token } = await makeNetwork(suite.database);
  const ids: unknown[] = [];
  for (let index = 0; index < 5; index += 1) {
    const { headers } = await send(suite.url, post(token, '{ me { id } }', { 'x-request-id': 'mine' }));
    ids.push(headers['x-request-id']);
  }
  expect(new Set(ids).size).toBe(5);
  expect(ids).not.toContain('mine');
});

test('a connection that breaks in the middle of a body is no bug', async () => {
  const { token } = await makeNetwork(suite.database);
  const { hostname, port } = new URL(suite.url);
  const socket = connect(Number(port), hostname);
  const head = `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
  socket.write(`${head}Content-Length: 1000\r\n\r\n{"query":`);
  await once(socket, 'connect');
  await new Promise((resolve) => setTimeout(resolve, 100)); // so that it waits for the rest
  socket.resetAndDestroy();
  await expect.poll(() => suite.gateway.log.filter(({ status }) => status === 499), POLL).toHaveLength(1);
  expect(suite.gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
});
