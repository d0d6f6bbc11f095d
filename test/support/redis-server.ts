/** A Redis of a test's own, to kill, starve and start again. None outlives its test file. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { createClient } from 'redis';
import { afterFile } from './cleanup.ts';

/** Whether there is a redis-server on this machine. */
export const HAS_REDIS_SERVER = spawnSync('redis-server', ['--version']).status === 0;

export interface RedisServer {
  readonly url: string;
  /** Like the power going out: nothing is kept. */
  kill(): Promise<void>;
  /** Empty, at the same address. */
  start(): Promise<void>;
  /** One command, on a connection of its own. */
  command(...words: string[]): Promise<unknown>;
}

export async function startRedisServer(): Promise<RedisServer> {
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let child: ChildProcess | null = null;
  const server: RedisServer = {
    url,
    async start() {
      const started = spawn('redis-server', ['--port', String(port), '--save', '', '--appendonly', 'no'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      child = started;
      started.once('close', () => {
        if (child === started) child = null;
      });
      for await (const text of started.stdout) if (String(text).includes('Ready to accept connections')) break;
    },
    async kill() {
      if (child === null) return;
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    },
    command: (...words) => redisCommand(url, ...words),
  };
  afterFile(() => server.kill());
  await server.start();
  return server;
}

/** One command to any Redis, on a connection of its own. */
export async function redisCommand(url: string, ...words: string[]): Promise<unknown> {
  const client = createClient({ url });
  await client.connect();
  try {
    return await client.sendCommand(words);
  } finally {
    client.destroy();
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
