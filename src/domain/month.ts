/** Calendar months by UTC: what monthly quotas count in. */

export interface Month {
  /** Its first moment. */
  readonly start: Date;
  /** The first moment of the next one. */
  readonly end: Date;
}

export function monthAt(moment: Date): Month {
  const [year, month] = [moment.getUTCFullYear(), moment.getUTCMonth()];
  return { start: new Date(Date.UTC(year, month)), end: new Date(Date.UTC(year, month + 1)) };
}

/** A network's month, as the database had it when the caller was verified. */
export interface Monthly {
  /** Requests a month; null: no quota. */
  readonly quota: number | null;
  /** Whether requests past the quota are refused. */
  readonly enforced: boolean;
  /** Requests that were let in in the month that began at `start`. */
  readonly used: number;
  readonly start: Date;
}

/** At what parts of its quota a network is warned of, in percent. */
export const WARNED_AT_PERCENT = [80, 100] as const;
