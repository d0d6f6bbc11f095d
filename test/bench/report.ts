/** What the bench prints. */
import { availableParallelism, cpus } from 'node:os';
import { CONNECTIONS } from './load.ts';
import { median, type Pace, type RaceResult, ratios } from './rounds.ts';

const NAME_WIDTH = 30;
const CELL_WIDTHS = [9, 8, 14, 8, 8] as const;

/** `postgres`: its version. */
export function report(results: readonly RaceResult[], pace: Pace, postgres: string): string {
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor';
  return [
    `${availableParallelism()} cores (${processor}), Node ${process.versions.node}, ${postgres}`,
    `${CONNECTIONS} connections; medians of ${pace.rounds} interleaved rounds of ${pace.turnMs} ms`,
    "ratio: Gatehouse's rate over the other's, with its range over the rounds",
    'Gatehouse runs with its default settings and logs each request, to a file',
    '',
    ...results.flatMap(table),
  ].join('\n');
}

function table({ race, gateway, rivals }: RaceResult): string[] {
  return [
    row(race.title, race.unit, 'ratio', 'range', 'aim'),
    row(`  ${race.gateway.name}`, rounded(gateway)),
    ...rivals.map(({ rival, rates }) => {
      const found = ratios(gateway, rates);
      const range = `${Math.min(...found).toFixed(2)} to ${Math.max(...found).toFixed(2)}`;
      const cells = [rounded(rates), median(found).toFixed(2), range, `≥ ${rival.aim}`, verdict(found, rival.aim)];
      return row(`  ${rival.name}`, ...cells);
    }),
    '',
  ];
}

/** One round tells nothing. */
function verdict(found: readonly number[], aim: number): string {
  if (found.length === 1) return '';
  return median(found) >= aim ? 'met' : 'missed';
}

function rounded(rates: readonly number[]): string {
  return Math.round(median(rates)).toLocaleString('en');
}

function row(name: string, ...cells: readonly string[]): string {
  const padded = cells.map((cell, index) => cell.padStart(CELL_WIDTHS[index] ?? 0));
  return `${name.padEnd(NAME_WIDTH)}${padded.join(' ')}`.trimEnd();
}
