/** Which fields of an object are selected: CollectFields and its kin of the GraphQL specification (6.3.2). */
import {
  type FieldNode,
  type FragmentDefinitionNode,
  type FragmentSpreadNode,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getDirectiveValues,
  type InlineFragmentNode,
  isAbstractType,
  Kind,
  type NamedTypeNode,
  type SelectionNode,
  type SelectionSetNode,
  typeFromAST,
} from 'graphql';

export interface Selecting {
  readonly schema: GraphQLSchema;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** By `@skip` and `@include`. */
  readonly isIncluded: (node: SelectionNode) => boolean;
}

/** `conditions`: the coerced values of the variables that `@skip` and `@include` look at. */
export function includedBy(conditions: Readonly<Record<string, unknown>>): Selecting['isIncluded'] {
  return (node) => {
    if (node.directives === undefined || node.directives.length === 0) return true;
    if (getDirectiveValues(GraphQLSkipDirective, node, conditions)?.['if'] === true) return false;
    return getDirectiveValues(GraphQLIncludeDirective, node, conditions)?.['if'] !== false;
  };
}

/** The nodes of each response key, in the order in which an answer has the keys. */
export function collectFields(
  selecting: Selecting,
  type: GraphQLObjectType,
  sets: Iterable<SelectionSetNode>,
): ReadonlyMap<string, FieldNode[]> {
  const found = new Map<string, FieldNode[]>();
  const spread = new Set<string>();
  for (const set of sets) addFields(selecting, type, set, found, spread);
  return found;
}

function addFields(
  selecting: Selecting,
  type: GraphQLObjectType,
  { selections }: SelectionSetNode,
  found: Map<string, FieldNode[]>,
  spread: Set<string>,
): void {
  for (const node of selections) {
    if (!selecting.isIncluded(node)) continue;
    if (node.kind === Kind.FIELD) {
      const key = node.alias?.value ?? node.name.value;
      const nodes = found.get(key);
      if (nodes === undefined) found.set(key, [node]);
      else nodes.push(node);
    } else {
      const inner = fragmentOf(selecting, node, spread);
      if (inner !== undefined && applies(selecting, inner.typeCondition, type))
        addFields(selecting, type, inner.selectionSet, found, spread);
    }
  }
}

/** Undefined where it was spread already: once is enough for a selection set. */
function fragmentOf(
  { fragments }: Selecting,
  node: InlineFragmentNode | FragmentSpreadNode,
  spread: Set<string>,
): InlineFragmentNode | FragmentDefinitionNode | undefined {
  if (node.kind === Kind.INLINE_FRAGMENT) return node;
  const name = node.name.value;
  if (spread.has(name)) return undefined;
  spread.add(name);
  return fragments.get(name);
}

function applies({ schema }: Selecting, condition: NamedTypeNode | undefined, type: GraphQLObjectType): boolean {
  if (condition === undefined) return true;
  const wanted = typeFromAST(schema, condition);
  return wanted === type || (isAbstractType(wanted) && schema.isSubType(wanted, type));
}
