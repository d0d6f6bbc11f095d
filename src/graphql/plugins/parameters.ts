/** What is wrong with a request's parameters before its document is looked at. */
import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { badInput, REFUSALS } from '../../domain/errors.ts';
import type { Carrier } from '../call.ts';
import { overVariables, type QueryLimits } from '../query-limits.ts';

export function parameterRules(limits: QueryLimits): Plugin<object, Carrier> {
  return {
    onParams({ params }) {
      // Yoga takes a name of any type for one that the document has not.
      const name: unknown = params.operationName;
      if (name !== undefined && name !== null && typeof name !== 'string') {
        throw new GraphQLError('`operationName` must be a string', {
          extensions: { code: 'BAD_REQUEST', http: { status: REFUSALS.BAD_USER_INPUT } },
        });
      }
      const refusal = overVariables(params.variables, limits);
      if (refusal !== null) throw new GraphQLError(refusal.message, { originalError: refusal });
    },
  };
}

/** Yoga parses the JSON in a query string without expecting it to be wrong. */
export function refuseBadJson(search: string): void {
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
