/**
 * Whether memory stays where it was, however much there is to do. Not from the start on: V8 takes more for the first while
 * that it is busy, and only then has what it likes to work with.
 */
import type { Result } from '../rounds.ts';

/** What there was early on, as a part of what there was in the end. */
const AIM = 0.91;

/** `peaks`: the most memory, in MB; no result where they are not known. */
export function flatness(
  title: string,
  [early, late]: readonly [string, string],
  peaks: { readonly early: number | null; readonly late: number | null },
): Result[] {
  if (peaks.early === null || peaks.late === null) return [];
  const gateway = { name: early, rates: [peaks.early] };
  return [{ title, unit: 'MB', gateway, rivals: [{ name: late, rates: [peaks.late], aim: AIM }] }];
}
