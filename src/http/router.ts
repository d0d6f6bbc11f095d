/** Addresses to handlers. */
import { GatehouseError } from '../domain/errors.ts';
import type { OnBug } from '../graphql/errors.ts';
import type { Cors } from './cors.ts';
import type { Answer, Exchange } from './exchange.ts';
import { isGraphqlPath, namedNetwork } from './graphql-path.ts';
import { restRefusal } from './rest-error.ts';

export interface Routes {
  /** `networks`: what the path and the host name, each an id or slug. */
  readonly graphql: (exchange: Exchange, networks: readonly string[]) => Promise<Answer>;
  readonly leakedTokens: (exchange: Exchange) => Promise<Answer>;
  readonly healthz: () => Answer;
  readonly readyz: () => Promise<Answer>;
}

/** The body of the answer to a HEAD is not sent (RFC 9110, 9.3.2): Node sees to it. */
function onlyGet(): GatehouseError {
  return new GatehouseError('METHOD_NOT_ALLOWED', 'Method not allowed: send GET', { headers: { allow: 'GET, HEAD' } });
}

export class Router {
  readonly #routes: Routes;
  readonly #cors: Cors;
  readonly #baseDomain: string | undefined;
  readonly #onBug: OnBug;

  constructor(routes: Routes, cors: Cors, baseDomain: string | undefined, onBug: OnBug) {
    this.#routes = routes;
    this.#cors = cors;
    this.#baseDomain = baseDomain;
    this.#onBug = onBug;
  }

  /** Never rejects: what goes wrong is an answer too. */
  async handle(exchange: Exchange): Promise<Answer> {
    try {
      return await this.#route(exchange);
    } catch (thrown) {
      return restRefusal(thrown, exchange, this.#onBug);
    }
  }

  async #route(exchange: Exchange): Promise<Answer> {
    const { method, path, record } = exchange;
    const named = namedNetwork(path);
    if (isGraphqlPath(path)) {
      record.route = named === undefined ? '/graphql' : '/networks/{network}/graphql';
      return this.#api(exchange, named);
    }
    if (path === '/leaked-tokens') {
      record.route = path;
      return this.#routes.leakedTokens(exchange);
    }
    if (path === '/healthz' || path === '/readyz') {
      record.route = path;
      if (method !== 'GET' && method !== 'HEAD') throw onlyGet();
      return path === '/healthz' ? this.#routes.healthz() : this.#routes.readyz();
    }
    throw new GatehouseError('NOT_FOUND', 'Not Found: there is nothing at this address');
  }

  async #api(exchange: Exchange, named: string | undefined): Promise<Answer> {
    const { headers } = exchange.request;
    if (exchange.method === 'OPTIONS') return { status: 204, headers: this.#cors.preflight(headers), body: null };
    const networks = [decode(named), this.#hostNetwork(exchange.authority)].filter((name) => name !== undefined);
    // Before anything can go wrong: a refusal, too, is for the page that asked.
    Object.assign(exchange.headers, this.#cors.headers(headers));
    return this.#routes.graphql(exchange, networks);
  }

  /** The network that `{slug}.{base domain}` names. Any other host names none. */
  #hostNetwork(authority: string): string | undefined {
    if (this.#baseDomain === undefined) return undefined;
    const name = authority.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
    const suffix = `.${this.#baseDomain}`;
    return name.endsWith(suffix) ? name.slice(0, -suffix.length) : undefined;
  }
}

function decode(segment: string | undefined): string | undefined {
  if (segment === undefined) return undefined;
  try {
    return decodeURIComponent(segment);
  } catch {
    // Not percent-encoding: then it is the name of no network either.
    return segment;
  }
}
