/** Answers of more than 1 kB are compressed for whoever asks for it, and for nobody else. */

import { once } from 'node:events';
import { request } from 'node:http';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { codingFor } from '../../src/http/accept-encoding.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const off = useGateway({ COMPRESSION: 'off' });
const PAGE = '{ members(first: 50) { nodes { id name email role status } } }';
const UNPACK = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync } as const;

interface BinaryReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

interface Asked {
  readonly url?: string;
  readonly method?: string;
  readonly path?: string;
  readonly token?: string;
  readonly query?: string | object;
  readonly headers?: Record<string, string>;
}

/** Below fetch, which unpacks by itself. */
async function ask({ url = suite.url, method = 'POST', path = '/graphql', token, query, headers = {} }: Asked) {
  const { hostname, port } = new URL(url);
  const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const outgoing = request({
    hostname,
    port,
    method,
    path,
    headers: { 'content-type': 'application/json', ...authorization, ...headers },
  });
  const body = typeof query === 'string' ? { query } : query;
  outgoing.end(method === 'POST' ? JSON.stringify(body) : undefined);
  const [response] = await once(outgoing, 'response');
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece);
  const reply: BinaryReply = { status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces) };
  return reply;
}

async function community(url = suite.url, database = suite.database) {
  const { network, token } = await makeNetwork(database);
  await makeMembers(database, network.id, 50);
  return { url, token };
}

/** What differs from one answer to the next. */
const withoutCost = (body: Buffer) => ({ ...JSON.parse(body.toString()), extensions: null });

describe('an answer of more than 1 kB', () => {
  test.for(['gzip', 'br', 'zstd'] as const)('is compressed by %s where that is accepted', async (coding) => {
    const asked = { ...(await community()), query: PAGE };
    const plain = await ask(asked);
    const packed = await ask({ ...asked, headers: { 'accept-encoding': coding } });
    expect(packed.status).toBe(200);
    expect(packed.headers['content-encoding']).toBe(coding);
    expect(packed.headers['content-length']).toBe(String(packed.body.length));
    expect(packed.body.length).toBeLessThan(plain.body.length / 2);
    expect(withoutCost(UNPACK[coding](packed.body))).toEqual(withoutCost(plain.body));
    for (const { headers } of [plain, packed]) expect(headers['vary']).toBe('Accept, Authorization, Accept-Encoding');
  });

  test.for([
    ['without the header', undefined],
    ['with an empty one', ''],
    ['of a client that wants it as it is', 'identity'],
    ['of one that knows other codings', 'deflate, compress'],
    ['of one that refuses each', 'gzip;q=0, br;q=0, zstd;q=0'],
    ['of one that refuses all others', 'identity, *;q=0'],
    ['of one that accepts nothing', 'identity;q=0, *;q=0'],
  ] as const)('is never compressed %s', async ([, accepted]) => {
    const headers: Record<string, string> = accepted === undefined ? {} : { 'accept-encoding': accepted };
    const reply = await ask({ ...(await community()), query: PAGE, headers });
    expect(reply.headers['content-encoding']).toBeUndefined();
    expect(JSON.parse(reply.body.toString()).data.members.nodes).toHaveLength(50);
    expect(reply.headers['vary']).toContain('Accept-Encoding');
  });

  test('is answered to HEAD with the headers of its GET', async () => {
    const { token } = await community();
    const path = `/graphql?${new URLSearchParams({ query: PAGE })}`;
    const headers = { 'accept-encoding': 'gzip' };
    const [get, head] = [
      await ask({ method: 'GET', path, token, headers }),
      await ask({ method: 'HEAD', path, token, headers }),
    ];
    expect(head.body).toHaveLength(0);
    for (const name of ['content-encoding', 'content-type', 'vary']) expect(head.headers[name]).toBe(get.headers[name]);
    expect(head.headers['content-encoding']).toBe('gzip');
  });

  test('is compressed in a batch, and as a refusal', async () => {
    const { token } = await community();
    const headers = { 'accept-encoding': 'br' };
    const batch = await ask({ token, query: Array(4).fill({ query: PAGE }), headers });
    expect(JSON.parse(brotliDecompressSync(batch.body).toString())).toHaveLength(4);
    const query = `{ ${Array.from({ length: 20 }, (_, index) => `you${index}`).join(' ')} }`;
    const refused = await ask({ token, query, headers });
    expect([refused.status, refused.headers['content-encoding']]).toEqual([422, 'br']);
    expect(JSON.parse(brotliDecompressSync(refused.body).toString()).errors).toHaveLength(20);
  });

  test('is compressed for many at once, each its own', async () => {
    const { token } = await community();
    const codings = Array.from({ length: 60 }, (_, index) => (['gzip', 'br', 'zstd'] as const)[index % 3] ?? 'gzip');
    const replies = await Promise.all(
      codings.map((coding) => ask({ token, query: PAGE, headers: { 'accept-encoding': coding } })),
    );
    for (const [index, { body }] of replies.entries()) {
      const unpack = UNPACK[codings[index] ?? 'gzip'];
      expect(JSON.parse(unpack(body).toString()).data.members.nodes).toHaveLength(50);
    }
  });

  test('is not compressed by COMPRESSION=off', async () => {
    const asked = await community(off.url, off.database);
    const reply = await ask({ ...asked, query: PAGE, headers: { 'accept-encoding': 'gzip, br, zstd' } });
    expect([reply.headers['content-encoding'], reply.headers['vary']]).toEqual([undefined, 'Accept, Authorization']);
  });
});

