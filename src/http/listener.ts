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
import { type Address, type Block, isWithin, parseAddress } from '../domain/address.ts';
import { coarseAddress } from '../domain/coarse-address.ts';
import { GatehouseError } from '../domain/errors.ts';
import { shownUserAgent } from '../domain/redaction.ts';
import { GRAPHQL_RESPONSE, JSON_TYPE } from '../graphql/accept.ts';
import { contentType } from '../graphql/answer.ts';
import { addressName } from '../limits/address-window.ts';
import type { Logger } from '../observability/logger.ts';
import { callerAddress } from './caller-address.ts';
import { ConnectionBound } from './connection-bound.ts';
import { Conversation, closeGently, PIPELINED_MAX } from './conversation.ts';
import type { AccessRecord, Answer, Exchange, Handler } from './exchange.ts';
import { isGraphqlPath } from './graphql-path.ts';
import type { HeldBytes, Holder } from './held-bytes.ts';
import { HEADERS_MAX_BYTES, type HttpRefusal, httpRefusal } from './http-refusal.ts';
import { listenError } from './listen-error.ts';
import { type ParserError, refusalOfParser } from './parser-error.ts';
import { faultOfHead, hasBody, type RequestHead, readHead } from './request-head.ts';
import { StalledConnections } from './stalled.ts';

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** For a request to arrive whole, and again for it to be answered. */
  readonly requestTimeoutMs: number;
  /** Whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly Block[];
  /** Open at once. One more, and the caller that holds the most gives one up. */
  readonly maxConnections: number;
  /** The methods that its routes know, as `Allow` has them. */
  readonly methods: string;
  readonly log: Logger;
  /** Shared by the listeners of a gateway. */
  readonly held: HeldBytes;
  /** How long a connection may take nothing of what waits for it. */
  readonly stalledMs: number;
}

function clientEnded(this: Socket): void {
  Conversation.of(this).clientEnded();
}

export interface Listener {
  /** Such as `http://127.0.0.1:4000`. */
  readonly url: string;
  readonly stopping: boolean;
  /** Refuses new work, lets what is under way finish for at most so long, then cuts it off. */
  close(graceMs: number): Promise<void>;
}

const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than the idle time of common load balancers (60 s), so that they close first. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
const SHUTDOWN_POLL_MS = 50;
const CONNECTIONS_REPORT_EVERY_MS = 10_000;
/** The longest body that is read and thrown away to keep a connection, when its request was refused by its headers. */
const SKIPPED_MAX_BYTES = 65_536;

const OF_EVERY_ANSWER = { 'x-content-type-options': 'nosniff' };

const NOTHING_KNOWN: Omit<AccessRecord, 'address' | 'userAgent'> = {
  route: 'none',
  networkId: null,
  keyId: null,
  operation: null,
  code: null,
  limit: null,
  points: 0,
};

interface State {
  stopping: boolean;
  readonly stalled: StalledConnections;
}

