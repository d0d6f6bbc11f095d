/**
 * The keys of JSON Lines: those that a CSV header may have, or those of a member as the API answers with it. So what a
 * program has pulled can be imported as it is: `customFields` holds custom fields, and what Gatehouse alone decides is
 * passed over. Unlike a cell of CSV, a JSON value has a type: a list of tags is a list, and a text is one tag, whatever
 * is in it, as GraphQL takes one value for a list of one.
 */
import { uuidOf } from '../../domain/id.ts';
import { isMemberColumn, NO_FIELD_NAME } from '../../domain/member.ts';
import { ColumnTally } from './column-report.ts';
import { type Column, fieldsOf } from './record-fields.ts';
import { type ColumnMap, resolveColumns, unmatched } from './resolve-columns.ts';
import type { ReadOptions } from './source.ts';

type Pair = readonly [field: string, value: unknown];

const MANAGED_BY_GATEHOUSE = 'managed by Gatehouse';
/** Keys of the API's Member that no import writes. Spelled as there: `updated_at` is another system's. */
const OF_THE_API: ReadonlySet<string> = new Set(['updatedAt', 'network', '__typename']);

/** Whether a key, outside of `customFields`, would not be read as the custom field of that name. */
export function isReservedKey(name: string): boolean {
  return name === 'customFields' || name === 'id' || OF_THE_API.has(name);
}

export class JsonKeys {
  readonly #map: ColumnMap;
  readonly #tally: ColumnTally;
  readonly #isNameOptional: boolean;
  /** Of the last record: most lines have the same keys. */
  #keys: readonly string[] = [];
  #resolved: ReturnType<typeof resolveColumns> = { targets: [] };
  readonly #notSeen: Set<string>;

  constructor({ map = new Map(), isNameOptional = false, tally = new ColumnTally() }: ReadOptions) {
    this.#map = map;
    this.#tally = tally;
    this.#isNameOptional = isNameOptional;
    this.#notSeen = new Set(map.keys());
  }

  /** Every line has been read: a column to map that none of them had was probably mistyped. */
  end(): void {
    for (const name of this.#notSeen) this.#tally.ignore(name, 'not found on any line');
  }

  fieldsOf(record: object): { readonly fields: readonly Pair[] } | { readonly fault: string } {
    const { customFields = null, ...flat } = record as Record<string, unknown>;
    if (customFields !== null && (typeof customFields !== 'object' || Array.isArray(customFields))) {
      return { fault: 'customFields: must be an object' };
    }
    const entries = Object.entries(flat).filter((entry) => !this.#isPassedOver(entry));
    const resolved = this.#resolve(entries.map(([key]) => key));
    if ('fault' in resolved) return { fault: resolved.fault };
    const columns = entries.flatMap(([, value], at): Column[] => {
      const target = resolved.targets[at];
      return target === undefined ? [] : [[target, value]];
    });
    const nested = Object.entries(customFields ?? {});
    if (nested.some(([name]) => isMemberColumn(name))) return { fault: `customFields: ${NO_FIELD_NAME}` };
    for (const [name] of nested) this.#tally.addCustom(name);
    return { fields: [...fieldsOf(columns, this.#isNameOptional), ...nested] };
  }

  #isPassedOver([key, value]: Pair): boolean {
    const isOurs =
      OF_THE_API.has(key) || (key === 'id' && typeof value === 'string' && uuidOf('Member', value) !== null);
    const isIgnored = isOurs && !this.#map.has(key);
    if (isIgnored) this.#tally.ignore(key, MANAGED_BY_GATEHOUSE);
    return isIgnored;
  }

  #resolve(keys: readonly string[]): ReturnType<typeof resolveColumns> {
    if (keys.length === this.#keys.length && keys.every((key, at) => key === this.#keys[at])) return this.#resolved;
    const resolved = resolveColumns(keys, this.#map);
    this.#keys = keys;
    this.#resolved = resolved;
    const absent = new Set(unmatched(keys, this.#map));
    for (const name of this.#notSeen) if (!absent.has(name)) this.#notSeen.delete(name);
    if ('targets' in resolved)
      for (const [at, target] of resolved.targets.entries()) this.#tally.add(keys[at] ?? '', target);
    return resolved;
  }
}
