/** Usage: counted requests of a key, over minutes, hours and days. All of them begin in UTC. */

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** How long each bucket is, in milliseconds. Each is made of whole smaller ones. */
export const BUCKET_MS = { MINUTE: MINUTE_MS, HOUR: HOUR_MS, DAY: DAY_MS } as const;
export type UsageBucket = keyof typeof BUCKET_MS;
export const USAGE_BUCKETS = Object.keys(BUCKET_MS) as UsageBucket[];

/** The most that one answer shows of one key or network: a day of minutes, two months of hours, four years of days. */
export const USAGE_BUCKETS_MAX = 1_500;

/** What is shown where nobody says since when. */
const DEFAULT_BUCKETS: Readonly<Record<UsageBucket, number>> = { MINUTE: 60, HOUR: 24, DAY: 30 };

export interface UsageFigures {
  /** All requests with a valid token, those of the next two among them. */
  readonly requests: number;
  /** Those that ended in an error, other than a limit's refusal. */
  readonly errors: number;
  /** Those that a limit refused. */
  readonly limited: number;
  /** The cost points spent. */
  readonly cost: number;
}

/** From the start of one bucket to the start of another, which is no longer in it. */
export interface UsageRange {
  readonly bucket: UsageBucket;
  readonly since: Date;
  readonly until: Date;
}

/** For how long each is kept, in days; null: for good. */
export type UsageRetention = Readonly<Record<UsageBucket, number | null>>;

export type RangeFault = { readonly field: 'since' | 'until'; readonly message: string };

/** The start of the bucket that a moment is in. Epoch time has no leap seconds, so each is a multiple of its length. */
export function bucketStart(bucket: UsageBucket, moment: number): number {
  return moment - (((moment % BUCKET_MS[bucket]) + BUCKET_MS[bucket]) % BUCKET_MS[bucket]);
}

/**
 * The whole buckets that hold what was asked for, or what is wrong with it. What has been purged must not look like
 * what never was, so a range that begins before it is refused.
 */
export function usageRange(
  asked: {
    readonly bucket: UsageBucket;
    readonly since?: Date | null | undefined;
    readonly until?: Date | null | undefined;
  },
  now: Date,
  retention: UsageRetention,
): UsageRange | RangeFault {
  const { bucket } = asked;
  const lengthMs = BUCKET_MS[bucket];
  const untilMs = bucketStart(bucket, (asked.until ?? now).getTime() + (asked.until ? lengthMs - 1 : lengthMs));
  const sinceMs = asked.since
    ? bucketStart(bucket, asked.since.getTime())
    : untilMs - DEFAULT_BUCKETS[bucket] * lengthMs;
  if (sinceMs >= untilMs) return { field: 'until', message: '`until` must be later than `since`' };
  const count = (untilMs - sinceMs) / lengthMs;
  if (count > USAGE_BUCKETS_MAX) {
    const message = `\`since\` to \`until\` may hold at most ${USAGE_BUCKETS_MAX} buckets, not ${count}: ask for longer buckets`;
    return { field: 'since', message };
  }
  const fault = goneFault(bucket, sinceMs, now, retention[bucket]);
  return fault ?? { bucket, since: new Date(sinceMs), until: new Date(untilMs) };
}

function goneFault(bucket: UsageBucket, sinceMs: number, now: Date, keptDays: number | null): RangeFault | null {
  if (keptDays === null) return null;
  // The whole bucket in which the retention begins, so that a day ago is not refused for the minutes of today.
  const keptSinceMs = bucketStart(bucket, now.getTime() - keptDays * DAY_MS);
  if (sinceMs >= keptSinceMs) return null;
  const keptSince = new Date(keptSinceMs).toISOString();
  const message = `Usage by the ${bucket.toLowerCase()} is kept for ${keptDays} days: \`since\` must not lie before ${keptSince}`;
  return { field: 'since', message };
}

/** How many buckets a range has. */
export function bucketsIn({ bucket, since, until }: UsageRange): number {
  return (until.getTime() - since.getTime()) / BUCKET_MS[bucket];
}

export const NO_USAGE: UsageFigures = { requests: 0, errors: 0, limited: 0, cost: 0 };

export function addUsage(a: UsageFigures, b: UsageFigures): UsageFigures {
  return {
    requests: a.requests + b.requests,
    errors: a.errors + b.errors,
    limited: a.limited + b.limited,
    cost: a.cost + b.cost,
  };
}
