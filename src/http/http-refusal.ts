/** Refusals that HTTP itself asks for, before any route has a say (RFC 9110, RFC 9112). */
import { REFUSALS, type RefusalCode } from '../domain/errors.ts';

export interface HttpRefusal {
  readonly code: RefusalCode;
  /** Where HTTP distinguishes more than the code does, not the code's own: 431 beside 413. */
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** In bytes: the request line and all header fields of a request; again its trailer fields. */
export const HEADERS_MAX_BYTES = 16_384;

export function httpRefusal(
  code: RefusalCode,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): HttpRefusal {
  return { code, status: REFUSALS[code], message, headers };
}

/** RFC 9112, 3 and RFC 9110, 15.5.1: the request is not what HTTP's grammar and rules allow. */
export function badRequest(message: string, headers: Readonly<Record<string, string>> = {}): HttpRefusal {
  return { code: 'BAD_USER_INPUT', status: 400, message, headers };
}

/** RFC 6585, 5. */
export function headersTooLarge(message: string): HttpRefusal {
  return { code: 'PAYLOAD_TOO_LARGE', status: 431, message };
}

export function versionNotSupported(): HttpRefusal {
  return httpRefusal('HTTP_VERSION_NOT_SUPPORTED', 'HTTP version not supported: send HTTP/1.1');
}
