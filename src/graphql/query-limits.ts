/**
 * What a document may ask for at the most, judged after parsing and before validation, whose own cost can be quadratic.
 * Fragments count each time they are spread, as they would run, but each is measured once.
 */
import { type DocumentNode, Kind, type SelectionSetNode } from 'graphql';
import { GatehouseError } from '../domain/errors.ts';

export interface QueryLimits {
  /** Lexical tokens of a document. */
  readonly maxTokens: number;
  /** Levels of fields, the root fields being the first. */
  readonly maxDepth: number;
  /** Aliased fields. */
  readonly maxAliases: number;
}

interface Measure {
  readonly depth: number;
  readonly aliases: number;
}

/** The refusal of a document over its limits; null where it is within. Tokens are counted by the parser. */
export function overLimits(document: DocumentNode, limits: QueryLimits): GatehouseError | null {
  const measures = new FragmentMeasures(document);
  let depth = 0;
  let aliases = 0;
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const operation = measures.measure(definition.selectionSet);
    depth = Math.max(depth, operation.depth);
    aliases = Math.max(aliases, operation.aliases);
  }
  if (depth > limits.maxDepth) return tooExpensive('depth', depth, limits.maxDepth, 'levels deep');
  if (aliases > limits.maxAliases) return tooExpensive('aliases', aliases, limits.maxAliases, 'aliases long');
  return null;
}

/** The refusal of a document over a limit, with its figures. */
export function tooExpensive(name: string, actual: number | null, max: number, unit: string): GatehouseError {
  const found = actual === null ? `more than ${max}` : String(actual);
  return new GatehouseError('QUERY_TOO_EXPENSIVE', `Query is ${found} ${unit}: at most ${max} are let in`, {
    extensions: { limit: { name, max, ...(actual === null ? {} : { actual }) } },
  });
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
    let depth = 0;
    let aliases = 0;
    for (const selection of selections?.selections ?? []) {
      const field = selection.kind === Kind.FIELD;
      const inner =
        selection.kind === Kind.FRAGMENT_SPREAD
          ? this.#fragment(selection.name.value)
          : this.measure(selection.selectionSet);
      depth = Math.max(depth, inner.depth + (field ? 1 : 0));
      aliases += inner.aliases + (field && selection.alias !== undefined ? 1 : 0);
    }
    return { depth, aliases };
  }

  #fragment(name: string): Measure {
    const known = this.#measured.get(name);
    if (known != null) return known;
    // Null marks a fragment that is being measured: one that spreads itself adds nothing here, and validation refuses it.
    if (known === null) return { depth: 0, aliases: 0 };
    this.#measured.set(name, null);
    const measure = this.measure(this.#fragments.get(name));
    this.#measured.set(name, measure);
    return measure;
  }
}
