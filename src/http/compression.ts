/**
 * Answers compressed as their caller's Accept-Encoding has it. Zlib works in Node's own threads, so that nobody waits for a
 * long answer; how many are worked on at once is bounded, as each takes memory of its own meanwhile, and shared fairly.
 *
 * Answers of mutations are never compressed. They alone hold a secret, a token, beside text that somebody else may have
 * chosen: from the length of many such answers a listener could guess at the one by the other (BREACH,
 * https://www.breachattack.com/).
 */
import type { Transform } from 'node:stream';
import { constants, createBrotliCompress, createGunzip, createGzip, createZstdCompress } from 'node:zlib';
import { FairGate, type GateBounds, type Ticket } from '../domain/fair-gate.ts';
import type { OnBug } from '../graphql/errors.ts';
import { accepts, type Coding, codingFor } from './accept-encoding.ts';
import type { Answer, Exchange } from './exchange.ts';

/** A body of so many bytes or fewer fits into one packet as it is. */
const PLAIN_MAX_BYTES = 1_024;

/** Compressions at once: a megabyte each. */
const AT_ONCE: GateBounds = {
  total: 8,
  perNetwork: 4,
  perKey: 2,
  spare: 2,
  waitingPerNetwork: Number.POSITIVE_INFINITY,
  waitingPerKey: Number.POSITIVE_INFINITY,
};

export class Compression {
  readonly #isOn: boolean;
  readonly #onBug: OnBug;
  readonly #gate = new FairGate(AT_ONCE);

  constructor(isOn: boolean, onBug: OnBug) {
    this.#isOn = isOn;
    this.#onBug = onBug;
  }

  /** The answer as it goes out. What is kept compressed is unpacked for whoever does not read it so. */
  encode(exchange: Exchange, answer: Answer): Answer | Promise<Answer> {
    const { body, headers } = answer;
    // RFC 9110, 15.4.5: what says that a page is unchanged varies as the page does.
    if (body === null) return answer.status === 304 && this.#isOn ? withVary(exchange, answer) : answer;
    if (isShort(body)) return answer;
    const header = exchange.request.headers['accept-encoding'];
    if (headers['content-encoding'] === 'gzip') {
      const varied = this.#isOn ? withVary(exchange, answer) : answer;
      return this.#isOn && accepts(header, 'gzip') ? varied : this.#inTurn(exchange, varied, null);
    }
    if (!this.#isOn || answer.isNeverCompressed === true) return answer;
    const varied = withVary(exchange, answer);
    const coding = codingFor(header);
    return coding === null ? varied : this.#inTurn(exchange, varied, coding);
  }

  /** `coding`: null to unpack what is compressed by gzip. Of a caller who has gone the answer is what it was. */
  async #inTurn(exchange: Exchange, answer: Answer, coding: Coding | null): Promise<Answer> {
    const { network, key } = exchange.held.holder;
    const { promise: granted, resolve } = Promise.withResolvers<boolean>();
    const caller = { networkId: network, keyId: key };
    // Named before it becomes a property, as V8 wants it: see graphql-route.ts.
    const onGranted = () => resolve(true);
    const ticket: Ticket = { caller, units: 1, onGranted };
    if (!this.#gate.enterNow(ticket)) {
      this.#gate.enqueue(ticket);
      const giveUp = () => this.#gate.giveUp(ticket) && resolve(false);
      onAbort(exchange.signal, giveUp);
      if (!(await granted)) return answer;
    }
    try {
      const body = await transformed(exchange, answer.body ?? '', transformTo(coding));
      const { 'content-encoding': _before, ...headers } = answer.headers;
      return { ...answer, body, headers: coding === null ? headers : { ...headers, 'content-encoding': coding } };
    } catch (error) {
      if (!exchange.signal.aborted) this.#onBug(error, exchange.requestId);
      return answer;
    } finally {
      this.#gate.leave(ticket);
    }
  }
}

function isShort(body: string | Buffer): boolean {
  // A character takes at least one byte: most bodies need no counting.
  return body.length <= PLAIN_MAX_BYTES && Buffer.byteLength(body) <= PLAIN_MAX_BYTES;
}

function withVary({ headers }: Exchange, answer: Answer): Answer {
  const vary = [answer.headers['vary'] ?? headers['vary'], 'Accept-Encoding'].filter(Boolean).join(', ');
  return { ...answer, headers: { ...answer.headers, vary } };
}

/** The levels that are several times faster than the highest, at nearly the same size of JSON. */
function transformTo(coding: Coding | null): Transform {
  switch (coding) {
    case null:
      return createGunzip();
    case 'gzip':
      return createGzip({ level: 5 });
    case 'br':
      // A window of 256 KiB: of the default, 4 MiB, an answer of some kilobytes would use little.
      return createBrotliCompress({
        params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 18 },
      });
    case 'zstd':
      return createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3 } });
  }
}

/** Both forms are held while the one is made of the other. Rejects once the caller has gone. */
async function transformed({ held, signal }: Exchange, body: string | Buffer, transform: Transform): Promise<Buffer> {
  const from = typeof body === 'string' ? Buffer.from(body) : body;
  const pieces: Buffer[] = [];
  let bytes = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  transform.on('data', (piece: Buffer) => {
    bytes += piece.length;
    pieces.push(piece);
    if (from.length + bytes > UNCOUNTED_BYTES) held.wait(from.length + bytes);
  });
  transform.once('end', resolve);
  transform.on('error', reject);
  transform.once('close', () => reject(new Error('the caller has gone')));
  onAbort(signal, () => transform.destroy());
  transform.end(from);
  await promise;
  if (from.length + bytes > UNCOUNTED_BYTES) held.wait(bytes);
  return Buffer.concat(pieces, bytes);
}

/** What a connection takes at once is not counted, as in listener.ts. */
const UNCOUNTED_BYTES = 65_536;

/** The signal is one request's: nothing needs to be taken off it again. */
function onAbort(signal: AbortSignal, act: () => void): void {
  if (signal.aborted) act();
  else signal.addEventListener('abort', act, { once: true });
}
