/** Several operations in one body: a JSON array of GraphQL requests, as Apollo's and other clients send them. */
import { badInput, GatehouseError } from '../domain/errors.ts';
import { joined } from '../domain/json-size.ts';
import type { GraphqlAnswer } from '../graphql/answer.ts';
import type { Answer } from './exchange.ts';

/** The text of each operation; null where the body is no array. Throws for an empty one, and for one that is too long. */
export function operationsIn(body: string, max: number): string[] | null {
  if (!/^\s*\[/.test(body)) return null;
  const operations = parse(body);
  if (operations === null) return null;
  if (operations.length === 0) throw badInput('A batch must hold at least one operation');
  if (operations.length <= max) return operations.map(textOf);
  throw new GatehouseError(
    'QUERY_TOO_EXPENSIVE',
    `Query is a batch of ${operations.length} operations: at most ${max} are let in`,
    { extensions: { limit: { name: 'batch', max, actual: operations.length } } },
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

// What is not JSON is told so as any other body is.
function parse(body: string): unknown[] | null {
  try {
    const parsed: unknown = JSON.parse(body);
    return Array.isArray(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

/** The answers in the operations' order. Where all have one status, it is the batch's; else that is 200. */
export function batchAnswer(answers: readonly GraphqlAnswer[]): Answer {
  const [first] = answers;
  if (first === undefined) throw new TypeError('a batch without answers');
  const alike = answers.every(({ status }) => status === first.status);
  // What holds for all: the longest wait of any that was refused, and the media type.
  const waits = answers.map(({ headers }) => Number(headers['retry-after'] ?? 0));
  const wait = Math.max(...waits);
  const common = alike ? first.headers : { 'content-type': first.headers['content-type'] ?? '' };
  const headers = { ...common, ...(wait > 0 ? { 'retry-after': String(wait) } : {}) };
  const body = joined([...answers.flatMap((answer, at) => [at === 0 ? '[' : ',', answer.body]), ']']);
  return { status: alike ? first.status : 200, headers, body };
}
