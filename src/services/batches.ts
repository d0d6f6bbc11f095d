/** Deleting however many rows in small batches: none holds a lock for long, and whoever stops waits for one at the most. */

export const BATCH_ROWS = 1_000;
/** Of one run: what is left then waits for the next. */
const BATCHES_MAX = 1_000;

/**
 * How many rows were deleted. `deleteBatch` deletes up to BATCH_ROWS and says how many; none: no more are there. `signal`:
 * ends it between two batches.
 */
export async function inBatches(signal: AbortSignal, deleteBatch: () => Promise<number>): Promise<number> {
  let deleted = 0;
  for (let batch = 0; batch < BATCHES_MAX && !signal.aborted; batch += 1) {
    const rows = await deleteBatch();
    deleted += rows;
    if (rows === 0) break;
  }
  return deleted;
}
