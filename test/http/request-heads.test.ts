/** The head of a request by RFC 9110 and RFC 9112: the status of each, with an id, and one line in the access log. */
import { describe, expect, test } from 'vitest';
import { makeNetwork } from '../support/fixtures.ts';
import { sendBytes } from '../support/raw-http.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ METRICS_PORT: '0', BASE_DOMAIN: 'gatehouse.test' });
const POLL = { timeout: 10_000 };

const listeners = {
  'the API': () => suite.url,
  'the metrics': () => {
    const line = suite.gateway.log.find(({ msg }) => msg === 'metrics');
    return new URL(String(line?.['url'])).origin;
  },
};

async function linesOf(requestId: unknown): Promise<Record<string, unknown>[]> {
  const lines = () => suite.gateway.log.filter((line) => line['requestId'] === requestId && line['msg'] === 'request');
  await expect.poll(lines, POLL).not.toHaveLength(0);
  return lines();
}

function parse(text: string) {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const requestId = /\r\nx-request-id: (\S+)/i.exec(head)?.[1];
  return { head, status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]), body: rest.join('\r\n\r\n'), requestId };
}

/** What is behind a request line; one Host, and nothing that keeps the connection. */
const REST = 'Host: x\r\nConnection: close\r\n\r\n';
const post = (fields: string, body = '') => `POST /graphql HTTP/1.1\r\nHost: x\r\n${fields}\r\n${body}`;
const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', body);
const KIBIBYTE = 1_024;

const BAD = [400, 'BAD_USER_INPUT'] as const;
const VERSION = [505, 'HTTP_VERSION_NOT_SUPPORTED'] as const;
const UNKNOWN = [501, 'NOT_IMPLEMENTED'] as const;
const HEADERS = [431, 'PAYLOAD_TOO_LARGE'] as const;

