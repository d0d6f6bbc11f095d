/** What stands between a valid document and its execution: the caller's scopes, what the operation costs, the limits. */
import {
  type ExecutionArgs,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  getVariableValues,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { NetworkReads } from '../../database/network-reads.ts';
import { GatehouseError } from '../../domain/errors.ts';
import { Slices, type Turns } from '../../domain/turns.ts';
import { answerBound } from '../answer-bound.ts';
import type { Call, Carrier } from '../call.ts';
import { CompiledDocuments, executeOnce } from '../compiled.ts';
import { type Cost, costOf } from '../cost.ts';
import { refusalIn } from '../errors.ts';
import { type ExecutionGate, QueueFull } from '../execution-gate.ts';
import { Requirements } from '../requirements.ts';
import { refusalFor } from '../scopes.ts';

/** What is kept of a name for the log: it is the caller's to choose, and may be as long as a document. */
const OPERATION_NAME_MAX_CHARACTERS = 100;

/** From so many points on an answer may be long enough to be made in slices: about a page of 100 members. */
const LONG_ANSWER_POINTS = 25;

/** `compileAfter`: how often a document is seen before its plan is kept; Infinity: graphql-js executes all. */
export function admission(
  schema: GraphQLSchema,
  compileAfter: number,
  turns: Turns,
  gate: ExecutionGate,
): Plugin<object, Carrier> {
  const compiled = new CompiledDocuments(schema, compileAfter);
  const requirements = new Requirements(schema);
  return {
    async onExecute({ args, executeFn, setExecuteFn, setResultAndStopExecution }) {
      const { call } = args.contextValue as unknown as Carrier;
      const { limits, principal } = call.context;
      const once = (given: ExecutionArgs) =>
        compileAfter === Number.POSITIVE_INFINITY
          ? executeFn(given)
          : executeOnce(schema, given, executeFn, call.slices);
      setExecuteFn((given) => compiled.execute({ ...given, contextValue: call.context }, once, call.slices));
      const operation = getOperationAST(args.document, args.operationName);
      // Refused by now (operation.ts).
      if (operation == null) return;
      const variables = args.variableValues ?? {};
      call.operationName = operation.name?.value.slice(0, OPERATION_NAME_MAX_CHARACTERS) ?? null;
      call.context.executed = { document: args.document, operation };
      try {
        const refusal = refusalFor(requirements.of(args.document, operation, variables), principal.scopes);
        if (refusal !== null) throw refusal;
        call.cost = await withCounts(costOf(schema, args.document, operation, variables), call.context.reads);
        if (call.cost.requested >= LONG_ANSWER_POINTS) {
          call.slices = new Slices(turns, principal);
          await takePlace(call, call.cost, gate);
        }
        const isChange = operation.operation === OperationTypeNode.MUTATION;
        // Once it has its place: what waits holds no room.
        if (isChange) reserve(call, call.cost, () => answerBound(schema, args.document, operation, variables));
        await limits.admit(call.cost);
        call.isReserved = isChange;
      } catch (error) {
        if (!(error instanceof GatehouseError)) throw error;
        setResultAndStopExecution({ errors: errorsOf(error, () => faultsOf(schema, operation, variables)) });
      }
    },
  };
}

/** Wrong variables go before a cost or size, which was then worked out from values that cannot be used. */
function errorsOf(refusal: GatehouseError, faults: () => readonly GraphQLError[]): readonly GraphQLError[] {
  const found = refusal.code === 'QUERY_TOO_EXPENSIVE' ? faults() : [];
  return found.length > 0 ? found : [new GraphQLError(refusal.message, { originalError: refusal })];
}

/** What is wrong with the variables. */
function faultsOf(
  schema: GraphQLSchema,
  { variableDefinitions = [] }: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): readonly GraphQLError[] {
  return getVariableValues(schema, variableDefinitions, variables, { maxErrors: FAULTS_MAX }).errors ?? [];
}

/** As many as graphql-js reports where it finds them itself. */
const FAULTS_MAX = 50;

/** Makes room for the longest answer that a change may have. One whose cost has no bound is refused for that. */
function reserve({ context: { answer } }: Call, { requested }: Cost, bytesMax: () => number): void {
  if (Number.isFinite(requested)) answer.reserve(bytesMax());
}

/** Counting costs by how many there are to count, which a counter of the database knows. */
async function withCounts(cost: Cost, reads: NetworkReads): Promise<Cost> {
  if (cost.counting.counts === 0 || !Number.isFinite(cost.requested)) return cost;
  try {
    return cost.ofRows(await reads.memberCount());
  } catch (error) {
    throw refusalIn(error) ?? error;
  }
}

/** Whoever had to wait is looked up again: their token may have ended meanwhile. */
async function takePlace(call: Call, cost: Cost, gate: ExecutionGate): Promise<void> {
  const { limits, principal } = call.context;
  if (limits.isTooExpensive(cost)) return;
  const { signal, body, recheck } = call.request;
  const entry = { caller: principal, points: cost.requested, bytes: body?.length ?? 0, signal };
  call.place = gate.enterNow(entry);
  if (call.place !== null) return;
  try {
    call.place = await gate.wait(entry);
  } catch (error) {
    if (error instanceof QueueFull) await limits.waive(cost, error.limit, error.retryMs);
    throw error;
  }
  const refusal = await recheck();
  if (refusal === null) return;
  await limits.waive(cost, null, 0);
  throw refusal;
}
