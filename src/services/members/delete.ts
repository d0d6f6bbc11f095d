/** Deleting members, known by id. What is not there is left out of the answer, whoever's it may be. */
import type { Database } from '../../database/database.ts';
import { ownIds } from '../../database/own-ids.ts';
import { type Outcome, refused, type UserError } from '../../domain/user-error.ts';
import type { Origin } from '../actor.ts';
import type { Memo } from '../idempotency.ts';
import { writeMembers } from './write-members.ts';

export const DELETE_MAX_MEMBERS = 1_000;

/** `deletedIds`: UUIDs, each once. */
export type DeletedMembers = Outcome<{ readonly deletedIds: readonly string[] }>;

const MEMO: Memo<readonly string[]> = {
  save: (deletedIds) => deletedIds,
  restore: async (saved) => saved as readonly string[],
};

const TOO_MANY: UserError = {
  code: 'TOO_LONG',
  message: `At most ${DELETE_MAX_MEMBERS} members at a time`,
  field: ['input', 'ids'],
};

/** `ids`: UUIDs. */
export async function deleteMembers(
  database: Database,
  origin: Origin,
  networkId: string,
  ids: readonly string[],
): Promise<DeletedMembers> {
  if (ids.length > DELETE_MAX_MEMBERS) return refused([TOO_MANY]);
  const deletedIds = await writeMembers(
    database,
    origin,
    networkId,
    async ({ prisma, audit }) => {
      // Locked in the order of their ids, as all who write several do.
      const rows = await prisma.$queryRaw<{ id: string }[]>`
        DELETE FROM members WHERE network_id = ${networkId}::uuid AND id IN (
          SELECT id FROM members WHERE id IN (${ownIds('members', networkId, ids)}) ORDER BY id FOR UPDATE)
        RETURNING id`;
      const details = { deleted: rows.length };
      const subject = { type: 'Member', id: null } as const;
      if (rows.length > 0) await audit({ networkId, action: 'members.deleted', subject, details });
      return rows.map(({ id }) => id).sort();
    },
    MEMO,
  );
  return { ok: true, deletedIds };
}
