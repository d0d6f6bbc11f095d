/** The header of a CSV file: which cell is which field. */
import { isMemberColumn, splitTags } from '../../domain/member.ts';
import { ColumnTally } from './column-report.ts';
import { type Column, fieldsOf } from './record-fields.ts';
import { lacking, NO_COLUMN_NAME, resolveColumns, type Target, unmatched } from './resolve-columns.ts';
import { type ReadOptions, SourceError } from './source.ts';

/** What may stand between cells. The first under which the header names the required columns holds for the whole file. */
export const DELIMITERS = [',', ';', '\t', '|'] as const;

const NO_MAP: ReadonlyMap<string, string> = new Map();

/** How many of the columns that every file must have are missing from a header, as it is read under some delimiter. */
export function missingColumns(
  header: readonly string[],
  { map = NO_MAP, isNameOptional = false }: ReadOptions,
): number {
  const resolved = resolveColumns(trimmed(header), map);
  // That a name stands twice in a header is no reason to read it under another delimiter.
  return 'fault' in resolved ? 0 : lacking(resolved.targets, isNameOptional).length;
}

export class Columns {
  readonly #targets: readonly Target[];
  readonly #isNameOptional: boolean;

  /** Throws a SourceError where the file cannot be read under this header. */
  constructor(
    header: readonly string[],
    { map = NO_MAP, isNameOptional = false, tally = new ColumnTally() }: ReadOptions,
  ) {
    const names = trimmed(header);
    const resolved = resolveColumns(names, map);
    if ('fault' in resolved) throw new SourceError(`the header ${resolved.fault}`);
    const unknown = unmatched(names, map);
    if (unknown.length > 0) {
      throw new SourceError(
        `the header has no column ${unknown.map((name) => JSON.stringify(name)).join(' or ')} to map`,
      );
    }
    this.#targets = resolved.targets;
    this.#isNameOptional = isNameOptional;
    const missing = lacking(this.#targets, isNameOptional);
    if (missing.length > 0) throw new SourceError(lackingMessage(missing));
    for (const [at, target] of this.#targets.entries()) {
      const name = names[at] ?? '';
      // Unnamed columns behind the last one are what spreadsheets leave of empty cells.
      if (name !== '') tally.add(name, target);
      else if (at === 0) tally.ignore('', UNNAMED_FIRST);
    }
  }

  /** The fields of a row that are not empty, or what is wrong with it. A row without any is blank. */
  fieldsOf(cells: readonly string[]): { fields: (readonly [string, unknown])[] } | { fault: string } {
    const columns: Column[] = [];
    for (const [at, cell] of cells.entries()) {
      if (cell === '') continue;
      const target = this.#targets[at] ?? null;
      const isBlank = cell.trim() === '';
      if (!isBlank && this.#isUnnamed(at)) {
        return { fault: `cell ${at + 1} stands under no column name: ${this.#shape(cells)}` };
      }
      if (target === null || target.kind === 'ignored') continue;
      // Blanks are nothing in a field that we know; in a custom field they may mean something.
      if (!(isBlank && isMemberColumn(target.name))) columns.push([target, valueOfCell(target.name, cell)]);
    }
    return { fields: fieldsOf(columns, this.#isNameOptional) };
  }

  /** A row with a cell under no name has probably slipped. The first cell has not: pandas writes its row numbers there. */
  #isUnnamed(at: number): boolean {
    const target = this.#targets[at] ?? null;
    return target === null || (at > 0 && target.kind === 'ignored' && target.reason === NO_COLUMN_NAME);
  }

  #shape(cells: readonly string[]): string {
    return `the row has ${cells.length} cells, the header ${this.#targets.length} columns`;
  }
}

function lackingMessage(missing: readonly string[]): string {
  const [field = ''] = missing;
  const orNone = missing.includes('name') ? ', or accept members without a name with --without-names' : '';
  return (
    `the header lacks the required column ${missing.join(' and ')}: ` +
    `if a column has it under another name, say so with --map "COLUMN=${field}"${orNone}`
  );
}

const UNNAMED_FIRST = 'taken as row numbers, as pandas writes them';

function trimmed(header: readonly string[]): string[] {
  return header.map((name) => name.trim());
}

/** Everything in CSV is text; a list is written into one cell. */
function valueOfCell(field: string, cell: string): string | string[] {
  return field === 'tags' ? splitTags(cell) : cell;
}
