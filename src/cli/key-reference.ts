/** A key as the command line names and shows it. */
import type { Database } from '../database/database.ts';
import type { Network } from '../database/generated/client.ts';
import { keysetPage } from '../database/keyset.ts';
import { API_KEYS, type KeyRow } from '../database/tables.ts';
import { statusOf } from '../domain/api-key.ts';
import { toId, uuidOf } from '../domain/id.ts';
import { redactLine } from '../domain/redaction.ts';
import { digestOf, isToken } from '../domain/token.ts';
import { notFound } from './failure.ts';
import type { Session } from './session.ts';

/** By its id, or by one of its tokens: what was typed is never said again, for it may be a token. */
export async function theKey({ database }: Session, network: Network, reference: string): Promise<KeyRow> {
  const uuid = isToken(reference) ? await keyOfToken(database, reference) : uuidOf('ApiKey', reference);
  const which = { conditions: [{ sql: 'id = $?::uuid', value: uuid }], limit: 1 };
  const [found] = await keysetPage<KeyRow>(database.pool, network.id, API_KEYS, { ...ANY_ORDER, ...which });
  if (found === undefined) throw notFound(`${network.slug} has no key ${redactLine(reference)}`, 'id');
  return found;
}

const ANY_ORDER = { wanted: null, order: 'ID', descending: false, after: null, before: null, backward: false };

async function keyOfToken(database: Database, token: string): Promise<string | null> {
  const digest = new Uint8Array(digestOf(token));
  const secret = await database.prisma.secret.findUnique({ where: { digest }, select: { keyId: true } });
  return secret?.keyId ?? null;
}

export function documentOf(apiKey: KeyRow): Record<string, unknown> {
  const { name, note, redactedToken, scopes, environment, allowedAddresses } = apiKey;
  const { createdAt, expiresAt, lastUsedAt, revokedAt, revokedReason } = apiKey;
  return {
    id: toId('ApiKey', apiKey.id),
    name,
    note,
    redactedToken,
    status: statusOf(apiKey),
    scopes,
    environment,
    allowedAddresses,
    adminId: toId('Admin', apiKey.adminId),
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt?.toISOString() ?? null,
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
    revokedAt: revokedAt?.toISOString() ?? null,
    revokedReason,
  };
}

/** The last moment that a Date can hold (ECMA-262, 21.4.1.1): past every bound that an expiry may have. */
const TIME_MAX_MS = 8.64e15;

/** When a key is to end; undefined where nothing was said. A time from now counts by the database's clock. */
export async function expiryOf(
  database: Database,
  { expiresIn, expiresAt }: { readonly expiresIn?: number; readonly expiresAt?: Date },
): Promise<Date | undefined> {
  if (expiresIn === undefined) return expiresAt;
  await database.clock.read(database.pool);
  return new Date(Math.min(database.clock.now() + expiresIn, TIME_MAX_MS));
}
