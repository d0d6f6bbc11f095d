/**
 * The declarations that a schema element can carry. They stand once, on the element; the printed schema, the checks
 * before execution, shield's rules and the limits are all read from there. Costs and list sizes are those of the GraphQL
 * cost directives specification (https://ibm.github.io/graphql-specs/cost-spec.html).
 */
import {
  DirectiveLocation,
  GraphQLDirective,
  type GraphQLEnumType,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  type GraphQLSchema,
  GraphQLString,
} from 'graphql';
import { isScope, type Scope } from '../domain/scope.ts';

/** The `extensions` of a schema element. */
export type Declaration = {
  readonly directives: Readonly<Record<string, object>>;
  /** What the field shows is the caller's own: see CALLERS_OWN. */
  readonly isCallersOwn?: boolean;
};

/** The `extensions` of an element that carries several declarations. */
export function declare(...declarations: readonly Declaration[]): Declaration {
  return { directives: Object.assign({}, ...declarations.map(({ directives }) => directives)) };
}

/** The `extensions` of a field that any valid token may use. */
export const AUTHENTICATED: Declaration = { directives: { authenticated: {} } };

/**
 * The `extensions` of a field that any valid token may use although its type needs scopes: it shows what is the caller's own.
 * A payload field needs this to show its type without the type's scopes.
 */
export const CALLERS_OWN: Declaration = { ...AUTHENTICATED, isCallersOwn: true };

/** The `extensions` of an element that needs scopes. */
export function requiresScopes(...scopes: readonly Scope[]): Declaration {
  return { directives: { requiresScopes: { scopes } } };
}

/** Points: of a field each time it runs, of an object each time a field gives it and declares none. */
export function cost(weight: number, counting?: Counting): Declaration {
  return { directives: { cost: { weight: String(weight), ...counting } } };
}

/** Of a field that counts the rows of its list: what they cost, beside its weight. */
export interface Counting {
  /** So many of the network's rows are a point, and what remains of them is one, too. */
  readonly rowsPerPoint: number;
  /** The argument of the list that leaves rows out. Without a value there, nothing has to be counted. */
  readonly filteredBy: string;
}

/** Points of a change: a transaction, its checks and its audit event. */
export const WRITE_POINTS = 10;

export interface ListSize {
  /** How many there are where no argument says so. */
  readonly assumedSize: number;
  /**
   * Arguments, or fields of an input object such as `input.ids`, that say how many: a number, or a list by its length. Of
   * several the largest counts.
   */
  readonly slicingArguments?: readonly string[];
  /** The fields below that hold them; absent: the field itself is the list. */
  readonly sizedFields?: readonly string[];
}

export function listSize(size: ListSize): Declaration {
  return { directives: { listSize: size } };
}

export interface RateLimit {
  /** Uses in any 60 seconds, a key, on STANDARD. */
  readonly max: number;
}

export function rateLimit(max: number): Declaration {
  return { directives: { rateLimit: { max } } };
}

export function directiveDefinitions(scopeEnum: GraphQLEnumType): GraphQLDirective[] {
  return [...accessDirectives(scopeEnum), ...costDirectives(), rateLimitDirective()];
}

function accessDirectives(scopeEnum: GraphQLEnumType): GraphQLDirective[] {
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

const STRINGS = new GraphQLList(new GraphQLNonNull(GraphQLString));

function costDirectives(): GraphQLDirective[] {
  return [
    new GraphQLDirective({
      name: 'cost',
      description:
        'Points that a field costs each time it runs, or an object each time a field gives it. Without it an object ' +
        'costs 1, and a value nothing. A count of a list costs more where the argument `filteredBy` of that list is ' +
        'given: 1 point for every `rowsPerPoint` rows that the list has without a filter, or part of them.',
      locations: [DirectiveLocation.FIELD_DEFINITION, DirectiveLocation.OBJECT],
      args: {
        weight: { type: new GraphQLNonNull(GraphQLString) },
        rowsPerPoint: { type: GraphQLInt },
        filteredBy: { type: GraphQLString },
      },
    }),
    new GraphQLDirective({
      name: 'listSize',
      description:
        'How many objects a list is taken to hold before it is read: as many as the largest of these arguments says (or ' +
        'fields of an input object, such as `input.ids`), ' +
        'else `assumedSize`. The list is the field itself, or the `sizedFields` below it.',
      locations: [DirectiveLocation.FIELD_DEFINITION],
      args: {
        assumedSize: { type: GraphQLInt },
        slicingArguments: { type: STRINGS },
        sizedFields: { type: STRINGS },
      },
    }),
  ];
}

function rateLimitDirective(): GraphQLDirective {
  return new GraphQLDirective({
    name: 'rateLimit',
    description:
      'A limit of its own, beside those of all requests: so many uses by one key in any 60 seconds on the STANDARD ' +
      'plan; on another, in proportion to its requests a minute. Aliases count.',
    locations: [DirectiveLocation.FIELD_DEFINITION],
    args: { max: { type: new GraphQLNonNull(GraphQLInt) } },
  });
}

/** A schema element, as far as its declarations go. */
export interface Declared {
  readonly extensions?: Readonly<Record<string, unknown>> | null | undefined;
}

/** The scopes that an element declares; null where it declares neither scopes nor `@authenticated`. */
export function declaredScopes(element: Declared): readonly Scope[] | null {
  const scopes = argumentsOf(element, 'requiresScopes');
  if (scopes !== null) return scopesIn(scopes);
  return argumentsOf(element, 'authenticated') === null ? null : [];
}

/** Whether a field is declared to show what is the caller's own. */
export function showsCallersOwn(element: Declared): boolean {
  return element.extensions?.['isCallersOwn'] === true;
}

/** Points; null where it declares none. */
export function declaredCost(element: Declared): number | null {
  const args = argumentsOf(element, 'cost');
  return args === null ? null : Number((args as { readonly weight: string }).weight);
}

/** Null where it counts no rows. */
export function declaredCounting(element: Declared): Counting | null {
  const args = argumentsOf(element, 'cost');
  return args !== null && 'rowsPerPoint' in args ? (args as Counting) : null;
}

export function declaredListSize(element: Declared): ListSize | null {
  return argumentsOf(element, 'listSize') as ListSize | null;
}

export function declaredRateLimit(element: Declared): RateLimit | null {
  return argumentsOf(element, 'rateLimit') as RateLimit | null;
}

/** The root fields that declare a limit, by `Type.field`, with their number on STANDARD. */
export function limitedFields(schema: GraphQLSchema): { readonly field: string; readonly max: number }[] {
  const roots = [schema.getQueryType(), schema.getMutationType()];
  return roots.flatMap((root) =>
    Object.values(root?.getFields() ?? {}).flatMap((field) => {
      const limit = declaredRateLimit(field);
      return limit === null ? [] : [{ field: `${root?.name}.${field.name}`, max: limit.max }];
    }),
  );
}

function argumentsOf(element: Declared, directive: string): object | null {
  const directives = element.extensions?.['directives'];
  if (typeof directives !== 'object' || directives === null) return null;
  return (directives as Declaration['directives'])[directive] ?? null;
}

function scopesIn(args: unknown): readonly Scope[] {
  const scopes = typeof args === 'object' && args !== null && 'scopes' in args ? args.scopes : null;
  if (!Array.isArray(scopes)) throw new TypeError('@requiresScopes without scopes');
  return scopes.map((scope) => {
    if (typeof scope !== 'string' || !isScope(scope)) throw new TypeError(`@requiresScopes names no scope: ${scope}`);
    return scope;
  });
}
