/**
 * What the schema says of itself, to people in an explorer and to programs that read it: every element has a description,
 * and where it needs scopes, the description names them. What many elements have in common is described here, once.
 */
import {
  type GraphQLArgument,
  type GraphQLEnumValue,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
} from 'graphql';
import { type Declared, declaredScopes } from './directives.ts';

/** Of fields, by their names. */
const FIELDS: Readonly<Record<string, string>> = {
  id: 'Its id, which is the same everywhere: in arguments, in addresses and on the command line.',
  edges: 'The items of the page, each with its cursor.',
  node: 'The item.',
  pageInfo: 'Where the page stands in its list.',
  userErrors: 'What a person can mend; empty where the change was made.',
};

/** Of arguments and the fields of inputs, by their names. */
const INPUTS: Readonly<Record<string, string>> = {
  input: 'What is to be done.',
  filter: 'Which of them; absent: all.',
  orderBy: 'In which order.',
  field: 'By what.',
  direction: 'Which way.',
};

/** An argument, or anything else that is described. */
interface Element extends Declared {
  description: string | null | undefined;
}

/** Describes what has something in common with others, and adds what is needed. Throws where something says nothing of itself. */
export function completeDescriptions(schema: GraphQLSchema): void {
  const missing: string[] = [];
  for (const { name, element, common } of elementsOf(schema)) {
    element.description ??= common;
    if (element.description == null || element.description === '') missing.push(name);
    const scopes = declaredScopes(element) ?? [];
    if (scopes.length > 0) element.description = `${element.description} ${needs(scopes)}`;
  }
  if (missing.length > 0)
    throw new TypeError(`These elements of the schema have no description: ${missing.join(', ')}`);
}

function needs(scopes: readonly string[]): string {
  return `Needs ${scopes.map((scope) => `\`${scope}\``).join(' and ')}.`;
}

interface Named {
  readonly name: string;
  readonly element: Element;
  readonly common?: string | undefined;
}

function* elementsOf(schema: GraphQLSchema): Generator<Named> {
  for (const type of Object.values(schema.getTypeMap())) {
    if (isIntrospectionType(type)) continue;
    yield { name: type.name, element: type };
    yield* partsOf(type);
  }
}

function* partsOf(type: GraphQLNamedType): Generator<Named> {
  if (isEnumType(type)) for (const value of type.getValues()) yield named(type, value);
  if (isInputObjectType(type)) for (const field of Object.values(type.getFields())) yield named(type, field, INPUTS);
  if (!isObjectType(type) && !isInterfaceType(type)) return;
  for (const field of Object.values(type.getFields())) {
    yield named(type, field, FIELDS);
    for (const argument of field.args) {
      yield { name: `${type.name}.${field.name}(${argument.name})`, element: argument, common: INPUTS[argument.name] };
    }
  }
}

type Part = GraphQLEnumValue | GraphQLInputField | GraphQLField<unknown, unknown> | GraphQLArgument;

function named({ name }: GraphQLNamedType, part: Part, common: Readonly<Record<string, string>> = {}): Named {
  return { name: `${name}.${part.name}`, element: part, common: common[part.name] };
}
