/**
 * The scopes that an operation needs, known before it runs from what its elements declare. The part that does not
 * depend on variables is worked out once a document: per definition, so that fragments that spread each other over and
 * over cost nothing.
 */
import {
  type ArgumentNode,
  type DefinitionNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isInputObjectType,
  isListType,
  Kind,
  type OperationDefinitionNode,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import type { Scope } from '../domain/scope.ts';
import { declaredScopes } from './directives.ts';
import { type Condition, conditionsOf, type Variables, valueIn, withDefaults } from './variables.ts';

/** Scopes needed, or a fragment spread, where every test holds. */
interface Item {
  readonly tests: readonly Condition[];
  readonly needs: (variables: Variables, found: Set<Scope>) => void;
  readonly fragment: string | null;
}

type Definition = OperationDefinitionNode | FragmentDefinitionNode;

/** How deep a value in variables is looked into; anything deeper is refused by coercion or the query limits. */
const VALUE_DEPTH_MAX = 32;

export class Requirements {
  readonly #schema: GraphQLSchema;
  readonly #documents = new WeakMap<DocumentNode, Map<Definition, readonly Item[]>>();
  readonly #typeScoped = new Map<GraphQLInputType, boolean>();

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
  }

  /** The scopes that the operation needs with these variables. The document must have passed validation. */
  of(document: DocumentNode, operation: OperationDefinitionNode, variables: Variables): ReadonlySet<Scope> {
    const definitions = this.#itemsOf(document);
    const values = withDefaults(operation, variables);
    const found = new Set<Scope>();
    const fragments = fragmentsOf(definitions.keys());
    const reached = new Set<Definition>([operation]);
    // A Set grows while it is walked: each definition that is reached is looked at once.
    for (const definition of reached) {
      for (const item of definitions.get(definition) ?? []) {
        if (!item.tests.every((test) => test(values))) continue;
        item.needs(values, found);
        const fragment = item.fragment === null ? undefined : fragments.get(item.fragment);
        if (fragment !== undefined) reached.add(fragment);
      }
    }
    return found;
  }

  #itemsOf(document: DocumentNode): Map<Definition, readonly Item[]> {
    const known = this.#documents.get(document);
    if (known !== undefined) return known;
    const definitions = document.definitions.filter(
      (definition): definition is Definition =>
        definition.kind === Kind.OPERATION_DEFINITION || definition.kind === Kind.FRAGMENT_DEFINITION,
    );
    const items = new Map(definitions.map((definition) => [definition, this.#collect(definition)]));
    this.#documents.set(document, items);
    return items;
  }

  #collect(definition: Definition): readonly Item[] {
    const typeInfo = new TypeInfo(this.#schema);
    const items: Item[] = [];
    const tests: (readonly Condition[])[] = [];
    const add = (needs: Item['needs'], fragment: string | null = null) =>
      items.push({ tests: tests.flat(), needs, fragment });
    visit(
      definition,
      visitWithTypeInfo(typeInfo, {
        enter: (node) => {
          if (node.kind === Kind.FIELD || node.kind === Kind.INLINE_FRAGMENT || node.kind === Kind.FRAGMENT_SPREAD) {
            tests.push(conditionsOf(node));
          }
          if (node.kind === Kind.FRAGMENT_SPREAD) add(nothing, node.name.value);
          if (node.kind === Kind.FIELD) for (const needs of this.#fieldNeeds(node, typeInfo)) add(needs);
        },
        leave: (node) => {
          if (node.kind === Kind.FIELD || node.kind === Kind.INLINE_FRAGMENT || node.kind === Kind.FRAGMENT_SPREAD) {
            tests.pop();
          }
        },
      }),
    );
    return items;
  }

  #fieldNeeds(node: FieldNode, typeInfo: TypeInfo): Item['needs'][] {
    const field = typeInfo.getFieldDef();
    if (field == null) return [];
    // A field's own declaration counts; without one, that of the objects it gives.
    const scopes = declaredScopes(field) ?? declaredScopes(getNamedType(field.type)) ?? [];
    const needs: Item['needs'][] = scopes.length === 0 ? [] : [(_variables, found) => addAll(found, scopes)];
    for (const argument of node.arguments ?? []) {
      const definition = field.args.find((candidate) => candidate.name === argument.name.value);
      if (definition !== undefined) needs.push(...this.#argumentNeeds(argument, definition));
    }
    return needs;
  }

  #argumentNeeds(
    argument: ArgumentNode,
    definition: { readonly type: GraphQLInputType; readonly extensions: Readonly<Record<string, unknown>> },
  ): Item['needs'][] {
    const scopes = declaredScopes(definition) ?? [];
    if (scopes.length === 0 && !this.#holdsScopes(definition.type)) return [];
    return [
      (variables, found) => {
        const value = valueIn(argument.value, variables);
        if (value === null || value === undefined) return;
        addAll(found, scopes);
        this.#valueNeeds(value, definition.type, found, 0);
      },
    ];
  }

  /** What a value needs by the input fields that are given in it. Null tells nothing, so it needs nothing. */
  #valueNeeds(value: unknown, type: GraphQLInputType, found: Set<Scope>, depth: number): void {
    if (value === null || value === undefined || depth > VALUE_DEPTH_MAX) return;
    const nullable = getNullableType(type);
    if (isListType(nullable)) {
      // A single value stands for a list of one.
      const items: readonly unknown[] = Array.isArray(value) ? value : [value];
      for (const item of items) this.#valueNeeds(item, nullable.ofType, found, depth + 1);
    } else if (isInputObjectType(nullable) && typeof value === 'object') {
      this.#objectNeeds(value as Record<string, unknown>, nullable, found, depth);
    }
  }

  #objectNeeds(object: Record<string, unknown>, type: GraphQLInputObjectType, found: Set<Scope>, depth: number): void {
    for (const field of Object.values(type.getFields())) {
      const given = Object.hasOwn(object, field.name) ? object[field.name] : undefined;
      if (given === null || given === undefined) continue;
      addAll(found, declaredScopes(field) ?? []);
      this.#valueNeeds(given, field.type, found, depth + 1);
    }
  }

  #holdsScopes(type: GraphQLInputType): boolean {
    const known = this.#typeScoped.get(type);
    if (known !== undefined) return known;
    // An input type that holds itself: false until proven otherwise.
    this.#typeScoped.set(type, false);
    const named = getNamedType(type);
    const fields = isInputObjectType(named) ? Object.values(named.getFields()) : [];
    const holds = fields.some((field) => declaredScopes(field) !== null || this.#holdsScopes(field.type));
    this.#typeScoped.set(type, holds);
    return holds;
  }
}

/** By name. */
export function fragmentsOf(definitions: Iterable<DefinitionNode>): Map<string, FragmentDefinitionNode> {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  return fragments;
}

function nothing(): void {
  // What needs nothing adds nothing.
}

function addAll(found: Set<Scope>, scopes: readonly Scope[]): void {
  for (const scope of scopes) found.add(scope);
}