test.for(['{ me { role } }', '{ you }'])('an answer of 1 kB or less is never compressed: %s', async (query) => {
  const { token } = await makeNetwork(suite.database);
  const reply = await ask({ token, query, headers: { 'accept-encoding': 'gzip, br, zstd' } });
  expect(reply.body.length).toBeLessThanOrEqual(1_024);
  expect(reply.headers['content-encoding']).toBeUndefined();
  expect(JSON.parse(reply.body.toString())).toBeTypeOf('object');
});

test('a mutation’s answer is never compressed, alone or in a batch: its length tells nothing of a token', async () => {
  const { token } = await makeNetwork(suite.database);
  const name = 'n'.repeat(100);
  const create = (index: number) =>
    `mutation { createApiKey(input: { name: "${index}${name.slice(1)}", scopes: [MEMBERS_READ] }) { token ${Array.from({ length: 15 }, (_, at) => `k${at}: apiKey { name }`).join(' ')} } }`;
  const headers = { 'accept-encoding': 'gzip, br, zstd' };
  const alone = await ask({ token, query: create(1), headers });
  const batch = await ask({ token, query: [{ query: create(2) }, { query: '{ me { role } }' }], headers });
  for (const { status, headers: given, body } of [alone, batch]) {
    expect([status, given['content-encoding']]).toEqual([200, undefined]);
    expect(body.length).toBeGreaterThan(1_024);
    expect(body.toString()).toContain('gk_live_');
  }
});

describe('GraphiQL, which is kept compressed,', () => {
  test.for([
    ['comes so to a browser', suite, 'gzip, deflate, br, zstd', 'gzip'],
    ['is unpacked for a client that does not ask for it', suite, undefined, undefined],
    ['and for one that reads another coding alone', suite, 'br', undefined],
    ['and where compression is off', off, 'gzip', undefined],
  ] as const)('%s', async ([, gateway, accepted, coding]) => {
    const headers = { accept: 'text/html', ...(accepted === undefined ? {} : { 'accept-encoding': accepted }) };
    const reply = await ask({ url: gateway.url, method: 'GET', headers });
    expect([reply.status, reply.headers['content-encoding']]).toEqual([200, coding]);
    const html = coding === undefined ? reply.body : gunzipSync(reply.body);
    expect(html.subarray(0, 200).toString()).toMatch(/^\s*<!doctype html>/i);
    expect(reply.headers['content-length']).toBe(String(reply.body.length));
    const again = await ask({
      url: gateway.url,
      method: 'GET',
      headers: { ...headers, 'if-none-match': String(reply.headers['etag']) },
    });
    expect([again.status, again.headers['vary']]).toEqual([304, reply.headers['vary']]);
  });
});

describe('of the codings', () => {
  test.for([
    ['gzip', 'gzip'],
    ['x-gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['gzip, br', 'br'],
    ['gzip;q=1.0, br;q=0.5', 'gzip'],
    ['br;q=0.1, gzip;q=0.2, zstd;q=0.05', 'gzip'],
    ['*', 'gzip'],
    ['*;q=0.1', 'gzip'],
    ['zstd;q=0, *', 'gzip'],
    ['gzip;q=0, *', 'br'],
    ['br;q=0, gzip', 'gzip'],
    ['identity;q=0, br', 'br'],
    ['identity;q=0.5, gzip', 'gzip'],
    ['identity, gzip;q=0.5', null],
    ['identity;q=0', null],
    ['gzip;q=0', null],
    ['gzip;q=x', null],
    ['deflate', null],
    [',;', null],
  ] as const)('for %j it is %s', ([header, coding]) => {
    expect([codingFor(header), codingFor(header)]).toEqual([coding, coding]);
  });
});
