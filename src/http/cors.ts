/**
 * CORS (https://fetch.spec.whatwg.org/#http-cors-protocol): the origins of CORS_ORIGINS and no other. No credentials:
 * a token is sent by a program that holds it, never by the browser on its own.
 */
import type { IncomingHttpHeaders } from 'node:http';

const PREFLIGHT_MAX_AGE_SECONDS = 600;
const EXPOSED = 'X-Request-Id, RateLimit, RateLimit-Policy, Retry-After, Idempotent-Replayed, WWW-Authenticate';

export class Cors {
  readonly #origins: ReadonlySet<string>;

  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
  }

  /** The headers of any answer. */
  headers({ origin }: IncomingHttpHeaders): Record<string, string> {
    if (this.#origins.size === 0) return {};
    if (origin === undefined || !this.#origins.has(origin)) return { vary: 'Origin' };
    return { vary: 'Origin', 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED };
  }

  /** The headers of a preflight's answer, which needs no token. */
  preflight(headers: IncomingHttpHeaders): Record<string, string> {
    const common = this.headers(headers);
    if (common['access-control-allow-origin'] === undefined) return common;
    return {
      ...common,
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': 'Authorization, Content-Type, Accept, Idempotency-Key',
      'access-control-max-age': String(PREFLIGHT_MAX_AGE_SECONDS),
    };
  }
}
