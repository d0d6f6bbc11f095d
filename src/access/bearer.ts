/** The Authorization header (RFC 6750, 2.1). */
import { isToken } from '../domain/token.ts';

export type Bearer =
  | { readonly status: 'token'; readonly token: string }
  | { readonly status: 'missing' | 'malformed' };

// RFC 9110, 11.1: the scheme is case-insensitive.
const BEARER = /^bearer +(\S+) *$/i;

/** The token in the header, or why there is none. Shape and checksum are judged here: no database is asked. */
export function readBearer(header: string | undefined): Bearer {
  if (header === undefined || header.trim() === '') return { status: 'missing' };
  const token = BEARER.exec(header)?.[1];
  return token !== undefined && isToken(token) ? { status: 'token', token } : { status: 'malformed' };
}
