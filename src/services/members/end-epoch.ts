/**
 * Ending an epoch of a network's feed whose counter has been put back, as a position that was given out above it shows: from
 * then on whoever heard of what is lost starts over, also once the counter has come as far again.
 */
import type { Database } from '../../database/database.ts';

/** `networkId`, `epoch`: UUIDs. Nothing happens where the epoch has ended already, or its counter has come so far. */
export async function endEpoch(
  { pool }: Pick<Database, 'pool'>,
  networkId: string,
  epoch: string,
  position: number,
): Promise<void> {
  await pool.query('SELECT public.member_feed_put_back($1, $2, $3)', [networkId, epoch, position]);
}
