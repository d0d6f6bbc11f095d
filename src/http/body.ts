/** A request's JSON body, bounded in bytes. */
import type { IncomingMessage } from 'node:http';
import type { Room } from '../domain/answer-size.ts';
import { GatehouseError, notJson } from '../domain/errors.ts';
import type { Exchange } from './exchange.ts';

const JSON_MEDIA_TYPE = /^application\/json *(;|$)/i;
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]+)/i;
/**
 * What clients call the encoding of JSON (RFC 8259, 8.1), without case, hyphens and the like: UTF-8 by any of the labels that
 * https://encoding.spec.whatwg.org/ has for it, and ASCII, which is a part of it.
 */
const UTF8_LABELS: ReadonlySet<string> = new Set([
  'utf8',
  'unicode11utf8',
  'unicode20utf8',
  'xunicode20utf8',
  'ascii',
  'usascii',
]);

/** Refuses a body that can be seen to be wrong before it is read. */
export function refuseBodyByHeaders({ headers }: IncomingMessage, limitBytes: number): void {
  const type = headers['content-type'] ?? '';
  const charset = (CHARSET.exec(type)?.[1] ?? 'utf8').toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  const encoding = headers['content-encoding'] ?? 'identity';
  if (!JSON_MEDIA_TYPE.test(type) || !UTF8_LABELS.has(charset) || encoding.toLowerCase() !== 'identity') {
    throw new GatehouseError(
      'UNSUPPORTED_MEDIA_TYPE',
      'Unsupported media type: send JSON in UTF-8, not compressed, with Content-Type: application/json',
      { headers: { accept: 'application/json' } },
    );
  }
  if (Number(headers['content-length'] ?? 0) > limitBytes) throw tooLarge(limitBytes);
}

/** A body that is longer, or of unknown length, is not worth reading for the form of its refusal alone. */
const SHORT_BYTES = 65_536;

/** How long a refusal waits for the rest of such a body. */
const SHORT_WAIT_MS = 250;

/** The body's text where it is short and comes at once; null where it does not, or cannot be read as JSON in UTF-8. */
export async function readShortBody(exchange: Pick<Exchange, 'request' | 'askForBody'>): Promise<string | null> {
  const { request } = exchange;
  if (!(Number(request.headers['content-length']) <= SHORT_BYTES) || request.headers.expect !== undefined) return null;
  const { promise: late, resolve: giveUp } = Promise.withResolvers<null>();
  const timer = setTimeout(() => giveUp(null), SHORT_WAIT_MS);
  try {
    refuseBodyByHeaders(request, SHORT_BYTES);
    return await Promise.race([readBody(exchange, SHORT_BYTES), late]);
  } catch (thrown) {
    if (thrown instanceof GatehouseError) return null;
    throw thrown;
  } finally {
    clearTimeout(timer);
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The body's text. Throws once it is over the limit, or there is no room for it; what is still to come is then left
 * unread. `held`: where it is counted what has arrived so far.
 */
export async function readBody(
  { request, askForBody, held }: Pick<Exchange, 'request' | 'askForBody'> & { readonly held?: Room },
  limitBytes: number,
): Promise<string> {
  askForBody();
  const body = await bytesOf(request, limitBytes, held);
  try {
    return UTF8.decode(body);
  } catch {
    // The decoder says no more than that, and JSON is UTF-8.
    throw notJson('The body is not UTF-8');
  }
}

/** By listeners: an asynchronous iterator over a request takes a third of all that the answer to `me` takes. */
function bytesOf(request: IncomingMessage, limitBytes: number, held: Room | undefined): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  const onData = (chunk: Buffer) => {
    bytes += chunk.length;
    chunks.push(chunk);
    const refusal = bytes > limitBytes ? tooLarge(limitBytes) : bytes > UNCOUNTED_BYTES ? claim(bytes) : null;
    if (refusal === null) return;
    request.off('data', onData).pause();
    reject(refusal);
  };
  let claimed = 0;
  const claim = (all: number) => {
    const refusal = held?.take(all - claimed) ?? null;
    claimed = all;
    return refusal;
  };
  const onGone = () => reject(new GatehouseError('REQUEST_TIMEOUT', 'The client has gone'));
  // Gone while its token was looked up: it would say so to nobody any more.
  if (request.destroyed) onGone();
  request.on('data', onData);
  request.once('end', () => {
    request.off('close', onGone);
    resolve(Buffer.concat(chunks));
  });
  request.once('error', onGone);
  request.once('close', onGone);
  return promise;
}

/** A body that is no longer takes no more than the request itself does. */
const UNCOUNTED_BYTES = 4_096;

function tooLarge(limitBytes: number): GatehouseError {
  return new GatehouseError('PAYLOAD_TOO_LARGE', `Payload too large: a body has at most ${limitBytes} bytes`);
}
