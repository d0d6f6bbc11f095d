/**
 * Which column of a source is which field of a member. `--map` decides first; then an exact name goes before the same name
 * in another style, and that before a synonym. A column that loses, and one that nobody knows, is a custom field under
 * its own name: so a custom field named `Email Address` comes back from an export as what it was. For the same reason
 * `First Name` keeps its name beside a column named `name`, which every export has; elsewhere it is kept as `firstName`.
 */
import { isMemberColumn, type MemberColumn } from '../../domain/member.ts';
import {
  canonical,
  EXACT,
  isNamePart,
  type KnownField,
  type Match,
  matchOf,
  type NamePart,
  SYNONYM,
} from './column-names.ts';

/** What becomes of a column: a field of a member, a custom field, or nothing. */
export type Target =
  | { readonly kind: 'field'; readonly name: MemberColumn }
  /** `part`: of the name, where it makes that of a record without one. */
  | { readonly kind: 'custom'; readonly name: string; readonly part?: NamePart }
  | { readonly kind: 'ignored'; readonly reason: string };

/** Names of columns → names of fields; an empty one leaves the column out. */
export type ColumnMap = ReadonlyMap<string, string>;

export const LEFT_OUT = 'left out by --map';
export const NO_COLUMN_NAME = 'has no name';

/** One target for each name, in their order; or what is wrong with the names, as the end of "the header …". */
export function resolveColumns(
  names: readonly string[],
  map: ColumnMap,
): { readonly targets: readonly Target[] } | { readonly fault: string } {
  const repeated = repeatedAt(names);
  if (repeated >= 0) return { fault: `names the column of cell ${repeated + 1} twice` };
  const mapped = mappedFields(names, map);
  const matches = names.map((name) => (mapped.has(name) ? null : matchOf(name)));
  const hasName = names.includes('name');
  const chosen = new Map<KnownField, number>();
  for (const field of new Set(matches.flatMap((match) => match?.field ?? []))) {
    const [first = -1, ...others] = rivalsFor(field, names, mapped, matches);
    // Beside a name, its parts are custom fields, of which there may be several that look alike.
    const isConflict = others.length > 0 && !(hasName && isNamePart(field));
    if (isConflict) return { fault: conflict(field, names, [first, ...others]) };
    chosen.set(field, first);
  }
  const targets = names.map((name, at): Target => {
    const field = mapped.get(name);
    if (field !== undefined) return field === '' ? ignored(LEFT_OUT) : targetOf(field);
    const match = matches[at] ?? null;
    if (match === null || chosen.get(match.field) !== at) return customOf(name);
    return hasName && isNamePart(match.field) ? { kind: 'custom', name, part: match.field } : targetOf(match.field);
  });
  const twice = repeatedAt(targets.map((target) => ('name' in target ? target.name : '')));
  return twice < 0 ? { targets } : { fault: `names the field of cell ${twice + 1} twice, once --map is applied` };
}

/**
 * The places of the columns that claim a field with equal right: one, where all is well. Where the map gives the field
 * to another column, only its exact name is left as a rival, because no custom field may have that.
 */
function rivalsFor(
  field: KnownField,
  names: readonly string[],
  mapped: ReadonlyMap<string, string>,
  matches: readonly (Match | null)[],
): readonly number[] {
  const ranks = matches.map((match) => (match?.field === field ? match.rank : Number.POSITIVE_INFINITY));
  const byMap = names.findIndex((name) => mapped.get(name) === field);
  if (byMap >= 0) return [byMap, ...(isMemberColumn(field) ? placesOf(ranks, EXACT) : [])];
  return placesOf(ranks, Math.min(...ranks));
}

function placesOf(ranks: readonly number[], rank: number): number[] {
  return ranks.flatMap((each, at) => (each === rank ? [at] : []));
}

function conflict(field: string, names: readonly string[], rivals: readonly number[]): string {
  const columns = rivals.map((at) => JSON.stringify(names[at] ?? ''));
  return (
    `has ${columns.length} columns for ${field}: ${columns.join(', ')}. ` +
    `Choose one with --map "COLUMN=${field}", and leave the others out with --map "COLUMN="`
  );
}

/**
 * The field that `--map` names, in whatever style it was typed; any other name is that of a custom field. Synonyms are not
 * read here, so that a column whose guess is wrong can be kept under its own name.
 */
export function mappedName(field: string): string {
  const match = matchOf(field);
  return match === null || match.rank === SYNONYM ? field : match.field;
}

/** The names in a map that none of the columns has. */
export function unmatched(names: readonly string[], map: ColumnMap): string[] {
  return [...map.keys()].filter((given) => columnOf(given, names) === null);
}

/** The column that a name in a map means: the one of that name, else the only one of it in another style. */
function columnOf(given: string, names: readonly string[]): string | null {
  if (names.includes(given)) return given;
  const wanted = canonical(given);
  const alike = names.filter((name) => canonical(name) === wanted);
  return alike.length === 1 ? (alike[0] ?? null) : null;
}

/** Of each column that the map has: its field. */
function mappedFields(names: readonly string[], map: ColumnMap): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const [given, field] of map) {
    const column = columnOf(given, names);
    if (column !== null) fields.set(column, field);
  }
  return fields;
}

function targetOf(field: KnownField | string): Target {
  if (isMemberColumn(field)) return { kind: 'field', name: field };
  return isNamePart(field) ? { kind: 'custom', name: field, part: field } : { kind: 'custom', name: field };
}

function customOf(name: string): Target {
  return name === '' ? ignored(NO_COLUMN_NAME) : { kind: 'custom', name };
}

function ignored(reason: string): Target {
  return { kind: 'ignored', reason };
}

/** The first place of a name that came before; -1 where there is none. */
function repeatedAt(names: readonly string[]): number {
  const seen = new Set<string>();
  return names.findIndex((name) => name !== '' && seen.size === seen.add(name).size);
}

/** Whether the columns can be those of members: the fields that every record must have are among them. */
export function lacking(targets: readonly Target[], isNameOptional: boolean): string[] {
  const names = targets.map((target) => ('name' in target ? target.name : ''));
  const hasName = isNameOptional || names.includes('name') || targets.some((target) => 'part' in target);
  return [...(names.includes('email') ? [] : ['email']), ...(hasName ? [] : ['name'])];
}
