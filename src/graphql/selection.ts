/** What a query asks for below a field. */
import {
  type FieldNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';

/** A field, or an operation. */
export interface Selecting {
  readonly fieldNodes: readonly { readonly selectionSet?: SelectionSetNode | undefined }[];
  readonly fragments: { readonly [name: string]: FragmentDefinitionNode | undefined };
}

/** The names of all fields that are selected below the field, at any depth and in fragments too. */
export function fieldsBelow(info: Selecting): ReadonlySet<string> {
  const names = new Set<string>();
  const spread = new Set<string>();
  const sets = info.fieldNodes.map((node) => node.selectionSet);
  // The list grows while it is walked. A fragment is looked at once, however often it is spread.
  for (const set of sets) {
    for (const selection of set?.selections ?? []) {
      if (selection.kind === Kind.FIELD) names.add(selection.name.value);
      if (selection.kind !== Kind.FRAGMENT_SPREAD) {
        sets.push(selection.selectionSet);
      } else if (!spread.has(selection.name.value)) {
        spread.add(selection.name.value);
        sets.push(info.fragments[selection.name.value]?.selectionSet);
      }
    }
  }
  return names;
}

/** The fields at an operation's root, in fragments too. */
export function rootFields(
  { selectionSet }: OperationDefinitionNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
): FieldNode[] {
  const fields: FieldNode[] = [];
  const sets = new Set<SelectionSetNode | undefined>([selectionSet]);
  // A Set grows while it is walked: each fragment is looked at once, however often it is spread.
  for (const set of sets) {
    for (const selection of set?.selections ?? []) {
      if (selection.kind === Kind.FIELD) fields.push(selection);
      else if (selection.kind === Kind.INLINE_FRAGMENT) sets.add(selection.selectionSet);
      else sets.add(fragments.get(selection.name.value)?.selectionSet);
    }
  }
  return fields;
}
