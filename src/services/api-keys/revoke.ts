/** Ending a key for good. When this returns, no gateway lets its token in and no write begun under it commits later. */
import type { Database } from '../../database/database.ts';
import type { ApiKey } from '../../database/generated/client.ts';
import { NO_SUCH_KEY } from '../../domain/api-key.ts';
import type { Outcome } from '../../domain/user-error.ts';
import { actorId, type Origin } from '../actor.ts';
import { requireScope, settle, type WriteTransaction, write } from '../transaction.ts';

export type RevokedApiKey = Outcome<{ readonly apiKey: ApiKey }>;

/** Idempotent: a key that is revoked already stays as it is. Both ids are UUIDs. */
export async function revokeApiKey(
  database: Database,
  origin: Origin,
  networkId: string,
  keyId: string,
): Promise<RevokedApiKey> {
  const apiKey = await write(database, origin, (transaction) => revoke(transaction, networkId, keyId));
  if (apiKey === null) return NO_SUCH_KEY;
  // Also where the key had been revoked already: an earlier call may have ended before its writes had drained.
  await settle(database, { keyIds: [keyId] });
  return { ok: true, apiKey };
}

async function revoke(transaction: WriteTransaction, networkId: string, keyId: string): Promise<ApiKey | null> {
  requireScope(transaction, 'keys:write');
  const { actor, prisma, audit } = transaction;
  const changed = await prisma.$executeRaw`
    UPDATE api_keys
    SET revoked_at = clock_timestamp(), revoked_by_kind = ${actor.kind}::actor_kind, revoked_by_id = ${actorId(actor)}::uuid
    WHERE id = ${keyId}::uuid AND network_id = ${networkId}::uuid AND revoked_at IS NULL`;
  const apiKey = await prisma.apiKey.findFirst({ where: { id: keyId, networkId } });
  if (apiKey === null || changed === 0) return apiKey;
  const details = { before: { status: 'ACTIVE' }, after: { status: 'REVOKED', name: apiKey.name } };
  await audit({ networkId, action: 'key.revoked', subject: { type: 'ApiKey', id: keyId }, details });
  return apiKey;
}
