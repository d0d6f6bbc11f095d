/** What became of a source's columns, for the report: which were renamed, became custom fields, or were not imported. */
import type { Target } from './resolve-columns.ts';

export interface ColumnReport {
  /** Columns whose names are not those of their fields. */
  readonly renamed: readonly { readonly column: string; readonly field: string }[];
  /** The names of all custom fields, in the order in which they came. */
  readonly customFields: readonly string[];
  readonly ignored: readonly { readonly column: string; readonly reason: string }[];
}

/** Of each kind. JSON Lines can have other keys on each line; those beyond this are imported, and not reported. */
export const COLUMNS_REPORTED_MAX = 1_000;

export class ColumnTally {
  readonly #renamed = new Map<string, string>();
  readonly #customFields = new Set<string>();
  readonly #ignored = new Map<string, string>();

  add(column: string, target: Target): void {
    if (target.kind === 'ignored') {
      this.ignore(column, target.reason);
      return;
    }
    if (target.name !== column && hasRoom(this.#renamed)) this.#renamed.set(column, target.name);
    if (target.kind === 'custom') this.addCustom(target.name);
  }

  addCustom(name: string): void {
    if (hasRoom(this.#customFields)) this.#customFields.add(name);
  }

  ignore(column: string, reason: string): void {
    if (hasRoom(this.#ignored)) this.#ignored.set(column, reason);
  }

  report(): ColumnReport {
    return {
      renamed: [...this.#renamed].map(([column, field]) => ({ column, field })),
      customFields: [...this.#customFields],
      ignored: [...this.#ignored].map(([column, reason]) => ({ column, reason })),
    };
  }
}

function hasRoom({ size }: { readonly size: number }): boolean {
  return size < COLUMNS_REPORTED_MAX;
}
