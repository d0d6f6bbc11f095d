/**
 * What an operation costs, in points: before it runs from what the schema declares (`@cost`, `@listSize`) and how long
 * the lists are that it asks for; after it ran from the answer itself. Fields that merge into one answer cost once.
 */
import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type FragmentSpreadNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  type InlineFragmentNode,
  isAbstractType,
  isCompositeType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import {
  type Counting,
  declaredCost,
  declaredCounting,
  declaredListSize,
  declaredRateLimit,
  type ListSize,
} from './directives.ts';
import { conditionsOf, type Variables, valueIn, withDefaults } from './variables.ts';

/** One field of the answer that costs something. */
interface Part {
  readonly key: string;
  /** Points of each object, without what is below it. */
  readonly weight: number;
  /** Of a count of a filtered list: what its rows cost beside the weight. */
  readonly counting: Counting | null;
  /** How many objects it is taken to give. */
  readonly size: number;
  /** What is below it, for each type that it can be of. */
  readonly variants: readonly (readonly Part[])[];
  /** Of a connection: the items of its page, which it reads whatever is selected of them. */
  readonly page: { readonly size: number; readonly weight: number; readonly keys: readonly string[] } | null;
}

export interface Cost {
  /** Points, rounded up; infinite where there is too much to even count. */
  readonly requested: number;
  /** Of `requested`, the points for rows that have to be counted, and what they were worked out from. */
  readonly counting: { readonly points: number; readonly counts: number; readonly rows: number };
  /** The same of lists that have so many rows without their filters. */
  ofRows(rows: number): Cost;
  /** How often each field that declares `@rateLimit` is used, by `Type.field`, with its number on STANDARD. */
  readonly limited: ReadonlyMap<string, { readonly max: number; readonly uses: number }>;
  /**
   * Points of an answer's data, never more than `requested`. Where an error took all data away, `refused` are the root
   * fields that never did their work: the others have. `countedRows`: how many were looked at to count.
   */
  actual(data: unknown, refused: ReadonlySet<string>, countedRows?: number): number;
}

/** To ask for the schema: at least so much, else as much as there are fields below, whose answers are long. */
const INTROSPECTION_POINTS_MIN = 10;
/** The longest list that is reckoned with: a resolver refuses to give or take a longer one, in words of its own. */
const LIST_MAX = 1_000;
/** Fields that are looked at, at the most. An operation with more is over every bound. */
const VISITS_MAX = 20_000;

/** `ofRows` tells the price of counts where there are any: until then their rows cost nothing. */
export function costOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Variables,
): Cost {
  const root = schema.getRootType(operation.operation);
  if (root == null) throw new TypeError(`the schema has no ${operation.operation}`);
  const planner = new Planner(schema, document, withDefaults(operation, variables));
  const parts = planner.parts(root, [operation.selectionSet], null, 1);
  return priced(planner, parts, 0);
}

function priced(planner: Planner, parts: readonly Part[], rows: number): Cost {
  const points = (ofRows: number) => Math.ceil(sum(parts, (part) => pointsOf(part, ofRows)));
  const requested = planner.tooMuch ? Number.POSITIVE_INFINITY : points(rows);
  const { limited, counts, rowsPerPoint } = planner;
  return {
    requested,
    counting: { points: planner.tooMuch ? 0 : requested - points(0), counts, rows },
    ofRows: (found) => priced(planner, parts, found),
    limited,
    actual(data, refused, countedRows = 0) {
      const used = data === null ? doneOf(parts, refused) : actualOf(parts, data);
      return Math.min(requested, Math.ceil(used + countedRows / rowsPerPoint));
    },
  };
}

function sum<Item>(items: readonly Item[], points: (item: Item) => number): number {
  return items.reduce((total, item) => total + points(item), 0);
}

function pointsOf({ size, weight, counting, variants, page }: Part, rows: number): number {
  const items = page === null ? 0 : page.size * page.weight;
  const counted = counting === null ? 0 : Math.ceil(rows / counting.rowsPerPoint);
  const below = variants.map((parts) => sum(parts, (part) => pointsOf(part, rows)));
  return size * (weight + counted + items + Math.max(0, ...below));
}