export async function listen(options: ListenerOptions, handle: Handler): Promise<Listener> {
  const stalled = new StalledConnections(options.stalledMs, (bytes, requestId) => {
    options.log.warn({ requestId, bytes, stalledMs: options.stalledMs }, 'closed a connection that takes nothing');
  });
  const state: State = { stopping: false, stalled };
  const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
    void serve(options, state, handle, request, response);
  const server = createServer(
    {
      maxHeaderSize: HEADERS_MAX_BYTES,
      headersTimeout: Math.min(HEADERS_TIMEOUT_MS, options.requestTimeoutMs),
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      // Node answers such a request by itself otherwise, without an id and a line in the log: request-head.ts judges it.
      requireHostHeader: false,
    },
    onRequest,
  );
  // A client may end its side of the connection with its request, and is answered all the same.
  Object.assign(server, { httpAllowHalfOpen: true });
  const connections = new ConnectionBound({
    max: options.maxConnections,
    isIdle: (socket) => Conversation.of(socket).isIdle,
    onClosed: reporterOfClosed(options),
  });
  server.on('connection', (socket: Socket) => {
    const address = parseAddress(socket.remoteAddress ?? '');
    connections.add(socket, address === null ? '' : coarseAddress(address));
    socket.once('end', clientEnded);
  });
  // Node answers these by itself otherwise, before anybody has looked at them.
  server.on('checkContinue', onRequest);
  server.on('checkExpectation', onRequest);
  server.on('connect', (request: IncomingMessage, socket: Socket) => refuseTunnel(options, request, socket));
  server.on('clientError', (error: ParserError, socket: Socket) => {
    // Data behind a request that closes its connection is nobody's request: its answer is on its way.
    if (error.code === 'HPE_CLOSED_CONNECTION') return;
    if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'EPIPE') return void socket.destroy();
    // Of whoever connects: what a proxy says of it is in what cannot be read.
    const from = { method: null, ...comesFrom(parseAddress(socket.remoteAddress ?? ''), {}) };
    const conversation = Conversation.of(socket);
    // A request whose headers have come has a time limit of its own.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && conversation.isReadingBody) return;
    const refusal = refusalOfParser(error, socket);
    conversation.break(refusal, () => refuseConnection(options.log, refusal, socket, from));
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
    async close(graceMs) {
      await close(server, state, graceMs);
      stalled.close();
    },
  };
}

/** A line in the log now and then, not one for each: they come by the thousand. */
function reporterOfClosed({ maxConnections, log }: ListenerOptions): () => void {
  let closed = 0;
  let saidAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    closed += 1;
    if (performance.now() - saidAtMs < CONNECTIONS_REPORT_EVERY_MS) return;
    log.warn({ closed, maxConnections }, 'too many connections: closing those of the callers that hold the most');
    closed = 0;
    saidAtMs = performance.now();
  };
}

function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

async function serve(
  options: ListenerOptions,
  state: Readonly<State>,
  handle: Handler,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { socket } = request;
  const conversation = Conversation.of(socket);
  // RFC 9112, 9.6: what is behind an answer that closes the connection is not processed. It ends with the connection.
  if (conversation.isClosing) return;
  const visit = visitOf(options, request);
  const turn = Promise.withResolvers<void>();
  const refuse = (refusal: HttpRefusal) =>
    cutShort(visit, new GatehouseError(refusal.code, refusal.message), plainRefusal(refusal, visit.requestId, request));
  const isFirst = conversation.begin({ request, response, refuse, go: turn.resolve });
  const head = conversation.isFull ? TOO_MANY_PIPELINED : readHead(request, () => isTrusted(request, options));
  const refusal = 'status' in head ? head : null;
  if (refusal !== null) conversation.closeAfter({ request, response });
  if (!isFirst) await turn.promise;
  if (socket.destroyed) {
    logRequest(options.log, visit, request.method, 499, 0);
    return;
  }
  const exchange = exchangeOf(options, visit, request, response, head);
  limitTime(options, visit, exchange, response);
  if (refusal !== null) {
    visit.record.code = refusal.code;
    send(response, exchange, plainRefusal(refusal, visit.requestId, request), state, true);
    return;
  }
  const answer = state.stopping ? refuseWhileStopping(exchange) : await answerTo(options, visit, exchange, handle);
  send(response, exchange, answer, state, state.stopping || (conversation.isBroken && !request.complete));
  // With it, what was answered before it in a batch.
  exchange.late = null;
}

/** What there is of a request before its turn has come. */
interface Visit extends Pick<Exchange, 'requestId' | 'address' | 'record'> {
  /** Ends the work on it. */
  readonly limit: AbortController;
  /** The answer that takes the place of its handler's. */
  readonly cut: PromiseWithResolvers<Answer>;
}

function visitOf(options: ListenerOptions, request: IncomingMessage): Visit {
  const address = callerAddress(request, options.trustedProxies);
  return {
    requestId: newRequestId(),
    address,
    record: { ...comesFrom(address, request.headers), ...NOTHING_KNOWN },
    limit: new AbortController(),
    cut: Promise.withResolvers(),
  };
}

