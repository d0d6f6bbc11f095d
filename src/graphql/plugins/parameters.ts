/**
 * Reads the parameters of a request (GraphQL over HTTP, "Request") in place of Yoga, which refuses unknown parameters and has
 * other messages and status codes.
 */
import type { GraphQLParams, Plugin } from 'graphql-yoga';
import { badInput, GatehouseError, notJson } from '../../domain/errors.ts';
import type { Carrier, GraphqlRequest } from '../call.ts';
import { overVariables, type QueryLimits } from '../query-limits.ts';

export function parameterRules(limits: QueryLimits): Plugin<object, Carrier> {
  return {
    onRequestParse({ setRequestParser, serverContext }) {
      const { request } = (serverContext as Carrier).call;
      setRequestParser(() => parametersOf(request, limits));
    },
  };
}

/** Unknown parameters are ignored, as the specification has it. */
function parametersOf({ body, search }: Pick<GraphqlRequest, 'body' | 'search'>, limits: QueryLimits): GraphQLParams {
  const given = body === null ? inSearch(search) : inBody(body);
  const { variables, extensions } = given;
  if (!isMapOrAbsent(extensions)) throw badInput('`extensions` must be an object', 'extensions');
  const query = queryOf(given.query, extensions);
  if (!isMapOrAbsent(variables)) throw badInput('`variables` must be an object', 'variables');
  const refusal = overVariables(variables, limits);
  if (refusal !== null) throw refusal;
  return {
    query,
    ...(variables == null ? {} : { variables }),
    ...(extensions == null ? {} : { extensions }),
    ...operationNameOf(given.operationName),
  };
}

type Parameters = Partial<Record<'query' | 'operationName' | 'variables' | 'extensions', unknown>>;

function inBody(body: string): Parameters {
  const given = parse(body, () => notJson('POST body sent invalid JSON.'));
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given;
  throw badInput('The body of a request must be a JSON object');
}

/** An empty parameter counts as absent. */
function inSearch(search: string): Parameters {
  const given = new URLSearchParams(search);
  const json = (name: 'variables' | 'extensions') => {
    const text = given.get(name);
    return text === null || text === '' ? undefined : parse(text, () => notJson(`\`${name}\` is not JSON`, name));
  };
  return {
    query: given.get('query'),
    operationName: given.get('operationName'),
    variables: json('variables'),
    extensions: json('extensions'),
  };
}

/** What the parser says of it is not told: it quotes the text. */
function parse(text: string, refusal: () => GatehouseError): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw refusal();
  }
}

/** Apollo's links send a hash alone at first, and the query with it once they were told that a hash is not enough. */
function queryOf(query: unknown, extensions: Map | null | undefined): string {
  if (typeof query === 'string' && query !== '') return query;
  if (query == null || query === '') {
    if (hasHash(extensions)) throw new GatehouseError('PERSISTED_QUERY_NOT_SUPPORTED', 'PersistedQueryNotSupported');
    if (query == null) throw badInput('`query` is missing: send a GraphQL document', 'query');
    return query;
  }
  throw badInput('`query` must be a string', 'query');
}

function hasHash(extensions: Map | null | undefined): boolean {
  const persisted = extensions?.['persistedQuery'];
  return isMap(persisted) && typeof persisted['sha256Hash'] === 'string';
}

function operationNameOf(name: unknown): { operationName?: string } {
  if (name == null || name === '') return {};
  if (typeof name === 'string') return { operationName: name };
  throw badInput('`operationName` must be a string', 'operationName');
}

type Map = Record<string, unknown>;

function isMap(value: unknown): value is Map {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMapOrAbsent(value: unknown): value is Map | null | undefined {
  return value == null || isMap(value);
}
