/**
 * GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/), on Yoga: it reads the parameters, keeps parsed
 * and validated documents, and runs them. Media types, status codes and errors are ours. Knows no HTTP server: a request
 * goes in as values, an answer comes out as values.
 */
import { type DocumentNode, type ExecutionResult, GraphQLError } from 'graphql';
import { createYoga, type Plugin } from 'graphql-yoga';
import { GatehouseError } from '../domain/errors.ts';
import type { Turns } from '../domain/turns.ts';
import { JSON_TYPE } from './accept.ts';
import { answerOf, type GraphqlAnswer, refusedRoots, type WrittenResult, writeResult } from './answer.ts';
import { type Call, type Carrier, type GraphqlRequest, newCall } from './call.ts';
import type { Context } from './context.ts';
import { DocumentCache } from './document-cache.ts';
import type { OnBug } from './errors.ts';
import type { ExecutionGate } from './execution-gate.ts';
import { stoppedResult } from './plan/run.ts';
import { admission } from './plugins/admission.ts';
import { attempts } from './plugins/attempts.ts';
import { documentRules } from './plugins/document-rules.ts';
import { operationRules } from './plugins/operation.ts';
import { parameterRules } from './plugins/parameters.ts';
import type { QueryLimits } from './query-limits.ts';
import { tellRefusedRequest } from './refused-attempts.ts';
import { buildSchema } from './schema.ts';
import { shieldRoots } from './scopes.ts';

export interface GraphqlServer {
  handle(request: GraphqlRequest, context: Context): Promise<GraphqlAnswer>;
}

/** Only the path matters to Yoga. */
const ENDPOINT = 'http://gatehouse.invalid/graphql';

/**
 * A second part of Yoga's context. Of a single one Yoga makes the prototype of another object, and what was a prototype
 * once, V8 keeps until its next full collection of garbage: all of the call, rows and answer included.
 */
const NOTHING_MORE: Partial<Carrier> = {};

/**
 * `compileAfter`: how often a document is seen before its plan is kept. Infinity: queries are interpreted by graphql-js, and
 * nothing bounds their answers, so that tests can compare the two.
 */
export function createGraphqlServer(
  limits: QueryLimits,
  onBug: OnBug,
  compileAfter: number,
  turns: Turns,
  gate: ExecutionGate,
): GraphqlServer {
  const schema = shieldRoots(buildSchema(), (error) => onBug(error, 'shield'));
  const yoga = createYoga<Carrier>({
    schema,
    graphqlEndpoint: '/graphql',
    cors: false,
    graphiql: false,
    landingPage: false,
    multipart: false,
    batching: false,
    // The body was bounded before it came here.
    maxRequestBodySize: false,
    logging: false,
    // `translateResultError` decides what an error shows, in every NODE_ENV alike.
    maskedErrors: false,
    parserAndValidationCache: {
      documentCache: new DocumentCache<DocumentNode>(),
      errorCache: new DocumentCache<Error>(),
    },
    plugins: [
      attempts,
      parameterRules(limits),
      documentRules(limits),
      operationRules,
      admission(schema, compileAfter, turns, gate),
      results,
    ],
  });
  return {
    async handle(request, context) {
      const call = newCall(context, request);
      context.answer.begin();
      try {
        await yoga.fetch(toFetchRequest(yoga.fetchAPI.Request, request), { call }, NOTHING_MORE);
        if (call.result === null) throw new TypeError('Yoga answered on its own');
        tellRefusedRequest(schema, call);
        await chargeUncharged(call);
        const written = await bounded(call, onBug);
        return answerOf(call, written, context.limits.settle(pointsUsed(call, call.result)), request.accept);
      } finally {
        if (call.place !== null) gate.leave(call.place);
      }
    },
  };
}

/** Yoga's own parsers read nothing of it (parameters.ts), and it need only believe that there is a media type. */
function toFetchRequest(FetchRequest: typeof Request, { method, signal }: GraphqlRequest): Request {
  return new FetchRequest(ENDPOINT, { method, headers: { accept: JSON_TYPE }, signal });
}

/** Takes the result out of Yoga, in place of its own result processors. */
const results: Plugin<object, Carrier> = {
  onResultProcess({ serverContext, setResultProcessor }) {
    const { call } = serverContext as Carrier;
    setResultProcessor((result, fetchAPI) => {
      call.result = result as ExecutionResult;
      return new fetchAPI.Response(null);
    }, JSON_TYPE);
  },
};

/** What was refused before its cost was known is charged as a request; the limit's refusal then takes its place. */
async function chargeUncharged(call: Call): Promise<void> {
  try {
    await call.context.limits.settleUncharged();
  } catch (error) {
    if (!(error instanceof GatehouseError)) throw error;
    call.result = { errors: [new GraphQLError(error.message, { originalError: error })] };
  }
}

/** The result as JSON. Where that is too large, or there is no room for it, the refusal takes its place. */
async function bounded(call: Call, onBug: OnBug): Promise<WrittenResult> {
  const { answer } = call.context;
  if (call.isReserved) return told(call, onBug);
  const written = await writeResult(call, onBug, answer.leftBytes);
  const refusal = answer.finish(written.bytes);
  if (refusal === null) return written;
  call.isStopped = true;
  call.result = stoppedResult(refusal);
  return told(call, onBug);
}

/** What is told whatever its size. */
async function told(call: Call, onBug: OnBug): Promise<WrittenResult> {
  const written = await writeResult(call, onBug, Number.POSITIVE_INFINITY);
  call.context.answer.finishAnyhow(written.bytes);
  return written;
}

/**
 * What never ran costs nothing, and what an earlier request had done is told again for nothing; what was stopped because its answer became too large has cost all that it asked for.
 * Where an error took the data away, what did run has cost all that it may have used.
 */
function pointsUsed({ cost, context, isStopped }: Call, result: ExecutionResult): number {
  if (cost !== null && (isStopped || context.answer.refusal !== null)) return cost.requested;
  if (cost === null || result.data === undefined || context.services.areReplayed === true) return 0;
  const refused = result.data === null ? refusedRoots(result, context.requestId) : NONE;
  return cost.actual(result.data, refused, context.reads.countedRows);
}

const NONE: ReadonlySet<string> = new Set();
