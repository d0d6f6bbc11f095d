/**
 * Every write goes through here: one transaction with its audit events, begun by checking the actor again.
 *
 * Promise 1 (revoked means revoked) rests on two halves. A write takes its actor's lock, shared, and then, in a second
 * statement with a fresh snapshot, checks that it still counts. Whatever ends or narrows a secret commits first and then
 * calls `settle`, which takes the same locks, exclusive, and lets go of each at once: it returns when every write begun
 * under the old state has ended, and each later one sees the new state. It locks after the commit, not before, so that a
 * stream of writes under a stolen key cannot hold its revocation up. And the locks are PostgreSQL's advisory ones, whose
 * queue is fair, not row locks (FOR SHARE, FOR UPDATE): there, writes that share a row overtake whoever waits to have it
 * alone, so under a stream of writes whose key goes on (its plan or role changed) that one waits until it times out.
 */
import { uncancellable } from '../database/cancellation.ts';
import { DATABASE_NOW_MS } from '../database/clock.ts';
import type { Database } from '../database/database.ts';
import { TRANSACTION_TIMEOUT_MS } from '../database/database.ts';
import { isDeadlock } from '../database/faults.ts';
import { Prisma } from '../database/generated/client.ts';
import { nowOf, SECRETS_BY_DIGEST, type SecretRow, toSecretRecord } from '../database/secrets.ts';
import type { Address } from '../domain/address.ts';
import { newUuid } from '../domain/id.ts';
import type { Scope } from '../domain/scope.ts';
import { readEpochMs } from '../domain/unreadable.ts';
import { forbidden, judge, type Principal, refusalOf } from '../domain/verification.ts';
import type { Actor, Origin } from './actor.ts';
import { type AuditEntry, record } from './audit.ts';
import { type Memo, once } from './idempotency.ts';

export interface WriteTransaction {
  readonly prisma: Prisma.TransactionClient;
  /** The actor as it stands inside this transaction: a principal's scopes are fresh. */
  readonly actor: Actor;
  /** When it began, by the database's clock: for what it stores. */
  readonly now: Date;
  /** A new UUID that carries that time. */
  newId(): string;
  /** Writes audit events that commit with the change or not at all. */
  audit(entries: AuditEntry | readonly AuditEntry[]): Promise<void>;
}

/**
 * The scope that a write needs, checked on the actor as it stands inside the transaction: between the check before
 * execution and this moment it may have lost it. The command line needs none.
 */
export function requireScope({ actor }: WriteTransaction, scope: Scope): void {
  if (actor.kind === 'COMMAND_LINE') return;
  if (actor.kind === 'SCANNER') throw new TypeError('whoever reports a leak has no scopes');
  if (actor.principal.scopes.has(scope)) return;
  throw forbidden(`Forbidden: this token lacks the scope ${scope}`, [scope]);
}

/** Of a transaction that PostgreSQL ends to break a deadlock, which takes it a second each time to find. */
const ATTEMPTS_MAX = 3;

/** How long `settle` waits for writes under way: each of them is bounded by TRANSACTION_TIMEOUT_MS. */
const SETTLE_TIMEOUT_MS = TRANSACTION_TIMEOUT_MS + 5_000;

/**
 * Throws the refusal of an actor that no longer counts, and whatever `work` throws; then nothing has changed. `work` is
 * done anew where PostgreSQL has ended it to break a ring of locks, and so changes nothing but the database. `memo` says
 * how a write that a caller asks for is told again, when the request comes again under its Idempotency-Key.
 */
export async function write<Result>(
  database: Database,
  origin: Origin,
  work: (transaction: WriteTransaction) => Promise<Result>,
  memo?: Memo<Result>,
): Promise<Result> {
  return unlessDeadlocked(database, async (prisma) => {
    const { actor, nowMs } = await recheck(prisma, origin);
    const transaction = transactionOf(prisma, { ...origin, actor }, nowMs);
    if (origin.idempotency == null) return work(transaction);
    if (memo === undefined) throw new TypeError('a write that a caller can ask for says how it is told again');
    return once(prisma, actor, origin.idempotency, memo, () => work(transaction));
  });
}

/**
 * The rest of a change that was allowed when it began, in a transaction of its own: its actor may have ended itself with
 * the first part, and is not checked again.
 */
export async function carryOn<Result>(
  database: Database,
  origin: Origin,
  work: (transaction: WriteTransaction) => Promise<Result>,
): Promise<Result> {
  return unlessDeadlocked(database, async (prisma) => work(transactionOf(prisma, origin, await readNowMs(prisma))));
}

