/**
 * Every write goes through here: one transaction with its audit events, begun by checking the actor again.
 *
 * Promise 1 (revoked means revoked) rests on two halves. A write locks its actor's secret FOR SHARE and then, in a
 * second statement with a fresh snapshot, checks that it still counts. Whatever ends or narrows a secret commits first
 * and then calls `settle`, which takes the same rows FOR UPDATE: it returns once every write begun under the old state
 * has ended, and each later one sees the new state. The lock is taken after the commit, not before, so that a stream of
 * writes under a stolen key cannot hold its revocation up.
 */
import type { Database } from '../database/database.ts';
import { TRANSACTION_TIMEOUT_MS } from '../database/database.ts';
import type { Prisma } from '../database/generated/client.ts';
import { SECRETS_BY_DIGEST, type SecretRow, toSecretRecord } from '../database/secrets.ts';
import { judge, type Principal, refusalOf } from '../domain/verification.ts';
import type { Actor, Origin } from './actor.ts';
import { type AuditEntry, record } from './audit.ts';

export interface WriteTransaction {
  readonly prisma: Prisma.TransactionClient;
  /** The actor as it stands inside this transaction: a principal's scopes are fresh. */
  readonly actor: Actor;
  /** Writes an audit event that commits with the change or not at all. */
  audit(entry: AuditEntry): Promise<void>;
}

/** How long `settle` waits for writes under way: each of them is bounded by TRANSACTION_TIMEOUT_MS. */
const SETTLE_TIMEOUT_MS = TRANSACTION_TIMEOUT_MS + 5_000;

/** Throws the refusal of an actor that no longer counts, and whatever `work` throws; then nothing has changed. */
export async function write<Result>(
  database: Database,
  origin: Origin,
  work: (transaction: WriteTransaction) => Promise<Result>,
): Promise<Result> {
  return database.prisma.$transaction(async (prisma) => {
    const actor = await recheck(prisma, origin.actor);
    return work({ prisma, actor, audit: (entry) => record(prisma, actor, origin.requestId, entry) });
  });
}

async function recheck(prisma: Prisma.TransactionClient, actor: Actor): Promise<Actor> {
  if (actor.kind !== 'KEY') return actor;
  return { kind: 'KEY', principal: await lockPrincipal(prisma, actor.principal.digest) };
}

async function lockPrincipal(prisma: Prisma.TransactionClient, digest: Buffer): Promise<Principal> {
  // Two statements: the check must read a snapshot that is younger than the lock.
  await prisma.$queryRaw`SELECT 1 AS locked FROM secrets WHERE digest = ${digest} FOR SHARE`;
  const [row] = await prisma.$queryRawUnsafe<SecretRow[]>(SECRETS_BY_DIGEST, [digest]);
  const verification = judge(row === undefined ? null : toSecretRecord(row));
  if (verification.status !== 'valid') throw refusalOf(verification);
  return verification.principal;
}

/** Which secrets changed: those of some keys, of an admin's keys, or of a whole network. UUIDs. */
export type Settled = { readonly keyIds: readonly string[] } | { readonly adminId: string } | { readonly networkId: string };

/** Waits until no write begun under these secrets' old state can still commit. Call after the change has committed. */
export async function settle(database: Database, changed: Settled): Promise<void> {
  await database.prisma.$transaction(
    async (prisma) => {
      await prisma.$executeRawUnsafe(`SET LOCAL statement_timeout = ${SETTLE_TIMEOUT_MS}`);
      if ('keyIds' in changed) {
        await prisma.$queryRaw`SELECT 1 AS locked FROM secrets WHERE key_id = ANY(${[...changed.keyIds]}::uuid[]) ORDER BY digest FOR UPDATE`;
      } else if ('adminId' in changed) {
        await prisma.$queryRaw`SELECT 1 AS locked FROM secrets WHERE key_id IN (SELECT id FROM api_keys WHERE admin_id = ${changed.adminId}::uuid) ORDER BY digest FOR UPDATE`;
      } else {
        await prisma.$queryRaw`SELECT 1 AS locked FROM secrets WHERE network_id = ${changed.networkId}::uuid ORDER BY digest FOR UPDATE`;
      }
    },
    { timeout: SETTLE_TIMEOUT_MS + 1_000 },
  );
}
