/** What happens on one connection, in order (RFC 9112, 9): pipelined requests, garbage behind them, clients that end their side. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PIPELINED_MAX } from '../../src/http/conversation.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { sendBytes } from '../support/raw-http.ts';
import { useScratchGateway } from '../support/suite.ts';

const suite = useScratchGateway({ STATEMENT_TIMEOUT_MS: '120000', REQUEST_TIMEOUT_MS: '30000' });
const POLL = { timeout: 10_000 };
const QUERY = '{ members { nodes { id } } }';

interface Conversation {
  readonly socket: Socket;
  /** All that came back so far. */
  readonly received: { text: string };
  readonly closed: Promise<unknown>;
}

function open(options: { allowHalfOpen?: boolean } = {}): Conversation {
  const { hostname, port } = new URL(suite.url);
  const socket = connect({ port: Number(port), host: hostname, ...options });
  const received = { text: '' };
  socket.on('error', () => undefined);
  socket.setEncoding('latin1').on('data', (piece) => {
    received.text += piece;
  });
  onTestFinished(() => void socket.destroy());
  // Not `once`: that would reject where the connection is reset.
  const closed = new Promise((resolve) => socket.once('close', resolve));
  return { socket, received, closed };
}

function query(token: string, text: string, more = ''): string {
  const body = JSON.stringify({ query: text });
  const fields = `Host: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n${more}`;
  return `POST /graphql HTTP/1.1\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
}

const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
const idsIn = (text: string) => [...text.matchAll(/x-request-id: (\S+)/gi)].map(([, id]) => id);

async function expectLines(text: string): Promise<void> {
  const ids = idsIn(text);
  expect(ids).toHaveLength(statuses(text).length);
  const lines = () =>
    suite.gateway.log.filter(({ msg, requestId }) => msg === 'request' && ids.includes(String(requestId)));
  await expect.poll(() => lines().length, POLL).toBe(ids.length);
  const told = new Map(lines().map(({ requestId, status }) => [requestId, status]));
  expect(ids.map((id) => told.get(id))).toEqual(statuses(text));
}

describe('what is not HTTP behind a POST is refused after the POST’s answer', () => {
  test.for([
    ['garbage', 'garbage\r\n\r\n', 400],
    ['a method that nobody knows', '\r\nFOO / HTTP/1.1\r\nHost: x\r\n\r\n', 501],
    ['a version that nobody knows', 'GET / HTTP/3.0\r\nHost: x\r\n\r\n', 505],
    ['headers over their bound', `GET / HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['an address over its bound', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 414],
    ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 405],
    ['a body in bad chunks', 'POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 400],
    ['a request without Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['a request with two', 'GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n', 400],
  ] as const)('%s', async ([, behind, status]) => {
    const { token } = await makeNetwork(suite.database);
    const lock = await hold(suite.database.pool, 'LOCK TABLE members');
    const { socket, received, closed } = open();
    try {
      socket.write(query(token, '{ me { role } }') + query(token, QUERY) + behind);
      await lock.untilAwaited();
      // All that is behind has been received, too: it came with what is waiting.
      await expect.poll(() => statuses(received.text), POLL).toEqual([200]);
    } finally {
      await lock.release();
    }
    await closed;
    expect(statuses(received.text)).toEqual([200, 200, status]);
    expect(received.text.indexOf('"role"')).toBeLessThan(received.text.indexOf('"nodes"'));
    await expectLines(received.text);
  });

  test('with the client’s side ended behind it, too', async () => {
    const { token } = await makeNetwork(suite.database);
    const { socket, received, closed } = open({ allowHalfOpen: true });
    socket.end(`${query(token, QUERY)}garbage\r\n\r\n`);
    await once(socket, 'end');
    socket.destroy();
    await closed;
    expect(statuses(received.text)).toEqual([200, 400]);
    await expectLines(received.text);
  });

  test('but not behind a request that closes its connection: what follows is nobody’s', async () => {
    const { token } = await makeNetwork(suite.database);
    const closing = query(token, QUERY, 'Connection: close\r\n');
    for (const behind of ['garbage\r\n\r\n', query(token, QUERY), 'GET / HTTP/1.1\r\n\r\n']) {
      const from = suite.gateway.log.length;
      const text = await sendBytes(suite.url, closing + behind);
      expect(statuses(text)).toEqual([200]);
      await expectLines(text);
      expect(suite.gateway.log.slice(from).filter(({ msg }) => msg === 'request')).toHaveLength(1);
    }
  });

  test('and what follows a refusal that closes the connection is not processed either', async () => {
    const { token } = await makeNetwork(suite.database);
    const text = await sendBytes(suite.url, `GET / HTTP/1.1\r\n\r\n${query(token, '{ me { role } }')}`);
    expect(statuses(text)).toEqual([400]);
    expect(text).not.toContain('role');
  });
});

