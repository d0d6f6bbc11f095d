/** What an import did, as its report says it: for programs, and for people. */
import type { ImportReport } from '../services/members/import.ts';

export function documentOf(report: ImportReport, isDryRun: boolean): Record<string, unknown> {
  const { created, updated, unchanged, rejected, rejectedCount, columns } = report;
  return { ...(isDryRun ? { dryRun: true } : {}), created, updated, unchanged, rejected, rejectedCount, columns };
}

export function summary(report: ImportReport, network: string, isDryRun: boolean): string {
  const done = isDryRun
    ? `Dry run: nothing was changed in ${network}. An import would report`
    : `Imported into ${network}`;
  return `${done}: ${inWords(report)}.${columnsInWords(report)}${rejections(report)}`;
}

export function inWords({ created, updated, unchanged, rejectedCount }: ImportReport): string {
  const figures = { created, updated, unchanged, rejected: rejectedCount };
  return Object.entries(figures)
    .map(([what, count]) => `${count.toLocaleString('en')} ${what}`)
    .join(', ');
}

/** A line for each kind of column of which there is something to say. */
function columnsInWords({ columns }: ImportReport): string {
  const renamed = columns.renamed.map(({ column, field }) => `${shown(column)} as ${field}`);
  const ignored = columns.ignored.map(({ column, reason }) => `${shown(column)} (${reason})`);
  return (
    listed('Columns read under other names', renamed) +
    listed('Custom fields', columns.customFields.map(shown)) +
    listed('Not imported', ignored)
  );
}

function listed(what: string, names: readonly string[]): string {
  return names.length === 0 ? '' : `\n  ${what}: ${names.join(', ')}.`;
}

function shown(column: string): string {
  return column === '' ? 'a column without a name' : column.replaceAll(/\s+/g, ' ');
}

function linesOf({ line, endLine }: ImportReport['rejected'][number]): string {
  return endLine === undefined ? `line ${line}` : `lines ${line} to ${endLine}`;
}

function rejections({ rejected, rejectedCount }: ImportReport): string {
  const lines = rejected.map((each) => `\n  ${linesOf(each)}: ${each.reason}`).join('');
  const unnamed = rejectedCount - rejected.length;
  return unnamed === 0 ? lines : `${lines}\n  … and ${unnamed.toLocaleString('en')} more that are not listed`;
}
