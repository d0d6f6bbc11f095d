/**
 * A payload shows no more than the query of its type: where a mutation's payload reaches a type that queries give, too, it
 * needs the scopes of that type. `requirements.ts` asks for them, as everywhere, and this makes sure that no payload says
 * otherwise: the schema is refused where one does, so that a later mutation cannot forget it.
 */
import {
  type GraphQLField,
  type GraphQLInterfaceType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isObjectType,
} from 'graphql';
import { declaredScopes, showsCallersOwn } from './directives.ts';

type Field = GraphQLField<unknown, unknown>;

/** Throws, naming every field at fault. */
export function refuseOpenPayloads(schema: GraphQLSchema): void {
  const open = openPayloads(schema);
  if (open.length === 0) return;
  throw new TypeError(`These fields of payloads need less than a query of their type: ${open.join(', ')}`);
}

function openPayloads(schema: GraphQLSchema): string[] {
  const query = schema.getQueryType();
  const queried = query == null ? new Set<string>() : typesBelow(schema, query);
  const mutation = schema.getMutationType();
  const open: string[] = [];
  // A Set grows while it is walked: the root, then each payload, result and edge, is looked at once.
  const payloads = new Set(mutation == null ? [] : [mutation]);
  for (const payload of payloads) {
    for (const field of Object.values(payload.getFields())) {
      const type = getNamedType(field.type);
      if (isOpen(schema, field, queried)) open.push(`${payload.name}.${field.name}: ${type.name}`);
      // Behind a type with scopes of its own, what holds for every query holds for payloads.
      else if (isObjectType(type) && declaredScopes(type) === null) payloads.add(type);
    }
  }
  return open;
}

/** Whether a field of a payload can be read with less than a query of its type needs. */
function isOpen(schema: GraphQLSchema, field: Field, queried: ReadonlySet<string>): boolean {
  const type = getNamedType(field.type);
  if (showsCallersOwn(field)) return false;
  const needed = declaredScopes(field);
  // What is behind an interface or union is known when it runs alone: the field itself says what any of it needs.
  if (isAbstractType(type)) return schema.getPossibleTypes(type).some((each) => needsMore(each, needed ?? [], queried));
  return isObjectType(type) && needsMore(type, needed ?? declaredScopes(type) ?? [], queried);
}

function needsMore(type: GraphQLObjectType, given: readonly string[], queried: ReadonlySet<string>): boolean {
  const scopes = declaredScopes(type);
  // A type of payloads alone is the mutation's own. One that queries give, and that declares nothing, is guarded there by
  // what stands above it: here that would be missing.
  if (scopes === null) return queried.has(type.name) && given.length === 0;
  return scopes.some((scope) => !given.includes(scope));
}

/** The names of the object types that a root reaches. */
function typesBelow(schema: GraphQLSchema, root: GraphQLObjectType): Set<string> {
  const found = new Set<GraphQLObjectType | GraphQLInterfaceType>([root]);
  for (const type of found) {
    for (const field of Object.values(type.getFields())) {
      const next = getNamedType(field.type);
      if (isAbstractType(next)) for (const each of schema.getPossibleTypes(next)) found.add(each);
      else if (isObjectType(next)) found.add(next);
    }
  }
  return new Set([...found].map(({ name }) => name));
}