test(`a connection has at most ${PIPELINED_MAX} requests waiting: one more is told so, and closes it`, async () => {
  const { token } = await makeNetwork(suite.database);
  const lock = await hold(suite.database.pool, 'LOCK TABLE members');
  const { socket, received, closed } = open();
  try {
    // All others wait for the answer of the first.
    socket.write(query(token, QUERY) + 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(PIPELINED_MAX + 50));
    await lock.untilAwaited();
  } finally {
    await lock.release();
  }
  await closed;
  expect(statuses(received.text)).toEqual([...Array(PIPELINED_MAX).fill(200), 429]);
  expect(received.text).toContain('\r\nretry-after: 1\r\n');
  await expectLines(received.text);
});

describe('a client that ends its side with its request gets its answer', () => {
  test('of a query', async () => {
    const { token } = await makeNetwork(suite.database);
    const { socket, received } = open({ allowHalfOpen: true });
    socket.end(query(token, QUERY));
    await once(socket, 'end');
    expect(statuses(received.text)).toEqual([200]);
    await expectLines(received.text);
  });

  test('also of a slow one, and of all that it sent', async () => {
    const { token } = await makeNetwork(suite.database);
    const lock = await hold(suite.database.pool, 'LOCK TABLE members');
    const { socket, received } = open({ allowHalfOpen: true });
    try {
      socket.end(query(token, QUERY) + query(token, '{ me { role } }'));
      await lock.untilAwaited();
      // It was asked whether it is still there.
      await expect.poll(() => received.text, POLL).toContain('HTTP/1.1 100 Continue\r\n\r\n');
    } finally {
      await lock.release();
    }
    await once(socket, 'end');
    expect(statuses(received.text).filter((status) => status !== 100)).toEqual([200, 200]);
    expect(received.text).toContain('"role":"OWNER"');
  });

  test('in HTTP/1.0, with no question before it', async () => {
    const { token } = await makeNetwork(suite.database);
    const lock = await hold(suite.database.pool, 'LOCK TABLE members');
    const { socket, received } = open({ allowHalfOpen: true });
    try {
      socket.end(query(token, QUERY).replace('HTTP/1.1', 'HTTP/1.0'));
      await lock.untilAwaited();
      // Longer than it takes until one of HTTP/1.1 is asked.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
    } finally {
      await lock.release();
    }
    await once(socket, 'end');
    expect(statuses(received.text)).toEqual([200]);
  });

  test('of half a request: it ended before it was whole', async () => {
    const { token } = await makeNetwork(suite.database);
    for (const half of [query(token, QUERY).slice(0, 40), query(token, QUERY).slice(0, -5)]) {
      const { socket, received } = open({ allowHalfOpen: true });
      socket.end(half);
      await once(socket, 'end');
      expect(statuses(received.text)).toEqual([400]);
      await expectLines(received.text);
    }
  });
});

describe('nobody’s connection ends the gateway', () => {
  test('a reset behind CONNECT, or behind garbage', async () => {
    for (const bytes of ['CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 'garbage\r\n\r\n']) {
      const { socket, received } = open({ allowHalfOpen: true });
      socket.write(bytes);
      await expect.poll(() => received.text, POLL).toContain('"code"');
      socket.write('more');
      socket.resetAndDestroy();
    }
    const { status } = await fetch(`${suite.url}/healthz`);
    expect(status).toBe(200);
  });

  test('a connection that was refused is closed, though its client leaves it open and goes on sending', async () => {
    for (const bytes of [
      'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
      'garbage\r\n\r\n',
      'GET / HTTP/1.1\r\n\r\n',
    ]) {
      const { socket, received, closed } = open({ allowHalfOpen: true });
      const sending = setInterval(() => socket.write('x'.repeat(1_000)), 20);
      socket.write(bytes);
      await closed;
      clearInterval(sending);
      expect(statuses(received.text)).toHaveLength(1);
    }
  });

  test('a refusal is read by a client that is still sending a long body', async () => {
    const bytes = 10_000_000;
    const head = `POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n`;
    const { socket, received } = open();
    socket.write(head);
    socket.write('x'.repeat(bytes));
    await once(socket, 'end');
    expect(statuses(received.text)).toEqual([401]);
    await expectLines(received.text);
  });
});
