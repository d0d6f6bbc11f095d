import { orNull, readCount, readWord } from './unreadable.ts';

/** A plan's numbers, each for any 60 seconds. */
export interface PlanNumbers {
  /** Requests a key. */
  readonly requestsPerMinute: number;
  /** Requests a network, all its keys together. */
  readonly networkRequestsPerMinute: number;
  /** Cost points a key. */
  readonly costPerMinute: number;
}

export const PLANS = ['STANDARD', 'PREMIUM', 'CUSTOM'] as const;
export type Plan = (typeof PLANS)[number];

const STANDARD: PlanNumbers = { requestsPerMinute: 100, networkRequestsPerMinute: 1_000, costPerMinute: 10_000 };
const PREMIUM: PlanNumbers = { requestsPerMinute: 300, networkRequestsPerMinute: 3_000, costPerMinute: 30_000 };

/** The bounds of each of a CUSTOM plan's numbers. */
export const PLAN_NUMBER_MIN = 1;
export const PLAN_NUMBER_MAX = 1_000_000_000;

/** A CUSTOM plan's own numbers; what is null derives from the requests a minute of a key. */
export interface CustomNumbers {
  readonly requestsPerMinute: number | null;
  readonly networkRequestsPerMinute: number | null;
  readonly costPerMinute: number | null;
}

/** Throws UnreadableValueError for a plan that this release does not know, or numbers that are none: no limit is absent. */
export function planNumbers(plan: Plan, custom: CustomNumbers): PlanNumbers {
  if (plan === 'STANDARD') return STANDARD;
  if (plan === 'PREMIUM') return PREMIUM;
  readWord(PLANS, plan, "a network's plan");
  for (const number of Object.values(numbersOf(custom))) orNull(readCount, number, "a number of a network's plan");
  const requestsPerMinute = custom.requestsPerMinute ?? STANDARD.requestsPerMinute;
  return {
    requestsPerMinute,
    networkRequestsPerMinute: custom.networkRequestsPerMinute ?? within(requestsPerMinute * 10),
    costPerMinute: custom.costPerMinute ?? within(requestsPerMinute * 100),
  };
}

/** Of what may be a whole network: its numbers alone. */
function numbersOf({ requestsPerMinute, networkRequestsPerMinute, costPerMinute }: CustomNumbers): CustomNumbers {
  return { requestsPerMinute, networkRequestsPerMinute, costPerMinute };
}

/** A number that a field declares for STANDARD, on a plan of so many requests a minute. At least 1. */
export function scaledToPlan(
  standardMax: number,
  { requestsPerMinute }: Pick<PlanNumbers, 'requestsPerMinute'>,
): number {
  return Math.max(1, Math.floor((standardMax * requestsPerMinute) / STANDARD.requestsPerMinute));
}

function within(derived: number): number {
  return Math.min(derived, PLAN_NUMBER_MAX);
}
