/** The way of one GraphQL request: who is calling, in which network, within which limits, what is asked, the answer. */
import type { Verifier } from '../access/verifier.ts';
import { GatehouseError } from '../domain/errors.ts';
import { toId } from '../domain/id.ts';
import { type Idempotency, idempotencyOf } from '../domain/idempotency.ts';
import type { Decision } from '../domain/limit.ts';
import { type Principal, type RefusedKey, refusalOf } from '../domain/verification.ts';
import { type GraphqlAnswer, refusalAnswer } from '../graphql/answer.ts';
import type { Context } from '../graphql/context.ts';
import type { OnBug } from '../graphql/errors.ts';
import type { CostReport, PointBudget } from '../graphql/request-limits.ts';
import type { GraphqlServer } from '../graphql/server.ts';
import { rateLimitHeaders, refusalOfDecision } from '../limits/headers.ts';
import type { Meter } from '../limits/meter.ts';
import type { CountedRequest } from '../services/usage/buffer.ts';
import { batchAnswer, operationsIn } from './batch.ts';
import { readBody, refuseBodyByHeaders } from './body.ts';
import type { AccessRecord, Answer, Exchange } from './exchange.ts';
import { graphiqlPage, wantsPage } from './graphiql.ts';

export interface GraphqlRouteParts {
  readonly verifier: Verifier;
  /** Null where the id or slug names the principal's own network. */
  readonly refuseOtherNetwork: (principal: Principal, network: string) => Promise<GatehouseError | null>;
  readonly meter: Meter;
  readonly graphql: GraphqlServer;
  readonly contextFor: (
    principal: Principal,
    exchange: Exchange,
    budget: PointBudget,
    idempotency: Idempotency | null,
  ) => Context;
  /** Runs the work so that its database statements end when the signal fires. */
  readonly cancellable: <Result>(signal: AbortSignal, work: () => Promise<Result>) => Promise<Result>;
  /** Told of each request of a valid token, once it is answered. */
  readonly onCounted: (request: CountedRequest) => void;
  readonly bodyLimitBytes: number;
  /** Operations of one body. */
  readonly maxBatch: number;
  /** Points that one request may ask for. */
  readonly maxCost: number;
  readonly onBug: OnBug;
}

/** `networks`: what the path and the host name, each an id or slug. */
export async function graphqlRoute(
  parts: GraphqlRouteParts,
  exchange: Exchange,
  networks: readonly string[],
): Promise<Answer> {
  // An answer to a token is that token's alone: no cache keeps it.
  exchange.headers['cache-control'] = 'no-store';
  exchange.headers['vary'] = [exchange.headers['vary'], 'Accept, Authorization'].filter(Boolean).join(', ');
  if (wantsPage(exchange)) return graphiqlPage(exchange);
  try {
    return await answer(parts, exchange, networks);
  } catch (thrown) {
    return refused(parts, exchange, thrown);
  }
}

async function answer(parts: GraphqlRouteParts, exchange: Exchange, networks: readonly string[]): Promise<Answer> {
  const method = methodOf(exchange);
  const principal = await verified(parts, exchange);
  return limited(parts, exchange, networks, principal, method);
}

async function limited(
  parts: GraphqlRouteParts,
  exchange: Exchange,
  networks: readonly string[],
  principal: Principal,
  method: 'GET' | 'POST',
): Promise<Answer> {
  const already = parts.meter.refusedAlready(principal);
  if (already !== null) return refusedTo(parts, exchange, principal, refusalOfDecision(already), already);
  const visit: Visit = { principal, limits: null };
  const isLate = !exchange.request.complete;
  let body: string | null;
  try {
    if (method === 'POST') refuseBodyByHeaders(exchange.request, parts.bodyLimitBytes);
    await refuseOtherNetworks(parts, principal, networks);
    body = method === 'POST' ? await readBody(exchange.request, parts.bodyLimitBytes) : null;
  } catch (thrown) {
    return refusedAndCharged(parts, exchange, visit, thrown);
  }
  // A body may take its time, and its token may have ended meanwhile: what was found before it came counts no more.
  if (isLate) visit.principal = await verified(parts, exchange);
  try {
    return await work(parts, exchange, visit, method, body);
  } catch (thrown) {
    return refusedAndCharged(parts, exchange, visit, thrown);
  }
}

/** One caller's request. */
interface Visit {
  principal: Principal;
  /** Of the operation that ran last. */
  limits: Context['limits'] | null;
}

async function verified(parts: GraphqlRouteParts, { request, record, address }: Exchange): Promise<Principal> {
  const verification = await parts.verifier.verify(request.headers.authorization, address);
  if (verification.status !== 'valid') {
    // Whose it is goes into the log all the same, and nowhere else.
    if ('key' in verification) noteKey(record, verification.key);
    throw refusalOf(verification);
  }
  const { principal } = verification;
  noteKey(record, principal);
  return principal;
}

function noteKey(record: AccessRecord, { networkId, keyId }: RefusedKey): void {
  record.networkId = toId('Network', networkId);
  record.keyId = toId('ApiKey', keyId);
}

