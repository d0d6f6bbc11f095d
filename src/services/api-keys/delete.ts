/** Removing a key that has ended. Its audit trail and its usage totals stay: nothing of them refers to its row. */
import type { Database } from '../../database/database.ts';
import { hasEnded } from '../../domain/api-key.ts';
import { type Outcome, refused, type UserError } from '../../domain/user-error.ts';
import type { Origin } from '../actor.ts';
import type { Memo } from '../idempotency.ts';
import { settle, type WriteTransaction, write } from '../transaction.ts';
import { lockKeyToChange } from './changeable-key.ts';

export type DeletedApiKey = Outcome<{ readonly keyId: string }>;

const KEY_ACTIVE: UserError = {
  code: 'KEY_ACTIVE',
  message: 'This key still works: revoke it first',
  field: ['input', 'id'],
};

const MEMO: Memo<DeletedApiKey> = {
  save: (outcome) => outcome,
  restore: async (saved) => saved as DeletedApiKey,
};
/** That it may be deleted is not the end of it. */
const CHECK_MEMO: Memo<DeletedApiKey> = { ...MEMO, save: (found) => (found.ok ? null : found) };

/** Both ids are UUIDs. */
export async function deleteApiKey(
  database: Database,
  origin: Origin,
  networkId: string,
  keyId: string,
): Promise<DeletedApiKey> {
  const found = await write(database, origin, (transaction) => check(transaction, networkId, keyId), CHECK_MEMO);
  if (!found.ok) return found;
  // Whoever has just revoked it waits for the writes under its secrets by these rows: before they go, that is done.
  await settle(database, { keyIds: [keyId] });
  return write(database, origin, (transaction) => remove(transaction, networkId, keyId), MEMO);
}

async function check(transaction: WriteTransaction, networkId: string, keyId: string): Promise<DeletedApiKey> {
  const found = await lockKeyToChange(transaction, networkId, keyId);
  if (!found.ok) return found;
  return hasEnded(found.key) ? { ok: true, keyId } : refused([KEY_ACTIVE]);
}

async function remove(transaction: WriteTransaction, networkId: string, keyId: string): Promise<DeletedApiKey> {
  const found = await lockKeyToChange(transaction, networkId, keyId);
  if (!found.ok) return found;
  const { prisma, audit } = transaction;
  const { key } = found;
  await prisma.apiKey.delete({ where: { id: keyId } });
  const { name, redactedToken, scopes, environment } = key;
  const status = key.revokedAt === null ? 'EXPIRED' : 'REVOKED';
  const details = { before: { name, redactedToken, scopes, environment, status } };
  await audit({ networkId, action: 'key.deleted', subject: { type: 'ApiKey', id: keyId }, details });
  return { ok: true, keyId };
}
