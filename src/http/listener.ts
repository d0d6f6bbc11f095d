/** The HTTP server: request ids, time limits, the access log, and an end that lets what is under way finish. */
import { randomUUID } from 'node:crypto';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type Address, type Block, parseAddress } from '../domain/address.ts';
import { coarseAddress } from '../domain/coarse-address.ts';
import { GatehouseError, REFUSALS, type RefusalCode } from '../domain/errors.ts';
import { shownUserAgent } from '../domain/redaction.ts';
import type { Logger } from '../observability/logger.ts';
import { callerAddress } from './caller-address.ts';
import type { AccessRecord, Answer, Exchange, Handler } from './exchange.ts';
import { listenError } from './listen-error.ts';

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** For a request to arrive whole, and again for it to be answered. */
  readonly requestTimeoutMs: number;
  /** Whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly Block[];
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

const NOTHING_KNOWN: Omit<AccessRecord, 'address' | 'userAgent'> = {
  route: 'none',
  networkId: null,
  keyId: null,
  operation: null,
  code: null,
  limit: null,
  points: 0,
};

export async function listen(options: ListenerOptions, handle: Handler): Promise<Listener> {
  const state = { stopping: false };
  const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
    void serve(options, state, handle, request, response);
  const server = createServer(
    {
      maxHeaderSize: HEADERS_MAX_BYTES,
      headersTimeout: Math.min(HEADERS_TIMEOUT_MS, options.requestTimeoutMs),
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
    },
    onRequest,
  );
  // Node answers these by itself otherwise, and such a request would have no line in the log.
  server.on('checkExpectation', onRequest);
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    const from = comesFrom(callerAddress(request, options.trustedProxies), request.headers);
    refuseConnection(options.log, NO_TUNNEL, socket, { method: request.method ?? null, ...from });
  });
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
    refuseConnection(options.log, CONNECTION_ERRORS[error.code ?? ''] ?? NOT_HTTP, socket, {
      method: null,
      // Of whoever connects: what a proxy says of it is in what cannot be read.
      ...comesFrom(parseAddress(socket.remoteAddress ?? ''), {}),
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error)));
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
  const address = callerAddress(request, options.trustedProxies);
  const record: AccessRecord = { ...comesFrom(address, request.headers), ...NOTHING_KNOWN };
  const requestId = newRequestId();
  const limit = new AbortController();
  const timeUp = Promise.withResolvers<Answer>();
  const timer = setTimeout(() => {
    const refusal = new GatehouseError('TIMEOUT', `Timeout: a request may take ${options.requestTimeoutMs} ms`);
    limit.abort(refusal);
    record.code = refusal.code;
    timeUp.resolve(exchange.late?.(refusal) ?? plainRefusal(refusal, requestId));
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
    address,
    path: cut < 0 ? target : target.slice(0, cut),
    search: cut < 0 ? '' : target.slice(cut),
    signal: limit.signal,
    headers: {},
    late: null,
    record,
  };
  const answer = state.stopping
    ? refuseWhileStopping(exchange)
    : await Promise.race([handle(exchange), timeUp.promise]);
  send(response, exchange, answer, state.stopping);
}

/** What the access log has of where a request came from. */
function comesFrom(address: Address | null, headers: IncomingHttpHeaders): Pick<AccessRecord, 'address' | 'userAgent'> {
  const block = address === null ? null : coarseAddress(address);
  return { address: block, userAgent: shownUserAgent(headers['user-agent']) };
}

function newRequestId(): string {
  // Node keeps randomness in stock for these: asking the system for some is a good part of what a refusal takes.
  return `req_${randomUUID().replaceAll('-', '')}`;
}

function send(
  response: ServerResponse,
  { request, requestId, headers }: Exchange,
  answer: Answer,
  stopping: boolean,
): void {
  if (response.destroyed) return;
  const body = answer.body ?? '';
  // Node reads past a body that nobody wanted; a long one, or one of unknown length, is not worth the connection.
  const unread = !request.complete && !(Number(request.headers['content-length']) <= SKIPPED_MAX_BYTES);
  response.writeHead(answer.status, {
    ...headers,
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

interface ConnectionRefusal {
  readonly code: RefusalCode;
  readonly status: number;
  readonly message: string;
}

const CONNECTION_ERRORS: Readonly<Record<string, ConnectionRefusal>> = {
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
const NOT_HTTP: ConnectionRefusal = { code: 'BAD_USER_INPUT', status: 400, message: 'This is not HTTP' };
const NO_TUNNEL: ConnectionRefusal = {
  code: 'METHOD_NOT_ALLOWED',
  status: REFUSALS.METHOD_NOT_ALLOWED,
  message: 'Method not allowed: this is no proxy',
};

/** What can't be read as a request at all: there is no request to answer, so the answer is written by hand. */
function refuseConnection(
  log: Logger,
  { code, status, message }: ConnectionRefusal,
  socket: Socket,
  from: Pick<AccessRecord, 'address' | 'userAgent'> & { readonly method: string | null },
): void {
  const requestId = newRequestId();
  log.info({ requestId, ...from, ...NOTHING_KNOWN, code, status, ms: 0 }, 'request');
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