async function refuseOtherNetworks(
  parts: GraphqlRouteParts,
  principal: Principal,
  networks: readonly string[],
): Promise<void> {
  for (const network of networks) {
    const refusal = await parts.refuseOtherNetwork(principal, network);
    if (refusal !== null) throw refusal;
  }
}

async function work(
  parts: GraphqlRouteParts,
  exchange: Exchange,
  visit: Visit,
  method: 'GET' | 'POST',
  body: string | null,
): Promise<Answer> {
  const { search, signal, request } = exchange;
  const operations = body === null ? null : operationsIn(body, parts.maxBatch);
  const idempotency = idempotencyOf(request.headers['idempotency-key'], body);
  const budget: PointBudget = { points: parts.maxCost };
  const running: { limits: Context['limits'] | null } = { limits: null };
  const run = (text: string | null, operation: number) => {
    const own = idempotency === null ? null : { ...idempotency, operation };
    const context = parts.contextFor(visit.principal, exchange, budget, own);
    visit.limits = context.limits;
    running.limits = context.limits;
    const asked = { method, search, accept: request.headers.accept, body: text, signal };
    return parts.cancellable(signal, async () => {
      const result = await parts.graphql.handle(asked, context);
      note(parts, exchange, visit.principal, result);
      running.limits = null;
      return result;
    });
  };
  const late = (refusal: GatehouseError, cost: CostReport | null) =>
    refusalAnswer(refusal, exchange.requestId, request.headers.accept, parts.onBug, null, cost);
  // Functions get a name before they become a property: one that is written there is made in V8's old space, and with it
  // all that it sees of this request lives on until the next full collection of garbage.
  const lateAlone = (refusal: GatehouseError) => late(refusal, running.limits?.report() ?? null);
  exchange.late = lateAlone;
  if (operations === null) return run(body, 0);
  const answers: GraphqlAnswer[] = [];
  // What was done must not be lost with what was not: it may be a token, which is shown once.
  const lateInBatch = (refusal: GatehouseError) => {
    const cost = running.limits?.report() ?? null;
    return batchAnswer(operations.map((_, at) => answers[at] ?? late(refusal, at === answers.length ? cost : null)));
  };
  exchange.late = lateInBatch;
  // One after the other: a batch is one client's, and has its share of the machine already.
  for (const [index, operation] of operations.entries()) {
    const refusal = index === 0 ? null : await refusedAgain(parts, exchange, visit);
    answers.push(refusal ?? (await run(operation, index)));
  }
  return batchAnswer(answers);
}

/** An operation before this one may have ended the token, or taken its time: null where it is still good. */
async function refusedAgain(parts: GraphqlRouteParts, exchange: Exchange, visit: Visit): Promise<GraphqlAnswer | null> {
  try {
    visit.principal = await verified(parts, exchange);
    return null;
  } catch (thrown) {
    const { request, requestId, record } = exchange;
    const refusal = refusalAnswer(thrown, requestId, request.headers.accept, parts.onBug, null);
    record.code ??= refusal.code;
    return refusal;
  }
}

/** What the headers, the access log and the usage say of an answer. */
function note(
  { onCounted }: GraphqlRouteParts,
  { record, headers, address }: Exchange,
  { keyId, networkId, digest }: Principal,
  { operationName, code, decision, points }: GraphqlAnswer,
): void {
  record.operation ??= operationName;
  record.code ??= code;
  record.points += points;
  const limited = code === 'RATE_LIMITED';
  const error = code !== null && !limited;
  onCounted({ keyId, networkId, digest, address, atMs: Date.now(), error, limited, cost: points });
  if (decision === null) return;
  record.limit ??= decision.over?.name ?? null;
  Object.assign(headers, rateLimitHeaders(decision));
}

/** Where nobody is known to be calling. */
function refused(parts: GraphqlRouteParts, { request, requestId, record }: Exchange, thrown: unknown): Answer {
  const refusal = refusalAnswer(thrown, requestId, request.headers.accept, parts.onBug, null);
  record.code = refusal.code;
  return refusal;
}

function refusedTo(
  parts: GraphqlRouteParts,
  exchange: Exchange,
  principal: Principal,
  thrown: unknown,
  decision: Decision,
): Answer {
  const { request, requestId } = exchange;
  const refusal = refusalAnswer(thrown, requestId, request.headers.accept, parts.onBug, decision);
  note(parts, exchange, principal, refusal);
  return refusal;
}

/** Any refusal of a valid token costs one request and no points. */
async function refusedAndCharged(
  parts: GraphqlRouteParts,
  exchange: Exchange,
  { principal, limits }: Visit,
  thrown: unknown,
): Promise<Answer> {
  // One that broke off in the middle has been charged already.
  const before = limits?.decision ?? null;
  if (before !== null) return refusedTo(parts, exchange, principal, thrown, before);
  const charged = await parts.meter.charge(principal, 0);
  return refusedTo(parts, exchange, principal, refusalOfDecision(charged) ?? thrown, charged);
}

function methodOf({ method }: Exchange): 'GET' | 'POST' {
  if (method === 'GET' || method === 'POST') return method;
  throw new GatehouseError('METHOD_NOT_ALLOWED', 'Method not allowed: send GET or POST', {
    headers: { allow: 'GET, POST, OPTIONS' },
  });
}
