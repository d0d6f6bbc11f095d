/** A key inside a transaction: read and locked by its id and its network, with what bounds its life. */
import type { Prisma } from '../../database/generated/client.ts';
import { API_KEYS, type KeyRow } from '../../database/tables.ts';
import type { LifeBounds } from '../../domain/api-key.ts';
import type { UserError } from '../../domain/user-error.ts';

const COLUMNS = Object.entries(API_KEYS.columns)
  .map(([property, column]) => `${column} AS "${property}"`)
  .join(', ');
const READ = `SELECT ${COLUMNS} FROM api_keys WHERE network_id = $1::uuid AND id = $2::uuid`;
const READ_SEVERAL = `SELECT ${COLUMNS} FROM api_keys WHERE network_id = $1::uuid AND id = ANY($2::uuid[])`;

/** Null for what the network has not. Both ids are UUIDs. */
export async function readKey(
  prisma: Prisma.TransactionClient,
  networkId: string,
  keyId: string,
): Promise<KeyRow | null> {
  const [row] = await prisma.$queryRawUnsafe<KeyRow[]>(READ, networkId, keyId);
  return row ?? null;
}

/** Several, by their ids; what the network has not is not there. */
export async function readKeys(
  prisma: Prisma.TransactionClient,
  networkId: string,
  keyIds: readonly string[],
): Promise<Map<string, KeyRow>> {
  const rows = await prisma.$queryRawUnsafe<KeyRow[]>(READ_SEVERAL, networkId, [...keyIds]);
  return new Map(rows.map((row) => [row.id, row]));
}

/** The same of one, and no other change of the key comes between: they wait for each other. */
export async function lockKey(
  prisma: Prisma.TransactionClient,
  networkId: string,
  keyId: string,
): Promise<KeyRow | null> {
  await prisma.$queryRaw`
    SELECT 1 AS locked FROM api_keys WHERE network_id = ${networkId}::uuid AND id = ${keyId}::uuid FOR NO KEY UPDATE`;
  return readKey(prisma, networkId, keyId);
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

/** By the database's clock. `madeAt` null: now. */
export async function lifeBounds(
  prisma: Prisma.TransactionClient,
  networkId: string,
  madeAt: Date | null,
): Promise<LifeBounds> {
  const [row] = await prisma.$queryRaw<{ now: Date; max: number | null }[]>`
    SELECT clock_timestamp()::timestamptz(3) AS now, max_key_life_seconds AS max FROM networks WHERE id = ${networkId}::uuid`;
  if (row === undefined) throw new TypeError('the network is gone');
  return { now: row.now, madeAt: madeAt ?? row.now, maxLifeSeconds: row.max };
}

export async function isNameTaken(
  prisma: Prisma.TransactionClient,
  networkId: string,
  name: string,
  byOtherThan: string | null,
): Promise<boolean> {
  const where = { networkId, name, revokedAt: null, ...(byOtherThan === null ? {} : { NOT: { id: byOtherThan } }) };
  return (await prisma.apiKey.findFirst({ where, select: { id: true } })) !== null;
}
