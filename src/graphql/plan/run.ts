/**
 * A plan carried out: ExecuteSelectionSet, ExecuteField and CompleteValue of the GraphQL specification (6.3, 6.4). The data
 * are the interpreter's, and so is each error that a null stands for, though not always their order. Promises only where a
 * resolver gives one, and a path only where somebody looks at it: a page of plain rows is a loop over its fields.
 */
import {
  defaultTypeResolver,
  type ExecutionResult,
  GraphQLError,
  type GraphQLLeafType,
  type GraphQLResolveInfo,
  getArgumentValues,
  isObjectType,
  locatedError,
  responsePathAsArray,
} from 'graphql';
import { AnswerSize } from '../../domain/answer-size.ts';
import { jsonBytes } from '../../domain/json-size.ts';
import type { Slices } from '../../domain/turns.ts';
import type { AbstractPlan, FieldPlan, ObjectPlan, OperationPlan, ValuePlan } from './plan.ts';

export interface RunArgs {
  readonly rootValue: unknown;
  readonly context: unknown;
  /** Coerced. */
  readonly variables: { readonly [name: string]: unknown };
  /** Counts what the answer takes while it is made. Once it is too much, nothing more is. Absent: one of its own. */
  readonly size?: AnswerSize | undefined;
  /** Long lists are completed in them. Absent or null: all in one go. */
  readonly slices?: Slices | null;
}

interface Run extends RunArgs {
  readonly size: AnswerSize;
  readonly plan: OperationPlan;
  readonly errors: GraphQLError[];
}

type Path = GraphQLResolveInfo['path'];
type Answer = Record<string, unknown>;

export function runPlan(plan: OperationPlan, args: RunArgs): ExecutionResult | Promise<ExecutionResult> {
  const run: Run = { ...args, size: args.size ?? new AnswerSize(), plan, errors: [] };
  try {
    const data = runFields(run, plan.root, args.rootValue, undefined);
    if (!isPromise(data)) return resultOf(run, data);
    return Promise.resolve(data).then(
      (settled) => resultOf(run, settled),
      (error) => failedResult(run, error),
    );
  } catch (error) {
    return failedResult(run, error);
  }
}

function resultOf({ errors, size }: Run, data: Answer | null): ExecutionResult {
  if (size.refusal !== null) return stoppedResult(size.refusal);
  return errors.length === 0 ? { data } : { errors, data };
}

/** Of an operation whose answer became too large: nothing of it is shown. */
export function stoppedResult(refusal: Error): ExecutionResult {
  return { errors: [new GraphQLError(refusal.message, { originalError: refusal })] };
}

/** The error went all the way up through fields that may not be null. */
function failedResult(run: Run, error: unknown): ExecutionResult {
  run.errors.push(error as GraphQLError);
  return resultOf(run, null);
}

function runFields(run: Run, plan: ObjectPlan, source: unknown, path: Path | undefined): Answer | PromiseLike<Answer> {
  run.size.grow(plan.frameBytes);
  const answer = plan.empty();
  let pending: PromiseLike<void>[] | null = null;
  try {
    for (const field of plan.fields) {
      const value = runField(run, field, source, path);
      // Also of a promise: so the key has its place.
      answer[field.key] = value;
      if (!isPromise(value)) continue;
      pending ??= [];
      pending.push(
        value.then((settled) => {
          answer[field.key] = settled;
        }),
      );
    }
  } catch (error) {
    if (pending === null) throw error;
    return failAfter(pending, error);
  }
  return pending === null ? answer : Promise.all(pending).then(() => answer);
}

function runField(run: Run, field: FieldPlan, source: unknown, parentPath: Path | undefined): unknown {
  try {
    const resolved = resolve(run, field, source, parentPath);
    const completed = isPromise(resolved)
      ? resolved.then((value) => complete(run, field, field.value, value, pathOf(field, parentPath)))
      : complete(
          run,
          field,
          field.value,
          resolved,
          field.value.kind === 'leaf' ? undefined : pathOf(field, parentPath),
        );
    if (!isPromise(completed)) return completed;
    return completed.then(undefined, (error) => fail(run, field, field.value, pathOf(field, parentPath), error));
  } catch (error) {
    return fail(run, field, field.value, pathOf(field, parentPath), error);
  }
}

const NO_ARGUMENTS: Readonly<Record<string, never>> = Object.freeze({});

