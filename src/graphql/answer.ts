/** A GraphQL result as an HTTP answer (https://graphql.github.io/graphql-over-http/draft/, 6.4). */
import type { ExecutionResult } from 'graphql';
import { REFUSALS, REQUEST_ERRORS } from '../domain/errors.ts';
import { type JsonText, joined } from '../domain/json-size.ts';
import type { Decision } from '../domain/limit.ts';
import { answerType, JSON_TYPE } from './accept.ts';
import type { Call } from './call.ts';
import { malformedStatus, type OnBug, type Translated, translate, translateResultError } from './errors.ts';
import type { CostReport } from './request-limits.ts';
import { serialize, type Written } from './serialize.ts';

export interface GraphqlAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonText;
  /** For the access log. */
  readonly operationName: string | null;
  /** The code of the first error, for the access log. */
  readonly code: string | null;
  /** What the limits said; null where the caller is not known. */
  readonly decision: Decision | null;
  /** Points that were charged and used. */
  readonly points: number;
}

/** A result as JSON in parts, all but its `extensions`. */
export interface WrittenResult {
  /** Null: there is none. */
  readonly data: Written | null;
  /** Null: there are none. */
  readonly errors: Written | null;
  readonly translated: readonly Translated[];
  /** Of all of it, and of what stands around it. Of one that was broken off: more than `maxBytes`. */
  readonly bytes: number;
}

/** `maxBytes`: once it has more it is broken off. */
export async function writeResult(
  { result, slices, context }: Pick<Call, 'result' | 'slices' | 'context'>,
  onBug: OnBug,
  maxBytes: number,
): Promise<WrittenResult> {
  const { data, errors = [] } = result ?? {};
  const translated = errors.map((error) => translateResultError(error, context.requestId, onBug));
  const shown = translated.map(({ error }) => error);
  const { isShort } = context.answer;
  const writtenErrors = shown.length === 0 ? null : await serialize(shown, slices, maxBytes, isShort);
  const writtenData = data === undefined ? null : await serialize(data, slices, maxBytes, isShort);
  const bytes = EXTENSIONS_BYTES_MAX + (writtenData?.bytes ?? 0) + (writtenErrors?.bytes ?? 0);
  return { data: writtenData, errors: writtenErrors, translated, bytes };
}

/** `data`, `errors` and `extensions` with the report of the cost. */
const EXTENSIONS_BYTES_MAX = 256;

type Answered = ExecutionResult & { readonly extensions?: unknown };

/** `written`: the call's result. */
export function answerOf(
  call: Call,
  written: WrittenResult,
  cost: CostReport,
  accept: string | undefined,
): GraphqlAnswer {
  const result: Answered = call.result ?? { errors: [] };
  const type = answerType(accept);
  const headers: Record<string, string> = { 'content-type': `${type}; charset=utf-8` };
  const { operationName, context } = call;
  const common = { operationName, decision: context.limits.decision, points: cost.actual };
  const { data, errors, translated } = written;
  const body = joined([
    '{',
    ...(errors === null ? [] : ['"errors":', ...errors.parts, ',']),
    ...(data === null ? [] : ['"data":', ...data.parts, ',']),
    `"extensions":${JSON.stringify({ ...result.extensions, cost })}}`,
  ]);
  const [first] = translated;
  if (first === undefined) return { status: 200, headers, body, code: null, ...common };
  for (const { headers: more } of translated) Object.assign(headers, more);
  const malformed = (result.errors ?? []).map(malformedStatus).find((status) => status !== null) ?? null;
  return { status: statusOf(first), headers, body, code: first.error.extensions.code, ...common };

  function statusOf({ error }: Translated): number {
    // GraphQL over HTTP forbids an error's status where something was resolved, and so where something was changed.
    if (result.data != null || ('data' in result && call.severalMutations)) return 200;
    if (malformed !== null) return malformed;
    const { code, status } = error.extensions;
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
  cost: CostReport | null = null,
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
