import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import { makeMembers, makeNetwork, PLENTY } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { post, send, sendBytes } from '../support/raw-http.ts';
import { recordStatements } from '../support/statements.ts';
import { useScratchGateway } from '../support/suite.ts';

const TIMEOUT_MS = 1_500;
const suite = useScratchGateway({
  REQUEST_TIMEOUT_MS: String(TIMEOUT_MS),
  // So long that no statement of these tests ends by it.
  STATEMENT_TIMEOUT_MS: '120000',
});
/** For what comes a moment after an answer: generous, for a busy machine. */
const POLL = { timeout: 10_000 };

const statements = recordStatements();

describe('a request that takes too long', () => {
  const ofNetworks = () => statements.filter((text) => text.includes('"public"."networks"'));

  test('is answered 504 in time, and begins no more reads', async () => {
    const { network, token } = await makeNetwork(suite.database);
    await makeMembers(suite.database, network.id, 1);
    const query = '{ members { nodes { network { slug } } pageInfo { hasPreviousPage } } }';
    // First without a lock: its second level is a read of the network.
    statements.length = 0;
    expect((await suite.call(token, query)).status).toBe(200);
    expect(ofNetworks()).toHaveLength(1);
    statements.length = 0;

    const lock = await hold(suite.database.pool, 'LOCK TABLE members');
    try {
      const begunAt = performance.now();
      const reply = await suite.call(token, query);
      expect(performance.now() - begunAt).toBeGreaterThanOrEqual(TIMEOUT_MS - 1);
      expect(reply.status).toBe(504);
      expect(reply.body).toEqual({
        errors: [
          {
            message: `Timeout: a request may take ${TIMEOUT_MS} ms`,
            extensions: { code: 'TIMEOUT', status: 504, requestId: reply.headers.get('x-request-id') },
          },
        ],
      });
      // What is charged so far: a page of 50 with their networks.
      expect(reply.cost).toMatchObject({ requested: 64, actual: 64, limit: PLENTY.costPerMinute });
      // Its first read is ended on the server, though nobody has let go of what it waited for.
      await expect.poll(() => lock.awaiting(), POLL).toBe(0);
    } finally {
      await lock.release();
    }
    await expect.poll(async () => (await suite.database.pool.query(BUSY)).rows, POLL).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ofNetworks()).toEqual([]);
    expect(suite.gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('in a batch: what was done before is told, and the rest is a TIMEOUT each', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const slow = '{ members { nodes { id } } }';
    const lock = await hold(suite.database.pool, 'LOCK TABLE members');
    try {
      const body = JSON.stringify([CREATE, slow, CREATE].map((query) => ({ query })));
      const reply = await send(suite.url, { ...post(token, ''), body });
      expect(reply.status).toBe(294);
      const [made, late, never] = JSON.parse(reply.text);
      expect(made.data.createApiKey.token).toMatch(/^gk_live_/);
      const timeout = { message: `Timeout: a request may take ${TIMEOUT_MS} ms`, extensions: { code: 'TIMEOUT' } };
      expect(late).toMatchObject({ errors: [timeout], extensions: { cost: { requested: 14, actual: 14 } } });
      expect(never).toEqual({ errors: [late.errors[0]] });
    } finally {
      await lock.release();
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await suite.database.prisma.apiKey.count({ where: { networkId: network.id, name: 'too late' } })).toBe(1);
  });

  test('is logged once, with its code', async () => {
    const { token } = await makeNetwork(suite.database);
    const lock = await hold(suite.database.pool, 'LOCK TABLE members');
    const reply = await suite.call(token, '{ members { nodes { id } } }');
    await lock.release();
    const requestId = reply.headers.get('x-request-id');
    const lines = () => suite.gateway.log.filter((line) => line['requestId'] === requestId);
    await expect.poll(lines, POLL).toHaveLength(1);
    expect(lines()[0]).toMatchObject({ msg: 'request', status: 504, code: 'TIMEOUT' });
  });
});

/** The session that holds a test's lock. */
const LOCK_HOLDER = { query: expect.stringMatching(/^LOCK TABLE/) };
/** What other sessions of the gateway do now; a worker of PostgreSQL's own, such as a vacuum, is none. */
const BUSY = `SELECT query FROM pg_stat_activity
  WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid() AND backend_type = 'client backend'`;

/** Statements of these tests' requests; what was counted is written now and then, whoever asks. */
const OF_REQUESTS = /\bmembers\b|audit_events|"api_keys"/;

const CREATE = 'mutation { createApiKey(input: { name: "too late", scopes: [] }) { token } }';

describe('the statement of a request that takes too long is ended on the server', () => {
  test.for([
    ['a prepared read', 'members', '{ members { nodes { id } } }'],
    ['a read of Prisma’s', 'members', '{ member(email: "nobody@example.test") { id } }'],
    ['a read of a loader’s', 'members', `{ node(id: "${toId('Member', newUuid())}") { id } }`],
    ['several reads at once', 'members', '{ a: members { nodes { id } } member(email: "x@example.test") { id } }'],
    ['a mutation that waits for a lock in its transaction', 'audit_events', CREATE],
    ['the first of a batch of mutations', 'audit_events', [CREATE, CREATE, CREATE]],
  ] as const)('%s', async ([, table, query]) => {
    const { network, token } = await makeNetwork(suite.database);
    const lock = await hold(suite.database.pool, `LOCK TABLE ${table}`);
    try {
      const body = JSON.stringify(typeof query === 'string' ? { query } : query.map((one) => ({ query: one })));
      const reply = send(suite.url, { ...post(token, ''), body });
      await lock.untilAwaited();
      expect((await reply).status).toBe(504);
      // Long before any statement's own time is up, and while the lock is still held.
      await expect.poll(async () => (await suite.database.pool.query(BUSY)).rows, POLL).toEqual([LOCK_HOLDER]);
      expect(await lock.awaiting()).toBe(0);
    } finally {
      await lock.release();
    }
    // Nothing comes after: no second statement, no second operation, no write.
    statements.length = 0;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(statements.filter((text) => OF_REQUESTS.test(text))).toEqual([]);
    await expect.poll(async () => (await suite.database.pool.query(BUSY)).rows, POLL).toEqual([]);
    const where = { networkId: network.id };
    expect(await suite.database.prisma.apiKey.count({ where: { ...where, name: 'too late' } })).toBe(0);
    expect(await suite.database.prisma.auditEvent.count({ where })).toBe(1);
    expect(suite.gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('keeps no connection from another network, and its own serves whoever comes next', async () => {
    const slow = await makeNetwork(suite.database);
    const other = await makeNetwork(suite.database);
    const lock = await hold(suite.database.pool, 'LOCK TABLE members');
    // As many as there are connections: all but the key's share wait in its own queue.
    const slowOnes = Array.from({ length: 5 }, () => suite.call(slow.token, '{ members { nodes { id } } }'));
    await lock.untilAwaited();
    const meanwhile = Array.from({ length: 20 }, () => suite.call(other.token, '{ network { slug } }'));
    // Of the key's own, those that waited are told for what: 503, or 504 where the machine was slower than that.
    for (const { status } of await Promise.all(slowOnes)) expect([503, 504]).toContain(status);
    for (const { status, body } of await Promise.all(meanwhile)) {
      if (status === 200) expect(body).toEqual({ data: { network: { slug: other.network.slug } } });
      else expect([status, body.errors?.[0]?.extensions.code]).toEqual([504, 'TIMEOUT']);
    }
    for (let round = 0; round < 3; round += 1) {
      const replies = Array.from({ length: 20 }, () => suite.call(other.token, '{ network { slug } }'));
      expect((await Promise.all(replies)).map(({ status }) => status)).toEqual(Array(20).fill(200));
    }
    await lock.release();
    expect((await suite.call(slow.token, '{ members { nodes { id } } }')).status).toBe(200);
    expect(suite.gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

test('a caller that goes away in the middle has paid for what it began', async () => {
  const numbers = { plan: 'CUSTOM', requestsPerMinute: 100, costPerMinute: 1_000 } as const;
  const { network, token } = await makeNetwork(suite.database, { network: numbers });
  await makeMembers(suite.database, network.id, 1);
  const lock = await hold(suite.database.pool, 'LOCK TABLE members');
  const leaving = new AbortController();
  const reply = send(suite.url, {
    ...post(token, '{ members(first: 250) { nodes { id network { slug } } } }'),
    signal: leaving.signal,
  });
  await lock.untilAwaited();
  leaving.abort();
  await expect(reply).rejects.toThrow();
  await expect.poll(() => lock.awaiting(), POLL).toBe(0);
  await lock.release();
  // The one that went, and this one.
  expect((await suite.call(token, '{ me { id } }')).cost?.remaining).toBe(1_000 - 314 - 1);
});

describe('a request that does not arrive whole in time', () => {
  test('while its headers are still to come: 408, and the connection is closed', async () => {
    const text = await sendBytes(suite.url, 'POST /graphql HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    expect(text).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    const body = JSON.parse(text.slice(text.indexOf('\r\n\r\n')));
    expect(body.errors[0]).toMatchObject({
      extensions: { code: 'REQUEST_TIMEOUT', status: 408, requestId: expect.any(String) },
    });
  });

  test('while its body is still to come: 504, and the connection is closed', async () => {
    const { token } = await makeNetwork(suite.database);
    const head = `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
    const text = await sendBytes(suite.url, `${head}Content-Length: 1000000\r\n\r\n{"query":`);
    expect(text).toMatch(/^HTTP\/1\.1 504 Gateway Timeout\r\n/);
    expect(text.toLowerCase()).toContain('\r\nconnection: close\r\n');
  });
});

test('a caller that goes away ends its request: no more reads, and the log says 499', async () => {
  const { token } = await makeNetwork(suite.database);
  const lock = await hold(suite.database.pool, 'LOCK TABLE members');
  const leaving = new AbortController();
  const reply = send(suite.url, {
    ...post(token, 'query Leaver { members { nodes { network { slug } } } }'),
    signal: leaving.signal,
  });
  await lock.untilAwaited();
  leaving.abort();
  await expect(reply).rejects.toThrow();
  await expect.poll(() => suite.gateway.log.filter(({ status }) => status === 499), POLL).toHaveLength(1);
  await lock.release();
  expect((await suite.call(token, '{ members { nodes { id } } }')).status).toBe(200);
  expect(suite.gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('slow callers stop nobody else', async () => {
  const { token } = await makeNetwork(suite.database);
  const { hostname, port } = new URL(suite.url);
  const slow = Array.from({ length: 50 }, () => connect(Number(port), hostname).on('error', () => undefined));
  await Promise.all(slow.map((socket) => once(socket, 'connect')));
  for (const socket of slow) socket.write('POST /graphql HTTP/1.1\r\nHost: x\r\n');
  expect((await suite.call(token, '{ me { id } }')).status).toBe(200);
  for (const socket of slow) socket.destroy();
});
