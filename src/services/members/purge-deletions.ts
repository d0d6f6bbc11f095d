/**
 * Forgetting deletions that are older than the feed promises to tell of. The floor of the feed rises in the same
 * transaction, so that a client which has not heard of them is refused rather than left in the dark.
 */
import type { Database } from '../../database/database.ts';
import { BATCH_ROWS, inBatches } from '../batches.ts';

/** How many were forgotten. `signal`: ends it between two batches. */
export function purgeDeletions(
  database: Pick<Database, 'prisma'>,
  keptDays: number,
  signal: AbortSignal,
): Promise<number> {
  return inBatches(signal, () => purgeBatch(database, keptDays));
}

/** Of one network at a time, whose feed's row is locked first: writers hold no more than that one either. */
async function purgeBatch(database: Pick<Database, 'prisma'>, keptDays: number): Promise<number> {
  return database.prisma.$transaction(async (prisma) => {
    const [oldest] = await prisma.$queryRaw<{ networkId: string }[]>`
      SELECT feed.network_id AS "networkId" FROM member_feeds feed WHERE feed.network_id = (
        SELECT network_id FROM member_deletions
        WHERE deleted_at < clock_timestamp() - make_interval(days => ${keptDays}::int) ORDER BY deleted_at LIMIT 1)
      FOR UPDATE`;
    if (oldest === undefined) return 0;
    const { networkId } = oldest;
    return prisma.$executeRaw`
      WITH old AS (
        SELECT network_id, position, member_id FROM member_deletions
        WHERE network_id = ${networkId}::uuid
          AND deleted_at < clock_timestamp() - make_interval(days => ${keptDays}::int)
        ORDER BY position LIMIT ${BATCH_ROWS}
      ), risen AS (
        UPDATE member_feeds SET floor = GREATEST(floor, (SELECT max(position) FROM old))
        WHERE network_id = ${networkId}::uuid
      )
      DELETE FROM member_deletions AS d USING old
      WHERE d.network_id = old.network_id AND d.position = old.position AND d.member_id = old.member_id`;
  });
}
