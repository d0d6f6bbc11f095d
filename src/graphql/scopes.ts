/**
 * Scopes, twice. `refusalFor` refuses an operation before anything of it runs, naming every scope that is missing.
 * graphql-shield stands behind it on every root field and denies by default: were a way past the first check found, no
 * root field would answer.
 */
import { defaultFieldResolver, type GraphQLField, type GraphQLSchema } from 'graphql';
import type { IMiddlewareFieldMap } from 'graphql-middleware';
import type { GatehouseError } from '../domain/errors.ts';
import type { Scope } from '../domain/scope.ts';
import { forbidden } from '../domain/verification.ts';
import type { Context } from './context.ts';
import { declaredRateLimit, declaredScopes } from './directives.ts';
import { rateLimitRule } from './rate-limits.ts';
import { requireShielded } from './shield-loader.ts';

const { shield, rule, deny, chain } = requireShielded('graphql-shield') as typeof import('graphql-shield');
const { applyMiddleware } = requireShielded('graphql-middleware') as typeof import('graphql-middleware');

/** Null where the caller holds every scope; else the refusal that names all it lacks. */
export function refusalFor(needed: ReadonlySet<Scope>, held: ReadonlySet<Scope>): GatehouseError | null {
  const missing = [...needed].filter((scope) => !held.has(scope)).sort();
  if (missing.length === 0) return null;
  const plural = missing.length === 1 ? 'scope' : 'scopes';
  return forbidden(`Forbidden: this token lacks the ${plural} ${missing.join(', ')}`, missing);
}

/**
 * The schema with shield's rule on every root field, made from its declaration. Root fields alone: shield would wrap
 * every field of every type in async middleware otherwise, at 20 to 40 % of a page's speed.
 */
export function shieldRoots(schema: GraphQLSchema, onBug: (error: unknown) => void): GraphQLSchema {
  const roots = [schema.getQueryType(), schema.getMutationType()].filter((root) => root != null);
  const tree = Object.fromEntries(
    roots.map((root) => [
      root.name,
      Object.fromEntries(
        Object.values(root.getFields()).map((field) => [field.name, rulesFor(root.name, field, onBug)]),
      ),
    ]),
  );
  const generator = shield(tree, {
    fallbackRule: deny,
    allowExternalErrors: true,
    fallbackError: () => forbidden('Forbidden'),
  });
  const generated = generator.generate(schema) as Record<string, IMiddlewareFieldMap>;
  const onRoots = Object.fromEntries(roots.map((root) => [root.name, generated[root.name] ?? {}]));
  return applyMiddleware(schema, onRoots);
}

function rulesFor(type: string, field: GraphQLField<unknown, unknown>, onBug: (error: unknown) => void) {
  const scopes = scopeRule(type, field, onBug);
  const limit = declaredRateLimit(field);
  return limit === null ? scopes : chain(scopes, rateLimitRule(`${type}.${field.name}`, limit.max));
}

function scopeRule(type: string, field: GraphQLField<unknown, unknown>, onBug: (error: unknown) => void) {
  const scopes = declaredScopes(field);
  if (scopes === null) return deny;
  const needed = new Set(scopes);
  return rule(`scopes of ${type}.${field.name}`, { cache: 'no_cache' })((_parent, _args, context: Context) => {
    try {
      return refusalFor(needed, context.principal.scopes) ?? true;
    } catch (error) {
      // Shield takes a rule that throws for a plain denial. It denies all the same, but it is a bug.
      onBug(error);
      return false;
    }
  });
}

/** How many fields of a schema run something of ours or shield's rather than read a property: for the test. */
export function wrappedFields(before: GraphQLSchema, after: GraphQLSchema): string[] {
  return Object.values(after.getTypeMap()).flatMap((type) => {
    if (!('getFields' in type) || type.name.startsWith('__')) return [];
    const earlier = before.getType(type.name);
    const fields = earlier !== undefined && 'getFields' in earlier ? earlier.getFields() : {};
    return Object.values(type.getFields())
      .filter((field) => 'resolve' in field)
      .filter((field) => resolverOf(field) !== resolverOf(fields[field.name]))
      .map((field) => `${type.name}.${field.name}`);
  });
}

function resolverOf(field: object | undefined): unknown {
  return field !== undefined && 'resolve' in field ? (field.resolve ?? defaultFieldResolver) : undefined;
}