function doneOf(parts: readonly Part[], refused: ReadonlySet<string>): number {
  return sum(
    parts.filter(({ key }) => !refused.has(key)),
    (part) => pointsOf(part, 0),
  );
}

function actualOf(parts: readonly Part[], object: unknown): number {
  if (typeof object !== 'object' || object === null) return 0;
  return sum(parts, (part) => actualPart(part, (object as Record<string, unknown>)[part.key]));
}

// What was looked for and not found has cost its own weight all the same.
function actualPart(part: Part, value: unknown): number {
  const { weight, variants, page } = part;
  // Of another type than the object is: it did not run.
  if (value === undefined) return 0;
  if (Array.isArray(value)) {
    if (page === null && variants.every((parts) => parts.length === 0)) return value.length * weight;
    return sum(value, (item) => actualPart(part, item));
  }
  const items = page === null || value === null ? 0 : itemsIn(page, value) * page.weight;
  return weight + items + Math.max(0, ...variants.map((parts) => actualOf(parts, value)));
}

/** As many as the answer shows; all that were asked for where it shows none. */
function itemsIn({ size, keys }: NonNullable<Part['page']>, connection: unknown): number {
  const lists = keys.map((key) => (connection as Record<string, unknown>)[key]).filter((list) => Array.isArray(list));
  return lists.length === 0 ? size : Math.max(...lists.map((list) => list.length));
}

class Planner {
  readonly limited = new Map<string, { max: number; uses: number }>();
  /** Counts of filtered lists. */
  counts = 0;
  /** As they declare it, the dearest of them. */
  rowsPerPoint = Number.POSITIVE_INFINITY;
  readonly #schema: GraphQLSchema;
  readonly #variables: Variables;
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  #visits = 0;

