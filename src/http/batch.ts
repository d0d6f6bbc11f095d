/** Several operations in one body: a JSON array of GraphQL requests, as Apollo's and other clients send them. */
import { badInput, GatehouseError } from '../domain/errors.ts';
import { joined } from '../domain/json-size.ts';
import { answerType, JSON_TYPE } from '../graphql/accept.ts';
import { contentType, type GraphqlAnswer, successStatus } from '../graphql/answer.ts';
import type { Answer } from './exchange.ts';

/** The operations of a batch, unread; null where the body is no array. What is not JSON is told so as any other body is. */
export function batchIn(body: string): unknown[] | null {
  if (!/^\s*\[/.test(body)) return null;
  try {
    const parsed: unknown = JSON.parse(body);
    return Array.isArray(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

/** The text of each operation. Throws for a batch of none, and for one that is too long. */
export function operationsIn(batch: readonly unknown[], max: number): string[] {
  if (batch.length === 0) throw badInput('A batch must hold at least one operation');
  if (batch.length <= max) return batch.map(textOf);
  throw new GatehouseError(
    'QUERY_TOO_EXPENSIVE',
    `Query is a batch of ${batch.length} operations: at most ${max} are let in`,
    { extensions: { limit: { name: 'batch', max, actual: batch.length } } },
  );
}

/** JSON.parse takes what is nested without end, and JSON.stringify does not. */
function textOf(operation: unknown): string {
  try {
    return JSON.stringify(operation);
  } catch (error) {
    if (error instanceof RangeError) throw badInput('An operation of the batch is nested too deeply');
    throw error;
  }
}

/**
 * The answers in the operations' order. Where all have one status, it is the batch's; else it is that of a partial success. A
 * 2xx batch is of the type that the caller prefers, like any other 2xx answer.
 */
export function batchAnswer(answers: readonly GraphqlAnswer[], accept: string | undefined): Answer {
  const [first] = answers;
  if (first === undefined) throw new TypeError('a batch without answers');
  const body = joined([...answers.flatMap((answer, at) => [at === 0 ? '[' : ',', answer.body]), ']']);
  // What holds for all: the longest wait of any that was refused, and the media type.
  const wait = Math.max(...answers.map(({ headers }) => Number(headers['retry-after'] ?? 0)));
  const isNeverCompressed = answers.some((answer) => answer.isNeverCompressed);
  const retryAfter = wait > 0 ? { 'retry-after': String(wait) } : {};
  if (answers.every(({ status }) => status === first.status)) {
    return { status: first.status, headers: { ...first.headers, ...retryAfter }, body, isNeverCompressed };
  }
  const type = answerType(accept) ?? JSON_TYPE;
  const headers = { 'content-type': contentType(type), ...retryAfter };
  return { status: successStatus(type, true), headers, body, isNeverCompressed };
}

/** Operations of a longer batch are not told apart in its refusal: an answer is not to be many times as long as its request. */
const REFUSALS_MAX = 1_000;

/** A batch of which nothing was run: each operation has the refusal. */
export function refusedBatch(refusal: GraphqlAnswer, operations: number): Answer {
  const answers = Array.from({ length: Math.min(operations, REFUSALS_MAX) }, () => refusal);
  return batchAnswer(answers, undefined);
}