function cutShort({ limit, record, cut }: Visit, refusal: GatehouseError, answer: Answer): void {
  limit.abort(refusal);
  record.code = refusal.code;
  cut.resolve(answer);
}

function exchangeOf(
  options: ListenerOptions,
  { requestId, address, record, limit }: Visit,
  request: IncomingMessage,
  response: ServerResponse,
  head: RequestHead | HttpRefusal,
): Exchange {
  // Named before it becomes a property, as V8 wants it: see graphql-route.ts.
  const askForBody = () => {
    if (!('status' in head) && head.expectsContinue && hasBodyToCome(request)) response.writeContinue();
  };
  return {
    requestId,
    request,
    method: request.method ?? 'GET',
    address,
    ...('status' in head ? NO_TARGET : head),
    signal: limit.signal,
    headers: {},
    late: null,
    held: options.held.hold(anybody(address), request.socket),
    record,
    askForBody,
  };
}

/** Cuts the work short when its time is up; ends it, with a line in the log, when its response is closed. */
function limitTime(options: ListenerOptions, visit: Visit, exchange: Exchange, response: ServerResponse): void {
  const startedMs = performance.now();
  const timer = setTimeout(() => {
    const refusal = new GatehouseError('TIMEOUT', `Timeout: a request may take ${options.requestTimeoutMs} ms`);
    cutShort(visit, refusal, exchange.late?.(refusal) ?? plainRefusal(refusal, visit.requestId, exchange.request));
  }, options.requestTimeoutMs);
  response.once('close', () => {
    clearTimeout(timer);
    exchange.held.release();
    if (!response.writableFinished) visit.limit.abort(new GatehouseError('REQUEST_TIMEOUT', 'The client has gone'));
    const status = response.writableFinished ? response.statusCode : 499;
    logRequest(options.log, visit, exchange.request.method, status, performance.now() - startedMs);
  });
}

function logRequest(
  log: Logger,
  { requestId, record }: Visit,
  method: string | undefined,
  status: number,
  ms: number,
): void {
  log.info({ requestId, method, ...record, status, ms: Math.round(ms * 1000) / 1000 }, 'request');
}

async function answerTo(
  { methods }: ListenerOptions,
  { cut, limit }: Visit,
  exchange: Exchange,
  handle: Handler,
): Promise<Answer> {
  // What cannot be read was in the middle of it, while it waited for its turn.
  if (limit.signal.aborted) return cut.promise;
  if (exchange.path === '*') return { status: 204, headers: { allow: methods }, body: null };
  return Promise.race([handle(exchange), cut.promise]);
}

const NO_TARGET: Omit<RequestHead, 'expectsContinue'> = { path: '', search: '', authority: '' };

const TOO_MANY_PIPELINED = httpRefusal(
  'RATE_LIMITED',
  `Rate limit exceeded: at most ${PIPELINED_MAX} requests of one connection may wait for their answers`,
  { 'retry-after': '1' },
);

function isTrusted({ socket }: IncomingMessage, { trustedProxies }: ListenerOptions): boolean {
  const peer = parseAddress(socket.remoteAddress ?? '');
  return peer !== null && isWithin(peer, trustedProxies);
}

/** RFC 9110, 10.1.1: who has sent of the body already, or has none to send, waits for nothing. */
function hasBodyToCome(request: IncomingMessage): boolean {
  return !request.complete && request.readableLength === 0 && hasBody(request);
}

