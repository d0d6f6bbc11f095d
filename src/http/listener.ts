/** The HTTP server: request ids, time limits, the access log, and an end that lets what is under way finish. */
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { GatehouseError, REFUSALS, type RefusalCode } from '../domain/errors.ts';
import { newUuid } from '../domain/id.ts';
import type { Logger } from '../observability/logger.ts';
import type { AccessRecord, Answer, Exchange, Handler } from './exchange.ts';

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** For a request to arrive whole, and again for it to be answered. */
  readonly requestTimeoutMs: number;
  readonly log: Logger;
}

export interface Listener {
  /** Such as `http://127.0.0.1:4000`. */
  readonly url: string;
  readonly stopping: boolean;
  /** Refuses new work, lets what is under way finish for at most so long, then cuts it off. */
  close(graceMs: number): Promise<void>;
}

const HEADERS_TIMEOUT_MS = 10_000;
const HEADERS_MAX_BYTES = 16_384;
/** Longer than the idle time of common load balancers (60 s), so that they close first. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
const SHUTDOWN_POLL_MS = 50;
/** The longest body that is read and thrown away to keep a connection, when its request was refused by its headers. */
const SKIPPED_MAX_BYTES = 65_536;

export async function listen(options: ListenerOptions, handle: Handler): Promise<Listener> {
  const state = { stopping: false };
  const server = createServer(
    {
      maxHeaderSize: HEADERS_MAX_BYTES,
      headersTimeout: Math.min(HEADERS_TIMEOUT_MS, options.requestTimeoutMs),
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => void serve(options, state, handle, request, response),
  );
  server.on('clientError', refuseConnection);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    url: urlOf(server, options.host),
    get stopping() {
      return state.stopping;
    },
    close: (graceMs) => close(server, state, graceMs),
  };
}

function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

async function serve(
  options: ListenerOptions,
  state: { readonly stopping: boolean },
  handle: Handler,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startedMs = performance.now();
  const record: AccessRecord = { route: 'none', networkId: null, keyId: null, operation: null, code: null };
  const requestId = newRequestId();
  const limit = new AbortController();
  const timeUp = Promise.withResolvers<Answer>();
  const timer = setTimeout(() => {
    const refusal = new GatehouseError('TIMEOUT', `Timeout: a request may take ${options.requestTimeoutMs} ms`);
    limit.abort(refusal);
    record.code = refusal.code;
    timeUp.resolve(plainRefusal(refusal, requestId));
  }, options.requestTimeoutMs);
  response.once('close', () => {
    clearTimeout(timer);
    if (!response.writableFinished) limit.abort(new GatehouseError('REQUEST_TIMEOUT', 'The client has gone'));
    const ms = Math.round((performance.now() - startedMs) * 1000) / 1000;
    const status = response.writableFinished ? response.statusCode : 499;
    options.log.info({ requestId, method: request.method, ...record, status, ms }, 'request');
  });

  const target = request.url ?? '/';
  const cut = target.indexOf('?');
  const exchange: Exchange = {
    requestId,
    request,
    method: request.method ?? 'GET',
    path: cut < 0 ? target : target.slice(0, cut),
    search: cut < 0 ? '' : target.slice(cut),
    signal: limit.signal,
    record,
  };
  const answer = state.stopping
    ? refuseWhileStopping(exchange)
    : await Promise.race([handle(exchange), timeUp.promise]);
  send(response, exchange, answer, state.stopping);
}

function newRequestId(): string {
  return `req_${newUuid().replaceAll('-', '')}`;
}

function send(response: ServerResponse, { request, requestId }: Exchange, answer: Answer, stopping: boolean): void {
  if (response.destroyed) return;
  const body = answer.body ?? '';
  // Node reads past a body that nobody wanted; a long one, or one of unknown length, is not worth the connection.
  const unread = !request.complete && !(Number(request.headers['content-length']) <= SKIPPED_MAX_BYTES);
  response.writeHead(answer.status, {
    ...answer.headers,
    ...(answer.status === 204 ? {} : { 'content-length': Buffer.byteLength(body) }),
    ...(stopping || unread ? { connection: 'close' } : {}),
    'x-request-id': requestId,
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}

function refuseWhileStopping({ requestId, record }: Exchange): Answer {
  record.code = 'SERVICE_UNAVAILABLE';
  const headers = { 'retry-after': '1' };
  return plainRefusal(
    new GatehouseError('SERVICE_UNAVAILABLE', 'Service unavailable: this gateway is stopping', { headers }),
    requestId,
  );
}

/** A refusal that no route had a say in: readable by GraphQL clients and others alike. */
function plainRefusal({ code, status, message, details }: GatehouseError, requestId: string): Answer {
  const body = { errors: [{ message, extensions: { code, status, requestId } }] };
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...details.headers },
    body: JSON.stringify(body),
  };
}

const CONNECTION_ERRORS: Readonly<Record<string, { code: RefusalCode; status: number; message: string }>> = {
  HPE_HEADER_OVERFLOW: {
    code: 'PAYLOAD_TOO_LARGE',
    status: 431,
    message: `Headers have at most ${HEADERS_MAX_BYTES} bytes`,
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    code: 'REQUEST_TIMEOUT',
    status: REFUSALS.REQUEST_TIMEOUT,
    message: 'Request timeout: the request did not arrive whole in time',
  },
};
const NOT_HTTP = { code: 'BAD_USER_INPUT', status: 400, message: 'This is not HTTP' } as const;

/** What can't be read as a request at all: there is no request to answer, so the answer is written by hand. */
function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const { code, status, message } = CONNECTION_ERRORS[error.code ?? ''] ?? NOT_HTTP;
  const requestId = newRequestId();
  const body = JSON.stringify({ errors: [{ message, extensions: { code, status, requestId } }] });
  const head =
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\n` +
    `x-request-id: ${requestId}\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
}

async function close(server: Server, state: { stopping: boolean }, graceMs: number): Promise<void> {
  state.stopping = true;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  // A connection that was busy turns idle when its answer is out, and would then be kept alive.
  const poll = setInterval(() => server.closeIdleConnections(), SHUTDOWN_POLL_MS);
  const cutOff = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(poll);
  clearTimeout(cutOff);
}
