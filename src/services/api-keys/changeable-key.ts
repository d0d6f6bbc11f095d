/**
 * The one way to a key that is about to change. Every change (of its fields, its token, its overlap, its life, its record)
 * locks the key here, and so passes the same checks: the scope, and that the key can do nothing that the caller cannot.
 */
import type { Prisma } from '../../database/generated/client.ts';
import type { KeyRow } from '../../database/tables.ts';
import { NO_SUCH_KEY } from '../../domain/api-key.ts';
import { type Outcome, refused, type UserError } from '../../domain/user-error.ts';
import { requireScope, type WriteTransaction } from '../transaction.ts';
import { whyBeyond } from './held.ts';
import { readKey } from './key-row.ts';

/**
 * Locks the key and returns it as it is then; no other change of it comes between. Both ids are UUIDs. Throws the refusal of
 * a caller without the scope. Whoever reports a leak has proven to hold the token itself, and may end what it stands for.
 */
export async function lockKeyToChange(
  transaction: WriteTransaction,
  networkId: string,
  keyId: string,
): Promise<Outcome<{ readonly key: KeyRow }>> {
  const { actor, prisma } = transaction;
  if (actor.kind !== 'SCANNER') requireScope(transaction, 'keys:write');
  const key = await lockKey(prisma, networkId, keyId);
  if (key === null) return NO_SUCH_KEY;
  const beyond = whyBeyond(actor, key);
  return beyond === null ? { ok: true, key } : refused([beyond]);
}

/**
 * Why the actor may not end a key: what it may not change. Its own key it may always end, also with a token that ends before
 * the key does.
 */
export function whyNotEnded({ actor }: Pick<WriteTransaction, 'actor'>, key: KeyRow): UserError | null {
  const isOwn = actor.kind === 'KEY' && actor.principal.keyId === key.id;
  return isOwn ? null : whyBeyond(actor, key);
}

async function lockKey(prisma: Prisma.TransactionClient, networkId: string, keyId: string): Promise<KeyRow | null> {
  await prisma.$queryRaw`
    SELECT 1 AS locked FROM api_keys WHERE network_id = ${networkId}::uuid AND id = ${keyId}::uuid FOR NO KEY UPDATE`;
  return readKey(prisma, networkId, keyId);
}
