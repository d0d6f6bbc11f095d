/** What the bench prints. */
import { availableParallelism, cpus } from 'node:os';
import { CONNECTIONS } from './load.ts';
import { type Aim, median, type Pace, type Result, ratios } from './rounds.ts';

const NAME_WIDTH = 52;
const CELL_WIDTHS = [9, 8, 14, 8, 8] as const;

/** `once`: what was measured in one go. `postgres`: its version. */
export function report(results: readonly Result[], once: readonly Result[], pace: Pace, postgres: string): string {
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor';
  // One short round tells nothing.
  const isJudged = pace.rounds > 1;
  return [
    `${availableParallelism()} cores (${processor}), Node ${process.versions.node}, ${postgres}`,
    `${CONNECTIONS} connections; medians of ${pace.rounds} interleaved rounds of ${pace.turnMs} ms`,
    "ratio: Gatehouse's figure over the other's, with its range over the rounds",
    'Gatehouse runs with its default settings and logs each request, to a file',
    '',
    ...results.flatMap((result) => table(result, isJudged)),
    ...(once.length === 0 ? [] : ['once each, from the first row to the last', '']),
    ...once.flatMap((result) => table(result, isJudged)),
  ].join('\n');
}

function table({ title, unit, gateway, rivals, figures = [] }: Result, isJudged: boolean): string[] {
  return [
    row(title, unit, 'ratio', 'range', 'aim'),
    row(`  ${gateway.name}`, rounded(gateway.rates)),
    ...rivals.map(({ name, rates, aim }) => {
      const found = ratios(gateway.rates, rates);
      const range = found.length === 1 ? '' : `${Math.min(...found).toFixed(2)} to ${Math.max(...found).toFixed(2)}`;
      return row(`  ${name}`, rounded(rates), median(found).toFixed(2), range, ...verdict(found, aim, isJudged));
    }),
    ...figures.map(({ name, value, aim }) =>
      row(`  ${name}`, value.toFixed(2), '', '', `≤ ${aim}`, value <= aim ? 'met' : 'missed'),
    ),
    '',
  ];
}

function verdict(found: readonly number[], aim: Aim, isJudged: boolean): string[] {
  if (aim === null) return [];
  return [`≥ ${aim}`, isJudged ? (median(found) >= aim ? 'met' : 'missed') : ''];
}

function rounded(rates: readonly number[]): string {
  return Math.round(median(rates)).toLocaleString('en');
}

function row(name: string, ...cells: readonly string[]): string {
  const padded = cells.map((cell, index) => cell.padStart(CELL_WIDTHS[index] ?? 0));
  return `${name.padEnd(NAME_WIDTH)}${padded.join(' ')}`.trimEnd();
}
