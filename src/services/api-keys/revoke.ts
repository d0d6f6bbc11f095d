/**
 * Ending keys for good, one or many, with all that they made. When this returns, no gateway lets their tokens in and no
 * write begun under them commits later.
 */
import type { Database } from '../../database/database.ts';
import type { Prisma } from '../../database/generated/client.ts';
import { type Condition, type KeyFilter, keyConditions } from '../../database/key-filter.ts';
import { Parameters } from '../../database/parameters.ts';
import type { KeyRow } from '../../database/tables.ts';
import { hasEnded, KEYS_A_CALL_MAX, NO_SUCH_KEY, reasonFaults, unusedFaults } from '../../domain/api-key.ts';
import { type Outcome, refused, type UserError } from '../../domain/user-error.ts';
import { actorId, type Origin } from '../actor.ts';
import { addToOutcome, type Memo } from '../idempotency.ts';
import { carryOn, requireScope, settle, type WriteTransaction, write } from '../transaction.ts';
import { whyNotEnded } from './changeable-key.ts';
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
  const { apiKey = null, error = null } = outcome.keys[0] ?? {};
  if (error !== null) return refused([error]);
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
  /** In the order of the ids, or the oldest first. */
  readonly keys: readonly FoundKey[];
  /** How many this call has ended, those that they made too. */
  readonly revokedCount: number;
  /** Whether the filter finds more than KEYS_A_CALL_MAX. */
  readonly hasMore: boolean;
}>;

/** One of the keys that were asked for. */
export interface FoundKey {
  readonly id: string;
  /** As it is now; null where the network has none, or the caller may not revoke it. */
  readonly apiKey: KeyRow | null;
  /** Why the caller may not revoke it. */
  readonly error: UserError | null;
}

/**
 * Several. An id of nothing, or of a key that the caller may not change, does not keep the others from being ended; a filter
 * finds neither the caller's own key nor one that the caller may not change.
 */
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
  if (!first.ok) return first;
  // Also where they had been revoked already: an earlier call may have ended before its writes had drained.
  const own = first.keys.flatMap(({ apiKey }) => apiKey?.id ?? []);
  await settle(database, { keyIds: [...own, ...first.revoked] });
  const hasRest = options.includeCreated === true || own.length > BATCH_MAX_KEYS;
  const later = hasRest ? await revokeRest(database, origin, networkId, own, options) : 0;
  const keys = later === 0 ? first.keys : await readAgain(database.prisma, networkId, first.keys);
  return { ok: true, keys, revokedCount: first.revokedCount + later, hasMore: first.hasMore };
}

async function filterFaults({ pool }: Database, which: WhichKeys): Promise<UserError[]> {
  if (!('filter' in which) || which.filter.unusedSince === undefined) return [];
  const { rows } = await pool.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return rows.flatMap(({ now }) => unusedFaults(which.filter.unusedSince, now));
}

/** What the first transaction came to. */
interface First {
  readonly keys: readonly FoundKey[];
  /** Ids of those that it ended. */
  readonly revoked: readonly string[];
  /** How many it ended; where it is told again, with those that later transactions ended. */
  readonly revokedCount: number;
  readonly hasMore: boolean;
}

/** Saved by an earlier release, a key has no `error`. */
type SavedKey = Pick<FoundKey, 'id'> & Partial<Pick<FoundKey, 'error'>>;
type SavedFirst = Omit<First, 'keys'> & { readonly keyIds: readonly (string | SavedKey)[] };

function firstMemo(networkId: string): Memo<Outcome<First>> {
  return {
    save(outcome) {
      if (!outcome.ok) return outcome;
      const { keys, ...rest } = outcome;
      return { ...rest, keyIds: keys.map(({ id, error }) => (error === null ? id : { id, error })) };
    },
    async restore(saved, prisma) {
      if (isRefused(saved)) return saved;
      const { keyIds, ...rest } = saved as SavedFirst;
      const keys = keyIds.map((key) => (typeof key === 'string' ? { id: key, error: null } : { error: null, ...key }));
      return { ...rest, ok: true, keys: await readAgain(prisma, networkId, keys) };
    },
  };
}

type RefusedFirst = Extract<Outcome<First>, { readonly ok: false }>;

function isRefused(saved: unknown): saved is RefusedFirst {
  return typeof saved === 'object' && saved !== null && 'ok' in saved && saved.ok === false;
}