/** Where it is not known who calls, an address is. */
function anybody(address: Address | null): Holder {
  const name = `address ${addressName(address)}`;
  return { isKnown: false, network: name, key: name };
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
  { request, requestId, headers, held }: Exchange,
  answer: Answer,
  { stalled }: State,
  closes: boolean,
): void {
  const body = bytesOf(answer.body ?? '');
  const bodyBytes = Buffer.byteLength(body);
  const isLong = bodyBytes > TAKEN_AT_ONCE_BYTES;
  if (isLong) held.wait(bodyBytes);
  if (response.destroyed) return;
  // Node reads past a body that nobody wanted; a long one, or one of unknown length, is not worth the connection.
  // Nor is one that its client may hold back, having been told to wait for a 100 that never came.
  const isShort =
    Number(request.headers['content-length']) <= SKIPPED_MAX_BYTES && request.headers.expect === undefined;
  const unread = !request.complete && !isShort;
  if (closes || unread || !response.shouldKeepAlive) Conversation.of(request.socket).closeAfter({ request, response });
  response.writeHead(answer.status, {
    ...headers,
    ...answer.headers,
    ...(answer.status === 204 ? {} : { 'content-length': bodyBytes }),
    ...(closes || unread ? { connection: 'close' } : {}),
    'x-request-id': requestId,
    ...OF_EVERY_ANSWER,
  });
  response.end(body);
  // Most of what is short is with the kernel now, and nothing of it is held.
  if (!isLong && request.socket.writableLength > 0) held.wait(bodyBytes);
  stalled.watch(request.socket, requestId);
}

/** What a connection whose other end reads takes at once. */
const TAKEN_AT_ONCE_BYTES = 65_536;

/** A long text waits as bytes: as a string it takes up to twice as much, until all of it is taken. */
function bytesOf(body: string | Buffer): string | Buffer {
  return typeof body === 'string' && body.length > TAKEN_AT_ONCE_BYTES ? Buffer.from(body) : body;
}

function refuseWhileStopping({ requestId, record, request }: Exchange): Answer {
  record.code = 'SERVICE_UNAVAILABLE';
  const headers = { 'retry-after': '1' };
  return plainRefusal(
    new GatehouseError('SERVICE_UNAVAILABLE', 'Service unavailable: this gateway is stopping', { headers }),
    requestId,
    request,
  );
}

/**
 * A refusal that no route had a say in: readable by GraphQL clients and others alike. `request`: null where its head could
 * not be read.
 */
function plainRefusal(
  refusal: HttpRefusal | GatehouseError,
  requestId: string,
  request: IncomingMessage | null,
): Answer {
  const { code, status, message } = refusal;
  const body = { errors: [{ message, extensions: { code, status, requestId } }] };
  const headers = refusal instanceof GatehouseError ? refusal.details.headers : refusal.headers;
  return {
    status,
    headers: { 'content-type': contentType(isForGraphql(request) ? GRAPHQL_RESPONSE : JSON_TYPE), ...headers },
    body: JSON.stringify(body),
  };
}

/** What is not known to be for another address counts as GraphQL's: most that comes is. */
function isForGraphql(request: IncomingMessage | null): boolean {
  const [path = ''] = (request?.url ?? '').split('?');
  return !path.startsWith('/') || isGraphqlPath(path);
}

/** CONNECT. Node leaves the connection to whoever answers it: no error of it would be heard. */
function refuseTunnel(options: ListenerOptions, request: IncomingMessage, socket: Socket): void {
  socket.on('error', () => socket.destroy());
  const refusal =
    faultOfHead(request) ??
    httpRefusal('METHOD_NOT_ALLOWED', 'Method not allowed: this is no proxy', { allow: options.methods });
  const from = comesFrom(callerAddress(request, options.trustedProxies), request.headers);
  Conversation.of(socket).break(refusal, () =>
    refuseConnection(options.log, refusal, socket, { method: request.method ?? null, ...from }),
  );
}

/** What can't be read as a request at all: there is no request to answer, so the answer is written by hand. */
function refuseConnection(
  log: Logger,
  refusal: HttpRefusal,
  socket: Socket,
  from: Pick<AccessRecord, 'address' | 'userAgent'> & { readonly method: string | null },
): void {
  const { code, status } = refusal;
  const requestId = newRequestId();
  log.info({ requestId, ...from, ...NOTHING_KNOWN, code, status, ms: 0 }, 'request');
  const { headers, body } = plainRefusal(refusal, requestId, null);
  const fields = { ...headers, ...OF_EVERY_ANSWER, 'x-request-id': requestId, connection: 'close' };
  const lines = Object.entries({ ...fields, 'content-length': Buffer.byteLength(body ?? '') });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  closeGently(socket, `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${body}`);
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
