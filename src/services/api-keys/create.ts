/** Making a key: the record, its secret's digest and the audit event commit together; the token is returned once. */
import type { Database } from '../../database/database.ts';
import { type ApiKey, Prisma } from '../../database/generated/client.ts';
import { type KeyInput, keyFaults, keyName, scopesNotHeld } from '../../domain/api-key.ts';
import { newUuid } from '../../domain/id.ts';
import { type AdminRole, type Scope, scopesOfRole } from '../../domain/scope.ts';
import { fold } from '../../domain/text.ts';
import { digestOf, mintToken, redact } from '../../domain/token.ts';
import { type Outcome, refused, type UserError } from '../../domain/user-error.ts';
import { actorId, type Origin } from '../actor.ts';
import { requireScope, type WriteTransaction, write } from '../transaction.ts';

export interface CreateApiKeyInput extends KeyInput {
  /** Whom the key acts for, a UUID. Left out by a key, which makes keys for its own admin only. */
  readonly adminId?: string;
}

export type CreatedApiKey = Outcome<{ readonly apiKey: ApiKey; readonly token: string }>;

/** The maker of a key, as the new key inherits it. */
interface Maker {
  readonly adminId: string;
  readonly scopes: ReadonlySet<Scope>;
}

/** `networkId`: a UUID. Throws the refusal of an actor that no longer counts. */
export async function createApiKey(
  database: Database,
  origin: Origin,
  networkId: string,
  input: CreateApiKeyInput,
): Promise<CreatedApiKey> {
  try {
    return await write(database, origin, (transaction) => createApiKeyIn(transaction, networkId, input));
  } catch (error) {
    // Two creations of one name at once: the unique index lets one through.
    if (isUniqueViolation(error)) return refused([NAME_TAKEN]);
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
  const input = { ...typed, name: keyName(typed.name), scopes: [...new Set(typed.scopes)] };
  const maker = await makerOf(transaction, networkId, input.adminId);
  if (maker === null) return refused([NO_SUCH_ADMIN]);
  const errors = await faults(transaction, networkId, maker, input);
  return errors.length > 0 ? refused(errors) : insert(transaction, networkId, maker, input);
}

const NAME_TAKEN: UserError = {
  code: 'NAME_TAKEN',
  message: 'Token already exists: choose a different name',
  field: ['input', 'name'],
};
const NO_SUCH_ADMIN: UserError = { code: 'NOT_FOUND', message: 'There is no such admin', field: ['input', 'adminId'] };

async function makerOf(
  { actor, prisma }: WriteTransaction,
  networkId: string,
  adminId: string | undefined,
): Promise<Maker | null> {
  if (actor.kind === 'KEY') {
    const { principal } = actor;
    if (principal.networkId !== networkId) throw new TypeError('a key makes keys in its own network only');
    return { adminId: principal.adminId, scopes: principal.scopes };
  }
  if (adminId === undefined) throw new TypeError('say whom the key acts for');
  // Locked, so that an admin who is being removed gets no new key.
  const [admin] = await prisma.$queryRaw<{ id: string; role: AdminRole }[]>`
    SELECT id, role::text AS role FROM admins
    WHERE id = ${adminId}::uuid AND network_id = ${networkId}::uuid AND removed_at IS NULL FOR SHARE`;
  return admin === undefined ? null : { adminId: admin.id, scopes: scopesOfRole(admin.role) };
}

async function faults(
  { prisma }: WriteTransaction,
  networkId: string,
  maker: Maker,
  input: CreateApiKeyInput,
): Promise<UserError[]> {
  const [clock] = await prisma.$queryRaw<{ now: Date }[]>`SELECT clock_timestamp()::timestamptz(3) AS now`;
  const errors = [...keyFaults(input, clock?.now ?? new Date()), ...scopesNotHeld(input.scopes, maker.scopes)];
  const nameIsFine = !errors.some((error) => error.field.includes('name'));
  const where = { networkId, name: input.name, revokedAt: null };
  if (nameIsFine && (await prisma.apiKey.findFirst({ where, select: { id: true } })) !== null) errors.push(NAME_TAKEN);
  return errors;
}

async function insert(
  { actor, prisma, audit }: WriteTransaction,
  networkId: string,
  maker: Maker,
  input: CreateApiKeyInput,
): Promise<CreatedApiKey> {
  const token = mintToken(input.environment);
  const { name, environment, expiresAt } = input;
  const scopes = [...input.scopes];
  const apiKey = await prisma.apiKey.create({
    data: {
      id: newUuid(),
      networkId,
      adminId: maker.adminId,
      name,
      nameFolded: fold(name),
      redactedToken: redact(token),
      scopes,
      environment,
      expiresAt,
      createdByKind: actor.kind,
      createdById: actorId(actor),
      secrets: { create: { digest: new Uint8Array(digestOf(token)), networkId } },
    },
  });
  const after = { name, scopes, environment, expiresAt: expiresAt?.toISOString() ?? null };
  await audit({ networkId, action: 'key.created', subject: { type: 'ApiKey', id: apiKey.id }, details: { after } });
  return { ok: true, apiKey, token };
}

function isUniqueViolation(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';
}
