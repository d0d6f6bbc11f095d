/** The load: one process that keeps some connections busy with one request after the other, and counts the answers. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface LoadRequest {
  readonly method: 'GET' | 'POST';
  /** With its query string. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** Whether the good answer to it is a refusal by a limit. */
  readonly isRefused?: boolean;
}

export interface Load {
  /** Good answers a second. Each connection sends the requests in turn. Rejects at the first answer that is not good. */
  run(url: string, requests: readonly LoadRequest[], ms: number, connections?: number): Promise<number>;
  stop(): void;
}

/** What the load's process is told to do. */
export interface LoadOrder {
  readonly url: string;
  /** As they go over the wire. */
  readonly requests: readonly string[];
  /** Whether the answers are to be refusals by a limit. */
  readonly areRefused: boolean;
  readonly connections: number;
  readonly ms: number;
}

/** What it tells in turn: how many good answers came in how many seconds, or why it broke off. */
export type LoadResult = { readonly answers: number; readonly seconds: number } | { readonly failure: string };

export const CONNECTIONS = 16;

export function startLoad(): Load {
  const child = fork(fileURLToPath(new URL('./load-process.ts', import.meta.url)));
  const ended = once(child, 'exit').then((): LoadResult => ({ failure: "the load's process has ended" }));
  return {
    async run(url, requests, ms, connections = CONNECTIONS) {
      const answered = once(child, 'message').then(([message]) => message as LoadResult);
      const areRefused = requests.some(({ isRefused }) => isRefused === true);
      const order: LoadOrder = { url, requests: requests.map(wire), areRefused, connections, ms };
      if (child.connected) child.send(order);
      const result = await Promise.race([answered, ended]);
      if ('failure' in result) throw new Error(`${url}: ${result.failure}`);
      return result.answers / result.seconds;
    },
    stop: () => void child.kill(),
  };
}

/** A request as it goes over the wire. */
function wire({ method, path, headers, body }: LoadRequest): string {
  const length = body === null ? {} : { 'content-length': Buffer.byteLength(body) };
  const lines = Object.entries({ host: 'bench.invalid', ...headers, ...length });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return `${method} ${path} HTTP/1.1\r\n${head}\r\n${body ?? ''}`;
}
