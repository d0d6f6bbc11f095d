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
  /** Makes those that are open now swallow all for ever, whatever becomes of new ones. */
  silenceOpen(): void;
  /** How many were opened so far, and how many are open. */
  opened: number;
  readonly open: number;
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
  const lines = new Set<{ silent: boolean }>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return void near.destroy();
    const far = connect(Number(port === '' ? 6379 : port), hostname);
    const line = { silent: false };
    lines.add(line);
    near.on('close', () => lines.delete(line));
    proxy.opened += 1;
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
        return { delayMs: proxy.delayMs, silent: proxy.silent || line.silent };
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
    silenceOpen() {
      for (const line of lines) line.silent = true;
    },
    opened: 0,
    get open() {
      return lines.size;
    },
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