  constructor(schema: GraphQLSchema, document: DocumentNode, variables: Variables) {
    this.#schema = schema;
    this.#variables = variables;
    this.#fragments = new Map(
      document.definitions
        .filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION)
        .map((fragment) => [fragment.name.value, fragment]),
    );
  }

  get tooMuch(): boolean {
    return this.#visits > VISITS_MAX;
  }

  /**
   * `sized`: what the field above says of the lists in it. `times`: how many such objects there are. `above`: that field,
   * null at the root.
   */
  parts(
    type: GraphQLObjectType,
    sets: readonly SelectionSetNode[],
    sized: Sized | null,
    times: number,
    above: FieldNode | null = null,
  ): Part[] {
    const fields = new Map<string, FieldNode[]>();
    const spread = new Set<string>();
    for (const set of sets) this.#collect(type, set, fields, spread);
    const parts = [...fields].map(([key, nodes]) => this.#part(type, key, nodes, sized, times, above));
    return parts.filter((part) => part !== null);
  }

  #part(
    type: GraphQLObjectType,
    key: string,
    nodes: FieldNode[],
    sized: Sized | null,
    times: number,
    above: FieldNode | null,
  ): Part | null {
    const [node = null] = nodes;
    const name = node?.name.value ?? '';
    const sets = nodes.map((node) => node.selectionSet).filter((set) => set !== undefined);
    if (name === '__schema' || name === '__type') return leaf(key, this.#introspectionPoints(sets));
    const field = type.getFields()[name];
    if (field === undefined || this.tooMuch) return null;
    const below = getNamedType(field.type);
    const weight = below === sized?.paid.type ? 0 : fieldWeight(field, below);
    const counting = this.#countingOf(field, above);
    const [own, ofFieldsBelow] = this.#sizes(field, node);
    const isOfPage = sized?.fields.has(name) === true;
    const size = isListType(getNullableType(field.type)) ? (isOfPage ? sized.size : own) : 1;
    this.#countUse(type, field, times * size);
    // What a connection has paid for reaches through its edges to their nodes, and no further.
    const inside = ofFieldsBelow ?? (isOfPage && below !== sized.paid.type ? { ...sized, fields: NONE } : null);
    const variants = this.#typesOf(below).map((possible) => this.parts(possible, sets, inside, times * size, node));
    const page = ofFieldsBelow === null ? null : this.#pageOf(below, sets, ofFieldsBelow);
    if (weight === 0 && counting === null && page === null && variants.every((parts) => parts.length === 0))
      return null;
    return { key, weight, counting, size, variants, page };
  }

  /** Null where no rows have to be counted: where it counts none, or all. */
  #countingOf(field: GraphQLField<unknown, unknown>, list: FieldNode | null): Counting | null {
    const counting = declaredCounting(field);
    if (counting === null || isEmpty(this.#valueAt(counting.filteredBy, list))) return null;
    this.counts += 1;
    this.rowsPerPoint = Math.min(this.rowsPerPoint, counting.rowsPerPoint);
    return counting;
  }

  /** Under which names the answer shows the items. */
  #pageOf(
    connection: GraphQLNamedType,
    sets: readonly SelectionSetNode[],
    { fields, size, paid }: Sized,
  ): Part['page'] {
    if (!isObjectType(connection)) return null;
    const selected = new Map<string, FieldNode[]>();
    const spread = new Set<string>();
    for (const set of sets) this.#collect(connection, set, selected, spread);
    const keys = [...selected].filter(([, nodes]) => fields.has(nodes[0]?.name.value ?? '')).map(([key]) => key);
    return { size, weight: paid.weight, keys };
  }

  /** One for each field that is selected, fragments spread out. */
  #introspectionPoints(sets: readonly SelectionSetNode[]): number {
    return Math.max(
      INTROSPECTION_POINTS_MIN,
      sum(sets, (set) => this.#fieldsIn(set)),
    );
  }

  #fieldsIn(set: SelectionSetNode | undefined): number {
    return sum(set?.selections ?? [], (selection) => {
      this.#visits += 1;
      if (this.tooMuch) return 0;
      if (selection.kind === Kind.FIELD) return 1 + this.#fieldsIn(selection.selectionSet);
      if (selection.kind === Kind.INLINE_FRAGMENT) return this.#fieldsIn(selection.selectionSet);
      return this.#fieldsIn(this.#fragments.get(selection.name.value)?.selectionSet);
    });
  }

  #countUse(type: GraphQLObjectType, field: GraphQLField<unknown, unknown>, uses: number): void {
    const limit = declaredRateLimit(field);
    if (limit === null) return;
    const name = `${type.name}.${field.name}`;
    this.limited.set(name, { max: limit.max, uses: (this.limited.get(name)?.uses ?? 0) + uses });
  }

  /** How many the field itself gives, and what it says of the lists below it. */
  #sizes(field: GraphQLField<unknown, unknown>, node: FieldNode | null): [number, Sized | null] {
    const declared = declaredListSize(field);
    if (declared === null) return [1, null];
    const size = this.#sizeOf(declared, node);
    const { sizedFields } = declared;
    if (sizedFields === undefined) return [size, null];
    return [1, { fields: new Set(sizedFields), size, paid: itemOf(field, sizedFields) }];
  }

  #sizeOf({ assumedSize, slicingArguments = [] }: ListSize, node: FieldNode | null): number {
    const given = slicingArguments
      .map((path) => this.#valueAt(path, node))
      .filter((value) => value !== null && value !== undefined)
      // A single value stands for a list of one; a number says how many.
      .map((value) => (Array.isArray(value) ? value.length : typeof value === 'number' ? value : 1));
    return given.length === 0 ? assumedSize : Math.min(LIST_MAX, Math.max(0, ...given));
  }

  /** `path`: an argument, or a field of the input objects in it, such as `input.members`. */
  #valueAt(path: string, node: FieldNode | null): unknown {
    const [name, ...fields] = path.split('.');
    const argument = node?.arguments?.find((each) => each.name.value === name);
    const value = argument === undefined ? undefined : valueIn(argument.value, this.#variables);
    return fields.reduce(
      (object, field) => (isRecord(object) && Object.hasOwn(object, field) ? object[field] : undefined),
      value,
    );
  }

  /** The objects that it can be; none where it is a plain value. */
  #typesOf(type: GraphQLNamedType): readonly GraphQLObjectType[] {
    if (isAbstractType(type)) return this.#schema.getPossibleTypes(type);
    return isObjectType(type) ? [type] : [];
  }

  #collect(type: GraphQLObjectType, set: SelectionSetNode, into: Map<string, FieldNode[]>, spread: Set<string>): void {
    for (const selection of set.selections) {
      this.#visits += 1;
      if (this.tooMuch || !conditionsOf(selection).every((holds) => holds(this.#variables))) continue;
      if (selection.kind === Kind.FIELD) addTo(into, selection);
      else this.#collectFragment(type, selection, into, spread);
    }
  }

  #collectFragment(
    type: GraphQLObjectType,
    selection: FragmentSpreadNode | InlineFragmentNode,
    into: Map<string, FieldNode[]>,
    spread: Set<string>,
  ): void {
    const isSpread = selection.kind === Kind.FRAGMENT_SPREAD;
    if (isSpread && spread.has(selection.name.value)) return;
    if (isSpread) spread.add(selection.name.value);
    const fragment = isSpread ? this.#fragments.get(selection.name.value) : selection;
    if (fragment === undefined || !this.#applies(fragment.typeCondition?.name.value, type)) return;
    this.#collect(type, fragment.selectionSet, into, spread);
  }

  #applies(condition: string | undefined, type: GraphQLObjectType): boolean {
    if (condition === undefined || condition === type.name) return true;
    const wanted = this.#schema.getType(condition);
    return isAbstractType(wanted) && this.#schema.isSubType(wanted, type);
  }
}

