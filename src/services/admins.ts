/** Admins: the people who manage a network, and for whom its keys act. */
import type { Database } from '../database/database.ts';
import { type Admin, Prisma } from '../database/generated/client.ts';
import { mailboxOf } from '../domain/email-identity.ts';
import { uuidOf } from '../domain/id.ts';
import { parseEmail, parseName } from '../domain/member.ts';
import type { AdminRole } from '../domain/scope.ts';
import { fold } from '../domain/text.ts';
import { type Outcome, refused, type UserError } from '../domain/user-error.ts';
import type { Origin } from './actor.ts';
import { endKeys, ofAdmin } from './api-keys/end-keys.ts';
import { lockNetwork } from './networks.ts';
import { settle, type WriteTransaction, write } from './transaction.ts';

export interface AdminInput {
  readonly email: string;
  readonly name: string;
  /** Null: OWNER where the network has none yet, else ADMIN. */
  readonly role: AdminRole | null;
}

export type AdminOutcome = Outcome<{ readonly admin: Admin }>;

const PAGE_ADMINS = 500;

const NO_SUCH_NETWORK: UserError = { code: 'NOT_FOUND', message: 'There is no such network', field: ['network'] };
const NO_SUCH_ADMIN: UserError = { code: 'NOT_FOUND', message: 'The network has no such admin', field: ['admin'] };
const EMAIL_TAKEN: UserError = {
  code: 'EMAIL_TAKEN',
  message: 'Another admin of the network has this e-mail address',
  field: ['input', 'email'],
};
const LAST_OWNER: UserError = {
  code: 'LAST_OWNER',
  message: 'This is the last owner of the network: make another owner first',
  field: ['admin'],
};

/** `networkId`: a UUID. */
export async function createAdmin(
  database: Database,
  origin: Origin,
  networkId: string,
  input: AdminInput,
): Promise<AdminOutcome> {
  const email = parseEmail(input.email);
  const name = parseName(input.name);
  if ('reason' in email || 'reason' in name) {
    const faults = { email, name };
    return refused(
      Object.entries(faults).flatMap(([field, parsed]) => ('reason' in parsed ? [fault(field, parsed.reason)] : [])),
    );
  }
  const data = { email: email.value, emailFolded: fold(email.value), name: name.value };
  try {
    return await write(database, origin, (transaction) => create(transaction, networkId, data, input.role));
  } catch (error) {
    const isTaken = error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';
    if (isTaken) return refused([EMAIL_TAKEN]);
    throw error;
  }
}

function fault(field: string, reason: string): UserError {
  return { code: 'INVALID', message: `${field}: ${reason}`, field: ['input', field] };
}

/**
 * By e-mail address, without regard to case and to how its domain is spelled, or by public id (`adm_…`). Whoever was
 * removed is not found.
 */
export async function findAdmin(database: Database, networkId: string, reference: string): Promise<Admin | null> {
  const id = uuidOf('Admin', reference);
  const which = id === null ? { emailFolded: fold(reference.trim()) } : { id };
  const found = await database.prisma.admin.findFirst({ where: { networkId, removedAt: null, ...which } });
  if (found !== null || id !== null) return found;
  const sameMailbox = await adminOfMailbox(database.prisma, networkId, reference.trim());
  return sameMailbox === null ? null : database.prisma.admin.findUnique({ where: { id: sameMailbox } });
}

/** The id of the admin who has the mailbox. A network has few admins, so their mailboxes are worked out each time. */
async function adminOfMailbox(
  prisma: Pick<Prisma.TransactionClient, 'admin'>,
  networkId: string,
  email: string,
): Promise<string | null> {
  const mailbox = mailboxOf(email);
  const admins = await prisma.admin.findMany({
    where: { networkId, removedAt: null },
    select: { id: true, email: true },
    orderBy: { id: 'asc' },
  });
  return admins.find((admin) => mailboxOf(admin.email) === mailbox)?.id ?? null;
}

