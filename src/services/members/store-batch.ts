/** A batch of an import against the database: sets of rows, never a query a row. */
import { EMAIL_KEY } from '../../database/email-identity.ts';
import { Prisma } from '../../database/generated/client.ts';
import { ownIds } from '../../database/own-ids.ts';
import type { MemberFields } from '../../domain/member.ts';
import type { BatchPlan, BatchRecord, StoredMember } from './plan-batch.ts';

/** First half of the advisory lock under which a network's imports take turns; the second is from the network's id. */
export const IMPORT_LOCK = 0x6d656d62;

/** The columns of a StoredMember. */
const STORED = Prisma.sql`
  id, external_id AS "externalId", name, name_folded AS "nameFolded", email, email_folded AS "emailFolded",
  role::text AS role, status::text AS status, avatar_url AS "avatarUrl", location, tags,
  CASE WHEN email_identity_of = email_folded THEN email_identity END AS "emailIdentity",
  time_zone AS "timeZone", permalink, custom_fields AS "customFields", created_at AS "createdAt",
  last_active_at AS "lastActiveAt"`;

/** The planner's settings for a transaction of look-ups: see loadMembers. */
export const BY_INDEX = Prisma.sql`
  set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
  set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true)`;

type Transaction = Prisma.TransactionClient;

/**
 * Imports of one network go batch by batch, in turn: of two that bring the same file, the one finds what the other has
 * stored, instead of both failing on each other's rows. False where the network is gone.
 */
export async function beginBatch(prisma: Transaction, networkId: string): Promise<boolean> {
  await prisma.$executeRaw`
    SELECT pg_advisory_xact_lock(${IMPORT_LOCK}::int, hashtext(${networkId})),
           ${BY_INDEX}`;
  const found = await prisma.$queryRaw<unknown[]>`
    SELECT 1 AS found FROM networks WHERE id = ${networkId}::uuid FOR KEY SHARE`;
  return found.length === 1;
}

/**
 * The members that a batch may be about, locked: whoever else writes to one waits until the batch has committed.
 *
 * The planner must be kept from a mistake. Members that came in since the table was last analyzed are unknown to it: it
 * takes their network for empty, any index on the network for as good as the right one, and then each lookup reads the
 * whole network (900 members a second instead of 20,000, and falling). So scans but those of sorted indexes, and other
 * joins, are off, and the network comes out of the list of keys: for a value that it cannot see, the planner assumes a
 * network of average size.
 */
export async function loadMembers(
  prisma: Transaction,
  networkId: string,
  records: readonly BatchRecord[],
): Promise<StoredMember[]> {
  const locked = Prisma.sql`${membersOf(networkId, namedIn(records))} FOR UPDATE`;
  return prisma.$queryRaw<StoredMember[]>(locked);
}

/** What a member can be known by. */
export type MemberNames = Pick<MemberFields, 'emailFolded' | 'emailIdentity' | 'emailLookups' | 'externalId'>;

export function namedIn(records: readonly BatchRecord[]): MemberNames[] {
  return records.flatMap((record) => ('member' in record ? [record.member] : []));
}

/** The network's members that any of these may be, in the order of their ids. */
export function membersOf(networkId: string, given: readonly MemberNames[]): Prisma.Sql {
  const keys = given.flatMap((names) => lookupsOf(networkId, names));
  return Prisma.sql`
    SELECT ${STORED} FROM members
    WHERE id IN (
      WITH keys AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(${JSON.stringify(keys)}::jsonb)
          AS k("networkId" uuid, "emailKey" text, "emailFolded" text, "externalId" text)
      )
      ${idsBy(EMAIL_KEY, 'emailKey')} UNION ${idsBy('email_folded', 'emailFolded')}
      UNION ${idsBy('external_id', 'externalId')}
    )
    ORDER BY id`;
}

/**
 * SQL for the ids of the members that have the value of a key (`keys`, each with its network) in a column where a network has
 * it once. Comparisons of rows, which only the sorted index on both can serve: see `rowOf` (database/candidates.ts).
 */
export function idsBy(column: string, key: string): Prisma.Sql {
  const place = `(keys."networkId", keys."${key}")`;
  return Prisma.raw(
    `SELECT found.id FROM keys CROSS JOIN LATERAL (
       SELECT id FROM members WHERE (network_id, ${column}) >= ${place} AND (network_id, ${column}) <= ${place}
       ORDER BY network_id, ${column} LIMIT 1) AS found WHERE keys."${key}" IS NOT NULL`,
  );
}

