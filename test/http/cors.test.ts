import { describe, expect, test } from 'vitest';
import { makeNetwork } from '../support/fixtures.ts';
import { post, send } from '../support/raw-http.ts';
import { useGateway } from '../support/suite.ts';

const ORIGIN = 'https://app.example.org';
const suite = useGateway({ CORS_ORIGINS: `${ORIGIN}, http://localhost:3000` });
const closed = useGateway();

const EXPOSED = 'X-Request-Id, RateLimit, RateLimit-Policy, Retry-After, Idempotent-Replayed, WWW-Authenticate';
const PATHS = ['/graphql', '/networks/some-network/graphql'];

/** The CORS headers of an answer alone. */
function corsOf(headers: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-')));
}

function preflight(url: string, path: string, origin: string) {
  const headers = {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type',
  };
  return send(url, { method: 'OPTIONS', path, headers });
}

describe('an origin of CORS_ORIGINS', () => {
  test.for(PATHS)('may ask at %s, and its preflight needs no token', async (path) => {
    for (const origin of [ORIGIN, 'http://localhost:3000']) {
      const { status, headers, text } = await preflight(suite.url, path, origin);
      expect({ status, text, vary: headers.vary, cors: corsOf(headers) }).toEqual({
        status: 204,
        text: '',
        vary: 'Origin',
        cors: {
          'access-control-allow-origin': origin,
          'access-control-allow-methods': 'GET, POST',
          'access-control-allow-headers': 'Authorization, Content-Type, Accept, Idempotency-Key',
          'access-control-expose-headers': EXPOSED,
          'access-control-max-age': '600',
        },
      });
    }
  });

  test('may read the answer and its useful headers', async () => {
    const { token } = await makeNetwork(suite.database);
    const { status, headers } = await send(suite.url, post(token, '{ me { id } }', { origin: ORIGIN }));
    expect({ status, vary: headers.vary, cors: corsOf(headers) }).toEqual({
      status: 200,
      vary: 'Origin, Accept, Authorization',
      cors: { 'access-control-allow-origin': ORIGIN, 'access-control-expose-headers': EXPOSED },
    });
  });

  test.for([
    ['401', {}, 401],
    ['404', { path: '/networks/none/graphql' }, 404],
    ['405', { method: 'DELETE' }, 405],
    ['415', { headers: { 'content-type': 'text/plain' } }, 415],
  ] as const)('may read a refusal too: %s', async ([, more, expected]) => {
    const { token } = await makeNetwork(suite.database);
    const call = post(expected === 401 ? null : token, '{ me { id } }', { origin: ORIGIN });
    const { status, headers } = await send(suite.url, {
      ...call,
      ...more,
      headers: { ...call.headers, ...('headers' in more ? more.headers : {}) },
    });
    expect({ status, origin: headers['access-control-allow-origin'] }).toEqual({ status: expected, origin: ORIGIN });
  });
});

describe('any other origin is told nothing', () => {
  test.for([
    'https://evil.test',
    `${ORIGIN}.evil.test`,
    `${ORIGIN}:8443`,
    'http://app.example.org',
    'https://APP.example.org',
    'null',
    '*',
  ])('%s', async (origin) => {
    const { token } = await makeNetwork(suite.database);
    const asked = await preflight(suite.url, '/graphql', origin);
    expect({ status: asked.status, vary: asked.headers.vary, cors: corsOf(asked.headers) }).toEqual({
      status: 204,
      vary: 'Origin',
      cors: {},
    });
    const answered = await send(suite.url, post(token, '{ me { id } }', { origin }));
    expect(corsOf(answered.headers)).toEqual({});
    expect(answered.headers.vary).toContain('Origin');
  });
});

test('no origin is let in by default', async () => {
  const { token } = await makeNetwork(suite.database);
  for (const { headers } of [
    await preflight(closed.url, '/graphql', ORIGIN),
    await send(closed.url, post(token, '{ me { id } }', { origin: ORIGIN })),
  ]) {
    expect(corsOf(headers)).toEqual({});
  }
});

test('a browser’s plain form can’t ask: what needs no preflight is no JSON, and refused', async () => {
  const { token } = await makeNetwork(suite.database);
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
    const { status } = await send(suite.url, post(token, '{ me { id } }', { 'content-type': type }));
    expect(status).toBe(415);
  }
});
