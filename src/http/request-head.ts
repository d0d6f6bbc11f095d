/**
 * The head of a request, judged by RFC 9110 and RFC 9112 where Node's parser leaves it to the server: the version, the
 * Host, fields that were sent twice, the forms of a request target, transfer codings and expectations.
 */
import type { IncomingMessage } from 'node:http';
import { parseAddress } from '../domain/address.ts';
import { badRequest, type HttpRefusal, headersTooLarge, httpRefusal, versionNotSupported } from './http-refusal.ts';

export interface RequestHead {
  /** Of the target, as it was sent; `*` where the request is about the server as a whole. */
  readonly path: string;
  /** The query string with its `?`, or ''. */
  readonly search: string;
  /** The host and port that the request is for; '' where it names none. */
  readonly authority: string;
  /** The client sends its body only once it got 100 (Continue). */
  readonly expectsContinue: boolean;
}

/** Node itself drops what exceeds its own maximum, unseen: a dropped field may be a second Host. */
const FIELDS_MAX = 100;

/**
 * The fields that decide something and that a request has once (RFC 9110, 5.3). Of two, Node drops or joins one without
 * a word, and a proxy in front may have judged by the other. Each has a length of its own: most fields of a request are
 * passed over by comparing a number.
 */
const SINGLE_FIELDS: readonly string[] = [
  'Host',
  'Origin',
  'Content-Type',
  'Authorization',
  'Content-Length',
  'Idempotency-Key',
];
const SINGLE_BY_LENGTH: ReadonlyMap<number, string> = new Map(
  SINGLE_FIELDS.map((name) => [name.length, name.toLowerCase()]),
);

/** What is wrong with a head whatever its target; null where nothing is. */
export function faultOfHead(request: IncomingMessage): HttpRefusal | null {
  if (request.httpVersionMajor !== 1) return versionNotSupported();
  return faultOfFields(request.rawHeaders) ?? faultOfHost(request) ?? faultOfCoding(request);
}

/** `isTrustedPeer`: whether the connection is a trusted proxy's. */
export function readHead(request: IncomingMessage, isTrustedPeer: () => boolean): RequestHead | HttpRefusal {
  const { headers, httpVersionMinor } = request;
  const fault = faultOfHead(request);
  if (fault !== null) return fault;
  const target = readTarget(request.method ?? '', request.url ?? '', headers.host ?? '', isTrustedPeer);
  if ('status' in target) return target;
  // RFC 9110, 10.1.1: an HTTP/1.0 client does not know of expectations.
  const expected = httpVersionMinor === 0 ? '' : (headers.expect ?? '');
  if (expected === '') return { ...target, expectsContinue: false };
  if (expected.split(',').some((one) => one.trim().toLowerCase() !== '100-continue')) {
    return httpRefusal('EXPECTATION_FAILED', 'Expectation failed: only 100-continue is supported');
  }
  return { ...target, expectsContinue: true };
}

