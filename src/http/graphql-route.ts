/** The way of one GraphQL request: who is calling, in which network, within which limits, what is asked, the answer. */
import type { Verifier } from '../access/verifier.ts';
import { AnswerSize } from '../domain/answer-size.ts';
import { GatehouseError } from '../domain/errors.ts';
import type { Caller } from '../domain/fair-queue.ts';
import { toId } from '../domain/id.ts';
import { type Idempotency, idempotencyOf } from '../domain/idempotency.ts';
import type { Decision } from '../domain/limit.ts';
import { type Principal, type RefusedKey, refusalOf } from '../domain/verification.ts';
import { answerType, GRAPHQL_RESPONSE, JSON_TYPE } from '../graphql/accept.ts';
import { type GraphqlAnswer, refusalAnswer } from '../graphql/answer.ts';
import type { Context } from '../graphql/context.ts';
import type { OnBug } from '../graphql/errors.ts';
import { type CostReport, costReport, type PointBudget } from '../graphql/request-limits.ts';
import type { GraphqlServer } from '../graphql/server.ts';
import { rateLimitHeaders, refusalOfDecision } from '../limits/headers.ts';
import type { Meter } from '../limits/meter.ts';
import type { CountedRequest } from '../services/usage/buffer.ts';
import { batchAnswer, batchIn, operationsIn, refusedBatch } from './batch.ts';
import { readBody, readShortBody, refuseBodyByHeaders } from './body.ts';
import type { AccessRecord, Answer, Exchange } from './exchange.ts';
import { graphiqlPage, wantsPage } from './graphiql.ts';
import type { HeldLimit } from './held-bytes.ts';

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
    answer: AnswerSize,
  ) => Context;
  /** Runs the work so that its database statements count as the caller's, and end when the signal fires. */
  readonly cancellable: <Result>(caller: Caller, signal: AbortSignal, work: () => Promise<Result>) => Promise<Result>;
  /** Resolves when it is the caller's turn to work for some milliseconds; null where that may be at once. */
  readonly turn: (caller: Caller) => Promise<void> | null;
  /** Told of each request of a valid token, once it is answered. */
  readonly onCounted: (request: CountedRequest) => void;
  readonly bodyLimitBytes: number;
  /** Of one answer; a batch is one. */
  readonly answerMaxBytes: number;
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
  if (already !== null) {
    const refusal = refusalOfDecision(already, parts.meter.wallMs());
    return refusedTo(parts, exchange, principal, refusal, already, await operationsUnread(exchange));
  }
  const full = exchange.held.over();
  if (full !== null) return refusedForHeld(parts, exchange, principal, full);
  const visit: Visit = { principal, limits: null, operations: null };
  const isLate = !exchange.request.complete;
  let body: string | null;
  try {
    refuseUnacceptable(exchange);
    if (method === 'POST') refuseBodyByHeaders(exchange.request, parts.bodyLimitBytes);
    if (networks.length > 0) {
      await parts.cancellable(principal, exchange.signal, () => refuseOtherNetworks(parts, principal, networks));
    }
    body = method === 'POST' ? await readBody(exchange, parts.bodyLimitBytes) : null;
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
  /** Of a batch; null where it is none, or its body was not read. */
  operations: number | null;
}

/** RFC 9110, 15.5.7. Nothing is run for a caller who cannot read what comes of it. */
function refuseUnacceptable({ request: { headers } }: Exchange): void {
  if (answerType(headers.accept) !== null) return;
  throw new GatehouseError('NOT_ACCEPTABLE', `Not acceptable: accept ${GRAPHQL_RESPONSE} or ${JSON_TYPE}`);
}

/** Of a request that is refused whatever it asks: its answer needs to know only whether it is a batch. */
async function operationsUnread(exchange: Exchange): Promise<number | null> {
  const body = exchange.method === 'POST' ? await readShortBody(exchange) : null;
  return body === null ? null : (batchIn(body)?.length ?? null);
}

async function verified(parts: GraphqlRouteParts, { request, record, address, held }: Exchange): Promise<Principal> {
  const verification = await parts.verifier.verify(request.headers.authorization, address);
  if (verification.status !== 'valid') {
    // Whose it is goes into the log all the same, and nowhere else.
    if ('key' in verification) noteKey(record, verification.key);
    throw refusalOf(verification);
  }
  const { principal } = verification;
  noteKey(record, principal);
  held.assign({ isKnown: true, network: principal.networkId, key: principal.keyId });
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
  const { accept } = request.headers;
  // Many requests of one key go on at the same moment where they shared the lookup of its token.
  const turn = parts.turn(visit.principal);
  if (turn !== null) await turn;
  const batch = body === null ? null : batchIn(body);
  visit.operations = batch?.length ?? null;
  const operations = batch === null ? null : operationsIn(batch, parts.maxBatch);
  const idempotency = idempotencyOf(request.headers['idempotency-key'], body);
  const budget: PointBudget = { points: parts.maxCost };
  const answer = new AnswerSize(parts.answerMaxBytes, exchange.held);
  const running: { limits: Context['limits'] | null } = { limits: null };
  /** Of each operation: whether all that it was to write had been done before; null where it wrote nothing. */
  const replays: (boolean | null)[] = [];
  const run = async (text: string | null, operation: number) => {
    const own = idempotency === null ? null : { ...idempotency, operation };
    const context = parts.contextFor(visit.principal, exchange, budget, own, answer);
    visit.limits = context.limits;
    running.limits = context.limits;
    const recheck = () => refusalNow(parts, exchange, visit);
    const asked = { method, search, accept, body: text, signal, recheck };
    const result = await parts.cancellable(visit.principal, signal, () => parts.graphql.handle(asked, context));
    note(parts, exchange, visit.principal, result);
    replays.push(context.services.areReplayed);
    running.limits = null;
    return result;
  };
  const late = (refusal: GatehouseError, cost: CostReport | null) =>
    refusalAnswer(refusal, exchange.requestId, parts.onBug, null, cost);
  // Functions get a name before they become a property: one that is written there is made in V8's old space, and with it
  // all that it sees of this request lives on until the next full collection of garbage.
  const lateAlone = (refusal: GatehouseError) => late(refusal, running.limits?.report() ?? null);
  exchange.late = lateAlone;
  const sayWhetherReplayed = () => {
    if (replays.includes(true) && !replays.includes(false)) exchange.headers['idempotent-replayed'] = 'true';
  };
  if (operations === null) {
    const alone = await run(body, 0);
    sayWhetherReplayed();
    return alone;
  }
  const answers: GraphqlAnswer[] = [];
  // What was done must not be lost with what was not: it may be a token, which is shown once.
  const lateInBatch = (refusal: GatehouseError) => {
    const cost = running.limits?.report() ?? null;
    const all = operations.map((_, at) => answers[at] ?? late(refusal, at === answers.length ? cost : null));
    return batchAnswer(all, accept);
  };
  exchange.late = lateInBatch;
  // One after the other: a batch is one client's, and has its share of the machine already.
  for (const [index, operation] of operations.entries()) {
    const refusal = index === 0 ? null : await refusedAgain(parts, exchange, visit);
    answers.push(refusal ?? (await run(operation, index)));
  }
  sayWhetherReplayed();
  return batchAnswer(answers, accept);
}

