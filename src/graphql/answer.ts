/** A GraphQL result as an HTTP answer (GraphQL over HTTP, release September 2026, "Status Codes"). */
import { type ExecutionResult, OperationTypeNode } from 'graphql';
import { EXECUTION_ERRORS, REFUSALS } from '../domain/errors.ts';
import { type JsonText, joined } from '../domain/json-size.ts';
import type { Decision } from '../domain/limit.ts';
import { type AnswerType, answerType, GRAPHQL_RESPONSE, JSON_TYPE } from './accept.ts';
import type { Call } from './call.ts';
import { type OnBug, type Translated, translate, translateResultError } from './errors.ts';
import type { CostReport } from './request-limits.ts';
import { fragmentsOf } from './requirements.ts';
import { rootFields } from './selection.ts';
import { serialize, type Written } from './serialize.ts';

export interface GraphqlAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonText;
  /** A mutation's answer may hold a token beside text of the caller's: its length must tell nothing of it. */
  readonly isNeverCompressed: boolean;
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

/** `data` beside `errors`: the specification's own status, for its own media type alone. */
const PARTIAL_SUCCESS = 294;

/** Of an answer that has `data`, whether or not it has `errors`. */
export function successStatus(type: AnswerType, isPartial: boolean): number {
  return isPartial && type === GRAPHQL_RESPONSE ? PARTIAL_SUCCESS : 200;
}

export function contentType(type: AnswerType): string {
  return `${type}; charset=utf-8`;
}

/** `written`: the call's result. */
export function answerOf(
  call: Call,
  written: WrittenResult,
  cost: CostReport,
  accept: string | undefined,
): GraphqlAnswer {
  const result: Answered = call.result ?? { errors: [] };
  const { operationName, context } = call;
  const { errors, translated } = written;
  const [first] = translated;
  const isRefused = first !== undefined && (written.data === null || isRefusedWhole(call, first));
  // Whoever accepts neither type was refused before.
  const type = isRefused ? GRAPHQL_RESPONSE : (answerType(accept) ?? JSON_TYPE);
  const headers: Record<string, string> = { 'content-type': contentType(type) };
  for (const { headers: more } of translated) Object.assign(headers, more);
  const data = isRefused ? null : written.data;
  return {
    status: isRefused ? first.error.extensions.status : successStatus(type, first !== undefined),
    headers,
    body: joined([
      '{',
      ...(errors === null ? [] : ['"errors":', ...errors.parts, ',']),
      ...(data === null ? [] : ['"data":', ...data.parts, ',']),
      `"extensions":${JSON.stringify({ ...result.extensions, cost })}}`,
    ]),
    isNeverCompressed: context.executed?.operation.operation === OperationTypeNode.MUTATION,
    operationName,
    code: first?.error.extensions.code ?? null,
    decision: context.limits.decision,
    points: cost.actual,
  };
}

/**
 * Whether an operation was refused before anything of it was resolved. Of several root fields another may have been resolved,
 * or have changed something, before this one was refused.
 */
function isRefusedWhole({ result, context: { executed } }: Call, { error }: Translated): boolean {
  if (result?.data !== null || executed === null || EXECUTION_ERRORS.has(error.extensions.code)) return false;
  const fields = rootFields(executed.operation, fragmentsOf(executed.document.definitions));
  return new Set(fields.map(({ alias, name }) => (alias ?? name).value)).size === 1;
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
  onBug: OnBug,
  decision: Decision | null,
  cost: CostReport | null = null,
): GraphqlAnswer {
  const { error, headers } = translate(thrown, requestId, onBug);
  return {
    status: error.extensions.status,
    headers: { 'content-type': contentType(GRAPHQL_RESPONSE), ...headers },
    body: JSON.stringify({ errors: [error], ...(cost === null ? {} : { extensions: { cost } }) }),
    isNeverCompressed: false,
    operationName: null,
    code: error.extensions.code,
    decision,
    points: 0,
  };
}
