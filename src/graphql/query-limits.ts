/**
 * What a document may ask for at the most, judged after parsing and before validation, whose own cost can be quadratic.
 * Fragments count each time they are spread, as they would run, but each is measured once.
 */
import { type DocumentNode, Kind, type SelectionNode, type SelectionSetNode, visit } from 'graphql';
import { GatehouseError } from '../domain/errors.ts';

export interface QueryLimits {
  /** Lexical tokens of a document. */
  readonly maxTokens: number;
  /** Levels of fields, the root fields being the first. What is below `__schema` and `__type` has a bound of its own. */
  readonly maxDepth: number;
  /** Levels of fields from `__schema` or `__type` on, that one being the first. */
  readonly maxIntrospectionDepth: number;
  /** Aliased fields. */
  readonly maxAliases: number;
  /** Fields at the root. */
  readonly maxRootFields: number;
  /** Directives on fields and fragments. */
  readonly maxDirectives: number;
  /** Fields of one name or alias, wherever they stand in a document: validation compares each with each. */
  readonly maxRepeats: number;
  /** Values of one list, in the document or in variables. */
  readonly maxListItems: number;
  /** Variables of an operation, declared or sent. */
  readonly maxVariables: number;
  /** Whether the schema may be asked for. */
  readonly introspection: boolean;
}

interface Measure {
  readonly depth: number;
  readonly introspectionDepth: number;
  readonly aliases: number;
  readonly directives: number;
  /** Fields at the first level. */
  readonly fields: number;
}

const NOTHING: Measure = { depth: 0, introspectionDepth: 0, aliases: 0, directives: 0, fields: 0 };

/** The refusal of a document over its limits; null where it is within. Tokens are counted by the parser. */
export function overLimits(document: DocumentNode, limits: QueryLimits): GatehouseError | null {
  const found = measure(document);
  const { items, variables, repeats } = counts(document);
  const bounds = [
    ['depth', found.depth, limits.maxDepth, 'levels deep'],
    ['introspectionDepth', found.introspectionDepth, limits.maxIntrospectionDepth, 'levels deep in the schema'],
    ['aliases', found.aliases, limits.maxAliases, 'aliases long'],
    ['rootFields', found.fields, limits.maxRootFields, 'root fields wide'],
    ['directives', found.directives, limits.maxDirectives, 'directives long'],
    ['repeats', repeats, limits.maxRepeats, 'fields long of one name'],
    ['listItems', items, limits.maxListItems, 'items long in a list'],
    ['variables', variables, limits.maxVariables, 'variables long'],
  ] as const;
  for (const [name, actual, max, unit] of bounds) if (actual > max) return tooExpensive(name, actual, max, unit);
  return null;
}

/** The refusal of variables over the limits; null where they are within. What is no object is somebody else's to refuse. */
export function overVariables(variables: unknown, limits: QueryLimits): GatehouseError | null {
  if (typeof variables !== 'object' || variables === null) return null;
  const count = Object.keys(variables).length;
  if (count > limits.maxVariables) return tooExpensive('variables', count, limits.maxVariables, 'variables long');
  // A list of things to look at, not a recursion: what was sent may be nested deeper than a stack is.
  const values: unknown[] = Object.values(variables);
  for (let value = values.pop(); value !== undefined || values.length > 0; value = values.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    const items = Array.isArray(value) ? value.length : 0;
    if (items > limits.maxListItems)
      return tooExpensive('listItems', items, limits.maxListItems, 'items long in a list');
    for (const item of Object.values(value)) values.push(item);
  }
  return null;
}

/** The refusal of a document over a limit, with its figures. */
export function tooExpensive(name: string, actual: number | null, max: number, unit: string): GatehouseError {
  const found = actual === null ? `more than ${max}` : String(actual);
  return new GatehouseError('QUERY_TOO_EXPENSIVE', `Query is ${found} ${unit}: at most ${max} are let in`, {
    extensions: { limit: { name, max, ...(actual === null ? {} : { actual }) } },
  });
}

/** The longest list, the most variables of any operation, the most fields of one response name. */
function counts(document: DocumentNode): { items: number; variables: number; repeats: number } {
  let [items, variables] = [0, 0];
  const names = new Map<string, number>();
  visit(document, {
    Field({ alias, name }) {
      const { value } = alias ?? name;
      names.set(value, (names.get(value) ?? 0) + 1);
    },
    ListValue({ values }) {
      items = Math.max(items, values.length);
    },
    OperationDefinition({ variableDefinitions }) {
      variables = Math.max(variables, variableDefinitions?.length ?? 0);
    },
  });
  return { items, variables, repeats: Math.max(0, ...names.values()) };
}

/** The most of each that any operation has. */
function measure(document: DocumentNode): Measure {
  const fragments = new FragmentMeasures(document);
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  return operations.map(({ selectionSet }) => fragments.measure(selectionSet)).reduce(largest, NOTHING);
}

function largest(one: Measure, other: Measure): Measure {
  return {
    depth: Math.max(one.depth, other.depth),
    introspectionDepth: Math.max(one.introspectionDepth, other.introspectionDepth),
    aliases: Math.max(one.aliases, other.aliases),
    directives: Math.max(one.directives, other.directives),
    fields: Math.max(one.fields, other.fields),
  };
}

class FragmentMeasures {
  readonly #fragments = new Map<string, SelectionSetNode>();
  readonly #measured = new Map<string, Measure | null>();

  constructor(document: DocumentNode) {
    for (const definition of document.definitions) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION) {
        this.#fragments.set(definition.name.value, definition.selectionSet);
      }
    }
  }

  measure(selections: SelectionSetNode | undefined): Measure {
    return (selections?.selections ?? []).map((selection) => this.#selection(selection)).reduce(together, NOTHING);
  }

  #selection(selection: SelectionNode): Measure {
    const directives = selection.directives?.length ?? 0;
    if (selection.kind === Kind.FIELD) return this.#field(selection, directives);
    const inner =
      selection.kind === Kind.FRAGMENT_SPREAD
        ? this.#fragment(selection.name.value)
        : this.measure(selection.selectionSet);
    return { ...inner, directives: inner.directives + directives };
  }

  #field(field: Extract<SelectionNode, { kind: Kind.FIELD }>, directives: number): Measure {
    const inner = this.measure(field.selectionSet);
    const ofSchema = field.name.value === '__schema' || field.name.value === '__type';
    return {
      depth: ofSchema ? 1 : inner.depth + 1,
      introspectionDepth: ofSchema ? inner.depth + 1 : inner.introspectionDepth,
      aliases: inner.aliases + (field.alias === undefined ? 0 : 1),
      directives: inner.directives + directives,
      fields: 1,
    };
  }

  #fragment(name: string): Measure {
    const known = this.#measured.get(name);
    if (known != null) return known;
    // Null marks a fragment that is being measured: one that spreads itself adds nothing here, and validation refuses it.
    if (known === null) return NOTHING;
    this.#measured.set(name, null);
    const found = this.measure(this.#fragments.get(name));
    this.#measured.set(name, found);
    return found;
  }
}

/** Beside each other: levels do not add up, all else does. */
function together(one: Measure, other: Measure): Measure {
  return {
    depth: Math.max(one.depth, other.depth),
    introspectionDepth: Math.max(one.introspectionDepth, other.introspectionDepth),
    aliases: one.aliases + other.aliases,
    directives: one.directives + other.directives,
    fields: one.fields + other.fields,
  };
}
