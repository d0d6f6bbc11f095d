/**
 * GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/), on Yoga: it reads the parameters, keeps parsed
 * and validated documents, and runs them. Media types, status codes and errors are ours. Knows no HTTP server: a request
 * goes in as values, an answer comes out as values.
 */
import {
  type DocumentNode,
  type ExecutionResult,
  GraphQLError,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  parse,
} from 'graphql';
import { createYoga, type Plugin } from 'graphql-yoga';
import { badInput, REFUSALS, REQUEST_ERRORS } from '../domain/errors.ts';
import { answerType, JSON_TYPE } from './accept.ts';
import type { Context } from './context.ts';
import { DocumentCache } from './document-cache.ts';
import { malformedStatus, markPhase, type OnBug, translate, translateResultError } from './errors.ts';
import { overLimits, type QueryLimits, tooExpensive } from './query-limits.ts';
import { Requirements } from './requirements.ts';
import { buildSchema } from './schema.ts';
import { refusalFor, shieldRoots } from './scopes.ts';

export interface GraphqlRequest {
  readonly method: 'GET' | 'POST';
  /** The query string of a GET, with its `?`. */
  readonly search: string;
  readonly accept: string | undefined;
  /** The JSON text of a POST. */
  readonly body: string | null;
  /** Ends the work when it fires. */
  readonly signal: AbortSignal;
}

export interface GraphqlAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** For the access log. */
  readonly operationName: string | null;
  /** The code of the first error, for the access log. */
  readonly code: string | null;
}

export interface GraphqlServer {
  handle(request: GraphqlRequest, context: Context): Promise<GraphqlAnswer>;
}

/**
 * What one request carries through Yoga. Yoga copies it property by property, which would break a class: so the
 * resolvers' Context travels inside of it and takes its place when execution begins.
 */
interface Carrier {
  readonly call: Call;
}

interface Call {
  readonly context: Context;
  readonly accept: string | undefined;
  operationName: string | null;
  /** Whether anything may have been changed before an error: then the answer's status stays 200. */
  severalMutations: boolean;
  answer: GraphqlAnswer | null;
}

/** What is kept of a name for the log: it is the caller's to choose, and may be as long as a document. */
const OPERATION_NAME_MAX_CHARACTERS = 100;

/** Only the path matters to Yoga. */
const ENDPOINT = 'http://gatehouse.invalid/graphql';

export function createGraphqlServer(limits: QueryLimits, onBug: OnBug): GraphqlServer {
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
    plugins: [operationNames, documentRules(limits), scopeRule(new Requirements(schema)), answers(onBug)],
  });
  return {
    async handle(request, context) {
      if (request.method === 'GET') refuseBadJson(request.search);
      const call: Call = {
        context,
        accept: request.accept,
        operationName: null,
        severalMutations: false,
        answer: null,
      };
      await yoga.fetch(toFetchRequest(yoga.fetchAPI.Request, request), { call });
      if (call.answer === null) throw new TypeError('Yoga answered on its own');
      return call.answer;
    },
  };
}

function toFetchRequest(FetchRequest: typeof Request, { method, search, body, signal }: GraphqlRequest): Request {
  return new FetchRequest(ENDPOINT + search, {
    method,
    // The answer's media type is chosen below; Yoga need only believe that there is one.
    headers: { accept: JSON_TYPE, ...(body === null ? {} : { 'content-type': JSON_TYPE }) },
    body,
    signal,
  });
}

/** Yoga parses the JSON in a query string without expecting it to be wrong. */
function refuseBadJson(search: string): void {
  const parameters = new URLSearchParams(search);
  for (const name of ['variables', 'extensions']) {
    const text = parameters.get(name);
    if (text !== null && text !== '' && !isJson(text)) throw badInput(`\`${name}\` is not JSON`, name);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // The parser says where, in a text that only the caller has.
    return false;
  }
}

/** Yoga takes a name of any type for one that the document has not. */
const operationNames: Plugin<object, Carrier> = {
  onParams({ params }) {
    const name: unknown = params.operationName;
    if (name === undefined || name === null || typeof name === 'string') return;
    throw new GraphQLError('`operationName` must be a string', {
      extensions: { code: 'BAD_REQUEST', http: { status: REFUSALS.BAD_USER_INPUT } },
    });
  },
};