async function revokeFirst(
  transaction: WriteTransaction,
  networkId: string,
  which: WhichKeys,
  options: RevokeOptions,
): Promise<Outcome<First>> {
  requireScope(transaction, 'keys:write');
  const found = 'keyIds' in which ? which.keyIds : await revocableBy(transaction, networkId, which.filter);
  const keyIds = 'keyIds' in which ? found : found.slice(0, KEYS_A_CALL_MAX);
  // What is not there names no line, though keys that it made may still remember it: "no such key" changes nothing.
  await lockKeys(transaction, networkId, options.includeCreated === true ? ofLine(networkId, keyIds) : ofIds(keyIds));
  const there = await readKeys(transaction.prisma, networkId, keyIds);
  const errors = new Map([...there].map(([id, key]) => [id, whyNotEnded(transaction, key)]));
  const mine = [...there.keys()].filter((id) => errors.get(id) === null);
  if (options.includeCreated === true && (await isLineBeyond(transaction, networkId, mine))) return LINE_BEYOND;
  const revoked = await revokeBatch(transaction, networkId, mine, options);
  const asked = keyIds.map((id) => ({ id, error: errors.get(id) ?? null }));
  const keys = await readAgain(transaction.prisma, networkId, asked);
  return { ok: true, keys, revoked, revokedCount: revoked.length, hasMore: found.length > keyIds.length };
}

/** In the order of their ids, as `endKeys` locks them, so that their privileges stay as they are judged. */
async function lockKeys({ prisma }: WriteTransaction, networkId: string, which: Prisma.Sql): Promise<void> {
  await prisma.$queryRaw`
    SELECT id FROM api_keys WHERE network_id = ${networkId}::uuid AND ${which} ORDER BY id FOR NO KEY UPDATE`;
}

/** Nothing is changed then: half of a line that was to end must not live on unnoticed. */
const LINE_BEYOND = refused([
  {
    code: 'NOT_HELD',
    message: "What was made with these keys may do more than the caller's token: revoke it with a stronger key",
    field: ['input', 'includeCreated'],
  },
]);

/** Whether a key lives in the line of some keys that the caller may not end. */
async function isLineBeyond(
  transaction: WriteTransaction,
  networkId: string,
  keyIds: readonly string[],
): Promise<boolean> {
  const line = await transaction.prisma.$queryRaw<{ id: string }[]>(lineOf(networkId, keyIds));
  const ids = line.map(({ id }) => id);
  const keys = await readKeys(transaction.prisma, networkId, ids);
  return [...keys.values()].some((key) => !hasEnded(key) && whyNotEnded(transaction, key) !== null);
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

/** The keys as they are now, in the same order; none of those that the caller may not revoke. */
async function readAgain(
  prisma: Prisma.TransactionClient,
  networkId: string,
  keys: readonly Pick<FoundKey, 'id' | 'error'>[],
): Promise<FoundKey[]> {
  const ids = keys.filter(({ error }) => error === null).map(({ id }) => id);
  const found = await readKeys(prisma, networkId, ids);
  return keys.map(({ id, error }) => ({ id, apiKey: found.get(id) ?? null, error }));
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

/** How many keys are judged at a time: a filter may find any number that the caller may not revoke. */
const JUDGED_AT_ONCE = 1_000;

/**
 * The ids of the living keys that a filter finds and the caller may revoke, its own left out, oldest first: KEYS_A_CALL_MAX
 * and one more.
 */
async function revocableBy(
  transaction: WriteTransaction,
  networkId: string,
  filter: KeyFilter,
): Promise<readonly string[]> {
  const revocable: string[] = [];
  for (let after: string | null = null; ; ) {
    const ids: string[] = await livingAfter(transaction, networkId, filter, after);
    const keys = await readKeys(transaction.prisma, networkId, ids);
    const mine = ids.map((id) => keys.get(id)).filter((key) => key !== undefined);
    revocable.push(...mine.filter((key) => whyNotEnded(transaction, key) === null).map(({ id }) => id));
    const last = ids.at(-1);
    if (ids.length < JUDGED_AT_ONCE || last === undefined || revocable.length > KEYS_A_CALL_MAX) break;
    after = last;
  }
  return revocable.slice(0, KEYS_A_CALL_MAX + 1);
}

async function livingAfter(
  { actor, prisma }: WriteTransaction,
  networkId: string,
  filter: KeyFilter,
  after: string | null,
): Promise<string[]> {
  const own: Condition = { sql: 'id IS DISTINCT FROM $?::uuid', value: actorId(actor) };
  const behind: Condition[] = after === null ? [] : [{ sql: 'id > $?::uuid', value: after }];
  const parameters = new Parameters(networkId);
  const where = [...keyConditions(filter), own, ...behind].map(({ sql, value }) => parameters.fill(sql, value));
  // The network's keys first, as lists read them (database/keyset.ts): an admin in the filter may be another network's.
  const rows = await prisma.$queryRawUnsafe<{ id: string }[]>(
    `SELECT id FROM (
       SELECT * FROM api_keys WHERE (network_id, network_id) >= ($1::uuid, $1::uuid)
         AND (network_id, network_id) <= ($1::uuid, $1::uuid) OFFSET 0
     ) AS keys WHERE revoked_at IS NULL AND ${where.join(' AND ')} ORDER BY id LIMIT ${JUDGED_AT_ONCE}`,
    ...parameters.values,
  );
  return rows.map(({ id }) => id);
}