function transactionOf(prisma: Prisma.TransactionClient, origin: Origin, nowMs: number): WriteTransaction {
  const newId = () => newUuid(nowMs);
  return {
    prisma,
    actor: origin.actor,
    now: new Date(nowMs),
    newId,
    audit: (entries) => record(prisma, origin, [entries].flat(), newId),
  };
}

async function readNowMs(prisma: Prisma.TransactionClient): Promise<number> {
  const [row] = await prisma.$queryRawUnsafe<{ now: unknown }[]>(`SELECT ${DATABASE_NOW_MS} AS now`);
  return readEpochMs(row?.now, "The database's time").getTime();
}

/** One transaction. Where it was ended by a deadlock nothing of it is left, so it may run again. */
async function unlessDeadlocked<Result>(
  { prisma }: Pick<Database, 'prisma'>,
  work: (prisma: Prisma.TransactionClient) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await prisma.$transaction(work);
    } catch (error) {
      if (!isDeadlock(error) || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

/** An actor as it stands, and the database's time, which comes along with the check of a key. */
interface Rechecked {
  readonly actor: Actor;
  readonly nowMs: number;
}

async function recheck(prisma: Prisma.TransactionClient, { actor, address }: Origin): Promise<Rechecked> {
  if (actor.kind !== 'KEY') return { actor, nowMs: await readNowMs(prisma) };
  const { principal, nowMs } = await lockPrincipal(prisma, actor.principal.digest, address);
  return { actor: { kind: 'KEY', principal }, nowMs };
}

async function lockPrincipal(
  prisma: Prisma.TransactionClient,
  digest: Buffer,
  address: Address | null,
): Promise<{ readonly principal: Principal; readonly nowMs: number }> {
  // Two statements: the check must read a snapshot that is younger than the lock.
  await prisma.$queryRaw`SELECT 1 AS locked FROM pg_advisory_xact_lock_shared(${lockOf(digest)}::bigint)`;
  const [row] = await prisma.$queryRawUnsafe<SecretRow[]>(SECRETS_BY_DIGEST, [digest]);
  if (row === undefined) throw refusalOf({ status: 'unknown' });
  const verification = judge(toSecretRecord(row), address);
  if (verification.status !== 'valid') throw refusalOf(verification);
  return { principal: verification.principal, nowMs: nowOf(row) };
}

/** A secret's lock: the first 64 bits of its digest, by which LOCKS names it in SQL. */
function lockOf(digest: Buffer): bigint {
  return digest.readBigInt64BE(0);
}

const LOCKS = Prisma.sql`SELECT DISTINCT ('x' || encode(substr(digest, 1, 8), 'hex'))::bit(64)::bigint AS lock FROM secrets`;

/** Which secrets changed: those of some keys, of an admin's keys, or of a whole network. UUIDs. */
export type Settled =
  | { readonly keyIds: readonly string[] }
  | { readonly adminId: string }
  | { readonly networkId: string };

/** Waits until no write begun under these secrets' old state can still commit. Call after the change has committed. */
export async function settle(database: Database, changed: Settled): Promise<void> {
  // Also for a caller who has gone: the change has committed, and others go by it.
  await uncancellable(() => drain(database, changed));
}

async function drain(database: Database, changed: Settled): Promise<void> {
  await database.prisma.$transaction(
    async (prisma) => {
      await prisma.$executeRawUnsafe(`SET LOCAL statement_timeout = ${SETTLE_TIMEOUT_MS}`);
      // One after the other, never two at once; CASE makes sure of the order within a row.
      await prisma.$queryRaw`
        SELECT CASE WHEN pg_advisory_lock(lock)::text = '' THEN pg_advisory_unlock(lock) END AS settled
        FROM (${LOCKS} WHERE ${whichOf(changed)} ORDER BY lock) AS locks`;
    },
    { timeout: SETTLE_TIMEOUT_MS + 1_000 },
  );
}

function whichOf(changed: Settled): Prisma.Sql {
  if ('keyIds' in changed) return Prisma.sql`key_id = ANY(${[...changed.keyIds]}::uuid[])`;
  if ('networkId' in changed) return Prisma.sql`network_id = ${changed.networkId}::uuid`;
  return Prisma.sql`key_id IN (SELECT id FROM api_keys WHERE admin_id = ${changed.adminId}::uuid)`;
}
