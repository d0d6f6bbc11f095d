/**
 * Works out the mailboxes of members that were stored without one, by a gateway of the previous release or by an operator's
 * SQL. SQL has no UTS 46, so this is done in code, a batch at a time.
 *
 * A batch is one transaction, in turn with all other writers of the network's members. A process that is killed leaves whole
 * batches, and the next run finds the remaining rows by the index of pending ones. Two gateways that run it at the same time
 * find each other's rows done. It does not change a member: `updated_at`, the feed and the audit trail stay as they are.
 *
 * A mailbox that another member of the network has stays with that one. The row stays pending, is found by its folded
 * address as before, and is listed for the operator (mailbox-conflicts.ts): members are never merged.
 */
import type { Database } from '../../database/database.ts';
import { EMAIL_KEY, EMAIL_PENDING } from '../../database/email-identity.ts';
import { Prisma } from '../../database/generated/client.ts';
import { mailboxOf } from '../../domain/email-identity.ts';
import { isConflict, isOutOfTime } from './conflicts.ts';
import { beginBatch, idsBy } from './store-batch.ts';

export const FILL_BATCH_ROWS = 500;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

export interface Filled {
  readonly filled: number;
  /** Members that stay pending, because another member of their network has the mailbox. */
  readonly conflicts: number;
  /** Members that others kept busy: for the next run. */
  readonly postponed: number;
}

interface PendingRow {
  readonly networkId: string;
  readonly id: string;
}

/** `networkId`: a UUID; null for all networks. `signal`: ends it between two batches. */
export async function fillIdentities(
  database: Pick<Database, 'pool' | 'prisma'>,
  signal: AbortSignal,
  networkId: string | null = null,
): Promise<Filled> {
  const total = { filled: 0, conflicts: 0, postponed: 0 };
  let after: PendingRow = { networkId: networkId ?? FIRST_ID, id: FIRST_ID };
  while (!signal.aborted) {
    const rows = await pendingAfter(database, after, networkId);
    for (const [network, ids] of byNetwork(rows)) {
      if (signal.aborted) return total;
      const { filled, conflicts } = await fillOrPostpone(database, network, ids);
      total.filled += filled;
      total.conflicts += conflicts;
      total.postponed += ids.length - filled - conflicts;
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < FILL_BATCH_ROWS) return total;
    after = last;
  }
  return total;
}

async function pendingAfter(
  { pool }: Pick<Database, 'pool'>,
  after: PendingRow,
  networkId: string | null,
): Promise<PendingRow[]> {
  const { rows } = await pool.query<PendingRow>(
    `SELECT network_id AS "networkId", id FROM members
     WHERE ${EMAIL_PENDING} AND (network_id, id) > ($1::uuid, $2::uuid) AND ($3::uuid IS NULL OR network_id = $3::uuid)
     ORDER BY network_id, id LIMIT ${FILL_BATCH_ROWS}`,
    [after.networkId, after.id, networkId],
  );
  return rows;
}

function byNetwork(rows: readonly PendingRow[]): Map<string, string[]> {
  const ids = new Map<string, string[]>();
  for (const { networkId, id } of rows) ids.set(networkId, [...(ids.get(networkId) ?? []), id]);
  return ids;
}

type Batch = Pick<Filled, 'filled' | 'conflicts'>;
const NOTHING: Batch = { filled: 0, conflicts: 0 };

async function fillOrPostpone(
  { prisma }: Pick<Database, 'prisma'>,
  networkId: string,
  ids: readonly string[],
): Promise<Batch> {
  try {
    return await prisma.$transaction((transaction) => fillBatch(transaction, networkId, ids));
  } catch (error) {
    if (isConflict(error) || isOutOfTime(error)) return NOTHING;
    throw error;
  }
}

interface PendingMember {
  readonly id: string;
  readonly email: string;
}

async function fillBatch(prisma: Prisma.TransactionClient, networkId: string, ids: readonly string[]): Promise<Batch> {
  if (!(await beginBatch(prisma, networkId))) return NOTHING;
  // Again under the lock: the address may have changed, or another gateway may have been here.
  const pending = await prisma.$queryRaw<PendingMember[]>`
    SELECT id, email FROM members WHERE id = ANY(${[...ids]}::uuid[]) AND ${Prisma.raw(EMAIL_PENDING)}
    ORDER BY id FOR UPDATE`;
  const members = pending.map(({ id, email }) => ({ id, identity: mailboxOf(email) }));
  const holders = await holdersOf(prisma, networkId, members);
  const filled = members.filter(({ id, identity }) => {
    const holder = holders.get(identity) ?? id;
    holders.set(identity, holder);
    return holder === id;
  });
  await prisma.$executeRaw`
    UPDATE members AS m SET email_identity = r.identity, email_identity_of = m.email_folded
    FROM jsonb_to_recordset(${JSON.stringify(filled)}::jsonb) AS r(id uuid, identity text) WHERE m.id = r.id`;
  return { filled: filled.length, conflicts: members.length - filled.length };
}

/** The id of the member that has each mailbox now, as far as one has. */
async function holdersOf(
  prisma: Prisma.TransactionClient,
  networkId: string,
  members: readonly { readonly identity: string }[],
): Promise<Map<string, string>> {
  const keys = members.map(({ identity }) => ({ networkId, identity }));
  const rows = await prisma.$queryRaw<{ identity: string; id: string }[]>`
    SELECT ${Prisma.raw(EMAIL_KEY)} AS identity, id FROM members WHERE id IN (
      WITH keys AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) AS k("networkId" uuid, identity text)
      )
      ${idsBy(EMAIL_KEY, 'identity')})`;
  return new Map(rows.map(({ identity, id }) => [identity, id]));
}
