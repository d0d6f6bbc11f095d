/** A GraphQL result as an HTTP answer (https://graphql.github.io/graphql-over-http/draft/, 6.4). */
import type { ExecutionResult } from 'graphql';
import { REFUSALS, REQUEST_ERRORS } from '../domain/errors.ts';
import type { Decision } from '../domain/limit.ts';
import { answerType, JSON_TYPE } from './accept.ts';
import type { Call } from './call.ts';
import { malformedStatus, type OnBug, translate, translateResultError } from './errors.ts';
import { type CostReport, costReport } from './request-limits.ts';

export interface GraphqlAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** For the access log. */
  readonly operationName: string | null;
  /** The code of the first error, for the access log. */
  readonly code: string | null;
  /** What the limits said; null where the caller is not known. */
  readonly decision: Decision | null;
  /** Points that were charged and used. */
  readonly points: number;
}

type Answered = ExecutionResult & { readonly extensions?: unknown };

export function answerOf(call: Call, cost: CostReport, accept: string | undefined, onBug: OnBug): GraphqlAnswer {
  const result: Answered = call.result ?? { errors: [] };
  const type = answerType(accept);
  const headers: Record<string, string> = { 'content-type': `${type}; charset=utf-8` };
  const extensions = { ...result.extensions, cost };
  const { operationName, context } = call;
  const common = { operationName, decision: context.limits.decision, points: cost.actual };
  if (result.errors === undefined || result.errors.length === 0) {
    const body = JSON.stringify({ data: result.data, extensions });
    return { status: 200, headers, body, code: null, ...common };
  }
  const translated = result.errors.map((error) => translateResultError(error, context.requestId, onBug));
  for (const { headers: more } of translated) Object.assign(headers, more);
  const [first] = translated;
  const errors = translated.map(({ error }) => error);
  const body = JSON.stringify({ errors, ...('data' in result ? { data: result.data } : {}), extensions });
  const malformed = result.errors.map(malformedStatus).find((status) => status !== null) ?? null;
  return { status: statusOf(), headers, body, code: first?.error.extensions.code ?? null, ...common };

  function statusOf(): number {
    // GraphQL over HTTP forbids an error's status where something was resolved, and so where something was changed.
    if (result.data != null || ('data' in result && call.severalMutations)) return 200;
    if (malformed !== null || first === undefined) return malformed ?? 200;
    const { code, status } = first.error.extensions;
    return type === JSON_TYPE && REQUEST_ERRORS.has(code) ? 200 : status;
  }
}

/** The root fields that were refused before they did anything: their own arguments were wrong, say. */
export function refusedRoots({ errors = [] }: ExecutionResult, requestId: string): ReadonlySet<string> {
  const refused = errors.filter((error) => {
    const { code, status } = translateResultError(error, requestId, () => undefined).error.extensions;
    // A caller that went away in the middle has paid for what was begun.
    return error.path?.length === 1 && status < REFUSALS.INTERNAL_SERVER_ERROR && code !== 'REQUEST_TIMEOUT';
  });
  return new Set(refused.map(({ path }) => String(path?.[0])));
}

/**
 * The answer of a refusal outside of GraphQL, in GraphQL's form. `decision`: null where the caller is not known. `cost`:
 * absent, none.
 */
export function refusalAnswer(
  thrown: unknown,
  requestId: string,
  accept: string | undefined,
  onBug: OnBug,
  decision: Decision | null,
  cost: CostReport | null = decision === null ? null : costReport(decision, 0, 0),
): GraphqlAnswer {
  const { error, headers } = translate(thrown, requestId, onBug);
  return {
    status: error.extensions.status,
    headers: { 'content-type': `${answerType(accept)}; charset=utf-8`, ...headers },
    body: JSON.stringify({ errors: [error], ...(cost === null ? {} : { extensions: { cost } }) }),
    operationName: null,
    code: error.extensions.code,
    decision,
    points: 0,
  };
}
