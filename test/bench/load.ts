/** The load: one process that keeps some connections busy with one request after the other, and counts the answers. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { BenchRequest, Contestant } from './stage.ts';

/** What the parent sends to the load's process. */
export interface LoadOrder {
  readonly url: string;
  /** As they go over the wire. Each connection sends them in turn, each beginning at another. */
  readonly requests: readonly string[];
  readonly connections: number;
  readonly ms: number;
}

/** What it sends back: how many good answers came in how many seconds, or why the order was broken off. */
export type LoadResult = { readonly answers: number; readonly seconds: number } | { readonly failure: string };

export interface Load {
  /** Good answers a second. Throws at the first answer that is not one. */
  run(contestant: Contestant, ms: number): Promise<number>;
  stop(): void;
}

export const CONNECTIONS = 16;

export function startLoad(): Load {
  const child = fork(fileURLToPath(new URL('./load-process.ts', import.meta.url)));
  const ended = once(child, 'exit').then(([code]) => ({ failure: `the load ended with ${code}` }));
  return {
    async run({ url, requests }, ms) {
      const answered = once(child, 'message').then(([message]) => message as LoadResult);
      child.send({ url, requests: requests.map(wire), connections: CONNECTIONS, ms } satisfies LoadOrder);
      const result = await Promise.race([answered, ended]);
      if ('failure' in result) throw new Error(`${url}: ${result.failure}`);
      return result.answers / result.seconds;
    },
    stop: () => void child.kill(),
  };
}

/** A request as it goes over the wire. */
function wire({ method, path, headers, body }: BenchRequest): string {
  const all = {
    host: 'bench.invalid',
    ...headers,
    ...(body === null ? {} : { 'content-length': Buffer.byteLength(body) }),
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`;
}
