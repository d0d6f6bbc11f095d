/** A gateway that closes finishes what is under way, refuses what is new, and waits no longer than it was told. */
import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { hold, type Lock } from '../support/lock.ts';
import { post, send } from '../support/raw-http.ts';
import { scratchUrl } from '../support/scratch.ts';

const GRACE_MS = 10_000;
const SHORT_GRACE_MS = 700;
const MEMBERS = '{ members { nodes { id } } }';

let database: Database;
let gateway: TestGateway;
let own: TestNetwork;
let lock: Lock;
let url: string;
/** The gateway's end, once it was asked for. */
let closed: Promise<void> | null;

function close(): Promise<void> {
  closed ??= gateway.close();
  return closed;
}

beforeEach(async () => {
  closed = null;
  url = await scratchUrl({ migrated: true });
  database = await openDatabase({ url, dataDir: '', poolSize: 3, statementTimeoutMs: 30_000 });
  gateway = await startTestGateway({ DATABASE_URL: url, SHUTDOWN_TIMEOUT_MS: String(GRACE_MS) });
  own = await makeNetwork(database);
  lock = await hold(database.pool, 'LOCK TABLE members');
});
afterEach(async () => {
  await lock.release();
  await close();
  await database.close();
});

describe('when it closes', () => {
  test('a request that is under way gets its whole answer, and the connection ends with it', async () => {
    const agent = new Agent({ keepAlive: true });
    const reply = send(gateway.url, { ...post(own.token, MEMBERS), agent });
    await lock.untilAwaited();
    const closing = close();
    await lock.release();
    const { status, headers, text } = await reply;
    expect({ status, answer: JSON.parse(text), connection: headers.connection }).toEqual({
      status: 200,
      answer: { data: { members: { nodes: [] } }, extensions: { cost: expect.objectContaining({ actual: 1 }) } },
      connection: 'close',
    });
    await closing;
    agent.destroy();
  });

  test('a new connection is refused at once, while another request is still under way', async () => {
    const reply = send(gateway.url, post(own.token, MEMBERS));
    await lock.untilAwaited();
    const closing = close();
    for (const path of ['/graphql', '/healthz', '/readyz']) {
      await expect(send(gateway.url, { method: 'GET', path })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    }
    await lock.release();
    expect((await reply).status).toBe(200);
    await closing;
  });

  test('idle connections are closed, so that it need not wait for them', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await send(gateway.url, { method: 'GET', path: '/healthz', agent });
    await lock.release();
    const begunAt = performance.now();
    await close();
    expect(performance.now() - begunAt).toBeLessThan(GRACE_MS / 2);
    agent.destroy();
  });

  test('a request on a connection that was open already is refused with 503 and Retry-After', async () => {
    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.setEncoding('utf8').on('data', (piece) => {
      text += piece;
    });
    // Half a request: the connection is busy, and so not closed as idle.
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n');
    await once(socket, 'connect');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const closing = close();
    socket.write('\r\n');
    await once(socket, 'close');
    expect(text).toMatch(/^HTTP\/1\.1 503 /);
    expect(text.toLowerCase()).toMatch(/\r\nretry-after: [1-9]/);
    expect(text).toContain('"code":"SERVICE_UNAVAILABLE"');
    await lock.release();
    await closing;
  });

  test('what does not finish within SHUTDOWN_TIMEOUT_MS is cut off', async () => {
    const hasty = await startTestGateway({ DATABASE_URL: url, SHUTDOWN_TIMEOUT_MS: String(SHORT_GRACE_MS) });
    const reply = send(hasty.url, post(own.token, MEMBERS));
    reply.catch(() => undefined); // it breaks before we look
    await lock.untilAwaited();
    const begunAt = performance.now();
    const closing = hasty.close();
    await expect(reply).rejects.toThrow();
    expect(performance.now() - begunAt).toBeGreaterThanOrEqual(SHORT_GRACE_MS - 1);
    await lock.release();
    await closing;
  });
});