/** By the name that the answer has it under: what has one name is merged there, and runs once. */
function addTo(fields: Map<string, FieldNode[]>, node: FieldNode): void {
  const key = node.alias?.value ?? node.name.value;
  const nodes = fields.get(key);
  if (nodes === undefined) fields.set(key, [node]);
  else nodes.push(node);
}

interface Sized {
  readonly fields: ReadonlySet<string>;
  readonly size: number;
  /** The connection's items, which it has paid for. */
  readonly paid: { readonly type: GraphQLNamedType | null; readonly weight: number };
}

const NONE: ReadonlySet<string> = new Set();

/** What a connection's `nodes` are; of what is no connection, its list. */
function itemOf(field: GraphQLField<unknown, unknown>, sizedFields: readonly string[]): Sized['paid'] {
  const connection = getNamedType(field.type);
  const fields = isObjectType(connection) ? connection.getFields() : {};
  const list = fields['nodes'] ?? fields[sizedFields[0] ?? ''];
  if (list === undefined) return { type: null, weight: 0 };
  const type = getNamedType(list.type);
  return { type, weight: isCompositeType(type) ? typeWeight(type) : (declaredCost(list) ?? 0) };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Of a filter: that it leaves nothing out. */
function isEmpty(filter: unknown): boolean {
  if (filter === null || filter === undefined) return true;
  return isRecord(filter) && Object.values(filter).every((value) => value === null || value === undefined);
}

function leaf(key: string, weight: number): Part {
  return { key, weight, counting: null, size: 1, variants: [], page: null };
}

function fieldWeight(field: GraphQLField<unknown, unknown>, below: GraphQLNamedType): number {
  return declaredCost(field) ?? (isCompositeType(below) ? typeWeight(below) : 0);
}

function typeWeight(type: GraphQLCompositeType): number {
  return declaredCost(type) ?? 1;
}

/** The fields whose lists of objects nobody gives a size: the gateway does not start with one. */
export function undeclaredSizes(schema: GraphQLSchema): string[] {
  const types = Object.values(schema.getTypeMap()).filter(
    (type): type is GraphQLObjectType => isObjectType(type) && !type.name.startsWith('__'),
  );
  const all = types.flatMap((type) => Object.values(type.getFields()).map((field) => ({ type, field })));
  const sized = new Set(
    all.flatMap(({ field }) => {
      const below = getNamedType(field.type);
      return (declaredListSize(field)?.sizedFields ?? []).map((name) => `${below.name}.${name}`);
    }),
  );
  return all
    .filter(({ field }) => isListType(getNullableType(field.type)) && isCompositeType(getNamedType(field.type)))
    .filter(({ type, field }) => declaredListSize(field) === null && !sized.has(`${type.name}.${field.name}`))
    .map(({ type, field }) => `${type.name}.${field.name}`);
}
