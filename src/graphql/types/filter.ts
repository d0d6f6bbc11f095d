/** What the lists of all filters have in common. */
import { badInput } from '../../domain/errors.ts';

/** How many values a list of a filter may have. */
export const FILTER_VALUES_MAX = 100;

/** Throws BAD_USER_INPUT for a list of more values than `max`. `field`: its name in the filter. */
export function atMost(length: number, field: string, max = FILTER_VALUES_MAX): void {
  if (length <= max) return;
  throw badInput(`\`filter.${field}\` takes at most ${max} values, not ${length}`, `filter.${field}`);
}
