/**
 * Documents that come again and again have a plan that is kept: what of them is the same each time is worked out once, and
 * a page takes a fraction of the time. In bounded number, and only what was seen repeatedly: a document that is new each
 * time never is. Queries alone: a mutation's time goes into its write.
 *
 * Why our own and not graphql-jit: that one (0.8.9) runs fields that `@skip` and `@include` exclude where they meet merged
 * fields, for which no scope was asked; expands fragments without end; passes defaults of variables through JSON; and
 * allocates two arrays for each leaf. A plan selects as graphql-js does, and answers are the same either way.
 */
import {
  type DocumentNode,
  type ExecutionArgs,
  GraphQLIncludeDirective,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getOperationAST,
  getVariableValues,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  visit,
} from 'graphql';
import type { Slices } from '../domain/turns.ts';
import type { Context } from './context.ts';
import { OperationPlan } from './plan/plan.ts';
import { type RunArgs, runPlan } from './plan/run.ts';

/** At most so many documents have plans: some ten kilobytes each. The least recently used goes first. */
const COMPILED_MAX = 200;
/** Of one document: one for each set of values that `@skip` and `@include` were given. */
const PLANS_MAX = 16;

type Interpret = (args: ExecutionArgs) => unknown;

interface Seen {
  /** Since it was made or dropped. */
  times: number;
  readonly operation: OperationDefinitionNode;
  /** The variables that `@skip` and `@include` look at. */
  readonly conditions: readonly string[];
  /** By the values of the conditions. */
  readonly plans: Map<string, OperationPlan>;
}

export class CompiledDocuments {
  readonly #schema: GraphQLSchema;
  readonly #after: number;
  /** Documents live in the document cache, which bounds them; what is forgotten there is forgotten here. */
  readonly #seen = new WeakMap<DocumentNode, Map<OperationDefinitionNode, Seen>>();
  /** The seen ones that have plans, the least recently used first. */
  readonly #kept = new Set<Seen>();

  /** `after`: how often a document is seen before it has a plan. */
  constructor(schema: GraphQLSchema, after: number) {
    this.#schema = schema;
    this.#after = after;
  }

  /** `interpret`: what executes a document that has no plan. `slices`: of a query whose answer may be long. */
  execute(args: ExecutionArgs, interpret: Interpret, slices: Slices | null = null): unknown {
    const seen = this.#note(args.document, args.operationName);
    if (seen === null) return interpret(args);
    if (seen.times <= this.#after) return interpret(args);
    const coerced = coercedOf(this.#schema, seen.operation, args);
    const plan = coerced === undefined ? null : this.#planOf(seen, args.document, coerced);
    if (coerced === undefined || plan === null) return interpret(args);
    this.#keep(seen);
    return runPlan(plan, runArgs(args, coerced, slices));
  }

  /** Null where it is no query, or no such operation. */
  #note(document: DocumentNode, operationName: string | null | undefined): Seen | null {
    const operation = getOperationAST(document, operationName);
    if (operation?.operation !== OperationTypeNode.QUERY) return null;
    let operations = this.#seen.get(document);
    if (operations === undefined) {
      operations = new Map();
      this.#seen.set(document, operations);
    }
    let seen = operations.get(operation);
    if (seen === undefined) {
      seen = { times: 0, operation, conditions: conditionsOf(document), plans: new Map() };
      operations.set(operation, seen);
    }
    seen.times += 1;
    return seen;
  }

  /** Null where it would be one too many. */
  #planOf(
    { operation, conditions, plans }: Seen,
    document: DocumentNode,
    variables: Readonly<Record<string, unknown>>,
  ): OperationPlan | null {
    const values = conditions.map((name) => [name, variables[name]]);
    const key = JSON.stringify(values);
    let plan = plans.get(key);
    if (plan === undefined) {
      if (plans.size >= PLANS_MAX) return null;
      plan = new OperationPlan(this.#schema, document, operation, Object.fromEntries(values));
      plans.set(key, plan);
    }
    return plan;
  }

  #keep(seen: Seen): void {
    this.#kept.delete(seen);
    this.#kept.add(seen);
    for (const oldest of this.#kept) {
      if (this.#kept.size <= COMPILED_MAX) break;
      this.#kept.delete(oldest);
      oldest.plans.clear();
      oldest.times = 0;
    }
  }
}

/**
 * Executes a query by a plan that is not kept: graphql-js could not be told to stop where an answer becomes too large, and
 * completes a list in one go. What is no query, or has wrong variables, is interpreted.
 */
export function executeOnce(
  schema: GraphQLSchema,
  args: ExecutionArgs,
  interpret: Interpret,
  slices: Slices | null,
): unknown {
  const operation = getOperationAST(args.document, args.operationName);
  if (operation?.operation !== OperationTypeNode.QUERY) return interpret(args);
  const coerced = coercedOf(schema, operation, args);
  if (coerced === undefined) return interpret(args);
  return runPlan(new OperationPlan(schema, args.document, operation, coerced), runArgs(args, coerced, slices));
}

type Coerced = RunArgs['variables'];

/** Undefined where the variables do not fit. */
function coercedOf(
  schema: GraphQLSchema,
  { variableDefinitions = [] }: OperationDefinitionNode,
  { variableValues }: ExecutionArgs,
): Coerced | undefined {
  return getVariableValues(schema, variableDefinitions, variableValues ?? {}, { maxErrors: 1 }).coerced;
}

function runArgs({ rootValue, contextValue }: ExecutionArgs, variables: Coerced, slices: Slices | null): RunArgs {
  const context = contextValue as Context | undefined;
  return { rootValue, context, variables, size: context?.answer, slices };
}

function conditionsOf(document: DocumentNode): string[] {
  const names = new Set<string>();
  visit(document, {
    Directive({ name, arguments: given = [] }) {
      if (name.value !== GraphQLSkipDirective.name && name.value !== GraphQLIncludeDirective.name) return;
      for (const { value } of given) if (value.kind === Kind.VARIABLE) names.add(value.name.value);
    },
  });
  return [...names];
}
