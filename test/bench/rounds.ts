/**
 * Interleaved rounds: every contestant has a turn in each, so that whatever else the machine does weighs on all alike.
 * A ratio is taken within a round, and the median of the rounds is what counts.
 */

/** The gateway at one thing, and what it is held against. */
export interface Race {
  readonly title: string;
  /** Of all rates in the race, such as `req/s`. */
  readonly unit: string;
  readonly gateway: Contestant;
  readonly rivals: readonly Rival[];
}

export interface Contestant {
  readonly name: string;
  /** Works for about so long; resolves to its rate a second. */
  readonly rate: (ms: number) => Promise<number>;
}

export interface Rival extends Contestant {
  /** The least that the gateway's rate should be, as a part of this one's. */
  readonly aim: number;
}

export interface Pace {
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly turnMs: number;
}

export interface RaceResult {
  readonly race: Race;
  /** The gateway's rate in each round. */
  readonly gateway: readonly number[];
  readonly rivals: readonly { readonly rival: Rival; readonly rates: readonly number[] }[];
}

/** `signal`: ends the run before the next turn. */
export async function run(races: readonly Race[], pace: Pace, signal: AbortSignal): Promise<RaceResult[]> {
  const results = races.map((race) => ({
    race,
    gateway: [] as number[],
    rivals: race.rivals.map((rival) => ({ rival, rates: [] as number[] })),
  }));
  const turns = results.flatMap(({ race, gateway, rivals }) => [
    { contestant: race.gateway, rates: gateway },
    ...rivals.map(({ rival, rates }) => ({ contestant: rival, rates })),
  ]);
  for (const { contestant } of turns) {
    signal.throwIfAborted();
    await contestant.rate(pace.warmUpMs);
  }
  for (let round = 0; round < pace.rounds; round += 1) {
    for (const { contestant, rates } of turns) {
      signal.throwIfAborted();
      rates.push(await contestant.rate(pace.turnMs));
    }
  }
  return results;
}

/** What one is of the other, round by round. */
export function ratios(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.map((rate, round) => rate / (theirs[round] ?? Number.NaN));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}
