/**
 * The longest answer that a mutation can have, before it runs: a change that was made is told of, so what could not be told
 * must not be done. From what is selected, how long its lists can be, and how long each text can be.
 */
import {
  type DocumentNode,
  type FieldNode,
  type GraphQLField,
  type GraphQLLeafType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isEnumType,
  isLeafType,
  isListType,
  isObjectType,
  type OperationDefinitionNode,
  type SelectionSetNode,
  TypeNameMetaFieldDef,
} from 'graphql';
import { declaredListSize, type ListSize } from './directives.ts';
import { collectFields, type Selecting } from './plan/collect.ts';
import { fragmentsOf } from './requirements.ts';
import { EITHER, ITEMS_MAX, TEXT_BYTES_MAX, USER_ERRORS_FIELD } from './text-bounds.ts';
import { conditionsOf, type Variables, valueIn, withDefaults } from './variables.ts';

/** Bytes of an answer's JSON, at the most. `document`: a valid one whose cost is known. */
export function answerBound(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Variables,
): number {
  const root = schema.getRootType(operation.operation);
  if (root == null) throw new TypeError(`the schema has no ${operation.operation}`);
  const bounds = new Bounds(schema, fragmentsOf(document.definitions), withDefaults(operation, variables));
  return ENVELOPE_BYTES + bounds.ofObject(root, [operation.selectionSet], { pathBytes: 0, sized: null });
}

/** The fields that a mutation's answer can show and whose length nobody knows: for the test. */
export function unboundedFields(schema: GraphQLSchema): string[] {
  const root = schema.getMutationType();
  const types = new Set<GraphQLObjectType>(root == null ? [] : [root]);
  const found: string[] = [];
  // The list grows while it is walked.
  for (const type of types) {
    for (const field of Object.values(type.getFields())) {
      const below = getNamedType(field.type);
      for (const possible of typesOf(schema, below)) types.add(possible);
      const full = `${type.name}.${field.name}`;
      if (isLeafType(below) && leafBytes(full, field, below) === null) found.push(full);
    }
  }
  return found;
}

/** The objects that a field can have; none where it has plain values. */
function typesOf(schema: GraphQLSchema, type: GraphQLNamedType): readonly GraphQLObjectType[] {
  if (isAbstractType(type)) return schema.getPossibleTypes(type);
  return isObjectType(type) ? [type] : [];
}

/** Around the data: `data`, and `extensions` with the cost. */
const ENVELOPE_BYTES = 300;
/** Of an error that takes the place of an object, beside its path. */
const ERROR_BYTES = 600;
const INDEX_BYTES = 6;

/** What is known from above of the place of an object in the answer. */
interface Place {
  /** Of the path that an error there has. */
  readonly pathBytes: number;
  /** The fields here whose lists have a size that was given above. */
  readonly sized: { readonly fields: readonly string[]; readonly size: number } | null;
}

class Bounds {
  readonly #selecting: Selecting;
  readonly #variables: Variables;

  constructor(schema: GraphQLSchema, fragments: Selecting['fragments'], variables: Variables) {
    const isIncluded: Selecting['isIncluded'] = (node) => conditionsOf(node).every((holds) => holds(variables));
    this.#selecting = { schema, fragments, isIncluded };
    this.#variables = variables;
  }

