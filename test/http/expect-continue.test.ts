/** `Expect: 100-continue` (RFC 9110, 10.1.1): 100 is sent when nothing but the body can be a reason to refuse. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LEAK_REPORTS_A_MINUTE } from '../../src/http/leaked-tokens.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const POLL = { timeout: 10_000 };
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const BODY = '{"query":"{ me { role } }"}';

function open(): { socket: Socket; received: { text: string } } {
  const { hostname, port } = new URL(suite.url);
  const socket = connect(Number(port), hostname);
  const received = { text: '' };
  socket.on('error', () => undefined);
  socket.setEncoding('latin1').on('data', (piece) => {
    received.text += piece;
  });
  onTestFinished(() => void socket.destroy());
  return { socket, received };
}

interface Head {
  readonly line?: string;
  readonly token?: string;
  readonly type?: string;
  readonly length?: string;
  readonly expectation?: string;
}

function headOf({
  line = 'POST /graphql HTTP/1.1',
  token,
  type = 'application/json',
  length,
  expectation,
}: Head): string {
  const fields = [
    'Host: x',
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    `Content-Type: ${type}`,
    length ?? `Content-Length: ${BODY.length}`,
    `Expect: ${expectation ?? '100-continue'}`,
  ];
  return `${line}\r\n${fields.join('\r\n')}\r\n\r\n`;
}

test.for(['100-continue', '100-Continue', '100-continue, 100-continue'])(
  '%s: a valid token is asked for the body, and answered',
  async (expectation) => {
    const { token } = await makeNetwork(suite.database);
    const { socket, received } = open();
    socket.write(headOf({ token, expectation }));
    await expect.poll(() => received.text, POLL).toBe(CONTINUE);
    socket.write(BODY);
    await expect.poll(() => received.text, POLL).toContain('"role":"OWNER"');
    expect(received.text.split(CONTINUE)).toHaveLength(2);
    expect(received.text.slice(CONTINUE.length)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    // And the connection goes on.
    expect(received.text.toLowerCase()).toContain('\r\nconnection: keep-alive\r\n');
  },
);

test('a body in chunks is asked for, too', async () => {
  const { token } = await makeNetwork(suite.database);
  const { socket, received } = open();
  socket.write(headOf({ token, length: 'Transfer-Encoding: chunked' }));
  await expect.poll(() => received.text, POLL).toBe(CONTINUE);
  socket.write(`${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`);
  await expect.poll(() => received.text, POLL).toContain('"role":"OWNER"');
});

describe('what can be refused by its headers is refused without 100, without its body, and the connection closed', () => {
  test.for([
    ['no token', () => ({}), 401],
    ['not a token', () => ({ token: 'nonsense' }), 401],
    ['another media type', (token: string) => ({ token, type: 'text/plain' }), 415],
    ['a body over its bound', (token: string) => ({ token, length: 'Content-Length: 999999999' }), 413],
    ['another network', (token: string) => ({ token, line: 'POST /networks/none/graphql HTTP/1.1' }), 404],
    ['nothing there', (token: string) => ({ token, line: 'POST /nothing HTTP/1.1' }), 404],
    ['another method', (token: string) => ({ token, line: 'PUT /graphql HTTP/1.1' }), 405],
    ['another expectation', (token: string) => ({ token, expectation: '100-continue, more' }), 417],
    ['a second Content-Type', (token: string) => ({ token, type: 'a/b\r\nContent-Type: a/b' }), 400],
    [
      'a report of leaked tokens in another media type',
      () => ({ line: 'POST /leaked-tokens HTTP/1.1', type: 'text/plain' }),
      415,
    ],
  ] as const)('%s', async ([, head, status]) => {
    const { token } = await makeNetwork(suite.database);
    const { socket, received } = open();
    socket.write(headOf(head(token)));
    await once(socket, 'end');
    expect(received.text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(received.text.toLowerCase()).toContain('\r\nconnection: close\r\n');
  });

  test('a key over its limit', async () => {
    const { token } = await makeNetwork(suite.database, {
      network: { plan: 'CUSTOM', requestsPerMinute: 1, costPerMinute: 1_000 },
    });
    expect((await suite.call(token, '{ me { role } }')).status).toBe(200);
    expect((await suite.call(token, '{ me { role } }')).status).toBe(429);
    const { socket, received } = open();
    socket.write(headOf({ token }));
    await once(socket, 'end');
    expect(received.text).toMatch(/^HTTP\/1\.1 429 /);
  });

  test('an address with too many reports of leaked tokens', async () => {
    const line = 'POST /leaked-tokens HTTP/1.1';
    const report = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"tokens":["x"]}' };
    for (let sent = 0; sent < LEAK_REPORTS_A_MINUTE; sent += 1) await fetch(`${suite.url}/leaked-tokens`, report);
    const { socket, received } = open();
    socket.write(headOf({ line }));
    await once(socket, 'end');
    expect(received.text).toMatch(/^HTTP\/1\.1 429 /);
  });
});

describe('100 is not sent to who does not wait for it', () => {
  const endOf = async (bytes: string) => {
    const { socket, received } = open();
    socket.write(bytes);
    await once(socket, 'end');
    return received.text;
  };

  test('HTTP/1.0, whatever it expects', async () => {
    const { token } = await makeNetwork(suite.database);
    for (const expectation of ['100-continue', 'a miracle']) {
      const text = await endOf(headOf({ line: 'POST /graphql HTTP/1.0', token, expectation }) + BODY);
      expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      expect(text).not.toContain(CONTINUE);
    }
  });

  test('a body that came with its headers, or that there is none of', async () => {
    const { token } = await makeNetwork(suite.database);
    const closing = { token, type: 'application/json\r\nConnection: close' };
    expect(await endOf(headOf(closing) + BODY)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(await endOf(headOf({ ...closing, length: 'Content-Length: 0' }))).toMatch(/^HTTP\/1\.1 400 /);
    const line = `GET /graphql?query=${encodeURIComponent('{ me { role } }')} HTTP/1.1`;
    expect(await endOf(headOf({ ...closing, line, length: 'Accept: */*' }))).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(await endOf(headOf({ ...closing, line: 'GET /healthz HTTP/1.1', length: 'Accept: */*' }))).toMatch(
      /^HTTP\/1\.1 200 OK\r\n/,
    );
  });
});
