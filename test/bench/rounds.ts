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
  /** What else came out, asked for after the last round. */
  readonly figures?: () => Promise<readonly Figure[]>;
}

export interface Figure {
  readonly name: string;
  readonly value: number;
  /** The most that it should be. */
  readonly aim: number;
}

export interface Contestant {
  readonly name: string;
  /** Works for about so long; resolves to its rate a second. */
  readonly rate: (ms: number) => Promise<number>;
}

export interface Rival extends Contestant {
  readonly aim: Aim;
}

/** The least that the gateway's figure should be, as a part of the other's; null: measured, and nothing aimed at. */
export type Aim = number | null;

export interface Pace {
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly turnMs: number;
}

/** What was measured of one thing. */
export interface Result {
  readonly title: string;
  readonly unit: string;
  readonly gateway: Figures;
  readonly rivals: readonly (Figures & { readonly aim: Aim })[];
  /** What else came out. */
  readonly figures?: readonly Figure[];
}

export interface Figures {
  readonly name: string;
  /** One for each round. */
  readonly rates: readonly number[];
}

/** `signal`: ends the run before the next turn. */
export async function run(races: readonly Race[], pace: Pace, signal: AbortSignal): Promise<Result[]> {
  const results = races.map(({ title, unit, gateway, rivals }) => ({
    title,
    unit,
    gateway: { ...gateway, rates: [] as number[] },
    rivals: rivals.map((rival) => ({ ...rival, rates: [] as number[] })),
  }));
  const turns = results.flatMap(({ gateway, rivals }) => [gateway, ...rivals]);
  for (const { rate } of turns) {
    signal.throwIfAborted();
    await rate(pace.warmUpMs);
  }
  for (let round = 0; round < pace.rounds; round += 1) {
    for (const { rate, rates } of turns) {
      signal.throwIfAborted();
      rates.push(await rate(pace.turnMs));
    }
  }
  return Promise.all(
    results.map(async (result, index) => ({ ...result, figures: (await races[index]?.figures?.()) ?? [] })),
  );
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
