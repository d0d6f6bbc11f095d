/**
 * Ending keys for good, one or many, with all that they made. When this returns, no gateway lets their tokens in and no
 * write begun under them commits later.
 */
import type { Database } from '../../database/database.ts';
import type { Prisma } from '../../database/generated/client.ts';
import { type Condition, type KeyFilter, keyConditions } from '../../database/key-filter.ts';
import type { KeyRow } from '../../database/tables.ts';
import { KEYS_A_CALL_MAX, NO_SUCH_KEY, reasonFaults, unusedFaults } from '../../domain/api-key.ts';
import { type Outcome, refused, type UserError } from '../../domain/user-error.ts';
import { actorId, type Origin } from '../actor.ts';
import { addToOutcome, type Memo } from '../idempotency.ts';
import { carryOn, requireScope, settle, type WriteTransaction, write } from '../transaction.ts';
import { endKeys, lineOf, ofIds, ofLine } from './end-keys.ts';
import { readKey, readKeys } from './key-row.ts';
import { keyMemo } from './told.ts';

export interface RevokeOptions {
  /** Why, for people; null: nothing was said. */
  readonly reason?: string | null;
  /** Also what these keys made, and what those made, and so on. */
  readonly includeCreated?: boolean;
}

export type RevokedApiKey = Outcome<{ readonly apiKey: KeyRow; readonly revokedCount: number }>;

/** How many keys one transaction ends. */
const BATCH_MAX_KEYS = 500;

/** Idempotent: a key that is revoked already stays as it is. Both ids are UUIDs. */
export async function revokeApiKey(
  database: Database,
  origin: Origin,
  networkId: string,
  keyId: string,
  options: RevokeOptions = {},
): Promise<RevokedApiKey> {
  const outcome = await revokeApiKeys(database, origin, networkId, { keyIds: [keyId] }, options);
  if (!outcome.ok) return outcome;
  const { apiKey = null } = outcome.keys[0] ?? {};
  return apiKey === null ? NO_SUCH_KEY : { ok: true, apiKey, revokedCount: outcome.revokedCount };
}

/** The caller's own key: it needs no scope for that. */
export async function revokeCurrentApiKey(
  database: Database,
  origin: Origin,
  { reason = null }: Pick<RevokeOptions, 'reason'>,
): Promise<RevokedApiKey> {
  const { actor } = origin;
  if (actor.kind !== 'KEY') throw new TypeError('only a key has a key of its own');
  const errors = reasonFaults(reason);
  if (errors.length > 0) return refused(errors);
  const { keyId, networkId } = actor.principal;
  const work = async (transaction: WriteTransaction): Promise<Outcome<{ readonly apiKey: KeyRow }>> => {
    await endKeys(transaction, networkId, ofIds([keyId]), reason, null);
    const apiKey = await readKey(transaction.prisma, networkId, keyId);
    return apiKey === null ? NO_SUCH_KEY : { ok: true, apiKey };
  };
  const outcome = await write(database, origin, work, keyMemo(networkId));
  if (!outcome.ok) return outcome;
  await settle(database, { keyIds: [keyId] });
  return { ...outcome, revokedCount: 1 };
}

/** Either by their UUIDs, or those that are not revoked and that a filter finds. */
export type WhichKeys = { readonly keyIds: readonly string[] } | { readonly filter: KeyFilter };

export type RevokedApiKeys = Outcome<{
  /** In the order of the ids, or the oldest first; `apiKey`: as it is now, null where the network has none. */
  readonly keys: First['keys'];
  /** How many this call has ended, those that they made too. */
  readonly revokedCount: number;
  /** Whether the filter finds more than KEYS_A_CALL_MAX. */
  readonly hasMore: boolean;
}>;

/** Several. An id of nothing does not keep the others from being ended; a filter never finds the caller's own key. */
export async function revokeApiKeys(
  database: Database,
  origin: Origin,
  networkId: string,
  which: WhichKeys,
  options: RevokeOptions,
): Promise<RevokedApiKeys> {
  const errors = [...reasonFaults(options.reason ?? null), ...(await filterFaults(database, which))];
  if (errors.length > 0) return refused(errors);
  const first = await write(
    database,
    origin,
    (transaction) => revokeFirst(transaction, networkId, which, options),
    firstMemo(networkId),
  );
  // Also where they had been revoked already: an earlier call may have ended before its writes had drained.
  const own = first.keys.flatMap(({ apiKey }) => apiKey?.id ?? []);
  await settle(database, { keyIds: [...own, ...first.revoked] });
  const hasRest = options.includeCreated === true || own.length > BATCH_MAX_KEYS;
  const later = hasRest ? await revokeRest(database, origin, networkId, own, options) : 0;
  const keys = later === 0 ? first.keys : await pairs(database.prisma, networkId, idsOf(first.keys));
  return { ok: true, keys, revokedCount: first.revokedCount + later, hasMore: first.hasMore };
}

