/** Networks, the tenants: made, changed, suspended and deleted by the operator. */
import type { Database } from '../database/database.ts';
import { type Network, Prisma } from '../database/generated/client.ts';
import { KEY_LIFE_BOUND_MAX_SECONDS, KEY_LIFE_MIN_SECONDS, lifeText } from '../domain/api-key.ts';
import { uuidOf } from '../domain/id.ts';
import { PLAN_NUMBER_MAX, PLAN_NUMBER_MIN, type Plan } from '../domain/plan.ts';
import { characters, hasControlCharacters, isWellFormed } from '../domain/text.ts';
import { type Outcome, refused, type UserError } from '../domain/user-error.ts';
import type { Origin } from './actor.ts';
import { settle, type WriteTransaction, write } from './transaction.ts';

export interface NetworkInput {
  readonly slug: string;
  readonly name: string;
  readonly plan: Plan;
  /** The numbers of a CUSTOM plan; null: derived from requestsPerMinute, which such a plan must name. */
  readonly requestsPerMinute: number | null;
  readonly networkRequestsPerMinute: number | null;
  readonly costPerMinute: number | null;
  /** Requests a calendar month, of any plan; null: no quota. */
  readonly monthlyQuota: number | null;
  /** Whether requests past the quota are refused. */
  readonly monthlyQuotaEnforced: boolean;
  /** The longest life of keys that are made or changed from now on; null: that of any key. */
  readonly maxKeyLifeSeconds?: number | null;
}

/** What is left out stays; all numbers go when the plan is no longer CUSTOM. */
export type NetworkChanges = { readonly [Field in keyof NetworkInput]?: NetworkInput[Field] | undefined };

export type NetworkOutcome = Outcome<{ readonly network: Network }>;

export const NETWORK_NAME_MAX_CHARACTERS = 200;
/** A label of a host name (RFC 1123): a network can be addressed as {slug}.{base domain}. */
const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const PAGE_NETWORKS = 500;
/** Members are deleted so many at a time: a transaction is bounded in time, a network in nothing. */
const DELETE_BATCH_MEMBERS = 5_000;

const NUMBERS = ['requestsPerMinute', 'networkRequestsPerMinute', 'costPerMinute'] as const;

const SLUG_TAKEN: UserError = {
  code: 'SLUG_TAKEN',
  message: 'Another network has this slug: choose a different one',
  field: ['input', 'slug'],
};
const NO_SUCH_NETWORK: UserError = { code: 'NOT_FOUND', message: 'There is no such network', field: ['network'] };

export async function createNetwork(database: Database, origin: Origin, typed: NetworkInput): Promise<NetworkOutcome> {
  const input = { ...typed, name: typed.name.trim() };
  const errors = faultsOf(input);
  if (errors.length > 0) return refused(errors);
  return unlessSlugTaken(() =>
    write(database, origin, async ({ prisma, audit, newId }) => {
      const network = await prisma.network.create({ data: { id: newId(), ...input } });
      const subject = { type: 'Network', id: network.id } as const;
      await audit({ networkId: network.id, action: 'network.created', subject, details: { after: { ...input } } });
      return { ok: true, network };
    }),
  );
}

/** By slug or by public id (`net_…`, which no slug can look like). */
export async function findNetwork(database: Database, reference: string): Promise<Network | null> {
  const id = uuidOf('Network', reference);
  return database.prisma.network.findUnique({ where: id === null ? { slug: reference } : { id } });
}

/** All networks by id, a page at a time. */
export async function* listNetworks(database: Database): AsyncGenerator<Network[]> {
  let after: string | null = null;
  for (;;) {
    const where: Prisma.NetworkWhereInput = after === null ? {} : { id: { gt: after } };
    const page: Network[] = await database.prisma.network.findMany({
      where,
      orderBy: { id: 'asc' },
      take: PAGE_NETWORKS,
    });
    yield page;
    after = page.at(-1)?.id ?? null;
    if (page.length < PAGE_NETWORKS) return;
  }
}

/** `id`: a UUID. When this returns, no write begun under the old plan commits later. */
export async function updateNetwork(
  database: Database,
  origin: Origin,
  id: string,
  changes: NetworkChanges,
): Promise<NetworkOutcome> {
  const outcome = await unlessSlugTaken(() =>
    write(database, origin, (transaction) => update(transaction, id, changes)),
  );
  if (outcome.ok) await settle(database, { networkId: id });
  return outcome;
}

/** When this returns, no token of the network is let in anywhere. Idempotent; `id`: a UUID. */
export async function suspendNetwork(database: Database, origin: Origin, id: string): Promise<NetworkOutcome> {
  const outcome = await write(database, origin, (transaction) => setSuspended(transaction, id, true));
  // Also where it was suspended already: an earlier call may have ended before the writes under way had.
  if (outcome.ok) await settle(database, { networkId: id });
  return outcome;
}