function resolve(run: Run, field: FieldPlan, source: unknown, parentPath: Path | undefined): unknown {
  const { definition, nodes, name } = field;
  const args = field.hasArguments ? getArgumentValues(definition, nodes[0] as never, run.variables) : NO_ARGUMENTS;
  if (field.resolve != null) return field.resolve(source, args, run.context, infoOf(run, field, parentPath));
  if ((typeof source !== 'object' || source === null) && typeof source !== 'function') return undefined;
  const property = (source as Record<string, unknown>)[name];
  if (typeof property !== 'function') return property;
  return property.call(source, args, run.context, infoOf(run, field, parentPath));
}

function infoOf(run: Run, field: FieldPlan, parentPath: Path | undefined): GraphQLResolveInfo {
  const { plan, rootValue, variables } = run;
  return {
    fieldName: field.name,
    fieldNodes: field.nodes,
    returnType: field.definition.type,
    parentType: field.parentType,
    path: pathOf(field, parentPath),
    schema: plan.schema,
    fragments: plan.fragments,
    rootValue,
    operation: plan.operation,
    variableValues: variables,
  } as GraphQLResolveInfo;
}

function pathOf({ key, parentType }: FieldPlan, prev: Path | undefined): Path {
  return { prev, key, typename: parentType.name };
}

/** Null where the error may stand beside it; else it goes on upwards. */
function fail(run: Run, field: FieldPlan, { isNonNull }: ValuePlan, path: Path, thrown: unknown): null {
  // Nobody will see it, and there may be as many as there are values.
  if (run.size.refusal !== null) {
    if (isNonNull) throw run.size.refusal;
    return null;
  }
  const error = locatedError(thrown, field.nodes as never, responsePathAsArray(path));
  run.size.grow(errorBytes(error));
  if (isNonNull) throw error;
  run.errors.push(error);
  return null;
}

/** What an error takes beside its message and path, at the least: its code, status, request id and place. */
const ERROR_BYTES_MIN = 150;

function errorBytes({ message, path = [] }: GraphQLError): number {
  return path.reduce<number>(
    (bytes, step) => bytes + (typeof step === 'string' ? step.length + 3 : 2),
    ERROR_BYTES_MIN + message.length,
  );
}

// ——— values ———

/** `path`: of the value; undefined for a leaf. */
function complete(run: Run, field: FieldPlan, plan: ValuePlan, value: unknown, path: Path | undefined): unknown {
  if (value === null || value === undefined) {
    if (!plan.isNonNull) {
      run.size.grow('null'.length);
      return null;
    }
    throw new Error(`Cannot return null for non-nullable field ${field.parentType.name}.${field.name}.`);
  }
  if (value instanceof Error) throw value;
  switch (plan.kind) {
    case 'leaf': {
      const written = serialized(plan.type, value);
      run.size.grow(jsonBytes(written, run.size.isExact));
      return written;
    }
    case 'list':
      return completeList(run, field, plan.item, value, path as Path);
    case 'object':
      return completeObject(run, field, plan, value, path as Path);
    case 'abstract':
      return completeAbstract(run, field, plan, value, path as Path);
  }
}

function serialized(type: GraphQLLeafType, value: unknown): unknown {
  let written: unknown;
  try {
    written = type.serialize(value);
  } catch (error) {
    // A value that is not the type's is our own fault, not the caller's.
    throw error instanceof GraphQLError ? new Error(error.message) : error;
  }
  if (written !== null && written !== undefined) return written;
  throw new Error(`${type.name} serialised a value as ${written}`);
}

function completeList(
  run: Run,
  field: FieldPlan,
  plan: ValuePlan,
  value: unknown,
  path: Path,
): unknown[] | Promise<unknown[]> {
  if (typeof value !== 'object' || value === null || !(Symbol.iterator in value)) {
    const name = `${field.parentType.name}.${field.name}`;
    throw new GraphQLError(`Expected Iterable, but did not find one for field "${name}".`);
  }
  run.size.grow('[]'.length);
  const list: List = { run, field, plan, path, items: [], arePromises: false };
  const values = (value as Iterable<unknown>)[Symbol.iterator]();
  const isLong = Array.isArray(value) && value.length > LONG_LIST_ITEMS;
  if (run.slices != null && isLong) return completeLong(list, values, run.slices);
  try {
    for (let next = values.next(); next.done !== true; next = values.next()) addItem(list, next.value);
  } catch (error) {
    if (!list.arePromises) throw error;
    return failAfter(list.items, error);
  }
  return itemsOf(list);
}