/** An operation before this one may have ended the token, or taken its time: null where it is still good. */
async function refusalNow(parts: GraphqlRouteParts, exchange: Exchange, visit: Visit): Promise<GatehouseError | null> {
  try {
    visit.principal = await verified(parts, exchange);
    return null;
  } catch (thrown) {
    if (thrown instanceof GatehouseError) return thrown;
    throw thrown;
  }
}

async function refusedAgain(parts: GraphqlRouteParts, exchange: Exchange, visit: Visit): Promise<GraphqlAnswer | null> {
  try {
    visit.principal = await verified(parts, exchange);
    return null;
  } catch (thrown) {
    const { requestId, record } = exchange;
    const refusal = refusalAnswer(thrown, requestId, parts.onBug, null);
    record.code ??= refusal.code;
    return refusal;
  }
}

/** What the headers, the access log and the usage say of an answer. */
function note(
  { onCounted, meter }: GraphqlRouteParts,
  { record, headers, address }: Exchange,
  { keyId, networkId, digest }: Principal,
  { operationName, code, decision, points }: GraphqlAnswer,
): void {
  record.operation ??= operationName;
  record.code ??= code;
  record.points += points;
  const limited = code === 'RATE_LIMITED';
  const error = code !== null && !limited;
  onCounted({ keyId, networkId, digest, address, atMs: meter.wallMs(), error, limited, cost: points });
  if (decision === null) return;
  record.limit ??= decision.over?.name ?? null;
  Object.assign(headers, rateLimitHeaders(decision));
}

/** Where nobody is known to be calling. */
function refused(parts: GraphqlRouteParts, { requestId, record }: Exchange, thrown: unknown): Answer {
  const refusal = refusalAnswer(thrown, requestId, parts.onBug, null);
  record.code = refusal.code;
  return refusal;
}

function refusedTo(
  parts: GraphqlRouteParts,
  exchange: Exchange,
  principal: Principal,
  thrown: unknown,
  decision: Decision,
  operations: number | null,
): Answer {
  const cost = costReport(decision, 0, 0, parts.meter.wallMs());
  const refusal = refusalAnswer(thrown, exchange.requestId, parts.onBug, decision, cost);
  note(parts, exchange, principal, refusal);
  // A batch of none has no operation that could have the refusal.
  return operations === null || operations === 0 ? refusal : refusedBatch(refusal, operations);
}

/** What waits for the caller must be read first: nothing is run or charged. */
async function refusedForHeld(
  parts: GraphqlRouteParts,
  exchange: Exchange,
  principal: Principal,
  limit: HeldLimit,
): Promise<Answer> {
  const refusal = exchange.held.refusalOf(limit);
  const limits = await parts.meter.look(principal);
  const retryMs = exchange.held.retryAfterSeconds * 1_000;
  const over = { ...limit, windowSeconds: 0, remaining: 0, resetMs: retryMs };
  parts.meter.report(limit.name);
  const operations = await operationsUnread(exchange);
  return refusedTo(parts, exchange, principal, refusal, { granted: false, limits, over, retryMs }, operations);
}

/** Any refusal of a valid token costs one request and no points. */
async function refusedAndCharged(
  parts: GraphqlRouteParts,
  exchange: Exchange,
  { principal, limits, operations }: Visit,
  thrown: unknown,
): Promise<Answer> {
  // One that broke off in the middle has been charged already.
  const before = limits?.decision ?? null;
  if (before !== null) return refusedTo(parts, exchange, principal, thrown, before, operations);
  const charged = await parts.meter.charge(principal, 0);
  const refusal = refusalOfDecision(charged, parts.meter.wallMs()) ?? thrown;
  return refusedTo(parts, exchange, principal, refusal, charged, operations);
}

/** A HEAD is answered as a GET; the answer's body is then not sent (RFC 9110, 9.3.2). */
function methodOf({ method }: Exchange): 'GET' | 'POST' {
  if (method === 'GET' || method === 'POST') return method;
  if (method === 'HEAD') return 'GET';
  throw new GatehouseError('METHOD_NOT_ALLOWED', 'Method not allowed: send GET or POST', {
    headers: { allow: 'GET, HEAD, POST, OPTIONS' },
  });
}
