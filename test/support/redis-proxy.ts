/** A cable to Redis that a test can make long, cut, or leave hanging with nothing coming through. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface RedisProxy {
  readonly url: string;
  /** Milliseconds that each piece takes, in each direction. */
  delayMs: number;
  /** Half-open: connections stay and are made, and nothing comes through. */
  silent: boolean;
  /** All that was sent to Redis, as it stands on the wire. */
  readonly sent: string[];
  /** Breaks every connection and lets no new one in. */
  cut(): void;
  mend(): void;
}

/** Closed after the test. */
export async function openRedisProxy(redisUrl: string): Promise<RedisProxy> {
  const { hostname, port } = new URL(redisUrl);
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return void near.destroy();
    const far = connect(Number(port === '' ? 6379 : port), hostname);
    for (const [from, to] of [[near, far] as const, [far, near] as const]) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on('error', () => undefined); // a broken cable is what this is for
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      carry(from, to, (piece) => {
        if (from === near) proxy.sent.push(piece.toString());
        return proxy;
      });
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const destroyAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    destroyAll();
    server.close();
  });
  const proxy: RedisProxy = {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    delayMs: 0,
    silent: false,
    sent: [],
    cut() {
      isCut = true;
      destroyAll();
    },
    mend() {
      isCut = false;
    },
  };
  return proxy;
}

/** In order, also where the delay changes on the way. What comes while it is silent is lost. */
function carry(from: Socket, to: Socket, seen: (piece: Buffer) => Pick<RedisProxy, 'delayMs' | 'silent'>): void {
  let lastDueMs = 0;
  from.on('data', (piece: Buffer) => {
    const { delayMs, silent } = seen(piece);
    if (silent) return;
    const nowMs = performance.now();
    lastDueMs = Math.max(lastDueMs, nowMs + delayMs);
    if (lastDueMs === nowMs) to.write(piece);
    else setTimeout(() => to.write(piece), lastDueMs - nowMs).unref();
  });
}
