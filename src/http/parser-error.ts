/** What Node's HTTP parser could not read, as the refusal that HTTP has for it. */
import type { Socket } from 'node:net';
import {
  badRequest,
  HEADERS_MAX_BYTES,
  type HttpRefusal,
  headersTooLarge,
  httpRefusal,
  versionNotSupported,
} from './http-refusal.ts';

/** As `clientError` hands it over. */
export interface ParserError extends Error {
  readonly code?: string;
  /** What was being read when it failed; absent where it was no byte that failed, but time or the end. */
  readonly rawPacket?: Buffer;
  /** How far into that. */
  readonly bytesParsed?: number;
}

/** RFC 9112, 3: a request line, whatever its method and version. */
const REQUEST_LINE = /^[!#$%&'*+.^`|~\w-]+ \S+ HTTP\/\d\.\d\r?$/;
const VERSION = / HTTP\/(\d)(?:\.(\d))?\r?$/;

export function refusalOfParser(error: ParserError, socket: Socket): HttpRefusal {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return isRequestLineCut(error, socket)
        ? httpRefusal('URI_TOO_LONG', `URI too long: a request line has at most ${HEADERS_MAX_BYTES} bytes`)
        : headersTooLarge(`Headers have at most ${HEADERS_MAX_BYTES} bytes`);
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return httpRefusal('PAYLOAD_TOO_LARGE', 'Payload too large: the chunk extensions are too long');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return httpRefusal('REQUEST_TIMEOUT', 'Request timeout: the request did not arrive whole in time');
    case 'HPE_PAUSED_H2_UPGRADE':
      return versionNotSupported();
    case 'HPE_INVALID_VERSION':
      return isOtherVersion(lineOf(error)) ? versionNotSupported() : NOT_HTTP;
    case 'HPE_INVALID_METHOD':
      return REQUEST_LINE.test(lineOf(error))
        ? httpRefusal('NOT_IMPLEMENTED', 'Not implemented: this is not a method of HTTP')
        : NOT_HTTP;
    case 'HPE_INVALID_EOF_STATE':
      return badRequest('The request ended before it was whole');
    default:
      return NOT_HTTP;
  }
}

const NOT_HTTP = badRequest('This is not HTTP');

/** The line in which it failed, as far as it was received with it. */
function lineOf({ rawPacket, bytesParsed = 0 }: ParserError): string {
  if (rawPacket === undefined) return '';
  const from = bytesParsed === 0 ? 0 : rawPacket.lastIndexOf(LF, bytesParsed - 1) + 1;
  const to = rawPacket.indexOf(LF, bytesParsed);
  return rawPacket.toString('latin1', from, to < 0 ? rawPacket.length : to);
}

const LF = 0x0a;

/** 1.0 and 1.1 are what the parser knows of HTTP/1: a line that names these is wrong in another way. */
function isOtherVersion(line: string): boolean {
  const [, major, minor] = VERSION.exec(line) ?? [];
  return major !== undefined && !(major === '1' && (minor === '0' || minor === '1'));
}

/** Whether the request line is what is too long, and not the fields behind it. */
function isRequestLineCut(error: ParserError, socket: Socket): boolean {
  const line = lineOf(error);
  if (VERSION.test(line)) return true;
  // Not received to its end: the first line of a connection is a request line.
  const { rawPacket, bytesParsed = 0 } = error;
  return rawPacket?.length === socket.bytesRead && !rawPacket.subarray(0, bytesParsed).includes(LF);
}