/** Shorter ones take less than a slice, however many fields there are of an item. */
const LONG_LIST_ITEMS = 16;
/** After so many the clock is looked at. */
const LOOK_EVERY_ITEMS = 8;

interface List {
  readonly run: Run;
  readonly field: FieldPlan;
  readonly plan: ValuePlan;
  readonly path: Path;
  readonly items: unknown[];
  arePromises: boolean;
}

function addItem(list: List, item: unknown): void {
  const { run, field, plan, path, items } = list;
  if (items.length > 0) run.size.grow(','.length);
  const completed = completeItem(run, field, plan, item, { prev: path, key: items.length, typename: undefined });
  list.arePromises ||= isPromise(completed);
  items.push(completed);
}

function itemsOf({ items, arePromises }: List): unknown[] | Promise<unknown[]> {
  return arePromises ? Promise.all(items) : items;
}

/** Where it may begin at once and its time suffices, at once. */
function completeLong(list: List, values: Iterator<unknown>, slices: Slices): unknown[] | Promise<unknown[]> {
  const wait = slices.begin();
  if (wait !== null) return inSlices(list, values, slices, wait);
  try {
    if (fillSlice(list, values, slices)) return itemsOf(list);
  } catch (error) {
    if (!list.arePromises) throw error;
    return failAfter(list.items, error);
  }
  return inSlices(list, values, slices, slices.next());
}

async function inSlices(
  list: List,
  values: Iterator<unknown>,
  slices: Slices,
  first: Promise<void>,
): Promise<unknown[]> {
  try {
    await first;
    while (!fillSlice(list, values, slices)) await slices.next();
  } catch (error) {
    return failAfter(list.items, error);
  }
  return itemsOf(list);
}

/** Whether the list is whole. */
function fillSlice(list: List, values: Iterator<unknown>, slices: Slices): boolean {
  for (let next = values.next(); next.done !== true; next = values.next()) {
    addItem(list, next.value);
    if (list.items.length % LOOK_EVERY_ITEMS === 0 && slices.isOver) return false;
  }
  return true;
}

/** Fails, once all that is under way has come to its end: a promise that nobody hears of would be a bug of its own. */
async function failAfter(underWay: readonly unknown[], error: unknown): Promise<never> {
  await Promise.allSettled(underWay);
  throw error;
}

function completeItem(run: Run, field: FieldPlan, plan: ValuePlan, item: unknown, path: Path): unknown {
  try {
    const completed = isPromise(item)
      ? item.then((settled) => complete(run, field, plan, settled, path))
      : complete(run, field, plan, item, path);
    return isPromise(completed) ? completed.then(undefined, (error) => fail(run, field, plan, path, error)) : completed;
  } catch (error) {
    return fail(run, field, plan, path, error);
  }
}

function completeObject(
  run: Run,
  field: FieldPlan,
  plan: ObjectPlan,
  value: unknown,
  path: Path,
): Answer | PromiseLike<Answer> {
  if (plan.type.isTypeOf == null) return runFields(run, plan, value, path);
  const isOfType = plan.type.isTypeOf(value, run.context, infoOf(run, field, path.prev));
  const go = (isIt: boolean) => {
    if (isIt) return runFields(run, plan, value, path);
    throw new GraphQLError(`Expected value of type "${plan.type.name}".`, { nodes: field.nodes as never });
  };
  return isPromise(isOfType) ? isOfType.then(go) : go(isOfType as boolean);
}

function completeAbstract(run: Run, field: FieldPlan, plan: AbstractPlan, value: unknown, path: Path): unknown {
  const info = infoOf(run, field, path.prev);
  const typeName = (plan.type.resolveType ?? defaultTypeResolver)(value, run.context, info, plan.type);
  const go = (name: string | undefined) => completeObject(run, field, concrete(run, field, plan, name), value, path);
  return isPromise(typeName) ? typeName.then(go) : go(typeName as string | undefined);
}

function concrete(
  { plan: { schema } }: Run,
  field: FieldPlan,
  plan: AbstractPlan,
  name: string | undefined,
): ObjectPlan {
  const type = name === undefined ? undefined : schema.getType(name);
  if (isObjectType(type) && schema.isSubType(plan.type, type)) return plan.of(type);
  throw new GraphQLError(`"${name}" is no type of "${plan.type.name}".`, { nodes: field.nodes as never });
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
