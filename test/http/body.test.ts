import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { expectCharged } from '../support/charges.ts';
import { replyOfText } from '../support/client.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { type RawRequest, send } from '../support/raw-http.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const LIMIT_BYTES = 1_048_576;
const QUERY = '{"query":"{ me { id } }"}';

/** Of a HEAD nothing is parsed: use `send`. */
async function ask(request: RawRequest) {
  const { token } = await makeNetwork(suite.database);
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...request.headers };
  const reply = await send(suite.url, { ...request, headers });
  const parted = replyOfText(reply.status, new Headers(reply.headers as Record<string, string>), reply.text);
  return { ...reply, parted, answer: parted.body };
}

/** A request of exactly so many bytes: most of it a variable that nobody reads. */
function ofBytes(bytes: number): string {
  const [head, tail] = ['{"query":"{ me { id } }","variables":{"unused":"', '"}}'];
  return head + 'x'.repeat(bytes - head.length - tail.length) + tail;
}

/** In pieces of 64 KiB, as a stream comes. */
function pieces(text: string): string[] {
  return text.match(/[\s\S]{1,65536}/g) ?? [];
}

describe('a body is JSON in UTF-8, not compressed', () => {
  test.for([
    'application/json',
    'application/json; charset=utf-8',
    'APPLICATION/JSON;charset="UTF-8"',
    'application/json ; charset=utf-8',
    'application/json; charset=utf8',
    'application/json; charset=UTF8',
    'application/json; charset="utf8"',
    "application/json; charset='utf-8'",
    'application/json; charset=utf_8',
    'application/json; charset = utf-8',
    'application/json; charset=us-ascii',
    'application/json; charset=US-ASCII',
    'application/json; charset=ascii',
    'application/json; charset=unicode-1-1-utf-8',
    'application/json; charset=',
    'application/json;',
    'application/json; profile=x; charset=utf-8',
  ])('%s is taken', async (type) => {
    expect(await ask({ headers: { 'content-type': type }, body: QUERY })).toMatchObject({ status: 200 });
  });

  test.for([
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 'query={me{id}}'],
    [
      'a multipart form',
      { 'content-type': 'multipart/form-data; boundary=b' },
      '--b\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{"query":"{me{id}}"}\r\n--b--\r\n',
    ],
    ['plain text', { 'content-type': 'text/plain' }, QUERY],
    ['a bare document', { 'content-type': 'application/graphql' }, '{ me { id } }'],
    ['what only begins like JSON', { 'content-type': 'application/json-patch+json' }, QUERY],
    ['a list of types', { 'content-type': 'text/plain, application/json' }, QUERY],
    ['no type', { 'content-type': '' }, QUERY],
    ['another charset', { 'content-type': 'application/json; charset=iso-8859-1' }, QUERY],
    ['UTF-8 with something behind', { 'content-type': 'application/json; charset=utf-80' }, QUERY],
    ['UTF-16', { 'content-type': 'application/json; charset=utf-16' }, Buffer.from(QUERY, 'utf16le')],
    ['gzip', { 'content-encoding': 'gzip' }, gzipSync(QUERY)],
    ['deflate', { 'content-encoding': 'deflate' }, QUERY],
  ] as const)('%s is refused with 415', async ([, headers, body]) => {
    const { status, headers: given, answer } = await ask({ headers, body });
    expect(status).toBe(415);
    expect(given.accept).toBe('application/json');
    expect(answer.errors?.[0]).toMatchObject({
      message: expect.stringMatching(/^Unsupported media type: send JSON in UTF-8, not compressed/),
      extensions: { code: 'UNSUPPORTED_MEDIA_TYPE', status: 415 },
    });
    expect(answer).not.toHaveProperty('data');
  });

  test('a body without a Content-Type is refused, and so is none at all', async () => {
    const { token } = await makeNetwork(suite.database);
    for (const body of [QUERY, undefined]) {
      const request = { headers: { authorization: `Bearer ${token}` }, ...(body === undefined ? {} : { body }) };
      expect((await send(suite.url, request)).status).toBe(415);
    }
  });
});

describe('a body has at most 1 MiB', () => {
  test.for([
    ['with its length', (text: string) => text],
    ['in chunks', pieces],
  ] as const)('%s: exactly that is taken', async ([, form]) => {
    expect(await ask({ body: form(ofBytes(LIMIT_BYTES)) })).toMatchObject({ status: 200, answer: { data: {} } });
  });

  test.for([
    ['with its length', (text: string) => text, 1],
    ['in chunks', pieces, 1],
    ['with its length, many times over', (text: string) => text, 4 * LIMIT_BYTES],
    ['in chunks, many times over', pieces, 4 * LIMIT_BYTES],
  ] as const)('%s: a byte more is refused with 413', async ([, form, more]) => {
    const { status, headers, answer, parted } = await ask({ body: form(ofBytes(LIMIT_BYTES + more)) });
    expect(status).toBe(413);
    expect(headers.connection).toBe('close');
    expect(answer).toEqual({
      errors: [
        {
          message: `Payload too large: a body has at most ${LIMIT_BYTES} bytes`,
          extensions: { code: 'PAYLOAD_TOO_LARGE', status: 413, requestId: headers['x-request-id'] },
        },
      ],
    });
    expectCharged(parted, { requested: 0, actual: 0 });
  });

  test('to nobody that is known: 401, and none of it is read', async () => {
    const { status, headers } = await send(suite.url, {
      headers: { authorization: 'Bearer nonsense', 'content-type': 'application/json' },
      body: ofBytes(LIMIT_BYTES + 1),
    });
    expect([status, headers.connection]).toEqual([401, 'close']);
  });
});

