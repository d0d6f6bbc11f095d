/**
 * What of a query is the same each time that it is executed: its fields merged, their definitions, what becomes of their
 * values. Each object's part is made when a value of it is met for the first time, so that a plan is never larger than
 * what was executed of it.
 */
import {
  type DocumentNode,
  defaultFieldResolver,
  type FieldNode,
  type GraphQLAbstractType,
  type GraphQLField,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
  TypeNameMetaFieldDef,
} from 'graphql';
import { fragmentsOf } from '../requirements.ts';
import { collectFields, includedBy, type Selecting } from './collect.ts';

export type ValuePlan = LeafPlan | ListPlan | ObjectPlan | AbstractPlan;

interface LeafPlan {
  readonly kind: 'leaf';
  readonly isNonNull: boolean;
  readonly type: GraphQLLeafType;
}

interface ListPlan {
  readonly kind: 'list';
  readonly isNonNull: boolean;
  readonly item: ValuePlan;
}

export class OperationPlan {
  readonly schema: GraphQLSchema;
  readonly operation: OperationDefinitionNode;
  /** By their names, as resolvers are told them. */
  readonly fragments: GraphQLResolveInfo['fragments'];
  readonly root: ObjectPlan;

  /** `document`: a valid one. `operation`: a query of it. `conditions`: the values that `@skip` and `@include` look at. */
  constructor(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    conditions: Readonly<Record<string, unknown>>,
  ) {
    const query = schema.getQueryType();
    if (query == null) throw new TypeError('the schema has no queries');
    this.schema = schema;
    this.operation = operation;
    const fragments = fragmentsOf(document.definitions);
    this.fragments = Object.fromEntries(fragments);
    const selecting = { schema, fragments, isIncluded: includedBy(conditions) };
    this.root = new ObjectPlan(selecting, query, [operation], true);
  }
}

type Selected = Pick<FieldNode, 'selectionSet'>;

export class ObjectPlan {
  readonly kind = 'object';
  readonly isNonNull: boolean;
  readonly type: GraphQLObjectType;
  readonly #selecting: Selecting;
  readonly #selected: readonly Selected[];
  #fields: readonly FieldPlan[] | null = null;
  #empty: (() => Record<string, unknown>) | null = null;
  #frameBytes = 0;

  constructor(selecting: Selecting, type: GraphQLObjectType, selected: readonly Selected[], isNonNull: boolean) {
    this.#selecting = selecting;
    this.#selected = selected;
    this.type = type;
    this.isNonNull = isNonNull;
  }

  get fields(): readonly FieldPlan[] {
    this.#fields ??= this.#build();
    return this.#fields;
  }

  /** What each object takes in an answer beside its values, at the least: keys, colons, commas and a brace. */
  get frameBytes(): number {
    this.#frameBytes ||= this.fields.reduce((bytes, { key }) => bytes + key.length + '"":,'.length, '{'.length);
    return this.#frameBytes;
  }

  /** An answer without any field yet. A plain object, which is the quickest, unless `__proto__` is to be a key of it. */
  empty(): Record<string, unknown> {
    this.#empty ??= this.fields.some(({ key }) => key === '__proto__') ? () => Object.create(null) : () => ({});
    return this.#empty();
  }

  #build(): FieldPlan[] {
    const sets = this.#selected.flatMap(({ selectionSet }) => (selectionSet === undefined ? [] : [selectionSet]));
    const plans: FieldPlan[] = [];
    for (const [key, nodes] of collectFields(this.#selecting, this.type, sets)) {
      const definition = definitionOf(this.#selecting.schema, this.type, nodes[0]?.name.value ?? '');
      if (definition !== undefined) plans.push(new FieldPlan(this.#selecting, this.type, key, nodes, definition));
    }
    return plans;
  }
}

/** Of an interface or a union: a plan for each type that was met. */
export class AbstractPlan {
  readonly kind = 'abstract';
  readonly isNonNull: boolean;
  readonly type: GraphQLAbstractType;
  readonly #selecting: Selecting;
  readonly #selected: readonly Selected[];
  readonly #known = new Map<GraphQLObjectType, ObjectPlan>();

  constructor(selecting: Selecting, type: GraphQLAbstractType, selected: readonly Selected[], isNonNull: boolean) {
    this.#selecting = selecting;
    this.#selected = selected;
    this.type = type;
    this.isNonNull = isNonNull;
  }

  of(type: GraphQLObjectType): ObjectPlan {
    let plan = this.#known.get(type);
    if (plan === undefined) {
      plan = new ObjectPlan(this.#selecting, type, this.#selected, this.isNonNull);
      this.#known.set(type, plan);
    }
    return plan;
  }
}

export class FieldPlan {
  /** In the answer. */
  readonly key: string;
  readonly name: string;
  readonly nodes: readonly FieldNode[];
  readonly definition: GraphQLField<unknown, unknown>;
  readonly parentType: GraphQLObjectType;
  readonly hasArguments: boolean;
  /** Null: the property of the field's name. */
  readonly resolve: GraphQLField<unknown, unknown>['resolve'] | null;
  readonly value: ValuePlan;

  constructor(
    selecting: Selecting,
    parentType: GraphQLObjectType,
    key: string,
    nodes: readonly FieldNode[],
    definition: GraphQLField<unknown, unknown>,
  ) {
    this.key = key;
    this.name = definition.name;
    this.nodes = nodes;
    this.definition = definition;
    this.parentType = parentType;
    this.hasArguments = definition.args.length > 0;
    this.resolve = definition.resolve === defaultFieldResolver ? null : (definition.resolve ?? null);
    this.value = valuePlan(selecting, definition.type, nodes, false);
  }
}

function valuePlan(
  selecting: Selecting,
  type: GraphQLOutputType,
  nodes: readonly FieldNode[],
  isNonNull: boolean,
): ValuePlan {
  if (isNonNullType(type)) return valuePlan(selecting, type.ofType, nodes, true);
  if (isLeafType(type)) return { kind: 'leaf', isNonNull, type };
  if (isListType(type)) return { kind: 'list', isNonNull, item: valuePlan(selecting, type.ofType, nodes, false) };
  if (isObjectType(type)) return new ObjectPlan(selecting, type, nodes, isNonNull);
  return new AbstractPlan(selecting, type, nodes, isNonNull);
}

function definitionOf(
  schema: GraphQLSchema,
  type: GraphQLObjectType,
  name: string,
): GraphQLField<unknown, unknown> | undefined {
  if (name === TypeNameMetaFieldDef.name) return TypeNameMetaFieldDef;
  if (type === schema.getQueryType()) {
    if (name === SchemaMetaFieldDef.name) return SchemaMetaFieldDef;
    if (name === TypeMetaFieldDef.name) return TypeMetaFieldDef;
  }
  return type.getFields()[name];
}