/** What one record's member is looked for by: each key finds at most one by each of its values. */
interface MemberKey {
  readonly networkId: string;
  readonly emailKey: string | null;
  /** Null where the key says as much. */
  readonly emailFolded: string | null;
  readonly externalId: string | null;
}

function lookupsOf(
  networkId: string,
  { emailFolded, emailIdentity, emailLookups, externalId }: MemberNames,
): MemberKey[] {
  const [emailKey = null, ...others] = emailLookups;
  // A folded address is unique, too: should two that are equal ever have two identities, the stored one is found.
  const folded = emailIdentity === null ? null : (emailFolded ?? null);
  return [
    { networkId, emailKey, emailFolded: folded, externalId: externalId ?? null },
    ...others.map((key) => ({ networkId, emailKey: key, emailFolded: null, externalId: null })),
  ];
}

/** One member by its UUID, locked; null where the network has none. */
export async function loadMember(prisma: Transaction, networkId: string, id: string): Promise<StoredMember | null> {
  const [member] = await prisma.$queryRaw<StoredMember[]>`
    SELECT ${STORED} FROM members
    WHERE network_id = ${networkId}::uuid AND id IN (${ownIds('members', networkId, [id])}) FOR UPDATE`;
  return member ?? null;
}

export async function storeMembers(
  prisma: Transaction,
  networkId: string,
  plan: Pick<BatchPlan, 'inserts' | 'updates' | 'displaced'>,
): Promise<void> {
  if (plan.displaced.length > 0) await displace(prisma, plan.displaced);
  if (plan.updates.length > 0) await update(prisma, plan.updates);
  if (plan.inserts.length > 0) await insert(prisma, networkId, plan.inserts);
}

/**
 * Uniqueness is checked row by row, so where one member takes over what another gives up, those that give it up go
 * first: to their id, which is no address and nobody else's.
 */
async function displace(prisma: Transaction, ids: readonly string[]): Promise<void> {
  await prisma.$executeRaw`
    UPDATE members SET email_folded = id::text, external_id = NULL WHERE id = ANY(${[...ids]}::uuid[])`;
}

async function update(prisma: Transaction, members: readonly StoredMember[]): Promise<void> {
  await prisma.$executeRaw`
    UPDATE members AS m
    SET external_id = r."externalId", name = r.name, name_folded = r."nameFolded", email = r.email,
        email_folded = r."emailFolded", email_identity = r."emailIdentity",
        email_identity_of = CASE WHEN r."emailIdentity" IS NOT NULL THEN r."emailFolded" END,
        role = r.role::member_role, status = r.status::member_status, avatar_url = r."avatarUrl", location = r.location,
        tags = r.tags, time_zone = r."timeZone", permalink = r.permalink, custom_fields = r."customFields",
        created_at = r."createdAt", last_active_at = r."lastActiveAt", updated_at = now()
    FROM jsonb_to_recordset(${JSON.stringify(members)}::jsonb) AS r(
      id uuid, "externalId" text, name text, "nameFolded" text, email text, "emailFolded" text, "emailIdentity" text,
      role text, status text, "avatarUrl" text, location text, tags text[], "timeZone" text, permalink text,
      "customFields" jsonb,
      "createdAt" timestamptz, "lastActiveAt" timestamptz)
    WHERE m.id = r.id`;
}

/** In the order of their addresses: two transactions that insert the same ones wait for each other, not both ways. */
async function insert(prisma: Transaction, networkId: string, members: readonly StoredMember[]): Promise<void> {
  await prisma.$executeRaw`
    INSERT INTO members (id, network_id, external_id, name, name_folded, email, email_folded, email_identity,
                         email_identity_of, role, status, avatar_url, location, tags, time_zone, permalink, custom_fields,
                         created_at, last_active_at)
    SELECT r.id, ${networkId}::uuid, r."externalId", r.name, r."nameFolded", r.email, r."emailFolded", r."emailIdentity",
           CASE WHEN r."emailIdentity" IS NOT NULL THEN r."emailFolded" END, r.role::member_role,
           r.status::member_status, r."avatarUrl", r.location, r.tags, r."timeZone", r.permalink, r."customFields",
           COALESCE(r."createdAt", now()), r."lastActiveAt"
    FROM jsonb_to_recordset(${JSON.stringify(members)}::jsonb) AS r(
      id uuid, "externalId" text, name text, "nameFolded" text, email text, "emailFolded" text, "emailIdentity" text,
      role text, status text, "avatarUrl" text, location text, tags text[], "timeZone" text, permalink text,
      "customFields" jsonb, "createdAt" timestamptz, "lastActiveAt" timestamptz)
    ORDER BY COALESCE(r."emailIdentity", r."emailFolded")`;
}