const REFUSED: readonly (readonly [string, string, readonly [number, string]])[] = [
  // RFC 9112, 3.2
  ['HTTP/1.1 without Host', 'GET /healthz HTTP/1.1\r\n\r\n', BAD],
  ['two Hosts that differ', 'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', BAD],
  ['the same Host twice, in another case', 'GET /healthz HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n', BAD],
  ['two Hosts in HTTP/1.0', 'GET /healthz HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n', BAD],
  ['a Host with user information', 'GET /healthz HTTP/1.1\r\nHost: me@a\r\n\r\n', BAD],
  ['a Host with a path', 'GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n', BAD],
  ['a Host that is a URL', 'GET /healthz HTTP/1.1\r\nHost: http://a\r\n\r\n', BAD],
  ['a Host of two words', 'GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n', BAD],
  ['two Hosts in one field', 'GET /healthz HTTP/1.1\r\nHost: a, b\r\n\r\n', BAD],
  ['a Host outside of ASCII', 'GET /healthz HTTP/1.1\r\nHost: é\r\n\r\n', BAD],
  ['a Host with a port that is no number', 'GET /healthz HTTP/1.1\r\nHost: a:b\r\n\r\n', BAD],
  ['a Host with a port that no machine has', 'GET /healthz HTTP/1.1\r\nHost: a:65536\r\n\r\n', BAD],
  ['a Host that is half an IPv6 address', 'GET /healthz HTTP/1.1\r\nHost: [::1\r\n\r\n', BAD],
  ['a Host that is no IPv6 address', 'GET /healthz HTTP/1.1\r\nHost: [1:2]\r\n\r\n', BAD],
  ['a Host that is an absolute URL’s, and another', 'GET http://a/healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', BAD],
  ['an absolute URL and an invalid Host', 'GET http://a/healthz HTTP/1.1\r\nHost: a/b\r\n\r\n', BAD],
  ['an absolute URL and no Host', 'GET http://a/healthz HTTP/1.1\r\n\r\n', BAD],
  ['CONNECT without Host', 'CONNECT a:443 HTTP/1.1\r\n\r\n', BAD],
  // fields that stand once
  ['two Authorization fields', post('Authorization: Bearer a\r\nAuthorization: Bearer b\r\n'), BAD],
  ['two Content-Type fields', post('Content-Type: application/json\r\nContent-Type: text/plain\r\n'), BAD],
  ['two Idempotency-Key fields', post('Idempotency-Key: a\r\nIdempotency-Key: b\r\n'), BAD],
  ['two Origin fields', post('Origin: https://a.test\r\nOrigin: https://b.test\r\n'), BAD],
  ['two Content-Length fields that agree', post('Content-Length: 2\r\nContent-Length: 2\r\n', '{}'), BAD],
  ['two Content-Length fields that differ', post('Content-Length: 2\r\nContent-Length: 3\r\n', '{}'), BAD],
  ['a list of lengths', post('Content-Length: 2, 2\r\n', '{}'), BAD],
  ['a length that is no number', post('Content-Length: 0x2\r\n', '{}'), BAD],
  ['a length beyond all numbers', post('Content-Length: 99999999999999999999\r\n', '{}'), BAD],
  ['101 fields', `GET /healthz HTTP/1.1\r\nHost: x\r\n${'a:\r\n'.repeat(100)}\r\n`, HEADERS],
  ['thousands of fields', `GET /healthz HTTP/1.1\r\nHost: x\r\n${'a:\r\n'.repeat(5_000)}\r\n`, HEADERS],
  [
    'a second Host behind thousands of fields',
    `GET / HTTP/1.1\r\nHost: x\r\n${'a:\r\n'.repeat(3_000)}Host: y\r\n\r\n`,
    HEADERS,
  ],
  ['fields over 16 KiB', `GET /healthz HTTP/1.1\r\nHost: x\r\nBig: ${'a'.repeat(17 * KIBIBYTE)}\r\n\r\n`, HEADERS],
  [
    'a field’s name over 16 KiB',
    `GET /healthz HTTP/1.1\r\nHost: x\r\n${'a'.repeat(17 * KIBIBYTE)}: b\r\n\r\n`,
    HEADERS,
  ],
  // versions
  ['HTTP/0.9, without a version', 'GET /healthz\r\n\r\n', VERSION],
  ['HTTP/0.9, by its name', `GET /healthz HTTP/0.9\r\n${REST}`, VERSION],
  ['HTTP/1.2', `GET /healthz HTTP/1.2\r\n${REST}`, VERSION],
  ['HTTP/2.0', `GET /healthz HTTP/2.0\r\n${REST}`, VERSION],
  ['HTTP/2', `GET /healthz HTTP/2\r\n${REST}`, VERSION],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', VERSION],
  ['HTTP/3.0', `GET /healthz HTTP/3.0\r\n${REST}`, VERSION],
  ['a version of two digits', `GET /healthz HTTP/01.1\r\n${REST}`, BAD],
  ['another protocol', `GET /healthz HXTP/1.1\r\n${REST}`, BAD],
  // targets
  ['a path that is too long', `GET /${'a'.repeat(17 * KIBIBYTE)} HTTP/1.1\r\n${REST}`, [414, 'URI_TOO_LONG']],
  [
    'a query that is far too long',
    `GET /graphql?query=${'a'.repeat(100 * KIBIBYTE)} HTTP/1.1\r\n${REST}`,
    [414, 'URI_TOO_LONG'],
  ],
  ['an asterisk that is not for OPTIONS', `GET * HTTP/1.1\r\n${REST}`, BAD],
  ['an asterisk and more', `OPTIONS *x HTTP/1.1\r\n${REST}`, BAD],
  ['a host and port that are not for CONNECT', `GET a:80 HTTP/1.1\r\n${REST}`, BAD],
  ['a path without a slash', `GET healthz HTTP/1.1\r\n${REST}`, BAD],
  ['no target', `GET  HTTP/1.1\r\n${REST}`, BAD],
  ['a fragment', `GET /healthz#a HTTP/1.1\r\n${REST}`, BAD],
  ['a fragment of an absolute URL', `GET http://x/healthz#a HTTP/1.1\r\n${REST}`, BAD],
  ['a backslash', `GET /\\healthz HTTP/1.1\r\n${REST}`, BAD],
  ['a backslash in an absolute URL', `GET http://x\\healthz HTTP/1.1\r\n${REST}`, BAD],
  ['bytes outside of ASCII', `GET /é HTTP/1.1\r\n${REST}`, BAD],
  ['a zero', `GET /\0 HTTP/1.1\r\n${REST}`, BAD],
  ['a URL with user information', `GET http://me:secret@x/healthz HTTP/1.1\r\n${REST}`, BAD],
  ['a URL without a host', `GET http:///healthz HTTP/1.1\r\n${REST}`, BAD],
  ['a URL with a port alone', `GET http://:80/healthz HTTP/1.1\r\n${REST}`, BAD],
  [
    'an https URL that no trusted proxy vouches for',
    `GET https://x/healthz HTTP/1.1\r\n${REST}`,
    [421, 'MISDIRECTED_REQUEST'],
  ],
  ['a URL of another scheme', `GET ftp://x/healthz HTTP/1.1\r\n${REST}`, [421, 'MISDIRECTED_REQUEST']],
  // methods
  ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', [405, 'METHOD_NOT_ALLOWED']],
  ['a method in lower case', `get /healthz HTTP/1.1\r\n${REST}`, UNKNOWN],
  ['a method that nobody knows', `FOO /healthz HTTP/1.1\r\n${REST}`, UNKNOWN],
  ['TRACK', `TRACK /healthz HTTP/1.1\r\n${REST}`, UNKNOWN],
  ['a method that begins like another', `GETS /healthz HTTP/1.1\r\n${REST}`, UNKNOWN],
  ['a very long method', `${'A'.repeat(20 * KIBIBYTE)} / HTTP/1.1\r\n${REST}`, UNKNOWN],
  ['words', 'hello there\r\n\r\n', BAD],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', BAD],
  // framing
  ['a length before chunks', post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), BAD],
  ['chunks before a length', post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n'), BAD],
  ['chunks in HTTP/1.0', 'POST /graphql HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', BAD],
  ['chunks twice', post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n'), BAD],
  ['chunks in two fields', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), BAD],
  ['a coding that does not end with chunks', post('Transfer-Encoding: gzip\r\n'), BAD],
  ['identity', post('Transfer-Encoding: identity\r\n'), BAD],
  ['a coding that only looks like chunks', post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'), BAD],
  ['no coding', post('Transfer-Encoding: \r\n'), BAD],
  ['gzip in chunks', post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'), UNKNOWN],
  // lines
  ['a folded field', 'GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n', BAD],
  ['a blank before the first field', 'GET /healthz HTTP/1.1\r\n Host: x\r\n\r\n', BAD],
  ['a carriage return alone', 'GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n', BAD],
  ['a line feed alone', 'GET /healthz HTTP/1.1\r\nHost: x\nA: b\r\n\r\n', BAD],
  ['line feeds alone', 'GET /healthz HTTP/1.1\nHost: x\n\n', BAD],
  ['a zero in a field', 'GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n', BAD],
  ['a blank before a colon', 'GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n', BAD],
  ['a field without a name', 'GET /healthz HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n', BAD],
  ['a field without a colon', 'GET /healthz HTTP/1.1\r\nHost: x\r\nabc\r\n\r\n', BAD],
  ['a name that is no token', 'GET /healthz HTTP/1.1\r\nHost: x\r\na(b: c\r\n\r\n', BAD],
  ['a name outside of ASCII', 'GET /healthz HTTP/1.1\r\nHost: x\r\né: c\r\n\r\n', BAD],
  // expectations
  [
    'an expectation that nobody knows',
    `GET /healthz HTTP/1.1\r\nExpect: a miracle\r\n${REST}`,
    [417, 'EXPECTATION_FAILED'],
  ],
  [
    'one that is known and one that is not',
    `GET /healthz HTTP/1.1\r\nExpect: 100-continue, x\r\n${REST}`,
    [417, 'EXPECTATION_FAILED'],
  ],
];

describe.for(['the API', 'the metrics'] as const)(
  'refused on the listener of %s, and the connection closed',
  (name) => {
    test.for(REFUSED)('%s', async ([, bytes, [status, code]]) => {
      const answer = parse(await sendBytes(listeners[name](), Buffer.from(bytes, 'latin1')));
      expect(answer.status).toBe(status);
      expect(answer.head.toLowerCase()).toContain('\r\nconnection: close');
      expect(answer.head).toContain('\r\nx-content-type-options: nosniff');
      expect(answer.requestId).toMatch(/^req_[0-9a-f]{32}$/);
      expect(JSON.parse(answer.body)).toEqual({
        errors: [{ message: expect.any(String), extensions: { code, status, requestId: answer.requestId } }],
      });
      if (status === 405) expect(answer.head).toMatch(/\r\nallow: GET/);
      expect(await linesOf(answer.requestId)).toEqual([expect.objectContaining({ code, status, route: 'none' })]);
    });
  },
);

describe('legal, and answered', () => {
  const ALIVE = '{"status":"ok"}';
  test.for([
    ['HTTP/1.0 without Host', 'GET /healthz HTTP/1.0\r\n\r\n'],
    ['HTTP/1.0 with an expectation, which it does not know', 'GET /healthz HTTP/1.0\r\nExpect: a miracle\r\n\r\n'],
    ['an empty Host', 'GET /healthz HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n'],
    ['a Host with a port', 'GET /healthz HTTP/1.1\r\nHost: x:80\r\nConnection: close\r\n\r\n'],
    ['a Host that is an IPv6 address', 'GET /healthz HTTP/1.1\r\nHost: [::1]:4000\r\nConnection: close\r\n\r\n'],
    ['an absolute URL', `GET http://x/healthz HTTP/1.1\r\n${REST}`],
    ['an absolute URL whose scheme is in capitals', `GET HTTP://x:80/healthz?a=b HTTP/1.1\r\n${REST}`],
    ['an absolute URL of another host than Host', `GET http://[::1]:1/healthz HTTP/1.1\r\n${REST}`],
    ['empty lines before the request', `\r\n\r\nGET /healthz HTTP/1.1\r\n${REST}`],
    ['bytes outside of ASCII in a field', `GET /healthz HTTP/1.1\r\nA: \xe9\r\n${REST}`],
    ['a hundred fields', `GET /healthz HTTP/1.1\r\n${'a:\r\n'.repeat(98)}${REST}`],
    [
      'fields that may come twice',
      `GET /healthz HTTP/1.1\r\nAccept: a/b\r\nAccept: c/d\r\nX-A: 1\r\nX-A: 2\r\n${REST}`,
    ],
    ['a body that nobody asked for', `GET /healthz HTTP/1.1\r\nContent-Length: 2\r\n${REST}{}`],
    [
      'HTTP/2 as an upgrade, which is passed over',
      'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
    ],
    [
      'a WebSocket, which is passed over',
      'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n',
    ],
  ] as const)('%s', async ([, bytes]) => {
    const { status, head, body, requestId } = parse(await sendBytes(suite.url, Buffer.from(bytes, 'latin1')));
    expect({ status, body }).toEqual({ status: 200, body: ALIVE });
    expect(head.toLowerCase()).toContain('\r\nconnection: close');
    expect(await linesOf(requestId)).toEqual([expect.objectContaining({ route: '/healthz', status: 200 })]);
  });

  test('HTTP/1.0 keeps its connection where it asks for that', async () => {
    const twice = 'GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /healthz HTTP/1.0\r\n\r\n';
    const text = await sendBytes(suite.url, twice);
    expect(text.match(/HTTP\/1\.1 200 OK\r\n/g)).toHaveLength(2);
    expect(text.match(/\r\nConnection: keep-alive\r\n/gi)).toHaveLength(1);
  });

  test('OPTIONS for the server as a whole, in both of its forms', async () => {
    for (const target of ['*', 'http://x']) {
      for (const [name, allow] of [
        ['the API', 'GET, HEAD, POST, OPTIONS'],
        ['the metrics', 'GET, HEAD, OPTIONS'],
      ] as const) {
        const { status, head, requestId } = parse(
          await sendBytes(listeners[name](), `OPTIONS ${target} HTTP/1.1\r\n${REST}`),
        );
        expect(status).toBe(204);
        expect(head).toContain(`\r\nallow: ${allow}\r\n`);
        expect(await linesOf(requestId)).toHaveLength(1);
      }
    }
  });

  test('HEAD of a route has the headers of its GET and no body', async () => {
    const { status, body } = parse(await sendBytes(suite.url, `HEAD /graphql HTTP/1.1\r\n${REST}`));
    expect({ status, body }).toEqual({ status: 401, body: '' });
    const metrics = parse(await sendBytes(listeners['the metrics'](), `HEAD /metrics HTTP/1.1\r\n${REST}`));
    expect({ status: metrics.status, body: metrics.body }).toEqual({ status: 200, body: '' });
    expect(metrics.head).toMatch(/\r\ncontent-length: [1-9]/);
  });

  test('two slashes are a path and name no host: there is nothing at it', async () => {
    const { status } = parse(await sendBytes(suite.url, `GET //healthz/healthz HTTP/1.1\r\n${REST}`));
    expect(status).toBe(404);
  });

  test('TRACE is known and not served', async () => {
    const { status, head } = parse(await sendBytes(suite.url, `TRACE /graphql HTTP/1.1\r\n${REST}`));
    expect(status).toBe(405);
    expect(head).toMatch(/\r\nallow: GET, HEAD, POST, OPTIONS\r\n/);
  });
});

describe('the network that a host names', () => {
  const query = `?query=${encodeURIComponent('{ network { slug } }')}`;
  const ask = async (target: string, host: string, token: string) => {
    const bytes = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`;
    return parse(await sendBytes(suite.url, bytes)).status;
  };

  test('is that of an absolute URL, whatever the Host header says', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const [own, other] = [`${network.slug}.gatehouse.test`, 'no-such-network.gatehouse.test'];
    expect(await ask(`/graphql${query}`, own, token)).toBe(200);
    expect(await ask(`/graphql${query}`, other, token)).toBe(404);
    expect(await ask(`http://${own}/graphql${query}`, other, token)).toBe(200);
    expect(await ask(`http://${other}/graphql${query}`, own, token)).toBe(404);
    expect(await ask(`http://${own}:80/networks/${network.slug}/graphql${query}`, 'x', token)).toBe(200);
  });
});

describe('two Authorization fields', () => {
  test('are charged to neither key, and neither is in the log', async () => {
    const { token } = await makeNetwork(suite.database);
    const { token: other } = await makeNetwork(suite.database);
    const remaining = async () => {
      const { body } = await suite.call(token, '{ me { rateLimit { remaining } } }');
      return body.data.me.rateLimit.remaining;
    };
    const before = await remaining();
    const from = suite.gateway.log.length;
    const bytes = `POST /graphql HTTP/1.1\r\nAuthorization: Bearer ${token}\r\nAuthorization: Bearer ${other}\r\n${REST}`;
    const { status, head, requestId } = parse(await sendBytes(suite.url, bytes));
    expect(status).toBe(400);
    expect(head).toContain('\r\nwww-authenticate: Bearer error="invalid_request"\r\n');
    expect(await linesOf(requestId)).toEqual([expect.objectContaining({ networkId: null, keyId: null })]);
    const text = JSON.stringify(suite.gateway.log.slice(from));
    expect([text.includes(token), text.includes(other)]).toEqual([false, false]);
    expect(await remaining()).toBe(before - 1);
  });
});

describe('a body that cannot be read is the answer of its own request', () => {
  test.for([
    ['a size that is no number', chunked('zz\r\n'), 400],
    ['a size below zero', chunked('-1\r\n'), 400],
    ['a size beyond all numbers', chunked('fffffffffffffffff\r\n'), 400],
    ['a chunk that is longer than its size', chunked('1\r\nabc\r\n'), 400],
    ['chunks with line feeds alone', chunked('1\na\n0\n\n'), 400],
    ['extensions without end', chunked(`1;${'a'.repeat(20 * KIBIBYTE)}\r\nx\r\n0\r\n\r\n`), 413],
    ['trailers without end', chunked(`0\r\nA: ${'b'.repeat(20 * KIBIBYTE)}\r\n\r\n`), 431],
  ] as const)('%s', async ([, bytes, status]) => {
    const { token } = await makeNetwork(suite.database);
    const fields = `Authorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
    const answer = await sendBytes(suite.url, bytes.replace('Transfer-Encoding', `${fields}Transfer-Encoding`));
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    const { status: given, requestId, head } = parse(answer);
    expect(given).toBe(status);
    expect(head.toLowerCase()).toContain('\r\nconnection: close');
    expect(await linesOf(requestId)).toEqual([expect.objectContaining({ method: 'POST', status })]);
  });

  test('extensions and trailers within their bounds are passed over', async () => {
    const { token } = await makeNetwork(suite.database);
    const body = '{"query":"{ me { role } }"}';
    const bytes = chunked(
      `${body.length.toString(16)};a=b\r\n${body}\r\n0\r\nAuthorization: Bearer x\r\nHost: y\r\n\r\n`,
    );
    const fields = `Connection: close\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
    const { status } = parse(
      await sendBytes(suite.url, bytes.replace('Transfer-Encoding', `${fields}Transfer-Encoding`)),
    );
    expect(status).toBe(200);
  });
});
