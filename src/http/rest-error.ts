/** A refusal outside of GraphQL: the body of the REST paths. */
import { type OnBug, translate } from '../graphql/errors.ts';
import type { Answer, Exchange } from './exchange.ts';

export function restRefusal(thrown: unknown, { requestId, record }: Exchange, onBug: OnBug): Answer {
  const { error, headers } = translate(thrown, requestId, onBug);
  const { code, status, limit } = error.extensions;
  record.code = code;
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify({ error: code.toLowerCase(), message: error.message, status, requestId, limit }),
  };
}
