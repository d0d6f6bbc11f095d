/**
 * Interleaved rounds: every contestant has a turn in each, so that whatever else the machine does weighs on all alike.
 * A ratio is taken within a round, and the median of the rounds is what counts.
 */
import type { Load } from './load.ts';
import type { Race } from './stage.ts';

export interface Pace {
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly turnMs: number;
}

export interface RaceResult {
  readonly race: Race;
  /** Requests a second of the gateway, a figure a round. */
  readonly gateway: readonly number[];
  /** Of each rival, in the race's order. */
  readonly rivals: readonly (readonly number[])[];
}

export async function run(races: readonly Race[], load: Load, pace: Pace): Promise<RaceResult[]> {
  const lanes = races.map((race) => ({
    race,
    turns: [race.gateway, ...race.rivals].map((contestant) => ({ contestant, rates: [] as number[] })),
  }));
  const turns = lanes.flatMap((lane) => lane.turns);
  for (const { contestant } of turns) await load.run(contestant, pace.warmUpMs);
  for (let round = 0; round < pace.rounds; round += 1) {
    for (const { contestant, rates } of turns) rates.push(await load.run(contestant, pace.turnMs));
  }
  return lanes.map(({ race, turns: [gateway, ...rivals] }) => ({
    race,
    gateway: gateway?.rates ?? [],
    rivals: rivals.map(({ rates }) => rates),
  }));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}