/** Idempotent; `id`: a UUID. */
export function resumeNetwork(database: Database, origin: Origin, id: string): Promise<NetworkOutcome> {
  return write(database, origin, (transaction) => setSuspended(transaction, id, false));
}

/**
 * Ends the network's access first, then deletes its members batch by batch, and in the end the network with its admins
 * and keys. Its audit events stay. One that was cut short leaves a suspended network and is finished by doing it again.
 */
export async function deleteNetwork(
  database: Database,
  origin: Origin,
  id: string,
): Promise<Outcome<{ readonly network: Network; readonly members: number }>> {
  const suspended = await suspendNetwork(database, origin, id);
  if (!suspended.ok) return suspended;
  let members = 0;
  for (let deleted = DELETE_BATCH_MEMBERS; deleted === DELETE_BATCH_MEMBERS; members += deleted) {
    deleted = await write(database, origin, (transaction) => deleteMembers(transaction, id));
  }
  const { network } = suspended;
  await write(database, origin, async ({ prisma, audit }) => {
    const { count } = await prisma.network.deleteMany({ where: { id } });
    const { slug, name, plan } = network;
    const details = { before: { slug, name, plan }, finished: true };
    // Somebody else may have deleted it meanwhile, and recorded that.
    if (count > 0) await audit({ networkId: id, action: 'network.deleted', subject: { type: 'Network', id }, details });
  });
  return { ok: true, network, members };
}

// ——— inside the transactions ———

async function update(
  { prisma, audit, now }: WriteTransaction,
  id: string,
  changes: NetworkChanges,
): Promise<NetworkOutcome> {
  const before = await lockNetwork(prisma, id);
  if (before === null) return refused([NO_SUCH_NETWORK]);
  const wanted = merge(before, changes);
  const errors = faultsOf(wanted);
  if (errors.length > 0) return refused(errors);
  const changed = (Object.keys(wanted) as (keyof NetworkInput)[]).filter((field) => wanted[field] !== before[field]);
  if (changed.length === 0) return { ok: true, network: before };
  const network = await prisma.network.update({ where: { id }, data: { ...wanted, updatedAt: now } });
  const pick = (from: NetworkInput): Prisma.InputJsonObject =>
    Object.fromEntries(changed.map((field) => [field, from[field] ?? null]));
  const details = { before: pick(before), after: pick(wanted) };
  await audit({ networkId: id, action: 'network.updated', subject: { type: 'Network', id }, details });
  return { ok: true, network };
}

function merge(before: Network, changes: NetworkChanges): NetworkInput {
  const plan = changes.plan ?? before.plan;
  // A CUSTOM plan's numbers mean nothing to another plan, so they go with it; numbers that were given stay, and are faults.
  const kept =
    plan === 'CUSTOM' ? before : { requestsPerMinute: null, networkRequestsPerMinute: null, costPerMinute: null };
  const number = (field: (typeof NUMBERS)[number]): number | null => {
    const given = changes[field];
    return given === undefined ? kept[field] : given;
  };
  return {
    slug: changes.slug ?? before.slug,
    name: changes.name?.trim() ?? before.name,
    plan,
    requestsPerMinute: number('requestsPerMinute'),
    networkRequestsPerMinute: number('networkRequestsPerMinute'),
    costPerMinute: number('costPerMinute'),
    ...quotaOf(before, changes),
    maxKeyLifeSeconds: changes.maxKeyLifeSeconds === undefined ? before.maxKeyLifeSeconds : changes.maxKeyLifeSeconds,
  };
}

/** A network that loses its quota has none to enforce. */
function quotaOf(
  before: Network,
  changes: NetworkChanges,
): Pick<NetworkInput, 'monthlyQuota' | 'monthlyQuotaEnforced'> {
  const monthlyQuota = changes.monthlyQuota === undefined ? before.monthlyQuota : changes.monthlyQuota;
  const kept = changes.monthlyQuota === null ? false : before.monthlyQuotaEnforced;
  return { monthlyQuota, monthlyQuotaEnforced: changes.monthlyQuotaEnforced ?? kept };
}

async function setSuspended(
  { prisma, audit }: WriteTransaction,
  id: string,
  isSuspended: boolean,
): Promise<NetworkOutcome> {
  const before = await lockNetwork(prisma, id);
  if (before === null) return refused([NO_SUCH_NETWORK]);
  if ((before.suspendedAt !== null) === isSuspended) return { ok: true, network: before };
  await prisma.$executeRaw`
    UPDATE networks SET suspended_at = CASE WHEN ${isSuspended} THEN clock_timestamp() END, updated_at = clock_timestamp()
    WHERE id = ${id}::uuid`;
  const network = await prisma.network.findUniqueOrThrow({ where: { id } });
  const action = isSuspended ? 'network.suspended' : 'network.resumed';
  const suspendedAt = (of: Network): string | null => of.suspendedAt?.toISOString() ?? null;
  const details = { before: { suspendedAt: suspendedAt(before) }, after: { suspendedAt: suspendedAt(network) } };
  await audit({ networkId: id, action, subject: { type: 'Network', id }, details });
  return { ok: true, network };
}

