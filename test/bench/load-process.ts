/**
 * The load's own process. It speaks HTTP/1.1 on bare sockets and reads no more of an answer than it must: any more, and
 * on few cores the load would weigh on the fastest servers most and so flatter the slow ones.
 */
import { connect, type Socket } from 'node:net';
import type { LoadOrder, LoadResult } from './load.ts';

const HEAD_END = '\r\n\r\n';
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;
interface Good {
  readonly head: string;
  readonly body: Buffer;
}
/** So begins an answer of GraphQL without errors, and those of the bench's other servers too. */
const SERVED: Good = { head: 'HTTP/1.1 200 ', body: Buffer.from('{"data":{') };
const REFUSED: Good = { head: 'HTTP/1.1 429 ', body: Buffer.from('{"errors":[{"message":"Rate limit exceeded') };

process.on('message', (order: LoadOrder) => {
  run(order).then(report, (error: unknown) =>
    report({ failure: error instanceof Error ? error.message : String(error) }),
  );
});

function report(result: LoadResult): void {
  process.send?.(result);
}

async function run({ url, requests, areRefused, connections, ms }: LoadOrder): Promise<LoadResult> {
  const { hostname, port } = new URL(url);
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(hostname, Number(port))));
  const wire = requests.map((request) => Buffer.from(request));
  // A key over its limit is let in once a window all the same.
  const good = areRefused ? [REFUSED, SERVED] : [SERVED];
  const startedMs = performance.now();
  const untilMs = startedMs + ms;
  try {
    const counts = await Promise.all(
      sockets.map((socket, index) =>
        exchange(socket, good, wire, Math.floor((index * wire.length) / connections), untilMs),
      ),
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
function exchange(
  socket: Socket,
  good: readonly Good[],
  requests: readonly Buffer[],
  first: number,
  untilMs: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const reader = new AnswerReader(good);
    let answers = 0;
    const send = () => socket.write(requests[(first + answers) % requests.length] ?? '');
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the server closed the connection')));
    socket.on('data', (chunk: Buffer) => {
      try {
        if (!reader.take(chunk)) return;
      } catch (error) {
        return reject(error);
      }
      answers += 1;
      if (performance.now() < untilMs) send();
      else resolve(answers);
    });
    send();
  });
}

/** Tells where an answer ends, and whether it is a good one. */
class AnswerReader {
  readonly #good: readonly Good[];
  /** What has come of an answer whose size is not known yet. */
  #start: Buffer | null = null;
  #missing = 0;

  constructor(good: readonly Good[]) {
    this.#good = good;
  }

  /** Whether the answer is whole with this chunk. Throws where it is not a good one. */
  take(chunk: Buffer): boolean {
    if (this.#missing > 0) {
      this.#missing -= chunk.length;
    } else {
      const start = this.#start === null ? chunk : Buffer.concat([this.#start, chunk]);
      const size = sizeOf(start, this.#good);
      this.#start = size === null ? start : null;
      if (size === null) return false;
      this.#missing = size - start.length;
    }
    if (this.#missing < 0) throw new Error('more came than was asked for');
    return this.#missing === 0;
  }
}

/** The bytes of the whole answer; null while its head and its body's beginning have not come. */
function sizeOf(start: Buffer, goods: readonly Good[]): number | null {
  const end = start.indexOf(HEAD_END);
  if (end < 0) return null;
  const body = end + HEAD_END.length;
  const head = start.toString('latin1', 0, end);
  const good = goods.find((candidate) => head.startsWith(candidate.head));
  if (good === undefined) throw new Error(`answered ${start.toString()}`);
  const length = Number(CONTENT_LENGTH.exec(head)?.[1]);
  if (Number.isNaN(length)) throw new Error('the answer has no content-length');
  if (start.length < body + Math.min(length, good.body.length)) return null;
  if (start.indexOf(good.body, body) !== body) throw new Error(`answered ${start.toString()}`);
  return body + length;
}
