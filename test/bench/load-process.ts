/**
 * The load's own process. It speaks HTTP/1.1 on bare sockets and reads no more of an answer than it must: any more, and
 * on few cores the load would weigh on the fastest servers most and so flatter the slow ones.
 */
import { connect, type Socket } from 'node:net';
import type { LoadOrder, LoadResult } from './load.ts';

const HEAD_END = '\r\n\r\n';
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;
/** An answer of GraphQL without errors begins so, and every other server of the bench does the same. */
const GOOD_BODY = Buffer.from('{"data":');

process.on('message', (order: LoadOrder) => {
  run(order).then(report, (error: unknown) =>
    report({ failure: error instanceof Error ? error.message : String(error) }),
  );
});

function report(result: LoadResult): void {
  process.send?.(result);
}

async function run({ url, requests, connections, ms }: LoadOrder): Promise<LoadResult> {
  const { hostname, port } = new URL(url);
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(hostname, Number(port))));
  const wire = requests.map((request) => Buffer.from(request));
  const startedMs = performance.now();
  const untilMs = startedMs + ms;
  try {
    const counts = await Promise.all(
      sockets.map((socket, index) => exchange(socket, wire, Math.floor((index * wire.length) / connections), untilMs)),
    );
    return { answers: counts.reduce((sum, count) => sum + count, 0), seconds: (performance.now() - startedMs) / 1000 };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

function open(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true }, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Sends one request after the other on one connection until the time is up; resolves to the number of answers. */
function exchange(socket: Socket, requests: readonly Buffer[], first: number, untilMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let answers = 0;
    let next = first;
    let head: Buffer | null = null;
    let missing = 0;
    const send = () => socket.write(requests[next++ % requests.length] ?? '');

    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the server closed the connection')));
    socket.on('data', (chunk: Buffer) => {
      if (missing > 0) {
        missing -= chunk.length;
      } else {
        head = head === null ? chunk : Buffer.concat([head, chunk]);
        const size = sizeOf(head);
        if (size === null) return;
        if (typeof size === 'string') return reject(new Error(size));
        missing = size - head.length;
        head = null;
      }
      if (missing > 0) return;
      if (missing < 0) return reject(new Error('more came than was asked for'));
      answers += 1;
      if (performance.now() < untilMs) send();
      else resolve(answers);
    });
    send();
  });
}

/** The bytes of the whole answer; null while its head and the body's beginning are incomplete; else what is wrong. */
function sizeOf(start: Buffer): number | string | null {
  const end = start.indexOf(HEAD_END);
  if (end < 0) return null;
  const body = end + HEAD_END.length;
  const head = start.toString('latin1', 0, end);
  const length = CONTENT_LENGTH.exec(head)?.[1];
  const status = head.slice('HTTP/1.1 '.length).split('\r\n', 1)[0] ?? '';
  if (status !== '200 OK') return `answered ${status}: ${start.toString('utf8', body)}`;
  if (length === undefined) return 'the answer has no content-length';
  if (start.length < body + Math.min(Number(length), GOOD_BODY.length)) return null;
  if (!start.subarray(body, body + GOOD_BODY.length).equals(GOOD_BODY))
    return `answered ${start.toString('utf8', body)}`;
  return body + Number(length);
}
