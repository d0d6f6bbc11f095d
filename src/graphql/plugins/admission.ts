/** What stands between a valid document and its execution: the caller's scopes, what the operation costs, the limits. */
import {
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { GatehouseError } from '../../domain/errors.ts';
import type { Carrier } from '../call.ts';
import type { CompiledDocuments } from '../compiled.ts';
import { costOf } from '../cost.ts';
import { Requirements } from '../requirements.ts';
import { refusalFor } from '../scopes.ts';

/** What is kept of a name for the log: it is the caller's to choose, and may be as long as a document. */
const OPERATION_NAME_MAX_CHARACTERS = 100;

export function admission(schema: GraphQLSchema, compiled: CompiledDocuments): Plugin<object, Carrier> {
  const requirements = new Requirements(schema);
  return {
    async onExecute({ args, executeFn, setExecuteFn, setResultAndStopExecution }) {
      const { call } = args.contextValue as unknown as Carrier;
      const { limits, principal } = call.context;
      setExecuteFn((given) => compiled.execute({ ...given, contextValue: call.context }, executeFn));
      const operation = getOperationAST(args.document, args.operationName);
      // No such operation: the executor says so.
      if (operation == null) return;
      const variables = args.variableValues ?? {};
      call.operationName = operation.name?.value.slice(0, OPERATION_NAME_MAX_CHARACTERS) ?? null;
      call.severalMutations = mayChangeSeveral(operation);
      try {
        const refusal = refusalFor(requirements.of(args.document, operation, variables), principal.scopes);
        if (refusal !== null) throw refusal;
        call.cost = costOf(schema, args.document, operation, variables);
        await limits.admit(call.cost);
      } catch (error) {
        if (!(error instanceof GatehouseError)) throw error;
        setResultAndStopExecution({ errors: [new GraphQLError(error.message, { originalError: error })] });
      }
    },
  };
}

function mayChangeSeveral({ operation, selectionSet: { selections } }: OperationDefinitionNode): boolean {
  if (operation !== OperationTypeNode.MUTATION) return false;
  return selections.length > 1 || selections[0]?.kind !== Kind.FIELD;
}