async function filterFaults({ pool }: Database, which: WhichKeys): Promise<UserError[]> {
  if (!('filter' in which) || which.filter.unusedSince === undefined) return [];
  const { rows } = await pool.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return rows.flatMap(({ now }) => unusedFaults(which.filter.unusedSince, now));
}

/** What the first transaction came to. */
interface First {
  readonly keys: readonly { readonly id: string; readonly apiKey: KeyRow | null }[];
  /** Ids of those that it ended. */
  readonly revoked: readonly string[];
  /** How many it ended; where it is told again, with those that later transactions ended. */
  readonly revokedCount: number;
  readonly hasMore: boolean;
}

type SavedFirst = Omit<First, 'keys'> & { readonly keyIds: readonly string[] };

function firstMemo(networkId: string): Memo<First> {
  return {
    save: ({ keys, ...rest }): SavedFirst => ({ ...rest, keyIds: idsOf(keys) }),
    async restore(saved, prisma) {
      const { keyIds, ...rest } = saved as SavedFirst;
      return { ...rest, keys: await pairs(prisma, networkId, keyIds) };
    },
  };
}

async function revokeFirst(
  transaction: WriteTransaction,
  networkId: string,
  which: WhichKeys,
  options: RevokeOptions,
): Promise<First> {
  requireScope(transaction, 'keys:write');
  const found = 'keyIds' in which ? which.keyIds : await revocableBy(transaction, networkId, which.filter);
  const keyIds = 'keyIds' in which ? found : found.slice(0, KEYS_A_CALL_MAX);
  // What is not there names no line, though keys that it made may still remember it: "no such key" changes nothing.
  const there = await readKeys(transaction.prisma, networkId, keyIds);
  const revoked = await revokeBatch(transaction, networkId, [...there.keys()], options);
  const keys = await pairs(transaction.prisma, networkId, keyIds);
  return { keys, revoked, revokedCount: revoked.length, hasMore: found.length > keyIds.length };
}

function revokeBatch(
  transaction: WriteTransaction,
  networkId: string,
  keyIds: readonly string[],
  { reason = null, includeCreated = false }: RevokeOptions,
): Promise<string[]> {
  const which = includeCreated ? ofLine(networkId, keyIds) : ofIds(keyIds);
  return endKeys(transaction, networkId, which, reason, BATCH_MAX_KEYS);
}

/** The keys as they are now, in the order of their ids. */
async function pairs(
  prisma: Prisma.TransactionClient,
  networkId: string,
  keyIds: readonly string[],
): Promise<First['keys']> {
  const found = await readKeys(prisma, networkId, keyIds);
  return keyIds.map((id) => ({ id, apiKey: found.get(id) ?? null }));
}

function idsOf(keys: First['keys']): string[] {
  return keys.map(({ id }) => id);
}

/**
 * What was beyond the first batch, and what was still being made under these keys while it ran: again, until there is
 * nothing left. It ends, since a key that is revoked and settled makes nothing more.
 */
async function revokeRest(
  database: Database,
  origin: Origin,
  networkId: string,
  keyIds: readonly string[],
  options: RevokeOptions,
): Promise<number> {
  for (let count = 0; ; ) {
    // Also those that another call has ended: what is being made under them may not have committed yet.
    if (options.includeCreated === true) await settle(database, { keyIds: await lineIds(database, networkId, keyIds) });
    const revoked = await carryOn(database, origin, async (transaction) => {
      const ended = await revokeBatch(transaction, networkId, keyIds, options);
      const { idempotency } = origin;
      if (idempotency != null && ended.length > 0)
        await addToOutcome(transaction, idempotency, 'revokedCount', ended.length);
      return ended;
    });
    if (revoked.length === 0) return count;
    await settle(database, { keyIds: revoked });
    count += revoked.length;
  }
}

async function lineIds(database: Database, networkId: string, keyIds: readonly string[]): Promise<string[]> {
  return (await database.prisma.$queryRaw<{ id: string }[]>(lineOf(networkId, keyIds))).map(({ id }) => id);
}

/** The ids of the living keys that a filter finds, the caller's own left out, oldest first: KEYS_A_CALL_MAX and one more. */
async function revocableBy(
  { actor, prisma }: WriteTransaction,
  networkId: string,
  filter: KeyFilter,
): Promise<readonly string[]> {
  const own: Condition = { sql: 'id IS DISTINCT FROM $?::uuid', value: actorId(actor) };
  const values: unknown[] = [networkId];
  const where = [...keyConditions(filter), own].map(({ sql, value }) => sql.replace('$?', `$${values.push(value)}`));
  const rows = await prisma.$queryRawUnsafe<{ id: string }[]>(
    `SELECT id FROM api_keys WHERE network_id = $1::uuid AND revoked_at IS NULL AND ${where.join(' AND ')}
     ORDER BY id LIMIT ${KEYS_A_CALL_MAX + 1}`,
    ...values,
  );
  return rows.map(({ id }) => id);
}
