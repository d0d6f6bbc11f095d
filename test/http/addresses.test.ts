import { Agent } from 'node:http';
import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { replyOf } from '../support/client.ts';
import { makeMembers, makeNetwork, PLENTY } from '../support/fixtures.ts';
import { post, send } from '../support/raw-http.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const ACCEPT = 'application/graphql-response+json';

async function get(query: string, token: string | null, headers: Record<string, string> = {}) {
  const authorization: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  const reply = await fetch(`${suite.url}/graphql${query}`, {
    headers: { accept: ACCEPT, ...authorization, ...headers },
  });
  return replyOf(reply);
}

function search(parameters: Record<string, string>): string {
  return `?${new URLSearchParams(parameters)}`;
}

describe('GET /graphql', () => {
  test('answers a query with variables and the name of its operation', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const [member] = await makeMembers(suite.database, network.id, 1);
    const query = 'query Other { me { id } } query Named($id: ID) { member(id: $id) { name } }';
    const variables = JSON.stringify({ id: toId('Member', member?.id ?? '') });
    const reply = await get(search({ query, variables, operationName: 'Named' }), token);
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({ data: { member: { name: member?.name } } });
    expect(reply.headers.get('cache-control')).toBe('no-store');
  });

  test.for([
    ['a mutation', 'mutation { revokeApiKey(input: { id: "ID" }) { userErrors { code } } }', {}],
    [
      'a mutation beside a query, by its name',
      'query A { me { id } } mutation B { revokeApiKey(input: { id: "ID" }) { userErrors { code } } }',
      { operationName: 'B' },
    ],
  ] as const)('refuses %s with 405, and nothing has changed', async ([, query, more]) => {
    const { apiKey, token } = await makeNetwork(suite.database);
    for (const accept of [ACCEPT, 'application/json']) {
      const text = query.replace('ID', toId('ApiKey', apiKey.id));
      const reply = await get(search({ query: text, ...more }), token, { accept });
      expect(reply.status).toBe(405);
      expect(reply.headers.get('allow')).toBe('POST');
      expect(reply.body.errors?.[0]?.extensions.code).toBe('METHOD_NOT_ALLOWED');
      expect(reply.body).not.toHaveProperty('data');
    }
    expect((await suite.call(token, '{ me { id } }')).status).toBe(200);
  });

  test('answers a query beside a mutation, by its name', async () => {
    const { token } = await makeNetwork(suite.database);
    const query = 'query A { me { role } } mutation B { revokeApiKey(input: { id: "x" }) { userErrors { code } } }';
    const reply = await get(search({ query, operationName: 'A' }), token);
    expect(reply.body).toEqual({ data: { me: { role: 'OWNER' } } });
  });

  test('needs a token', async () => {
    const reply = await get(search({ query: '{ me { id } }' }), null);
    expect(reply.status).toBe(401);
    expect(reply.body.errors?.[0]?.message).toMatch(/^Missing Authorization header/);
  });

  test('takes no token from the query string', async () => {
    const { token } = await makeNetwork(suite.database);
    for (const name of ['access_token', 'token', 'authorization']) {
      expect((await get(search({ query: '{ me { id } }', [name]: token }), null)).status).toBe(401);
    }
  });

  test('is a query and not GraphiQL to a browser that sends a token', async () => {
    const { token } = await makeNetwork(suite.database);
    const reply = await get(search({ query: '{ me { role } }' }), token, { accept: 'text/html,*/*' });
    expect(reply.body).toEqual({ data: { me: { role: 'OWNER' } } });
  });
});

test.for(['PUT', 'PATCH', 'DELETE', 'QUERY'])(
  '%s /graphql is refused with 405 and what to send instead',
  async (method) => {
    const { token } = await makeNetwork(suite.database);
    const { status, headers } = await send(suite.url, { ...post(token, '{ me { id } }'), method });
    expect({ status, allow: headers.allow }).toEqual({ status: 405, allow: 'GET, HEAD, POST, OPTIONS' });
  },
);

