/**
 * The declarations that a schema element can carry. They stand once, on the element; the printed schema, the check
 * before execution and shield's rules are all read from there.
 */
import { DirectiveLocation, GraphQLDirective, type GraphQLEnumType, GraphQLList, GraphQLNonNull } from 'graphql';
import { isScope, type Scope } from '../domain/scope.ts';

/** The `extensions` of a field that any valid token may use. */
export const AUTHENTICATED = { directives: { authenticated: {} } };

/** The `extensions` of an element that needs scopes. */
export function requiresScopes(...scopes: readonly Scope[]) {
  return { directives: { requiresScopes: { scopes } } };
}

export function directiveDefinitions(scopeEnum: GraphQLEnumType): GraphQLDirective[] {
  return [
    new GraphQLDirective({
      name: 'requiresScopes',
      description:
        'The token needs every one of these scopes to use this element. On a type: to be given objects of it; ' +
        '`node` and `nodes` answer null in their place.',
      locations: [
        DirectiveLocation.FIELD_DEFINITION,
        DirectiveLocation.ARGUMENT_DEFINITION,
        DirectiveLocation.INPUT_FIELD_DEFINITION,
        DirectiveLocation.OBJECT,
      ],
      args: { scopes: { type: new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(scopeEnum))) } },
    }),
    new GraphQLDirective({
      name: 'authenticated',
      description: 'Any valid token may use this field, whatever its scopes.',
      locations: [DirectiveLocation.FIELD_DEFINITION],
    }),
  ];
}

/** A schema element, as far as its declarations go. */
export interface Declared {
  readonly extensions?: Readonly<Record<string, unknown>> | null | undefined;
}

/** The scopes that an element declares; null where it declares neither scopes nor `@authenticated`. */
export function declaredScopes(element: Declared): readonly Scope[] | null {
  const directives = element.extensions?.['directives'];
  if (typeof directives !== 'object' || directives === null) return null;
  if ('requiresScopes' in directives) return scopesIn(directives.requiresScopes);
  return 'authenticated' in directives ? [] : null;
}

function scopesIn(args: unknown): readonly Scope[] {
  const scopes = typeof args === 'object' && args !== null && 'scopes' in args ? args.scopes : null;
  if (!Array.isArray(scopes)) throw new TypeError('@requiresScopes without scopes');
  return scopes.map((scope) => {
    if (typeof scope !== 'string' || !isScope(scope)) throw new TypeError(`@requiresScopes names no scope: ${scope}`);
    return scope;
  });
}
