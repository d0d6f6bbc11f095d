/** Answers that nobody reads, through sockets that read nothing. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { toId } from '../../src/domain/id.ts';
import type { GatewayOptions } from '../../src/gateway.ts';
import { graphql } from '../support/client.ts';
import { makeKey, makeMembers, makeNetwork, openTestDatabase, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

const MIB = 1_048_576;
/** For what comes once the gateway gets to it: generous, for a busy machine. */
const POLL = { timeout: 30_000, interval: 20 };
/** So long that nothing is closed for it. */
const LONG_MS = 600_000;
/** A third of what is held, and the kernel has taken some of it: so bounds are a third, too. */
const BOUNDS = { keyBytes: 20 * MIB, networkBytes: 30 * MIB, gatewayBytes: 45 * MIB };

/** Each answer has some 12 MiB: three pages of 4 MiB. */
const LARGE =
  '{ a: members(first: 250) { nodes { customFields } } b: members(first: 250) { nodes { customFields } } c: members(first: 250) { nodes { customFields } } }';
/** 8 MiB. */
const SMALLER = LARGE.replace(/ c: .*/, ' }');
const ME = '{ me { role } }';

let database: Database;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

async function networkWithLargeMembers(): Promise<TestNetwork> {
  const made = await makeNetwork(database);
  await makeMembers(database, made.network.id, 250, () => ({ customFields: { text: 'x'.repeat(16_000) } }));
  return made;
}

async function start(options: GatewayOptions, settings: Record<string, string> = {}): Promise<TestGateway> {
  const gateway = await startTestGateway(settings, options);
  onTestFinished(() => gateway.close());
  return gateway;
}

/** Sends requests on a connection of its own, and reads nothing of what comes. */
function sendUnread(url: string, ...requests: readonly string[]): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined); // a reset is a close here
  socket.write(requests.join(''));
  return socket;
}

