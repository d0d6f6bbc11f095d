/** The schema: the types, the directives they are declared with, and a check that nothing at the root is undeclared. */
import { printSchemaWithDirectives } from '@graphql-tools/utils';
import { GraphQLEnumType, GraphQLSchema, isInterfaceType, isObjectType, lexicographicSortSchema } from 'graphql';
import { toId } from '../domain/id.ts';
import { builder, isIdType } from './builder.ts';
import { undeclaredSizes } from './cost.ts';
import { completeDescriptions } from './descriptions.ts';
import { declaredRateLimit, declaredScopes, directiveDefinitions } from './directives.ts';
import { refuseOpenPayloads } from './payload-scopes.ts';
import { tellRefusedAttempts } from './refused-attempts.ts';
import './types/admin.ts';
import './types/api-key.ts';
import './types/api-key-mutations.ts';
import './types/api-key-revocations.ts';
import './types/api-keys.ts';
import './types/audit-event.ts';
import './types/member.ts';
import './types/member-change.ts';
import './types/member-writes.ts';
import './types/network.ts';
import './types/node.ts';
import './types/rate-limit.ts';
import './types/refusals.ts';
import './types/usage.ts';
import './types/viewer.ts';

builder.queryType({ description: 'What can be read. Every field says which scopes it needs.' });
builder.mutationType({ description: 'What can be changed. Every change is on record in the audit trail.' });

/** Throws where a root field declares neither scopes nor `@authenticated`, or a payload shows more than a query would. */
export function buildSchema(): GraphQLSchema {
  const built = builder.toSchema({ sortSchema: false });
  const scope = built.getType('Scope');
  if (!(scope instanceof GraphQLEnumType)) throw new TypeError('the schema has no enum Scope');
  const config = built.toConfig();
  const schema = new GraphQLSchema({ ...config, directives: [...config.directives, ...directiveDefinitions(scope)] });
  refuseUndeclared(schema);
  refuseUnsized(schema);
  refuseOpenPayloads(schema);
  completeDescriptions(schema);
  resolveIdsAtOnce(schema);
  tellRefusedAttempts(schema);
  return schema;
}

/**
 * Relay's plugin resolves an id in an async function, so that each object of a page waits for a promise of its own: a
 * third of what executing it takes. Ours are at hand.
 */
function resolveIdsAtOnce(schema: GraphQLSchema): void {
  const node = schema.getType('Node');
  if (!isInterfaceType(node)) throw new TypeError('the schema has no interface Node');
  for (const type of schema.getPossibleTypes(node)) {
    const { name } = type;
    const { id } = type.getFields();
    if (id === undefined || !isIdType(name)) throw new TypeError(`${name} is a Node without an id of ours`);
    id.resolve = (row: { readonly id: string }) => toId(name, row.id);
  }
}

/** `schema.graphql`, as it is kept in the repository. */
export function printSchema(schema: GraphQLSchema): string {
  return `${printSchemaWithDirectives(lexicographicSortSchema(schema))}\n`;
}

export function refuseUndeclared(schema: GraphQLSchema): void {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  const undeclared = roots.flatMap((root) =>
    Object.values(root?.getFields() ?? {})
      .filter((field) => declaredScopes(field) === null)
      .map((field) => `${root?.name}.${field.name}`),
  );
  if (undeclared.length > 0) {
    throw new TypeError(
      `These root fields declare neither @requiresScopes nor @authenticated: ${undeclared.join(', ')}`,
    );
  }
}

/** Throws where nobody could say what a list costs, and where a limit stands on a field that no rule guards. */
export function refuseUnsized(schema: GraphQLSchema): void {
  const unsized = undeclaredSizes(schema);
  if (unsized.length > 0) throw new TypeError(`These lists declare no @listSize: ${unsized.join(', ')}`);
  const roots = new Set<unknown>([schema.getQueryType(), schema.getMutationType()]);
  const unguarded = Object.values(schema.getTypeMap())
    .filter((type) => isObjectType(type) && !roots.has(type))
    .flatMap((type) => Object.values(isObjectType(type) ? type.getFields() : {}).map((field) => ({ type, field })))
    .filter(({ field }) => declaredRateLimit(field) !== null)
    .map(({ type, field }) => `${type.name}.${field.name}`);
  if (unguarded.length > 0) throw new TypeError(`@rateLimit is for root fields alone: ${unguarded.join(', ')}`);
}
