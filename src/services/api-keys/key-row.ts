/** A key inside a transaction: read by its id and its network, with what bounds its life. */
import { DATABASE_NOW_MS } from '../../database/clock.ts';
import { Prisma } from '../../database/generated/client.ts';
import { ownIds } from '../../database/own-ids.ts';
import { API_KEYS, type KeyRow } from '../../database/tables.ts';
import { epochMs } from '../../database/times.ts';
import type { LifeBounds } from '../../domain/api-key.ts';
import { ENVIRONMENTS } from '../../domain/token.ts';
import { orNull, readCount, readEpochMs, readWord } from '../../domain/unreadable.ts';
import type { UserError } from '../../domain/user-error.ts';

/** Whether a key has ended, and whether it outlives another, is decided by these. */
const TIMES = ['createdAt', 'expiresAt', 'lastUsedAt', 'revokedAt'] as const;

const COLUMNS = Prisma.raw(
  Object.entries(API_KEYS.columns)
    .map(([property, column]) => {
      const isTime = TIMES.some((time) => time === property);
      return `${isTime ? epochMs(column) : column} AS "${property}"`;
    })
    .join(', '),
);

/** Null for what the network has not. Both ids are UUIDs. */
export async function readKey(
  prisma: Prisma.TransactionClient,
  networkId: string,
  keyId: string,
): Promise<KeyRow | null> {
  return (await readKeys(prisma, networkId, [keyId])).get(keyId) ?? null;
}

type StoredKey = Omit<KeyRow, (typeof TIMES)[number]> & Readonly<Record<(typeof TIMES)[number], unknown>>;

/** Throws UnreadableValueError. */
function toKeyRow(row: StoredKey): KeyRow {
  return {
    ...row,
    environment: readWord(ENVIRONMENTS, row.environment, 'api_keys.environment'),
    createdAt: readEpochMs(row.createdAt, 'api_keys.created_at'),
    expiresAt: orNull(readEpochMs, row.expiresAt, 'api_keys.expires_at'),
    lastUsedAt: orNull(readEpochMs, row.lastUsedAt, 'api_keys.last_used_at'),
    revokedAt: orNull(readEpochMs, row.revokedAt, 'api_keys.revoked_at'),
  };
}

/** Several, by their ids; what the network has not is not there. */
export async function readKeys(
  prisma: Prisma.TransactionClient,
  networkId: string,
  keyIds: readonly string[],
): Promise<Map<string, KeyRow>> {
  const rows = await prisma.$queryRaw<StoredKey[]>`
    SELECT ${COLUMNS} FROM api_keys
    WHERE network_id = ${networkId}::uuid AND id IN (${ownIds('api_keys', networkId, keyIds)})`;
  return new Map(rows.map((row) => [row.id, toKeyRow(row)]));
}

export const KEY_ENDED: UserError = {
  code: 'KEY_ENDED',
  message: 'This key has expired or was revoked: make a new one',
  field: ['input', 'id'],
};
export const NAME_TAKEN: UserError = {
  code: 'NAME_TAKEN',
  message: 'Token already exists: choose a different name',
  field: ['input', 'name'],
};

const NOW_MS = Prisma.raw(DATABASE_NOW_MS);

/** By the database's clock. `madeAt` null: now. */
export async function lifeBounds(
  prisma: Prisma.TransactionClient,
  networkId: string,
  madeAt: Date | null,
): Promise<LifeBounds> {
  const [row] = await prisma.$queryRaw<{ now: unknown; max: unknown }[]>`
    SELECT ${NOW_MS} AS now, max_key_life_seconds AS max FROM networks WHERE id = ${networkId}::uuid`;
  if (row === undefined) throw new TypeError('the network is gone');
  const now = readEpochMs(row.now, "the database's clock");
  const maxLifeSeconds = orNull(readCount, row.max, 'networks.max_key_life_seconds');
  return { now, madeAt: madeAt ?? now, maxLifeSeconds };
}

/** Keys of a name that stands for one of them still. The planner does not see it: other networks may have it, too. */
const ofName = (networkId: string, name: string) => Prisma.sql`
  network_id = ${networkId}::uuid AND name = (SELECT ${name}::text) AND revoked_at IS NULL AND name_released_at IS NULL`;

/** A key that has expired keeps its name until another one takes it. */
export async function isNameTaken(
  prisma: Prisma.TransactionClient,
  networkId: string,
  name: string,
  byOtherThan: string | null,
): Promise<boolean> {
  const rows = await prisma.$queryRaw<unknown[]>`
    SELECT 1 AS taken FROM api_keys
    WHERE ${ofName(networkId, name)} AND id IS DISTINCT FROM ${byOtherThan}::uuid
      AND (expires_at IS NULL OR expires_at > clock_timestamp())`;
  return rows.length > 0;
}

/** Takes the name from a key that has expired. What has expired never counts again, so it never needs its name back. */
export async function releaseName(prisma: Prisma.TransactionClient, networkId: string, name: string): Promise<void> {
  await prisma.$executeRaw`
    UPDATE api_keys SET name_released_at = clock_timestamp()
    WHERE ${ofName(networkId, name)} AND expires_at <= clock_timestamp()`;
}
