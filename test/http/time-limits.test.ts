import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { post, send, sendBytes } from '../support/raw-http.ts';
import { recordStatements } from '../support/statements.ts';
import { useScratchGateway } from '../support/suite.ts';

const TIMEOUT_MS = 1_500;
const suite = useScratchGateway({ REQUEST_TIMEOUT_MS: String(TIMEOUT_MS) });
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
      expect(await lock.awaiting()).toBe(1); // its first read is still under way
    } finally {
      await lock.release();
    }
    await expect.poll(async () => (await suite.database.pool.query(BUSY)).rows, POLL).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ofNetworks()).toEqual([]);
    expect(suite.gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
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

/** What other sessions of this database do now. */
const BUSY = `SELECT query FROM pg_stat_activity
  WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()`;

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