/** RFC 9112, 6: whether a request has a body, by its headers. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function faultOfFields(names: readonly string[]): HttpRefusal | null {
  if (names.length > 2 * FIELDS_MAX) return headersTooLarge(`A request has at most ${FIELDS_MAX} header fields`);
  // A bit for each length.
  let seen = 0;
  for (let at = 0; at < names.length; at += 2) {
    const name = names[at] ?? '';
    const single = SINGLE_BY_LENGTH.get(name.length);
    if (single === undefined || name.toLowerCase() !== single) continue;
    const bit = 1 << name.length;
    if ((seen & bit) !== 0) return repeated(single);
    seen |= bit;
  }
  return null;
}

function repeated(name: string): HttpRefusal {
  const message = `A request has one ${SINGLE_FIELDS.find((known) => known.toLowerCase() === name)} header field`;
  // RFC 6750, 3.1: more than one credential is an invalid request, not an invalid token.
  return badRequest(message, name === 'authorization' ? { 'www-authenticate': 'Bearer error="invalid_request"' } : {});
}

/** RFC 3986, 3.2: a host, which may be empty, and a port. User information is no part of it (RFC 9110, 4.2.4). */
const AUTHORITY = /^(?:\[([0-9A-Fa-f:.]+)\]|(?:[\w\-.~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)(?::(\d{0,5}))?$/;
const PORT_MAX = 65_535;

function isAuthority(text: string): boolean {
  const found = AUTHORITY.exec(text);
  if (found === null) return false;
  const [, literal, port = ''] = found;
  return Number(port) <= PORT_MAX && (literal === undefined || parseAddress(literal) !== null);
}

/** RFC 9112, 3.2. An empty value is legal: it names no host, and so no network. */
function faultOfHost({ headers: { host }, httpVersionMinor }: IncomingMessage): HttpRefusal | null {
  if (host === undefined)
    return httpVersionMinor === 0 ? null : badRequest('A request of HTTP/1.1 needs a Host header');
  return isAuthority(host) ? null : badRequest('The Host header is not a host and port');
}

/** RFC 9112, 6.1 and 6.3. */
function faultOfCoding({ headers, httpVersionMinor }: IncomingMessage): HttpRefusal | null {
  const coding = headers['transfer-encoding'];
  if (coding === undefined) return null;
  if (httpVersionMinor === 0) return badRequest('A request of HTTP/1.0 has no Transfer-Encoding');
  const codings = coding.split(',').map((one) => one.trim().toLowerCase());
  // Where the body ends cannot be known otherwise.
  if (codings.at(-1) !== 'chunked') return badRequest('The last transfer coding of a request is chunked');
  if (codings.length === 1) return null;
  return httpRefusal('NOT_IMPLEMENTED', 'Not implemented: the only transfer coding is chunked');
}

type Target = Omit<RequestHead, 'expectsContinue'>;

/** The forms of a request target (RFC 9112, 3.2). Authority-form is for CONNECT alone, which reaches no route. */
function readTarget(method: string, target: string, host: string, isTrustedPeer: () => boolean): Target | HttpRefusal {
  // A fragment is no part of a request, and where one begins, others may read another path.
  if (target.includes('#')) return badRequest('A request target has no fragment (#)');
  if (target.startsWith('/')) {
    const cut = target.indexOf('?');
    return cut < 0 ? targetOf(target, '', host) : targetOf(target.slice(0, cut), target.slice(cut), host);
  }
  if (target === '*' && method === 'OPTIONS') return { path: '*', search: '', authority: host };
  return readAbsolute(method, target, isTrustedPeer);
}

const ABSOLUTE = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?]*)([^?]*)(.*)$/;

function readAbsolute(method: string, target: string, isTrustedPeer: () => boolean): Target | HttpRefusal {
  const [, scheme = '', authority = '', path = '', search = ''] = ABSOLUTE.exec(target) ?? [];
  if (scheme === '') return badRequest('The request target is neither a path nor a URL');
  // RFC 9110, 7.4: https comes over TLS, which a trusted proxy may have ended.
  const isServed = scheme.toLowerCase() === 'http' || (scheme.toLowerCase() === 'https' && isTrustedPeer());
  if (!isServed) return httpRefusal('MISDIRECTED_REQUEST', 'Misdirected request: this server serves http URLs only');
  // RFC 9110, 4.2.1: an http URL with an empty host is invalid.
  if (authority === '' || authority.startsWith(':') || !isAuthority(authority)) {
    return badRequest('The request target is not a valid URL');
  }
  // RFC 9112, 3.2.4: how a client that knows only URLs writes the server as a whole.
  if (path === '' && search === '' && method === 'OPTIONS') return { path: '*', search, authority };
  // RFC 9112, 3.2.2: the target's authority, not that of the Host header.
  return targetOf(path === '' ? '/' : path, search, authority);
}

function targetOf(path: string, search: string, authority: string): Target | HttpRefusal {
  // No character of a URL: some programs read it as a slash.
  if (path.includes('\\')) return badRequest('A path has no backslash');
  return { path, search, authority };
}
