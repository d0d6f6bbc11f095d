/** The header of a CSV file: which cell is which field. */
import { isMemberColumn, MEMBER_COLUMNS, type MemberColumn } from '../../domain/member.ts';
import { SourceError } from './source.ts';

const REQUIRED: readonly MemberColumn[] = ['email', 'name'];
/** What may stand between cells. The first under which the header names the required columns holds for the whole file. */
export const DELIMITERS = [',', ';', '\t', '|'] as const;

/** Whether a header read under some delimiter has the columns that every file must have. */
export function namesRequired(header: readonly string[]): boolean {
  const names = header.map((name) => name.trim().toLowerCase());
  return REQUIRED.every((column) => names.includes(column));
}

export class Columns {
  readonly #names: readonly string[];

  /** Throws a SourceError where the file cannot be read under this header. */
  constructor(header: readonly string[]) {
    const given = header.map((name) => name.trim());
    this.#names = given.map((name) => knownName(name, given));
    const lacking = REQUIRED.filter((column) => !this.#names.includes(column));
    if (lacking.length > 0) throw new SourceError(`the header lacks the required column ${lacking.join(' and ')}`);
    const repeated = this.#names.findIndex((name, at) => name !== '' && this.#names.indexOf(name) !== at);
    if (repeated >= 0) throw new SourceError(`the header names the column of cell ${repeated + 1} twice`);
  }

  /** The fields of a row that are not empty, or what is wrong with it. A row without any is blank. */
  fieldsOf(cells: readonly string[]): { fields: [string, string][] } | { fault: string } {
    const fields: [string, string][] = [];
    for (const [at, cell] of cells.entries()) {
      if (cell === '') continue;
      const name = this.#names[at] ?? '';
      const isBlank = cell.trim() === '';
      if (name === '' && !isBlank)
        return { fault: `cell ${at + 1} stands under no column name: ${this.#shape(cells)}` };
      // Blanks are nothing in a field that we know; in a custom field they may mean something.
      if (name !== '' && !(isBlank && isMemberColumn(name))) fields.push([name, cell]);
    }
    return { fields };
  }

  #shape(cells: readonly string[]): string {
    return `the row has ${cells.length} cells, the header ${this.#names.length} columns`;
  }
}

/** A known column however its case is written, unless the header names it exactly elsewhere: people type headers. */
function knownName(name: string, header: readonly string[]): string {
  const known = MEMBER_COLUMNS.find((column) => column.toLowerCase() === name.toLowerCase());
  return known === undefined || header.includes(known) ? name : known;
}