async function deleteMembers({ prisma, audit }: WriteTransaction, networkId: string): Promise<number> {
  const members = await prisma.$executeRaw`
    DELETE FROM members WHERE id IN (
      SELECT id FROM members WHERE network_id = ${networkId}::uuid ORDER BY id LIMIT ${DELETE_BATCH_MEMBERS})`;
  // The feed ends with the network: nobody will ask for these deletions.
  await prisma.memberDeletion.deleteMany({ where: { networkId } });
  const details = { members, finished: false };
  const subject = { type: 'Network', id: networkId } as const;
  if (members > 0) await audit({ networkId, action: 'network.deleted', subject, details });
  return members;
}

/** Changes of one network, and of its admins, wait for each other; what only refers to it does not wait. */
export async function lockNetwork(prisma: Prisma.TransactionClient, id: string): Promise<Network | null> {
  await prisma.$queryRaw`SELECT 1 AS locked FROM networks WHERE id = ${id}::uuid FOR NO KEY UPDATE`;
  return prisma.network.findUnique({ where: { id } });
}

async function unlessSlugTaken(work: () => Promise<NetworkOutcome>): Promise<NetworkOutcome> {
  try {
    return await work();
  } catch (error) {
    const isTaken = error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';
    if (isTaken) return refused([SLUG_TAKEN]);
    throw error;
  }
}

// ——— rules ———

function faultsOf(input: NetworkInput): UserError[] {
  return [
    ...slugFaults(input.slug),
    ...nameFaults(input.name),
    ...NUMBERS.flatMap((field) => numberFaults(input, field)),
    ...quotaFaults(input),
    ...keyLifeFaults(input.maxKeyLifeSeconds ?? null),
  ];
}

function slugFaults(slug: string): UserError[] {
  if (SLUG.test(slug)) return [];
  const message = 'Slug must have 1 to 63 lower-case letters, digits and hyphens, with no hyphen first or last';
  return [{ code: slug === '' ? 'BLANK' : 'INVALID', message, field: ['input', 'slug'] }];
}

function nameFaults(name: string): UserError[] {
  const field = ['input', 'name'];
  if (name === '') return [{ code: 'BLANK', message: 'Name is required', field }];
  if (characters(name) > NETWORK_NAME_MAX_CHARACTERS) {
    return [{ code: 'TOO_LONG', message: `Name must have 1 to ${NETWORK_NAME_MAX_CHARACTERS} characters`, field }];
  }
  if (!hasControlCharacters(name) && isWellFormed(name)) return [];
  return [{ code: 'INVALID', message: 'Name must not hold control characters', field }];
}

function numberFaults(input: NetworkInput, name: (typeof NUMBERS)[number]): UserError[] {
  const field = ['input', name];
  const value = input[name];
  if (input.plan !== 'CUSTOM') {
    return value === null ? [] : [{ code: 'INVALID', message: 'Only a custom plan has numbers of its own', field }];
  }
  if (value === null) {
    return name === 'requestsPerMinute'
      ? [{ code: 'BLANK', message: 'A custom plan must say its requests a minute of a key', field }]
      : [];
  }
  return rangeFaults(name, value);
}

function quotaFaults({ monthlyQuota, monthlyQuotaEnforced }: NetworkInput): UserError[] {
  if (monthlyQuota !== null) return rangeFaults('monthlyQuota', monthlyQuota);
  if (!monthlyQuotaEnforced) return [];
  const message = 'There is no monthly quota to enforce: give one, too';
  return [{ code: 'INVALID', message, field: ['input', 'monthlyQuotaEnforced'] }];
}

function rangeFaults(name: string, value: number): UserError[] {
  const field = ['input', name];
  if (Number.isInteger(value) && value >= PLAN_NUMBER_MIN && value <= PLAN_NUMBER_MAX) return [];
  const message = `${name} must be a whole number from ${PLAN_NUMBER_MIN} to ${PLAN_NUMBER_MAX}`;
  return [{ code: 'OUT_OF_RANGE', message, field }];
}

function keyLifeFaults(seconds: number | null): UserError[] {
  if (seconds === null) return [];
  if (Number.isInteger(seconds) && seconds >= KEY_LIFE_MIN_SECONDS && seconds <= KEY_LIFE_BOUND_MAX_SECONDS) return [];
  const message = `The longest life of keys must be ${KEY_LIFE_MIN_SECONDS} seconds to ${lifeText(KEY_LIFE_BOUND_MAX_SECONDS)}`;
  return [{ code: 'OUT_OF_RANGE', message, field: ['input', 'maxKeyLifeSeconds'] }];
}