/** For whom the operator's keys act: the first owner, where there is none the first admin. */
export async function firstAdmin(database: Database, networkId: string): Promise<Admin | null> {
  const first = (role: AdminRole): Promise<Admin | null> =>
    database.prisma.admin.findFirst({ where: { networkId, removedAt: null, role }, orderBy: { id: 'asc' } });
  return (await first('OWNER')) ?? (await first('ADMIN'));
}

/** The network's present admins by id, a page at a time. */
export async function* listAdmins(database: Database, networkId: string): AsyncGenerator<Admin[]> {
  let after: string | null = null;
  for (;;) {
    const where: Prisma.AdminWhereInput = {
      networkId,
      removedAt: null,
      ...(after === null ? {} : { id: { gt: after } }),
    };
    const page: Admin[] = await database.prisma.admin.findMany({ where, orderBy: { id: 'asc' }, take: PAGE_ADMINS });
    yield page;
    after = page.at(-1)?.id ?? null;
    if (page.length < PAGE_ADMINS) return;
  }
}

/**
 * When this returns, no key that acts for the admin is let in anywhere. The last owner is removed only by force: a
 * network must not be locked out by accident. Both ids are UUIDs.
 */
export async function removeAdmin(
  database: Database,
  origin: Origin,
  networkId: string,
  adminId: string,
  { force = false }: { readonly force?: boolean } = {},
): Promise<AdminOutcome> {
  const outcome = await write(database, origin, (transaction) => remove(transaction, networkId, adminId, force));
  // Also where the admin had been removed already: an earlier call may have ended before the writes under way had.
  if (outcome.ok) await settle(database, { adminId });
  return outcome;
}

// ——— inside the transactions ———

async function create(
  { prisma, audit, newId }: WriteTransaction,
  networkId: string,
  data: Pick<Admin, 'email' | 'emailFolded' | 'name'>,
  wantedRole: AdminRole | null,
): Promise<AdminOutcome> {
  // Locked, so that of two first admins made at once only one becomes an owner by default.
  if ((await lockNetwork(prisma, networkId)) === null) return refused([NO_SUCH_NETWORK]);
  if ((await adminOfMailbox(prisma, networkId, data.email)) !== null) return refused([EMAIL_TAKEN]);
  const role = wantedRole ?? ((await ownersOf(prisma, networkId)) === 0 ? 'OWNER' : 'ADMIN');
  const admin = await prisma.admin.create({ data: { id: newId(), networkId, role, ...data } });
  const subject = { type: 'Admin', id: admin.id } as const;
  await audit({ networkId, action: 'admin.created', subject, details: { after: { role } } });
  return { ok: true, admin };
}

async function remove(
  transaction: WriteTransaction,
  networkId: string,
  adminId: string,
  force: boolean,
): Promise<AdminOutcome> {
  const { prisma, audit } = transaction;
  // Locked, so that two owners who are removed at once are not both "not the last".
  if ((await lockNetwork(prisma, networkId)) === null) return refused([NO_SUCH_NETWORK]);
  const before = await prisma.admin.findFirst({ where: { id: adminId, networkId } });
  if (before === null) return refused([NO_SUCH_ADMIN]);
  if (before.removedAt !== null) return { ok: true, admin: before };
  const isLastOwner = before.role === 'OWNER' && (await ownersOf(prisma, networkId)) === 1;
  if (isLastOwner && !force) return refused([LAST_OWNER]);
  await prisma.$executeRaw`UPDATE admins SET removed_at = clock_timestamp() WHERE id = ${adminId}::uuid`;
  const admin = await prisma.admin.findUniqueOrThrow({ where: { id: adminId } });
  // Their keys have ended with that already, whatever is still being made for them too: these say so themselves.
  const revoked = await endKeys(transaction, networkId, ofAdmin(adminId), 'Its admin was removed', null);
  const after = { removedAt: admin.removedAt?.toISOString() ?? null, revokedKeys: revoked.length };
  const details = { before: { role: before.role }, after };
  await audit({ networkId, action: 'admin.removed', subject: { type: 'Admin', id: adminId }, details });
  return { ok: true, admin };
}

function ownersOf(prisma: Prisma.TransactionClient, networkId: string): Promise<number> {
  return prisma.admin.count({ where: { networkId, role: 'OWNER', removedAt: null } });
}
