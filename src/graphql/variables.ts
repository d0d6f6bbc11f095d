/** What a document's values come to with the variables of a request, before coercion. */
import {
  type ConstDirectiveNode,
  type DirectiveNode,
  Kind,
  type OperationDefinitionNode,
  type ValueNode,
  valueFromASTUntyped,
} from 'graphql';
import { badInput } from '../domain/errors.ts';

export type Variables = Readonly<Record<string, unknown>>;

/** A value in the document; a variable's as it was sent. */
export function valueIn(value: ValueNode, variables: Variables): unknown {
  if (value.kind === Kind.VARIABLE) return variables[value.name.value];
  return valueFromASTUntyped(value, variables);
}

/** With the operation's defaults. Without a prototype: not every object was sent a variable called `toString`. */
export function withDefaults(operation: OperationDefinitionNode, variables: Variables): Variables {
  const values: Record<string, unknown> = Object.assign(Object.create(null), variables);
  for (const { variable, defaultValue } of operation.variableDefinitions ?? []) {
    const name = variable.name.value;
    if (values[name] === undefined && defaultValue !== undefined) values[name] = valueFromASTUntyped(defaultValue);
  }
  return values;
}

export type Condition = (variables: Variables) => boolean;

/**
 * `@skip` and `@include` of a selection. A condition throws BAD_USER_INPUT where its variable is null: graphql-js would say
 * so once for each object that it meets, in the midst of the answer.
 */
export function conditionsOf(node: {
  readonly directives?: readonly (DirectiveNode | ConstDirectiveNode)[] | undefined;
}): Condition[] {
  const conditions: Condition[] = [];
  for (const directive of node.directives ?? []) {
    const name = directive.name.value;
    const condition = directive.arguments?.find((argument) => argument.name.value === 'if')?.value;
    if (condition === undefined || (name !== 'skip' && name !== 'include')) continue;
    conditions.push((variables) => {
      const value = valueIn(condition, variables);
      if (value === null) throw badInput(`The variable of \`@${name}\` must be true or false, not null`, name);
      return (value === true) === (name === 'include');
    });
  }
  return conditions;
}
