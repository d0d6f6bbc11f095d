/** The fields of a record from its columns, with a name that the parts of the name make where it has no other. */
import { NAME_PARTS, type NamePart } from './column-names.ts';
import type { Target } from './resolve-columns.ts';

type Pair = readonly [field: string, value: unknown];

/** What a record says in one column. */
export type Column = readonly [target: Target, value: unknown];

/**
 * The name that the parts make is "First Last", or the one that there is. Columns that are left out are not there any
 * more. A blank name is dropped where a record may go without one, and is a fault of the record elsewhere.
 */
export function fieldsOf(columns: readonly Column[], isNameOptional: boolean): Pair[] {
  const pairs: Pair[] = [];
  const parts = new Map<NamePart, unknown>();
  let hasName = false;
  for (const [target, value] of columns) {
    if (target.kind === 'ignored') continue;
    if (target.kind === 'custom' && target.part !== undefined) parts.set(target.part, value);
    if (target.name === 'name' && !isBlank(value)) hasName = true;
    pairs.push([target.name, value]);
  }
  const name = hasName ? '' : nameOf(parts);
  if (hasName || (name === '' && !isNameOptional)) return pairs;
  const others = pairs.filter(([field]) => field !== 'name');
  return name === '' ? others : [['name', name], ...others];
}

function nameOf(parts: ReadonlyMap<NamePart, unknown>): string {
  const texts = NAME_PARTS.map((part) => parts.get(part)).filter((value) => typeof value === 'string');
  return texts
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .join(' ');
}

function isBlank(value: unknown): boolean {
  return value === null || (typeof value === 'string' && value.trim() === '');
}
