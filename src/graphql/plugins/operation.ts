/** Which operation of a document is meant (GraphQL specification, "GetOperation()"), and that a GET changes nothing. */
import { type DocumentNode, getOperationAST, Kind, OperationTypeNode } from 'graphql';
import type { Plugin, YogaInitialContext } from 'graphql-yoga';
import { badInput, GatehouseError } from '../../domain/errors.ts';
import type { Carrier } from '../call.ts';

/** Stands behind what bounds a document, and before Yoga's own check, whose message names nothing. */
export const operationRules: Plugin<object, Carrier> = {
  onParse({ context }) {
    const { call, params } = context as unknown as Carrier & Partial<YogaInitialContext>;
    return ({ result }) => {
      if (result === null || result instanceof Error) return;
      const operation = getOperationAST(result, params?.operationName);
      if (operation == null) throw notDetermined(result, params?.operationName ?? null);
      if (operation.operation !== OperationTypeNode.MUTATION || call.request.method !== 'GET') return;
      throw new GatehouseError('METHOD_NOT_ALLOWED', 'Method not allowed: send a mutation by POST', {
        headers: { allow: 'POST' },
      });
    };
  },
};

function notDetermined({ definitions }: DocumentNode, name: string | null): GatehouseError {
  if (name !== null) return badInput(`Unknown operation named ${JSON.stringify(name)}`, 'operationName');
  const isEmpty = definitions.every(({ kind }) => kind !== Kind.OPERATION_DEFINITION);
  if (isEmpty) return badInput('The document has no operation', 'query');
  return badInput('The document has several operations: name one of them in `operationName`', 'operationName');
}
