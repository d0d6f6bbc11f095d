/**
 * A new secret for a key that stays. The old one lives on for the overlap, so that programs can be given the new one
 * while they run; of a secret with an end of its own (secrets.expires_at) there is one at a time that lives.
 */
import type { Database } from '../../database/database.ts';
import type { KeyRow } from '../../database/tables.ts';
import { hasEnded, OVERLAP_MAX_SECONDS } from '../../domain/api-key.ts';
import { digestOf, mintToken, redact } from '../../domain/token.ts';
import { type Outcome, refused, type UserError } from '../../domain/user-error.ts';
import type { Origin } from '../actor.ts';
import { settle, type WriteTransaction, write } from '../transaction.ts';
import { lockKeyToChange } from './changeable-key.ts';
import { whyNoSecret } from './held.ts';
import { KEY_ENDED } from './key-row.ts';
import { lineageOf } from './lineage.ts';
import { keyMemo, type ToldApiKey, tokenMemo, withToken } from './told.ts';

export type RotatedApiKey = Outcome<{ readonly apiKey: KeyRow; readonly token: string }>;

/** Ended secrets are kept a while, so that whoever still sends one is told that it has ended, and when. */
const ENDED_KEPT_MAX = 10;

const BAD_OVERLAP: UserError = {
  code: 'OUT_OF_RANGE',
  message: `The overlap must be 0 to ${OVERLAP_MAX_SECONDS} seconds (7 days)`,
  field: ['input', 'overlapSeconds'],
};

/** Keys that pass their tokens on among each other: this many ways a token may have come. */
const RECEIVERS_MAX = 100;

const TOO_MANY_RECEIVERS: UserError = {
  code: 'OUT_OF_RANGE',
  message: `More than ${RECEIVERS_MAX} keys have given each other the token that was sent: rotate with an earlier key`,
  field: ['input', 'id'],
};

/** Both ids are UUIDs. When this returns, what has ended with it is let in nowhere. */
export async function rotateApiKey(
  database: Database,
  origin: Origin,
  networkId: string,
  keyId: string,
  overlapSeconds: number,
): Promise<RotatedApiKey> {
  const once = { ...origin, idempotency: null };
  return withToken(await rotateApiKeyOnce(database, once, networkId, keyId, overlapSeconds));
}

/** The same for a request that may be sent again. */
export async function rotateApiKeyOnce(
  database: Database,
  origin: Origin,
  networkId: string,
  keyId: string,
  overlapSeconds: number,
): Promise<ToldApiKey> {
  const work = (transaction: WriteTransaction): Promise<ToldApiKey> =>
    rotate(transaction, networkId, keyId, overlapSeconds);
  const outcome = await write(database, origin, work, tokenMemo(networkId));
  if (outcome.ok) await settle(database, { keyIds: [keyId] });
  return outcome;
}

/** Ends the previous secret now. Idempotent: a key that has none stays as it is. */
export async function endOverlap(
  database: Database,
  origin: Origin,
  networkId: string,
  keyId: string,
): Promise<Outcome<{ readonly apiKey: KeyRow }>> {
  const outcome = await write(database, origin, (each) => end(each, networkId, keyId), keyMemo(networkId));
  // Also where it had ended already: an earlier call may have ended before its writes had drained.
  if (outcome.ok) await settle(database, { keyIds: [keyId] });
  return outcome;
}

async function rotate(
  transaction: WriteTransaction,
  networkId: string,
  keyId: string,
  overlapSeconds: number,
): Promise<RotatedApiKey> {
  const found = await lockKeyToChange(transaction, networkId, keyId);
  if (!found.ok) return found;
  const { actor, prisma, audit } = transaction;
  const { key: before } = found;
  const admin = await prisma.admin.findUniqueOrThrow({ where: { id: before.adminId } });
  if (hasEnded(before) || admin.removedAt !== null) return refused([KEY_ENDED]);
  const isOverlapFine =
    Number.isInteger(overlapSeconds) && overlapSeconds >= 0 && overlapSeconds <= OVERLAP_MAX_SECONDS;
  const receivedByIds = await lineageOf(transaction);
  const errors = [
    whyNoSecret(actor, before),
    isOverlapFine ? null : BAD_OVERLAP,
    receivedByIds.length > RECEIVERS_MAX ? TOO_MANY_RECEIVERS : null,
  ].filter((error) => error !== null);
  if (errors.length > 0) return refused(errors);

  const token = mintToken(before.environment);
  const redactedToken = redact(token);
  const ended = await endPrevious(transaction, keyId);
  // To the millisecond below: a secret without overlap has ended as this commits, and not half a millisecond later.
  const [previous] = await prisma.$queryRaw<{ expiresAt: Date }[]>`
    UPDATE secrets
    SET expires_at = date_trunc('milliseconds', clock_timestamp()) + make_interval(secs => ${overlapSeconds}),
        redacted_token = COALESCE(redacted_token, ${before.redactedToken})
    WHERE key_id = ${keyId}::uuid AND expires_at IS NULL
    RETURNING expires_at AS "expiresAt"`;
  const digest = new Uint8Array(digestOf(token));
  await prisma.secret.create({ data: { digest, keyId, networkId, redactedToken, receivedByIds } });
  await prisma.apiKey.update({ where: { id: keyId }, data: { redactedToken } });
  await forgetEnded(transaction, keyId);
  const details = {
    before: { redactedToken: before.redactedToken },
    after: { redactedToken, previousExpiresAt: previous?.expiresAt.toISOString() ?? null },
    ...(ended === null ? {} : { ended }),
  };
  await audit({ networkId, action: 'key.rotated', subject: { type: 'ApiKey', id: keyId }, details });
  return { ok: true, apiKey: { ...before, redactedToken }, token };
}

async function end(
  transaction: WriteTransaction,
  networkId: string,
  keyId: string,
): Promise<Outcome<{ readonly apiKey: KeyRow }>> {
  const found = await lockKeyToChange(transaction, networkId, keyId);
  if (!found.ok) return found;
  const { audit } = transaction;
  const ended = await endPrevious(transaction, keyId);
  const details = { before: { redactedToken: ended } };
  if (ended !== null) {
    await audit({ networkId, action: 'key.overlap_ended', subject: { type: 'ApiKey', id: keyId }, details });
  }
  return { ok: true, apiKey: found.key };
}

/** Ends the secret that lives on from a rotation before, if there is one; gives its redacted form. */
export async function endPrevious({ prisma }: WriteTransaction, keyId: string): Promise<string | null> {
  const [ended] = await prisma.$queryRaw<{ redactedToken: string }[]>`
    UPDATE secrets SET expires_at = date_trunc('milliseconds', clock_timestamp())
    WHERE key_id = ${keyId}::uuid AND expires_at > clock_timestamp()
    RETURNING COALESCE(redacted_token, '') AS "redactedToken"`;
  return ended?.redactedToken ?? null;
}

/** An hour is far longer than any write that began under one of them can take, so that none is forgotten by `settle`. */
async function forgetEnded({ prisma }: WriteTransaction, keyId: string): Promise<void> {
  await prisma.$executeRaw`
    DELETE FROM secrets WHERE digest IN (
      SELECT digest FROM secrets
      WHERE key_id = ${keyId}::uuid AND expires_at < clock_timestamp() - interval '1 hour'
      ORDER BY expires_at DESC OFFSET ${ENDED_KEPT_MAX})`;
}
