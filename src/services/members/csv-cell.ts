/** Values as the cells of CSV. What CSV cannot say comes back as text: see export.ts. */
import type { Json } from '../../domain/member.ts';

/** A custom field's value as the text of a cell: a text as it is, null as nothing, all else as JSON. */
export function cellText(value: Json): string {
  if (typeof value === 'string') return value;
  return value === null ? '' : JSON.stringify(value);
}

/** Quoted where a reader would otherwise see more or less than the text. */
const NEEDS_QUOTES = /[",\r\n]|^\s|\s$/;

export function csvRow(cells: readonly string[]): string {
  return `${cells.map((cell) => (NEEDS_QUOTES.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',')}\n`;
}
