/** A bound on open connections that takes them from whoever holds the most. */
import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect, Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { ConnectionBound } from '../../src/http/connection-bound.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { post, send } from '../support/raw-http.ts';
import { useGateway } from '../support/suite.ts';

const MAX = 20;
const suite = useGateway({ CONNECTIONS_MAX: String(MAX) });
const POLL = { timeout: 10_000 };

async function openOne(bytes = ''): Promise<Socket> {
  const { hostname, port } = new URL(suite.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  if (bytes !== '') socket.write(bytes);
  return socket;
}

test('who opens thousands of connections and leaves them loses the oldest; every request is answered meanwhile', async () => {
  const { token } = await makeNetwork(suite.database);
  const opened: Socket[] = [];
  for (let at = 0; at < 10 * MAX; at += 1) {
    opened.push(await openOne('GET /healthz HTTP/1.1\r\nHost: x\r\nA: '));
    // On a connection of its own: an idle one that is kept may be the oldest.
    const request = { ...post(token, '{ me { id } }'), agent: new Agent() };
    if (at % MAX === 0) expect((await send(suite.url, request)).status).toBe(200);
  }
  const isOpen = ({ closed }: Socket) => !closed;
  await expect.poll(() => opened.filter(isOpen).length, POLL).toBeLessThanOrEqual(MAX);
  expect(isOpen(opened.at(-1) ?? new Socket())).toBe(true);
  const told = suite.gateway.log.filter(({ msg }) => String(msg).startsWith('too many connections'));
  expect(told).toEqual([expect.objectContaining({ level: 'warn', closed: 1, maxConnections: MAX })]);
});

/** A bound of five connections, and what it closed, in order. */
function boundOf(busy: ReadonlySet<Socket>) {
  const closed: Socket[] = [];
  const bound = new ConnectionBound({ max: 5, isIdle: (socket) => !busy.has(socket), onClosed: () => undefined });
  const add = (caller: string) => {
    const socket = new Socket();
    socket.once('close', () => closed.push(socket));
    bound.add(socket, caller);
    return socket;
  };
  return { add, closed };
}

test('the caller that holds the most gives up its oldest idle connection, whoever comes', async () => {
  const busy = new Set<Socket>();
  const { add, closed } = boundOf(busy);
  const [first, second] = [add('greedy'), add('greedy'), add('greedy')];
  const quiet = add('quiet');
  busy.add(first);
  add('other');
  const newcomer = add('third');
  await expect.poll(() => closed, POLL).toEqual([second]);
  expect([quiet.destroyed, newcomer.destroyed, first.destroyed]).toEqual([false, false, false]);
});

test('without an idle one it gives up its oldest, and its own next one is not taken', async () => {
  const busy = new Set<Socket>();
  const { add, closed } = boundOf(busy);
  const greedy = [add('greedy'), add('greedy'), add('greedy'), add('greedy'), add('greedy')];
  for (const socket of greedy) busy.add(socket);
  const next = add('greedy');
  await expect.poll(() => closed, POLL).toEqual([next]);
  add('quiet');
  await expect.poll(() => closed, POLL).toEqual([next, greedy[0]]);
});

test('a connection that has closed by itself makes room', async () => {
  const { add, closed } = boundOf(new Set());
  const sockets = [add('a'), add('a'), add('a'), add('a'), add('a')];
  for (const socket of sockets) socket.destroy();
  await expect.poll(() => closed, POLL).toEqual(sockets);
  const five = [add('b'), add('b'), add('b'), add('b'), add('b')];
  await new Promise((resolve) => setImmediate(resolve));
  expect(five.map(({ destroyed }) => destroyed)).toEqual(Array(5).fill(false));
});
