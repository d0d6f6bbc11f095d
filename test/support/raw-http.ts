/** HTTP below fetch: any Host, any headers, bodies in pieces, one connection again and again, bytes that are not HTTP. */
import { once } from 'node:events';
import { type Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';

export interface RawReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Our end of the connection: the same where a connection is used again. */
  readonly localPort: number | undefined;
}

export interface RawRequest {
  readonly method?: string;
  /** `/graphql` where absent; sent as it is. */
  readonly path?: string;
  readonly headers?: Record<string, string>;
  /** In pieces: sent chunked. A string or bytes: with its Content-Length. */
  readonly body?: string | Buffer | readonly (string | Buffer)[];
  readonly agent?: Agent;
  readonly signal?: AbortSignal;
}

/** Rejects where the connection breaks before the answer is whole. */
export async function send(url: string, options: RawRequest = {}): Promise<RawReply> {
  const { method = 'POST', path = '/graphql', headers = {}, body, agent, signal } = options;
  const { hostname, port } = new URL(url);
  const outgoing = request({ hostname, port, method, path, headers, agent, signal });
  outgoing.on('error', () => undefined); // before the answer, `once` throws it; after, the answer is what counts
  const pieces = Array.isArray(body) ? body : null;
  if (pieces === null) {
    if (body !== undefined) outgoing.setHeader('content-length', Buffer.byteLength(body as string | Buffer));
    outgoing.end(body);
  } else {
    for (const piece of pieces) outgoing.write(piece);
    outgoing.end();
  }
  const [response] = await once(outgoing, 'response');
  const { localPort } = response.socket;
  response.setEncoding('utf8');
  let text = '';
  for await (const piece of response) text += piece;
  return { status: response.statusCode, headers: response.headers, text, localPort };
}

/** A GraphQL document as a POST sends it, with the headers that it needs. */
export function post(token: string | null, query: string, headers: Record<string, string> = {}): RawRequest {
  return {
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify({ query }),
  };
}

/** Sends bytes on a connection of its own and gives all that comes back until the other side closes. */
export async function sendBytes(url: string, bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined); // a reset says the same as a close here
  socket.write(bytes);
  let text = '';
  socket.setEncoding('utf8').on('data', (piece) => {
    text += piece;
  });
  await once(socket, 'close');
  return text;
}