describe('an address where nothing is', () => {
  test.for([
    ['GET', '/'],
    ['POST', '/'],
    ['POST', '/graphql/'],
    ['POST', '/GraphQL'],
    ['POST', '/graphql/../graphql'],
    ['POST', '//graphql'],
    ['POST', '/networks/graphql'],
    ['POST', '/networks//graphql'],
    ['POST', '/networks/a/b/graphql'],
    ['GET', '/healthz/'],
    ['GET', '/metrics'],
    ['GET', '/.env'],
    ['OPTIONS', '/nothing'],
    ['GET', `/${'long/'.repeat(1_000)}`],
    ['GET', '/%00'],
  ] as const)('%s %s: 404 in the form of the REST paths', async ([method, path]) => {
    const { token } = await makeNetwork(suite.database);
    const { status, headers, text } = await send(suite.url, { ...post(token, '{ me { id } }'), method, path });
    expect(status).toBe(404);
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(JSON.parse(text)).toEqual({
      error: 'not_found',
      message: 'Not Found: there is nothing at this address',
      status: 404,
      requestId: headers['x-request-id'],
    });
    expect(headers['x-request-id']).toMatch(/^req_[0-9a-f]{32}$/);
  });
});

describe('HEAD is answered as GET, without the body', () => {
  async function both(path: string, headers: Record<string, string>) {
    const [get, head] = [
      await send(suite.url, { method: 'GET', path, headers }),
      await send(suite.url, { method: 'HEAD', path, headers }),
    ];
    expect(get.text.length).toBeGreaterThan(0);
    expect(head.text).toBe('');
    expect(head.status).toBe(get.status);
    const { date: _date, ...fields } = get.headers;
    expect(Object.keys(head.headers)).toEqual(expect.arrayContaining(Object.keys(fields)));
    for (const name of [
      'content-type',
      'content-length',
      'vary',
      'cache-control',
      'etag',
      'www-authenticate',
      'allow',
    ]) {
      expect([name, head.headers[name]]).toEqual([name, get.headers[name]]);
    }
    return head;
  }

  test.for(['/healthz', '/readyz', '/nowhere', '/leaked-tokens'])('%s', async (path) => {
    await both(path, {});
  });

  test.for([
    ['a query', '{ me { role } }', {}, 200],
    ['one that does not validate', '{ you }', {}, 422],
    ['one that is not acceptable', '{ me { role } }', { accept: 'text/plain' }, 406],
    ['data beside errors', '{ member { id } }', { accept: 'application/graphql-response+json' }, 294],
  ] as const)('/graphql with %s', async ([, query, headers, status]) => {
    const { token } = await makeNetwork(suite.database);
    const path = `/graphql${search({ query })}`;
    expect((await both(path, { ...headers, authorization: `Bearer ${token}` })).status).toBe(status);
  });

  test('/graphql without a token, and the page that a browser gets there', async () => {
    expect((await both('/graphql', {})).status).toBe(401);
    expect(
      (await both('/graphql', { accept: 'text/html', 'accept-encoding': 'gzip' })).headers['content-type'],
    ).toMatch(/^text\/html/);
  });

  test('it counts as a request, and no connection is lost by it', async () => {
    const { token } = await makeNetwork(suite.database);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const path = `/graphql${search({ query: '{ me { role } }' })}`;
    const headers = { authorization: `Bearer ${token}` };
    const ports: unknown[] = [];
    for (let time = 0; time < 3; time += 1) {
      ports.push((await send(suite.url, { method: 'HEAD', path, headers, agent })).localPort);
    }
    agent.destroy();
    expect(new Set(ports).size).toBe(1);
    const { headers: after } = await send(suite.url, { method: 'GET', path, headers });
    expect(after['ratelimit']).toContain(`"requests";r=${PLENTY.requestsPerMinute - 4};`);
  });
});

describe('health', () => {
  test.for([
    ['/healthz', { status: 'ok' }],
    ['/readyz', { status: 'ready', checks: { database: 'ok', limiter: 'ok' } }],
    ['/readyz?verbose', { status: 'ready', checks: { database: 'ok', limiter: 'ok' } }],
  ] as const)('%s answers without a token, and is kept by no cache', async ([path, body]) => {
    const { status, headers, text } = await send(suite.url, { method: 'GET', path });
    expect({ status, body: JSON.parse(text), cache: headers['cache-control'] }).toEqual({
      status: 200,
      body,
      cache: 'no-store',
    });
  });

  test.for(['/healthz', '/readyz'])('%s is for GET and HEAD alone', async (path) => {
    const { status, headers, text } = await send(suite.url, { method: 'POST', path });
    expect({ status, allow: headers.allow }).toEqual({ status: 405, allow: 'GET, HEAD' });
    expect(JSON.parse(text)).toMatchObject({ error: 'method_not_allowed', status: 405 });
  });
});