function request(token: string, query: string): string {
  const body = JSON.stringify({ query });
  return `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** Once so many answers to unread requests are written: those that are held. */
async function untilHeld(gateway: TestGateway, bytes: number): Promise<void> {
  await expect.poll(() => heldBytes(gateway), POLL).toBeGreaterThan(bytes);
}

async function heldBytes(gateway: TestGateway): Promise<number> {
  const url = gateway.log.map(({ url: at }) => at).find((at) => String(at).endsWith('/metrics'));
  const text = await (await fetch(String(url))).text();
  return Number(/^gatehouse_held_bytes (\d+)/m.exec(text)?.[1]);
}

const METRICS = { METRICS_PORT: '0' };

describe('what is held for callers is bounded', () => {
  test('a key that reads nothing is told so, and other keys are served', async () => {
    const large = await networkWithLargeMembers();
    const { network, admin } = large;
    const sibling = await makeKey(database, network.id, { adminId: admin.id });
    const other = await makeNetwork(database);
    const gateway = await start({ stalledMs: LONG_MS, heldBounds: BOUNDS }, METRICS);
    sendUnread(gateway.url, request(large.token, LARGE));
    await untilHeld(gateway, 10 * MIB);
    // There is room for a small answer, and none for another large one: that is stopped while it is made.
    expect((await graphql(gateway.url, large.token, ME)).status).toBe(200);
    const stopped = await graphql(gateway.url, large.token, LARGE);
    expect(stopped.status).toBe(429);
    expect(stopped.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    expect(stopped.headers.get('ratelimit')).toContain('"requests"');
    expect(stopped.body).not.toHaveProperty('data');
    expect(stopped.body.errors?.[0]).toMatchObject({
      message: expect.stringMatching(/^Rate limit exceeded: at most 20971520 bytes are held for this key/),
      extensions: { code: 'RATE_LIMITED', limit: { name: 'held-bytes', scope: 'key', max: BOUNDS.keyBytes } },
    });
    // The network has room for one more.
    expect((await graphql(gateway.url, sibling.token, LARGE)).status).toBe(200);
    expect((await graphql(gateway.url, other.token, ME)).status).toBe(200);
    expect(gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('a key that is at its bound is refused before anything runs, and is charged nothing', async () => {
    const large = await networkWithLargeMembers();
    const heldBounds = { ...BOUNDS, keyBytes: 4 * MIB };
    const gateway = await start({ stalledMs: LONG_MS, heldBounds }, METRICS);
    // Their bodies wait for their last byte.
    const body = JSON.stringify({ query: ME }).padEnd(MIB, ' ');
    const head = `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${large.token}\r\nContent-Type: application/json\r\nContent-Length: ${MIB}\r\n\r\n`;
    const sockets = Array.from({ length: 4 }, () => sendUnread(gateway.url, head + body.slice(0, -1)));
    await untilHeld(gateway, 4 * MIB - 10_000);
    const before = (await graphql(gateway.url, large.token, ME)).headers.get('ratelimit');
    const mutation = 'mutation { createApiKey(input: { name: "x", scopes: [] }) { token } }';
    const refused = await graphql(gateway.url, large.token, mutation);
    expect([refused.status, refused.body.errors?.[0]?.extensions['limit']]).toMatchObject([
      429,
      { name: 'held-bytes', scope: 'key', max: 4 * MIB },
    ]);
    expect(before).toContain('r=');
    expect(await database.prisma.apiKey.count({ where: { networkId: large.network.id } })).toBe(1);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => heldBytes(gateway), POLL).toBe(0);
    expect((await graphql(gateway.url, large.token, ME)).status).toBe(200);
  });

  test('a network whose keys read nothing is told so, and another network is served', async () => {
    const large = await networkWithLargeMembers();
    const { network, admin } = large;
    const keys = await Promise.all([1, 2, 3].map(() => makeKey(database, network.id, { adminId: admin.id })));
    const other = await networkWithLargeMembers();
    const gateway = await start({ stalledMs: LONG_MS, heldBounds: BOUNDS }, METRICS);
    for (const { token } of keys.slice(0, 2)) sendUnread(gateway.url, request(token, LARGE));
    await untilHeld(gateway, 20 * MIB);
    const stopped = await graphql(gateway.url, keys[2]?.token ?? '', LARGE);
    expect([stopped.status, stopped.body.errors?.[0]?.extensions['limit']]).toMatchObject([
      429,
      { name: 'held-bytes', scope: 'network', max: BOUNDS.networkBytes },
    ]);
    expect((await graphql(gateway.url, other.token, LARGE)).status).toBe(200);
  });

  test('where the gateway holds all that it may, the connection of the largest holder is closed', async () => {
    const networks = await Promise.all([1, 2, 3, 4].map(networkWithLargeMembers));
    const [first, second, third, fourth] = networks as [TestNetwork, TestNetwork, TestNetwork, TestNetwork];
    const more = await makeKey(database, first.network.id, { adminId: first.admin.id });
    const gateway = await start({ stalledMs: LONG_MS, heldBounds: BOUNDS }, METRICS);
    // The first holds two, by two keys: the most of a network.
    for (const token of [first.token, more.token]) sendUnread(gateway.url, request(token, LARGE));
    await untilHeld(gateway, 20 * MIB);
    for (const { token } of [second, third]) sendUnread(gateway.url, request(token, LARGE));
    const closed = () => gateway.log.filter(({ msg }) => msg === 'closed the connection that holds most');
    await expect.poll(closed, POLL).toHaveLength(1);
    expect(closed()[0]).toMatchObject({ level: 'warn', networkId: toId('Network', first.network.id) });
    // One that holds less than its share is served, whatever the others hold.
    expect((await graphql(gateway.url, fourth.token, SMALLER)).status).toBe(200);
    expect((await graphql(gateway.url, fourth.token, ME)).status).toBe(200);
    expect(await heldBytes(gateway)).toBeLessThanOrEqual(BOUNDS.gatewayBytes);
    await expect.poll(() => gateway.log.filter(({ status }) => status === 499).length, POLL).toBeGreaterThan(0);
    expect(closed().filter(({ networkId }) => networkId === toId('Network', fourth.network.id))).toEqual([]);
    expect(gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe('a connection that takes nothing of what waits for it is closed', () => {
  const STALLED_MS = 1_000;
  const stalledLines = (gateway: TestGateway) =>
    gateway.log.filter(({ msg }) => msg === 'closed a connection that takes nothing');

  test('and what was held for it is free again', async () => {
    const large = await networkWithLargeMembers();
    const gateway = await start({ stalledMs: STALLED_MS }, METRICS);
    sendUnread(gateway.url, request(large.token, LARGE));
    await untilHeld(gateway, 10 * MIB);
    await expect.poll(() => stalledLines(gateway), POLL).toHaveLength(1);
    await expect.poll(() => heldBytes(gateway), POLL).toBe(0);
    const [line] = stalledLines(gateway);
    const access = () =>
      gateway.log.find((each) => each['requestId'] === line?.['requestId'] && each['msg'] === 'request');
    await expect.poll(access, POLL).toMatchObject({ status: 499, networkId: expect.stringMatching(/^net_/) });
  });

  test('but not one that takes it slowly', async () => {
    const large = await networkWithLargeMembers();
    const gateway = await start({ stalledMs: STALLED_MS });
    const socket = sendUnread(gateway.url, request(large.token, LARGE));
    let bytes = 0;
    // A part now and then, so that the whole takes longer than that.
    const beganMs = performance.now();
    while (bytes < 12_000_000 && !socket.destroyed) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const part: Buffer | null = socket.read();
      bytes += part?.length ?? 0;
    }
    expect(performance.now() - beganMs).toBeGreaterThan(2 * STALLED_MS);
    expect(bytes).toBeGreaterThanOrEqual(12_000_000);
    expect(stalledLines(gateway)).toEqual([]);
  });

  test('though it goes on asking: requests that are sent at once wait for their turn', async () => {
    const large = await networkWithLargeMembers();
    const gateway = await start({ stalledMs: STALLED_MS }, METRICS);
    const requests = Array.from({ length: 20 }, () => request(large.token, LARGE));
    const socket = sendUnread(gateway.url, ...requests);
    await untilHeld(gateway, 10 * MIB);
    expect(await heldBytes(gateway)).toBeLessThan(14 * MIB);
    const asking = setInterval(() => socket.write(request(large.token, ME)), 100);
    onTestFinished(() => clearInterval(asking));
    await expect.poll(() => stalledLines(gateway), POLL).toHaveLength(1);
    // The others were never looked at, and have their lines all the same.
    await expect.poll(() => gateway.log.filter(({ status }) => status === 499).length, POLL).toBeGreaterThanOrEqual(20);
    expect(gateway.log.filter(({ points }) => Number(points) > 0)).toHaveLength(1);
    expect((await graphql(gateway.url, large.token, ME)).status).toBe(200);
  });

  test('GraphiQL’s page and the metrics alike', async () => {
    const gateway = await start({ stalledMs: STALLED_MS }, METRICS);
    const page = 'GET /graphql HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n';
    sendUnread(gateway.url, ...Array.from({ length: 20 }, () => page));
    await expect.poll(() => stalledLines(gateway), POLL).toHaveLength(1);
    const metrics = String(gateway.log.map(({ url }) => url).find((at) => String(at).endsWith('/metrics')));
    sendUnread(metrics, ...Array.from({ length: 90 }, () => 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'));
    // Those are short, so the kernel takes all of them: nothing waits.
    await expect.poll(() => heldBytes(gateway), POLL).toBe(0);
  });
});

test('GraphiQL’s page counts for the address that does not take it, and tokens do not', async () => {
  const { token } = await makeNetwork(database);
  const gateway = await start({ stalledMs: LONG_MS, heldBounds: { ...BOUNDS, keyBytes: 6 * MIB } }, METRICS);
  const page = 'GET /graphql HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n';
  // The kernel takes some of each connection’s: two pages make sure that something waits.
  for (let count = 0; count < 6; count += 1) sendUnread(gateway.url, page.repeat(3));
  const status = async () => (await fetch(`${gateway.url}/graphql`, { headers: { accept: 'text/html' } })).status;
  await expect.poll(status, POLL).toBe(429);
  expect((await graphql(gateway.url, token, ME)).status).toBe(200);
});

test('more requests than a client sends at once on one connection close it', async () => {
  const large = await networkWithLargeMembers();
  const gateway = await start({ stalledMs: LONG_MS });
  const socket = sendUnread(gateway.url, request(large.token, LARGE));
  const requests = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(200);
  const closed = once(socket, 'close');
  socket.write(requests);
  socket.resume();
  await closed;
  expect(gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
});
