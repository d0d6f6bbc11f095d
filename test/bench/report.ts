/** The table. */
import { availableParallelism, cpus } from 'node:os';
import { CONNECTIONS } from './load.ts';
import { median, type Pace, type RaceResult } from './rounds.ts';

const COLUMNS = [28, 10, 20, 8] as const;

export function report(results: readonly RaceResult[], pace: Pace, postgres: string): string {
  const cpu = cpus()[0]?.model.trim() ?? 'unknown processor';
  return [
    `${availableParallelism()} cores (${cpu}), Node ${process.versions.node}, ${postgres}`,
    `${CONNECTIONS} connections, median of ${pace.rounds} interleaved rounds of ${pace.turnMs / 1000} s; ratio: Gatehouse's`,
    "requests a second over the other's, with its range over the rounds. Gatehouse logs to a file, at `info`.",
    '',
    ...results.flatMap(table),
  ].join('\n');
}

function table({ race, gateway, rivals }: RaceResult): string[] {
  return [
    row(race.title, 'req/s', 'ratio', 'aim'),
    row(`  ${race.gateway.name}`, rate(gateway)),
    ...race.rivals.map(({ name, aim }, index) => {
      const rates = rivals[index] ?? [];
      const ratios = gateway.map((value, round) => value / (rates[round] ?? Number.NaN));
      const ratio = median(ratios);
      const range = `(${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`;
      return row(`  ${name}`, rate(rates), `${ratio.toFixed(2)} ${range}`, `≥ ${aim}`, ratio >= aim ? 'met' : 'missed');
    }),
    '',
  ];
}

function rate(rates: readonly number[]): string {
  return Math.round(median(rates)).toLocaleString('en');
}

function row(name: string, ...cells: readonly string[]): string {
  const padded = cells.map((cell, index) => cell.padStart(COLUMNS[index + 1] ?? 0));
  return [name.padEnd(COLUMNS[0]), ...padded].join('  ').trimEnd();
}
