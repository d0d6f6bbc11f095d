/** Ids that somebody named, and which of them a network has. */
import { Prisma } from './generated/client.ts';

/**
 * SQL for the ids of a network's rows among some ids, as the subquery of an IN. What it reads of another network's row is
 * the same as of one that does not exist: nothing. `id = ANY(…)` would let the planner go by the primary key, read the row
 * and then leave it out. UUIDs.
 */
export function ownIds(
  table: 'members' | 'api_keys' | 'admins',
  networkId: string,
  ids: readonly string[],
): Prisma.Sql {
  return Prisma.sql`
    SELECT found.id FROM unnest(${[...ids]}::uuid[]) AS given (value) CROSS JOIN LATERAL (
      SELECT id FROM ${Prisma.raw(table)} WHERE (network_id, id) >= ((SELECT ${networkId}::uuid), given.value)
        AND (network_id, id) <= ((SELECT ${networkId}::uuid), given.value) ORDER BY network_id, id LIMIT 1
    ) AS found`;
}
