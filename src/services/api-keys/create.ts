/** Making a key: the record, its secret's digest and the audit event commit together; the token is returned once. */
import type { Database } from '../../database/database.ts';
import { Prisma } from '../../database/generated/client.ts';
import type { KeyRow } from '../../database/tables.ts';
import { fieldFaults, GENERATIONS_MAX, type KeyInput, storedFields } from '../../domain/api-key.ts';
import type { HeldPower } from '../../domain/key-power.ts';
import { redactLine } from '../../domain/redaction.ts';
import type { AdminRole } from '../../domain/scope.ts';
import { fold } from '../../domain/text.ts';
import { digestOf, mintToken, redact } from '../../domain/token.ts';
import { type Outcome, refused, type UserError } from '../../domain/user-error.ts';
import { actorId, type Origin } from '../actor.ts';
import { requireScope, type WriteTransaction, write } from '../transaction.ts';
import { heldByRole, risingFaults } from './held.ts';
import { isNameTaken, lifeBounds, NAME_TAKEN, releaseName } from './key-row.ts';
import { lineageOf } from './lineage.ts';
import { type ToldApiKey, tokenMemo, withToken } from './told.ts';

export interface CreateApiKeyInput extends Omit<KeyInput, 'note' | 'allowedAddresses'> {
  readonly note?: string | null;
  readonly allowedAddresses?: readonly string[];
  /** Whom the key acts for, a UUID. Left out by a key, which makes keys for its own admin only. */
  readonly adminId?: string;
}

export type CreatedApiKey = Outcome<{ readonly apiKey: KeyRow; readonly token: string }>;

/** The maker of a key, as the new key inherits it. */
interface Maker {
  readonly adminId: string;
  readonly held: HeldPower;
  /** The keys in whose line the new one stands. */
  readonly ancestorIds: string[];
}

/** `networkId`: a UUID. Throws the refusal of an actor that no longer counts. */
export async function createApiKey(
  database: Database,
  origin: Origin,
  networkId: string,
  input: CreateApiKeyInput,
): Promise<CreatedApiKey> {
  return withToken(await createApiKeyOnce(database, { ...origin, idempotency: null }, networkId, input));
}

/** The same for a request that may be sent again. */
export async function createApiKeyOnce(
  database: Database,
  origin: Origin,
  networkId: string,
  input: CreateApiKeyInput,
): Promise<ToldApiKey> {
  const work = (transaction: WriteTransaction): Promise<ToldApiKey> => createApiKeyIn(transaction, networkId, input);
  return unlessNameTaken(() => write(database, origin, work, tokenMemo(networkId)));
}

/** Two keys that take one name at once: the unique index lets one through. */
export async function unlessNameTaken<Value>(work: () => Promise<Outcome<Value>>): Promise<Outcome<Value>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002') return refused([NAME_TAKEN]);
    throw error;
  }
}

/** The same within a transaction that does more. */
export async function createApiKeyIn(
  transaction: WriteTransaction,
  networkId: string,
  typed: CreateApiKeyInput,
): Promise<CreatedApiKey> {
  requireScope(transaction, 'keys:write');
  const input = storedFields({ note: null, allowedAddresses: [], ...typed });
  const maker = await makerOf(transaction, networkId, input.adminId);
  if (maker === null) return refused([NO_SUCH_ADMIN]);
  const errors = await faults(transaction, networkId, maker, input);
  return errors.length > 0 ? refused(errors) : insert(transaction, networkId, maker, input);
}

const NO_SUCH_ADMIN: UserError = { code: 'NOT_FOUND', message: 'There is no such admin', field: ['input', 'adminId'] };
const TOO_MANY_GENERATIONS: UserError = {
  code: 'OUT_OF_RANGE',
  message: `Keys that make keys that make keys may do so ${GENERATIONS_MAX} times: make this one with an earlier key`,
  field: ['input'],
};

async function makerOf(
  transaction: WriteTransaction,
  networkId: string,
  adminId: string | undefined,
): Promise<Maker | null> {
  const { actor, prisma } = transaction;
  if (actor.kind === 'KEY') {
    const { principal } = actor;
    if (principal.networkId !== networkId) throw new TypeError('a key makes keys in its own network only');
    return { adminId: principal.adminId, held: principal, ancestorIds: await lineageOf(transaction) };
  }
  if (adminId === undefined) throw new TypeError('say whom the key acts for');
  // Locked, so that an admin who is being removed gets no new key.
  const [admin] = await prisma.$queryRaw<{ id: string; role: AdminRole }[]>`
    SELECT id, role::text AS role FROM admins
    WHERE id = ${adminId}::uuid AND network_id = ${networkId}::uuid AND removed_at IS NULL FOR SHARE`;
  return admin === undefined ? null : { adminId: admin.id, held: heldByRole(admin.role), ancestorIds: [] };
}

async function faults(
  { prisma }: WriteTransaction,
  networkId: string,
  { held, ancestorIds }: Maker,
  input: KeyInput,
): Promise<UserError[]> {
  const bounds = await lifeBounds(prisma, networkId, null);
  const errors = [...fieldFaults(input, bounds), ...risingFaults(input, held)];
  const nameIsFine = !errors.some((error) => error.field.includes('name'));
  if (nameIsFine && (await isNameTaken(prisma, networkId, input.name, null))) errors.push(NAME_TAKEN);
  if (ancestorIds.length > GENERATIONS_MAX) errors.push(TOO_MANY_GENERATIONS);
  return errors;
}

async function insert(
  { actor, prisma, audit, newId }: WriteTransaction,
  networkId: string,
  { adminId, ancestorIds }: Maker,
  input: KeyInput,
): Promise<CreatedApiKey> {
  const token = mintToken(input.environment);
  const redactedToken = redact(token);
  const { name, note, environment, expiresAt } = input;
  const scopes = [...input.scopes];
  const allowedAddresses = [...input.allowedAddresses];
  await releaseName(prisma, networkId, name);
  const apiKey = await prisma.apiKey.create({
    data: {
      id: newId(),
      networkId,
      adminId,
      name,
      nameFolded: fold(name),
      note,
      redactedToken,
      scopes,
      allowedAddresses,
      environment,
      expiresAt,
      createdByKind: actor.kind,
      createdById: actorId(actor),
      ancestorIds,
      secrets: { create: { digest: new Uint8Array(digestOf(token)), networkId, redactedToken } },
    },
  });
  const after = {
    name,
    ...(note === null ? {} : { note: redactLine(note) }),
    scopes,
    environment,
    expiresAt: expiresAt?.toISOString() ?? null,
    ...(allowedAddresses.length === 0 ? {} : { allowedAddresses }),
  };
  await audit({ networkId, action: 'key.created', subject: { type: 'ApiKey', id: apiKey.id }, details: { after } });
  return { ok: true, apiKey: { ...apiKey, expired: false }, token };
}
