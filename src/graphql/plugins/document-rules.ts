/** Bounds of a document, whether the schema may be asked for, and the phase of each error. */
import { type DocumentNode, GraphQLError, NoSchemaIntrospectionCustomRule, parse } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Carrier } from '../call.ts';
import { markPhase } from '../errors.ts';
import { overLimits, type QueryLimits, tooExpensive } from '../query-limits.ts';

export function documentRules(limits: QueryLimits): Plugin<object, Carrier> {
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
    onValidate({ addValidationRule }) {
      if (!limits.introspection) addValidationRule(NoSchemaIntrospectionCustomRule);
      return ({ result }) => {
        for (const error of result) {
          if (!limits.introspection) error.message = withoutSuggestions(error.message);
          markPhase(error, 'GRAPHQL_VALIDATION_FAILED');
        }
      };
    },
    onExecute() {
      if (limits.introspection) return undefined;
      // Variables are coerced by the executor, which guesses as well.
      return {
        onExecuteDone({ result }) {
          const errors = 'errors' in result ? (result.errors ?? []) : [];
          for (const error of errors) error.message = withoutSuggestions(error.message);
        },
      };
    },
  };
}

/** graphql-js guesses what was meant from the names in the schema, which would give them away one by one. */
function withoutSuggestions(message: string): string {
  return message.replace(/ Did you mean .*\?$/s, '');
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
