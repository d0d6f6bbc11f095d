/** The way of one GraphQL request: who is calling, in which network, what is asked, the answer. */
import type { Verifier } from '../access/verifier.ts';
import { GatehouseError } from '../domain/errors.ts';
import { toId } from '../domain/id.ts';
import { type Principal, refusalOf } from '../domain/verification.ts';
import type { Context } from '../graphql/context.ts';
import type { OnBug } from '../graphql/errors.ts';
import { type GraphqlServer, refusalAnswer } from '../graphql/server.ts';
import { readBody, refuseBodyByHeaders } from './body.ts';
import type { Answer, Exchange } from './exchange.ts';
import { graphiqlPage, wantsPage } from './graphiql.ts';

export interface GraphqlRouteParts {
  readonly verifier: Verifier;
  /** Null where the id or slug names the principal's own network. */
  readonly refuseOtherNetwork: (principal: Principal, network: string) => Promise<GatehouseError | null>;
  readonly graphql: GraphqlServer;
  readonly contextFor: (principal: Principal, requestId: string, signal: AbortSignal) => Context;
  readonly bodyLimitBytes: number;
  readonly onBug: OnBug;
}

/** `networks`: what the path and the host name, each an id or slug. */
export async function graphqlRoute(
  parts: GraphqlRouteParts,
  exchange: Exchange,
  networks: readonly string[],
): Promise<Answer> {
  const { request, requestId, record } = exchange;
  if (wantsPage(exchange)) return graphiqlPage(exchange);
  try {
    return await answer(parts, exchange, networks);
  } catch (thrown) {
    const refusal = refusalAnswer(thrown, requestId, request.headers.accept, parts.onBug);
    record.code = refusal.code;
    return withNoStore(refusal);
  }
}

async function answer(parts: GraphqlRouteParts, exchange: Exchange, networks: readonly string[]): Promise<Answer> {
  const { request, requestId, record, search, signal } = exchange;
  const method = methodOf(exchange);
  if (method === 'POST') refuseBodyByHeaders(request, parts.bodyLimitBytes);
  const principal = await verified(parts, exchange, networks);
  // Limits have their place here (DESIGN: the way of one request, 4): after the caller is known, before work is done.
  const body = method === 'POST' ? await readBody(request, parts.bodyLimitBytes) : null;
  const context = parts.contextFor(principal, requestId, signal);
  const { accept } = request.headers;
  const result = await parts.graphql.handle({ method, search, accept, body, signal }, context);
  record.operation = result.operationName;
  record.code = result.code;
  return withNoStore(result);
}

async function verified(parts: GraphqlRouteParts, exchange: Exchange, networks: readonly string[]): Promise<Principal> {
  const { request, record } = exchange;
  const verification = await parts.verifier.verify(request.headers.authorization);
  if (verification.status !== 'valid') throw refusalOf(verification);
  const { principal } = verification;
  record.networkId = toId('Network', principal.networkId);
  record.keyId = toId('ApiKey', principal.keyId);
  for (const network of networks) {
    const refusal = await parts.refuseOtherNetwork(principal, network);
    if (refusal !== null) throw refusal;
  }
  return principal;
}

function methodOf({ method }: Exchange): 'GET' | 'POST' {
  if (method === 'GET' || method === 'POST') return method;
  throw new GatehouseError('METHOD_NOT_ALLOWED', 'Method not allowed: send GET or POST', {
    headers: { allow: 'GET, POST, OPTIONS' },
  });
}

/** An answer to a token is that token's alone: no cache keeps it. */
function withNoStore({ status, headers, body }: Answer): Answer {
  return { status, headers: { ...headers, 'cache-control': 'no-store', vary: 'Accept, Authorization' }, body };
}
