/** Ending keys inside a transaction, each with its event; and which keys stand in the line of others. */
import { Prisma } from '../../database/generated/client.ts';
import { redactLine } from '../../domain/redaction.ts';
import { actorId } from '../actor.ts';
import type { WriteTransaction } from '../transaction.ts';
import { whyNotEnded } from './changeable-key.ts';
import { readKeys } from './key-row.ts';

/** Which of the network's keys: a condition on the rows of api_keys. */
export const ofIds = (keyIds: readonly string[]): Prisma.Sql => Prisma.sql`id = ANY(${[...keyIds]}::uuid[])`;
export const ofLine = (networkId: string, keyIds: readonly string[]): Prisma.Sql =>
  Prisma.sql`id IN (${lineOf(networkId, keyIds)})`;
export const ofAdmin = (adminId: string): Prisma.Sql => Prisma.sql`admin_id = ${adminId}::uuid`;

/**
 * Ends those of the keys that are not revoked and that the actor may change, up to `maxKeys` of them (null: all); returns
 * the ids of those it ended.
 */
export async function endKeys(
  transaction: WriteTransaction,
  networkId: string,
  which: Prisma.Sql,
  reason: string | null,
  maxKeys: number | null,
): Promise<string[]> {
  const { actor, prisma, audit } = transaction;
  // Locked in one order, so that two calls at once cannot wait for each other in a ring.
  const locked = await prisma.$queryRaw<{ id: string }[]>`
    SELECT id FROM api_keys WHERE network_id = ${networkId}::uuid AND revoked_at IS NULL AND ${which}
    ORDER BY id LIMIT ${maxKeys}::bigint FOR NO KEY UPDATE`;
  // Read again under the lock: a key may have gained a scope while this waited for it.
  const keys = await readKeys(
    prisma,
    networkId,
    locked.map(({ id }) => id),
  );
  const ids = [...keys.values()].filter((key) => whyNotEnded(transaction, key) === null).map(({ id }) => id);
  const revoked = await prisma.$queryRaw<{ id: string; name: string; expired: boolean }[]>`
    UPDATE api_keys k
    SET revoked_at = clock_timestamp(), revoked_by_kind = ${actor.kind}::actor_kind,
        revoked_by_id = ${actorId(actor)}::uuid, revoked_reason = ${reason}
    WHERE k.id = ANY(${ids}::uuid[]) AND k.revoked_at IS NULL
    RETURNING k.id, k.name, COALESCE(k.expires_at <= clock_timestamp(), false) AS expired`;
  revoked.sort((a, b) => (a.id < b.id ? -1 : 1));
  await audit(
    revoked.map(({ id, name, expired }) => {
      const after = { status: 'REVOKED', name, ...(reason === null ? {} : { reason: redactLine(reason) }) };
      const details = { before: { status: expired ? 'EXPIRED' : 'ACTIVE' }, after };
      return { networkId, action: 'key.revoked', subject: { type: 'ApiKey', id }, details };
    }),
  );
  return revoked.map(({ id }) => id);
}

/** How many living keys are in a key's line, itself left out. */
export async function livingInLine(
  prisma: Prisma.TransactionClient,
  networkId: string,
  keyId: string,
): Promise<number> {
  const [row] = await prisma.$queryRaw<{ living: number }[]>`
    SELECT count(*)::int AS living FROM api_keys
    WHERE id IN (${lineOf(networkId, [keyId])}) AND id <> ${keyId}::uuid
      AND network_id = ${networkId}::uuid AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`;
  return row?.living ?? 0;
}

/**
 * The ids of some keys and of their line: what they made, and whose token they were given by a rotation, as long as it
 * lives; what those made, and so on. Where one between has been deleted, by what each remembers.
 */
export function lineOf(networkId: string, keyIds: readonly string[]): Prisma.Sql {
  return Prisma.sql`
    WITH RECURSIVE reached AS (
      SELECT id, created_by_id AS holder FROM api_keys
      WHERE network_id = ${networkId}::uuid AND created_by_kind = 'KEY'
      UNION SELECT id, unnest(ancestor_ids) FROM api_keys WHERE network_id = ${networkId}::uuid
      UNION SELECT key_id, unnest(received_by_ids) FROM secrets
      WHERE network_id = ${networkId}::uuid AND (expires_at IS NULL OR expires_at > clock_timestamp())
    ), line AS (
      SELECT unnest(${[...keyIds]}::uuid[]) AS id
      UNION SELECT reached.id FROM line JOIN reached ON reached.holder = line.id
    ) SELECT id FROM line`;
}
