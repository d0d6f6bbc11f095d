/** Changing a key that stands. When this returns, no gateway and no write goes by its old scopes, end or addresses. */
import type { Database } from '../../database/database.ts';
import type { Prisma } from '../../database/generated/client.ts';
import type { KeyRow } from '../../database/tables.ts';
import { fieldFaults, hasEnded, type KeyFields, storedFields } from '../../domain/api-key.ts';
import type { HeldPower } from '../../domain/key-power.ts';
import { redactLine } from '../../domain/redaction.ts';
import { type AdminRole, scopesOfRole } from '../../domain/scope.ts';
import { fold } from '../../domain/text.ts';
import { type Outcome, refused, type UserError } from '../../domain/user-error.ts';
import type { Actor, Origin } from '../actor.ts';
import { settle, type WriteTransaction, write } from '../transaction.ts';
import { lockKeyToChange } from './changeable-key.ts';
import { unlessNameTaken } from './create.ts';
import { heldBy, heldByRole, risingFaults } from './held.ts';
import { isNameTaken, KEY_ENDED, lifeBounds, NAME_TAKEN, readKey, releaseName } from './key-row.ts';
import { keyMemo } from './told.ts';

/** What is left out stays. */
export type KeyChanges = { readonly [Field in keyof KeyFields]?: KeyFields[Field] | undefined };

export type UpdatedApiKey = Outcome<{ readonly apiKey: KeyRow }>;

/** Both ids are UUIDs. */
export async function updateApiKey(
  database: Database,
  origin: Origin,
  networkId: string,
  keyId: string,
  typed: KeyChanges,
): Promise<UpdatedApiKey> {
  const changes = storedFields(withoutAbsent(typed));
  const outcome = await unlessNameTaken(() =>
    write(database, origin, (each) => update(each, networkId, keyId, changes), keyMemo(networkId)),
  );
  // Also where it was so already: an earlier call may have ended before the writes under way had.
  if (outcome.ok) await settle(database, { keyIds: [keyId] });
  return outcome;
}

function withoutAbsent(changes: KeyChanges): Partial<KeyFields> {
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
}

async function update(
  transaction: WriteTransaction,
  networkId: string,
  keyId: string,
  changes: Partial<KeyFields>,
): Promise<UpdatedApiKey> {
  const found = await lockKeyToChange(transaction, networkId, keyId);
  if (!found.ok) return found;
  const { key: before } = found;
  const admin = await transaction.prisma.admin.findUniqueOrThrow({ where: { id: before.adminId } });
  if (hasEnded(before) || admin.removedAt !== null) return refused([KEY_ENDED]);
  const errors = await faults(transaction, before, admin.role, changes);
  return errors.length > 0 ? refused(errors) : store(transaction, before, changes);
}

async function faults(
  { actor, prisma }: WriteTransaction,
  before: KeyRow,
  role: AdminRole,
  changes: Partial<KeyFields>,
): Promise<UserError[]> {
  const bounds = await lifeBounds(prisma, before.networkId, before.createdAt);
  const held = heldFor(actor, role);
  // What is not touched is within what the actor holds, and not to be judged by a role that has changed since.
  const untouched = { scopes: [], expiresAt: held.expiresAt, allowedAddresses: held.allowedAddresses };
  const errors = [
    ...fieldFaults(changes, bounds),
    ...risingFaults({ ...untouched, environment: held.environment, ...changes }, held),
  ];
  const { name } = changes;
  const nameIsFine = name !== undefined && !errors.some((error) => error.field.includes('name'));
  if (nameIsFine && (await isNameTaken(prisma, before.networkId, name, before.id))) errors.push(NAME_TAKEN);
  return errors;
}

/** Within what the actor holds, and within the role of the admin for whom the key acts: more would be given in vain. */
function heldFor(actor: Actor, role: AdminRole): HeldPower {
  const held = heldBy(actor);
  if (held === null) return heldByRole(role);
  const inRole = scopesOfRole(role);
  const { expiresAt, allowedAddresses, environment } = held;
  const scopes = new Set([...held.scopes].filter((scope) => inRole.has(scope)));
  return { scopes, expiresAt, allowedAddresses, environment };
}

async function store(
  { prisma, audit }: WriteTransaction,
  before: KeyRow,
  changes: Partial<KeyFields>,
): Promise<UpdatedApiKey> {
  // As they are stored: two notes that differ in an address look alike in the record.
  const changed = (Object.keys(changes) as (keyof KeyFields)[]).filter(
    (field) => JSON.stringify(before[field]) !== JSON.stringify(changes[field]),
  );
  if (changed.length === 0) return { ok: true, apiKey: before };
  const after = { ...before, ...changes };
  const { name, note, scopes, expiresAt, allowedAddresses } = after;
  const data = { name, nameFolded: fold(name), note, expiresAt };
  const lists = { scopes: [...scopes], allowedAddresses: [...allowedAddresses] };
  if (name !== before.name) await releaseName(prisma, before.networkId, name);
  await prisma.apiKey.update({ where: { id: before.id }, data: { ...data, ...lists } });
  const pick = (record: Prisma.InputJsonObject): Prisma.InputJsonObject =>
    Object.fromEntries(changed.map((field) => [field, record[field]]));
  const subject = { type: 'ApiKey', id: before.id } as const;
  const details = { before: pick(recordOf(before)), after: pick(recordOf(after)) };
  await audit({ networkId: before.networkId, action: 'key.updated', subject, details });
  const apiKey = await readKey(prisma, before.networkId, before.id);
  if (apiKey === null) throw new TypeError('a key that is locked is gone');
  return { ok: true, apiKey };
}

/** The fields as the audit trail has them. */
function recordOf({
  name,
  note,
  scopes,
  expiresAt,
  allowedAddresses,
}: KeyFields): Record<keyof KeyFields, string | string[] | null> {
  return {
    name,
    note: note === null ? null : redactLine(note),
    scopes: [...scopes],
    expiresAt: expiresAt?.toISOString() ?? null,
    allowedAddresses: [...allowedAddresses],
  };
}