/** Token, depth and alias bounds, and the phase of each error. */
function documentRules(limits: QueryLimits): Plugin<object, Carrier> {
  const judged = new WeakMap<DocumentNode, ReturnType<typeof overLimits>>();
  return {
    onParse({ setParseFn }) {
      setParseFn((source, options) => parseWithin(source, options, limits.maxTokens));
      return ({ result }) => {
        if (result instanceof GraphQLError) markPhase(result, 'GRAPHQL_PARSE_FAILED');
        if (result === null || result instanceof Error) return;
        let refusal = judged.get(result);
        if (refusal === undefined) {
          refusal = overLimits(result, limits);
          judged.set(result, refusal);
        }
        if (refusal !== null) throw refusal;
      };
    },
    onValidate() {
      return ({ result }) => {
        for (const error of result) markPhase(error, 'GRAPHQL_VALIDATION_FAILED');
      };
    },
  };
}

/** graphql-js stops at the bound, in the middle of its work, and says so as a syntax error. */
const TOO_MANY_TOKENS = /more tha[nt] \d+ tokens/;

function parseWithin(source: Parameters<typeof parse>[0], options: Parameters<typeof parse>[1], maxTokens: number) {
  try {
    return parse(source, { ...options, maxTokens });
  } catch (error) {
    const tooMany = error instanceof GraphQLError && TOO_MANY_TOKENS.test(error.message);
    throw tooMany ? tooExpensive('tokens', null, maxTokens, 'tokens long') : error;
  }
}

/** Refuses an operation whose scopes the caller lacks, before anything of it runs. */
function scopeRule(requirements: Requirements): Plugin<object, Carrier> {
  return {
    onExecute({ args, executeFn, setExecuteFn, setResultAndStopExecution }) {
      const { call } = args.contextValue as unknown as Carrier;
      setExecuteFn((given) => executeFn({ ...given, contextValue: call.context }));
      const operation = getOperationAST(args.document, args.operationName);
      // No such operation: the executor says so.
      if (operation == null) return;
      call.operationName = operation.name?.value.slice(0, OPERATION_NAME_MAX_CHARACTERS) ?? null;
      call.severalMutations = mayChangeSeveral(operation);
      const needed = requirements.of(args.document, operation, args.variableValues ?? {});
      const refusal = refusalFor(needed, call.context.principal.scopes);
      if (refusal !== null)
        setResultAndStopExecution({ errors: [new GraphQLError(refusal.message, { originalError: refusal })] });
    },
  };
}

function mayChangeSeveral({ operation, selectionSet: { selections } }: OperationDefinitionNode): boolean {
  if (operation !== OperationTypeNode.MUTATION) return false;
  return selections.length > 1 || selections[0]?.kind !== Kind.FIELD;
}

/** Turns a result into the answer, in place of Yoga's own result processors. */
function answers(onBug: OnBug): Plugin<object, Carrier> {
  return {
    onResultProcess({ serverContext, setResultProcessor }) {
      const { call } = serverContext as Carrier;
      setResultProcessor((result, fetchAPI) => {
        call.answer = answer(result as ExecutionResult, call, onBug);
        return new fetchAPI.Response(null);
      }, JSON_TYPE);
    },
  };
}

function answer(result: ExecutionResult, call: Call, onBug: OnBug): GraphqlAnswer {
  const type = answerType(call.accept);
  const headers: Record<string, string> = { 'content-type': `${type}; charset=utf-8` };
  const {
    operationName,
    context: { requestId },
  } = call;
  if (result.errors === undefined || result.errors.length === 0) {
    const { data, extensions } = result;
    return { status: 200, headers, body: JSON.stringify({ data, extensions }), operationName, code: null };
  }
  const translated = result.errors.map((error) => translateResultError(error, requestId, onBug));
  for (const { headers: more } of translated) Object.assign(headers, more);
  const [first] = translated;
  const errors = translated.map(({ error }) => error);
  const body = JSON.stringify({ errors, ...('data' in result ? { data: result.data } : {}) });
  const malformed = result.errors.map(malformedStatus).find((status) => status !== null) ?? null;
  return { status: statusOf(), headers, body, operationName, code: first?.error.extensions.code ?? null };

  function statusOf(): number {
    // GraphQL over HTTP forbids an error's status where something was resolved, and so where something was changed.
    if (result.data != null || ('data' in result && call.severalMutations)) return 200;
    if (malformed !== null || first === undefined) return malformed ?? 200;
    const { code, status } = first.error.extensions;
    return type === JSON_TYPE && REQUEST_ERRORS.has(code) ? 200 : status;
  }
}

/** The answer of a refusal before GraphQL, in GraphQL's form. */
export function refusalAnswer(
  thrown: unknown,
  requestId: string,
  accept: string | undefined,
  onBug: OnBug,
): GraphqlAnswer {
  const { error, headers } = translate(thrown, requestId, onBug);
  return {
    status: error.extensions.status,
    headers: { 'content-type': `${answerType(accept)}; charset=utf-8`, ...headers },
    body: JSON.stringify({ errors: [error] }),
    operationName: null,
    code: error.extensions.code,
  };
}