  ofObject(type: GraphQLObjectType, sets: readonly SelectionSetNode[], place: Place): number {
    const selected = collectFields(this.#selecting, type, sets);
    const either = EITHER[type.name] ?? [];
    let bytes = '{}'.length;
    let longest = 0;
    for (const [key, nodes] of selected) {
      const name = nodes[0]?.name.value ?? '';
      const own = key.length + '"":,'.length + this.#ofField(type, name, nodes, place, key);
      if (either.includes(name)) longest = Math.max(longest, own);
      else bytes += own;
    }
    return bytes + longest;
  }

  #ofField(type: GraphQLObjectType, name: string, nodes: readonly FieldNode[], place: Place, key: string): number {
    if (name === TypeNameMetaFieldDef.name) return type.name.length + '""'.length;
    const field = type.getFields()[name];
    // Validation knows no others but those of the schema itself, which only queries have.
    if (field === undefined) return 0;
    const below = getNamedType(field.type);
    const full = `${type.name}.${name}`;
    if (isLeafType(below)) {
      const isList = isListType(getNullableType(field.type));
      const known = place.sized?.fields.includes(name) === true && isList;
      const bytes = known ? '[]'.length + place.sized.size * (SCALAR_BYTES['ID'] ?? 0) : leafBytes(full, field, below);
      if (bytes === null) throw new TypeError(`nobody knows how long ${full} is`);
      return bytes;
    }
    const [size, sized] = this.#sizes(full, field, nodes[0], place);
    const pathBytes = place.pathBytes + key.length + '"",'.length + INDEX_BYTES;
    const sets = nodes.flatMap(({ selectionSet }) => (selectionSet === undefined ? [] : [selectionSet]));
    const each = Math.max(
      0,
      ...typesOf(this.#selecting.schema, below).map((possible) => this.ofObject(possible, sets, { pathBytes, sized })),
    );
    return '[]'.length + size * (each + ','.length + ERROR_BYTES + pathBytes);
  }

  /** How many objects a field has, and what it says of the lists below it. */
  #sizes(
    full: string,
    field: GraphQLField<unknown, unknown>,
    node: FieldNode | undefined,
    { sized }: Place,
  ): [number, Place['sized']] {
    const declared = declaredListSize(field);
    const isList = isListType(getNullableType(field.type));
    const fields = declared?.sizedFields;
    if (declared !== null && fields !== undefined) return [1, { fields, size: this.#sizeOf(declared, node) }];
    if (!isList) return [1, null];
    if (ITEMS_MAX[full] !== undefined) return [ITEMS_MAX[full], null];
    if (field.name === USER_ERRORS_FIELD.name) return [USER_ERRORS_FIELD.maxItems, null];
    if (sized?.fields.includes(field.name) === true) return [sized.size, null];
    if (declared === null) throw new TypeError(`nobody knows how many ${full} has`);
    return [this.#sizeOf(declared, node), null];
  }

  #sizeOf({ assumedSize, slicingArguments = [] }: ListSize, node: FieldNode | undefined): number {
    const sizes = slicingArguments.flatMap((path) => {
      const value = this.#valueAt(path, node);
      if (value === null || value === undefined) return [];
      return [Array.isArray(value) ? value.length : typeof value === 'number' ? value : 1];
    });
    return sizes.length === 0 ? assumedSize : Math.min(assumedSize, Math.max(0, ...sizes));
  }

  /** `path`: an argument, or a field of the input objects in it. */
  #valueAt(path: string, node: FieldNode | undefined): unknown {
    const [name, ...fields] = path.split('.');
    const argument = node?.arguments?.find((each) => each.name.value === name);
    const value = argument === undefined ? undefined : valueIn(argument.value, this.#variables);
    return fields.reduce<unknown>(
      (object, field) =>
        typeof object === 'object' && object !== null && Object.hasOwn(object, field)
          ? (object as Record<string, unknown>)[field]
          : undefined,
      value,
    );
  }
}

/** Of the types whose values are never longer. */
const SCALAR_BYTES: Readonly<Record<string, number>> = { ID: 40, Int: 11, Float: 25, Boolean: 5, DateTime: 32 };

/** Null where nobody knows. `full`: `Type.field`. */
function leafBytes(full: string, field: GraphQLField<unknown, unknown>, type: GraphQLLeafType): number | null {
  const known = TEXT_BYTES_MAX[full];
  if (known !== undefined) return known;
  const isList = isListType(getNullableType(field.type));
  if (isEnumType(type)) {
    const lengths = type.getValues().map(({ name }) => name.length + '"",'.length);
    // A list has each value once.
    return isList ? lengths.reduce((sum, length) => sum + length, '[]'.length) : Math.max(...lengths);
  }
  const bytes = SCALAR_BYTES[type.name];
  // Those whose size an argument tells are looked at before.
  if (bytes === undefined || (isList && full !== 'DeleteMembersPayload.deletedIds')) return null;
  return bytes;
}