describe('what is no text or no JSON', () => {
  test.for([
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'The body is not UTF-8'],
    ['a character that is cut off', Buffer.from('{"query":"é"}').subarray(0, 11), 'The body is not UTF-8'],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'The body is not UTF-8'],
    ['JSON that is cut off', '{"query":"{ me', 'POST body sent invalid JSON.'],
    ['two documents', `${QUERY}${QUERY}`, 'POST body sent invalid JSON.'],
    ['JavaScript', "{query:'{me{id}}'}", 'POST body sent invalid JSON.'],
    ['nothing', '', 'POST body sent invalid JSON.'],
  ] as const)('%s: 400', async ([, body, message]) => {
    const { status, headers, answer, parted } = await ask({ body });
    expect(status).toBe(400);
    const requestId = headers['x-request-id'];
    expect(answer).toEqual({
      errors: [{ message, extensions: { code: 'GRAPHQL_PARSE_FAILED', status: 400, requestId } }],
    });
    expectCharged(parted, { requested: 0, actual: 0 });
  });

  test('is no reason to close the connection’s log: the bytes are not in it', async () => {
    await ask({ body: '{"query": "marker-of-a-broken-body' });
    expect(JSON.stringify(suite.gateway.log)).not.toContain('marker-of-a-broken-body');
  });
});

test('a character that comes in two chunks is one character', async () => {
  const { network, token } = await makeNetwork(suite.database);
  await makeMembers(suite.database, network.id, 1, () => ({ email: 'zoë@example.test', name: 'Zoë' }));
  const body = Buffer.from('{"query":"{ member(email: \\"zoë@example.test\\") { name } }"}');
  const cut = body.indexOf(0xab); // the second byte of ë
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const reply = await send(suite.url, { headers, body: [body.subarray(0, cut), body.subarray(cut)] });
  expect(JSON.parse(reply.text)).toMatchObject({ data: { member: { name: 'Zoë' } } });
});

test('a byte order mark before the JSON is let pass', async () => {
  expect((await ask({ body: `\ufeff${QUERY}` })).status).toBe(200);
});

describe('parameters', () => {
  const { query } = JSON.parse(QUERY);

  test.for([
    ['an empty operationName', { query, operationName: '' }],
    ['an empty operationName beside a named operation', { query: `query A ${query}`, operationName: '' }],
    ['nulls', { query, operationName: null, variables: null, extensions: null }],
    ['unknown members', { query, id: 'q1', key: 'k', hash: 'h', name: 'n', documentId: 7, extra: { a: [1] } }],
    ['extensions that mean nothing here', { query, extensions: { clientLibrary: { name: 'x' } } }],
    ['a hash beside the query', { query, extensions: { persistedQuery: { version: 1, sha256Hash: 'ab' } } }],
  ] as const)('%s: the query is run', async ([, body]) => {
    expect(await ask({ body: JSON.stringify(body) })).toMatchObject({ status: 200, answer: { data: { me: {} } } });
  });

  test.for([
    ['an empty operationName', 'operationName='],
    ['empty variables and extensions', 'variables=&extensions='],
    ['unknown ones', 'id=q1&key=k&hash=h&name=n'],
    ['a hash beside the query', 'extensions=%7B%22persistedQuery%22%3A%7B%22sha256Hash%22%3A%22ab%22%7D%7D'],
  ])('%s in the address of a GET: the query is run', async ([, more]) => {
    const path = `/graphql?query=${encodeURIComponent(query)}&${more}`;
    expect(await ask({ method: 'GET', path })).toMatchObject({ status: 200, answer: { data: { me: {} } } });
  });

  test('an operationName that the document has not is named', async () => {
    for (const name of ['Other', 'null', 'a "quoted" one']) {
      const body = JSON.stringify({ query: `query A ${query}`, operationName: name });
      const path = `/graphql?${new URLSearchParams({ query: `query A ${query}`, operationName: name })}`;
      for (const request of [{ body }, { method: 'GET', path }]) {
        const { status, answer } = await ask(request);
        expect(status).toBe(422);
        expect(answer.errors?.[0]).toMatchObject({
          message: `Unknown operation named ${JSON.stringify(name)}`,
          extensions: { code: 'BAD_USER_INPUT', field: 'operationName' },
        });
      }
    }
  });

  test('a mutation by GET or HEAD is refused, whatever its name', async () => {
    const search = new URLSearchParams({
      query: 'query A { me { id } } mutation B { revokeCurrentApiKey { apiKey { id } } }',
    });
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await send(suite.url, {
        method,
        path: `/graphql?${search}&operationName=B`,
        headers: { authorization: `Bearer ${(await makeNetwork(suite.database)).token}` },
      });
      expect([status, headers.allow]).toEqual([405, 'POST']);
    }
  });
});
