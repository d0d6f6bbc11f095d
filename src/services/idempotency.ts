/**
 * Doing a write once, however often its request is sent. What a write came to is stored in the write's own transaction:
 * after a kill -9 either both are there or neither is, and a request of several writes goes on where it was cut off. The
 * outcome is kept, not the answer: the answer is made of it anew, so that nobody's personal data lie in another table.
 * Names are an API key's own, for a day.
 */
import type { Database } from '../database/database.ts';
import type { Prisma } from '../database/generated/client.ts';
import { GatehouseError } from '../domain/errors.ts';
import type { Actor, WriteIdentity } from './actor.ts';
import { BATCH_ROWS, inBatches } from './batches.ts';

export const IDEMPOTENCY_KEPT_HOURS = 24;

/** How the outcome of a write is kept. Never with a token or anybody's data in it: ids, kinds and user errors. */
export interface Memo<Result> {
  /** Null: this is not the end of it, and another transaction of the same write goes on from here. */
  save(result: Result): object | null;
  /** From what `save` gave. */
  restore(saved: unknown, prisma: Prisma.TransactionClient): Promise<Result>;
}

/** Throws IDEMPOTENCY_KEY_REUSED for another request, IDEMPOTENCY_KEY_IN_USE while the same one is under way. */
export async function once<Result>(
  prisma: Prisma.TransactionClient,
  actor: Actor,
  identity: WriteIdentity,
  memo: Memo<Result>,
  work: () => Promise<Result>,
): Promise<Result> {
  if (actor.kind !== 'KEY') throw new TypeError('only a key has names for its requests');
  const { keyId } = actor.principal;
  await lock(prisma, keyId, identity);
  const found = await find(prisma, keyId, identity);
  if (found !== undefined) {
    identity.onReplayed();
    return memo.restore(found.outcome, prisma);
  }
  const result = await work();
  const outcome = memo.save(result);
  if (outcome !== null) await keep(prisma, keyId, identity, outcome);
  return result;
}

async function keep(
  prisma: Prisma.TransactionClient,
  keyId: string,
  { nameDigest, requestDigest, operation, ordinal }: WriteIdentity,
  outcome: object,
): Promise<void> {
  await prisma.$executeRaw`
    INSERT INTO idempotent_writes (key_id, name_digest, operation, ordinal, request_digest, outcome)
    VALUES (${keyId}::uuid, ${nameDigest}, ${operation}, ${ordinal}, ${requestDigest}, ${JSON.stringify(outcome)}::jsonb)
    ON CONFLICT (key_id, name_digest, operation, ordinal) DO UPDATE
    SET request_digest = EXCLUDED.request_digest, outcome = EXCLUDED.outcome, created_at = now()`;
}

/**
 * Adds to a number of what is kept, in a transaction that goes on with the write. Whoever sends the request again while it
 * is under way may be going on with it, too: both add to it.
 */
export async function addToOutcome(
  { prisma, actor }: { readonly prisma: Prisma.TransactionClient; readonly actor: Actor },
  { nameDigest, operation, ordinal }: WriteIdentity,
  property: string,
  count: number,
): Promise<void> {
  if (actor.kind !== 'KEY') throw new TypeError('only a key has names for its requests');
  await prisma.$executeRaw`
    UPDATE idempotent_writes
    SET outcome = jsonb_set(outcome, ARRAY[${property}::text], to_jsonb((outcome->>${property}::text)::int + ${count}::int))
    WHERE key_id = ${actor.principal.keyId}::uuid AND name_digest = ${nameDigest}
      AND operation = ${operation} AND ordinal = ${ordinal}`;
}

/** Held to the end of the transaction. It may be another request's by chance, once in 2^64 pairs of them: that one waits. */
async function lock(prisma: Prisma.TransactionClient, keyId: string, { nameDigest }: WriteIdentity): Promise<void> {
  const [row] = await prisma.$queryRaw<{ locked: boolean }[]>`
    SELECT pg_try_advisory_xact_lock(hashtextextended(${`${keyId} ${nameDigest.toString('hex')}`}, 0)) AS locked`;
  if (row?.locked === true) return;
  throw new GatehouseError('IDEMPOTENCY_KEY_IN_USE', 'A request with this Idempotency-Key is still under way', {
    headers: { 'retry-after': '1' },
  });
}

async function find(prisma: Prisma.TransactionClient, keyId: string, identity: WriteIdentity) {
  const rows = await prisma.$queryRaw<
    { operation: number; ordinal: number; requestDigest: Uint8Array; outcome: unknown }[]
  >`
    SELECT operation, ordinal, request_digest AS "requestDigest", outcome FROM idempotent_writes
    WHERE key_id = ${keyId}::uuid AND name_digest = ${identity.nameDigest}
      AND created_at > now() - make_interval(hours => ${IDEMPOTENCY_KEPT_HOURS}::int)`;
  if (rows.some(({ requestDigest }) => !identity.requestDigest.equals(requestDigest))) {
    throw new GatehouseError(
      'IDEMPOTENCY_KEY_REUSED',
      'This Idempotency-Key was sent with another request: each request has its own',
    );
  }
  return rows.find(({ operation, ordinal }) => operation === identity.operation && ordinal === identity.ordinal);
}

/** How many were forgotten. `signal`: ends it between two batches. */
export function purgeIdempotentWrites({ prisma }: Pick<Database, 'prisma'>, signal: AbortSignal): Promise<number> {
  return inBatches(
    signal,
    () => prisma.$executeRaw`
      DELETE FROM idempotent_writes WHERE (key_id, name_digest, operation, ordinal) IN (
        SELECT key_id, name_digest, operation, ordinal FROM idempotent_writes
        WHERE created_at <= now() - make_interval(hours => ${IDEMPOTENCY_KEPT_HOURS}::int)
        LIMIT ${BATCH_ROWS} FOR UPDATE SKIP LOCKED)`,
  );
}
