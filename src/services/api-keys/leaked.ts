/**
 * Tokens that somebody found where they should not be. Whoever holds a token may end it: a current secret ends with its
 * key, a previous one alone. What is found is nobody's to know: the reporter gets no answer from here.
 */
import type { Database, QueryResultRow } from '../../database/database.ts';
import { lookUp } from '../../database/prepared.ts';
import { hasEnded } from '../../domain/api-key.ts';
import { digestOf } from '../../domain/token.ts';
import type { Source } from '../actor.ts';
import { settle, type WriteTransaction, write } from '../transaction.ts';
import { lockKeyToChange } from './changeable-key.ts';
import { livingInLine } from './end-keys.ts';

/** A key of which tokens were found. Ids are UUIDs. */
export interface LeakedKey {
  readonly keyId: string;
  readonly networkId: string;
  /** Of those that were found. */
  readonly digests: readonly Buffer[];
}

interface LivingSecret {
  readonly digest: Buffer;
  readonly keyId: string;
  readonly networkId: string;
}

const LIVING = `
SELECT digest, key_id AS "keyId", network_id AS "networkId" FROM secrets
WHERE digest = ANY($1::bytea[]) AND (expires_at IS NULL OR expires_at > clock_timestamp())`;

/** Whose tokens these are, as far as they live. */
export async function leakedKeys({ pool }: Pick<Database, 'pool'>, tokens: readonly string[]): Promise<LeakedKey[]> {
  const rows = await lookUp<LivingSecret & QueryResultRow>(pool, { text: LIVING }, [tokens.map(digestOf)]);
  return [...Map.groupBy(rows, ({ keyId }) => keyId)].map(([keyId, secrets]) => {
    const networkId = secrets[0]?.networkId ?? '';
    return { keyId, networkId, digests: secrets.map(({ digest }) => digest) };
  });
}

/**
 * When this returns, those of the tokens that lived are let in nowhere. `place`: where they were found, as it may be kept.
 * Rejects where somebody else holds the key for longer than `lockWaitMs`; doing it again does what is left.
 */
export async function endLeaked(
  database: Database,
  source: Source,
  leaked: LeakedKey,
  place: string | null,
  lockWaitMs: number,
): Promise<void> {
  await write(database, { ...source, actor: { kind: 'SCANNER' } }, async (transaction) => {
    await transaction.prisma.$executeRawUnsafe(`SET LOCAL lock_timeout = ${lockWaitMs}`);
    await endKey(transaction, leaked, place);
  });
  // Also where it had ended already: an earlier try may have failed here.
  await settle(database, { keyIds: [leaked.keyId] });
}

async function endKey(
  transaction: WriteTransaction,
  { networkId, keyId, digests }: LeakedKey,
  place: string | null,
): Promise<void> {
  const { actor, prisma, audit } = transaction;
  // The lock first: a rotation may have made a previous one of the secret that was current.
  const found = await lockKeyToChange(transaction, networkId, keyId);
  if (!found.ok || hasEnded(found.key)) return;
  const { key } = found;
  const living = await prisma.$queryRaw<{ isCurrent: boolean; redactedToken: string }[]>`
    SELECT expires_at IS NULL AS "isCurrent", COALESCE(redacted_token, ${key.redactedToken}) AS "redactedToken" FROM secrets
    WHERE digest = ANY(${[...digests]}::bytea[]) AND (expires_at IS NULL OR expires_at > clock_timestamp())`;
  if (living.length === 0) return;
  const isRevoked = living.some(({ isCurrent }) => isCurrent);
  if (isRevoked) {
    const reason = `Reported as leaked${place === null ? '' : `: ${place}`}`;
    await prisma.$executeRaw`
      UPDATE api_keys SET revoked_at = clock_timestamp(), revoked_by_kind = ${actor.kind}::actor_kind, revoked_reason = ${reason}
      WHERE id = ${keyId}::uuid`;
  } else {
    await prisma.$executeRaw`
      UPDATE secrets SET expires_at = date_trunc('milliseconds', clock_timestamp())
      WHERE digest = ANY(${[...digests]}::bytea[])`;
  }
  const details = {
    before: { status: 'ACTIVE', redactedTokens: living.map(({ redactedToken }) => redactedToken) },
    after: { status: isRevoked ? 'REVOKED' : 'ACTIVE', name: key.name },
    where: place,
    // What its finder may have made with it lives on, until somebody revokes it with includeCreated.
    livingInLine: await livingInLine(prisma, networkId, keyId),
  };
  await audit({ networkId, action: 'key.leaked', subject: { type: 'ApiKey', id: keyId }, details });
}
