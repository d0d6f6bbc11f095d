/**
 * What an import would do, and nothing done: no lock is taken that another writer waits for, no position in the feed, no
 * audit event. What each batch would write goes into a temporary table, so that a later batch finds it as it would find
 * it in `members`, however long the file is. The members of the network are read as they are when each batch is reached.
 */
import type { Database, PoolClient, QueryResultRow } from '../../database/database.ts';
import { Prisma } from '../../database/generated/client.ts';
import { keysOf } from '../../domain/email-identity.ts';
import { newUuid } from '../../domain/id.ts';
import { type BatchPlan, type BatchRecord, type PlanOptions, planBatch, type StoredMember } from './plan-batch.ts';
import { BY_INDEX, type MemberNames, membersOf, namedIn } from './store-batch.ts';

/** How long the source may pause: as with an export, only the one who waits is held up. */
const SOURCE_PAUSE_MAX_MS = 3_600_000;

const BEGIN = `
BEGIN;
SET LOCAL idle_in_transaction_session_timeout = ${SOURCE_PAUSE_MAX_MS};
CREATE TEMPORARY TABLE planned_members (
  id uuid PRIMARY KEY, email_keys text[] NOT NULL, external_id text COLLATE "C", member jsonb NOT NULL
) ON COMMIT DROP;
CREATE INDEX ON planned_members USING gin (email_keys);
CREATE INDEX ON planned_members (external_id)`;

export interface DryRun {
  /** What a batch would do; null where the network is gone. */
  take(records: readonly BatchRecord[]): AsyncIterable<BatchPlan | null>;
  close(): Promise<void>;
}

/** `networkId`: a UUID. Holds a connection until it is closed. */
export async function openDryRun(database: Database, networkId: string, options: PlanOptions): Promise<DryRun> {
  const client = await database.pool.connect();
  const nowMs = (): number => database.clock.now();
  try {
    await client.query(BEGIN);
    await run(client, Prisma.sql`SELECT ${BY_INDEX}`);
  } catch (error) {
    client.release(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
  return {
    async *take(records) {
      const networks = await run(client, Prisma.sql`SELECT 1 AS found FROM networks WHERE id = ${networkId}::uuid`);
      if (networks.length === 0) {
        yield null;
        return;
      }
      const plan = planBatch(records, await load(client, networkId, namedIn(records)), options, () => newUuid(nowMs()));
      await keep(client, [...plan.inserts, ...plan.updates]);
      yield plan;
    },
    // The connection ends, and the transaction and its table with it.
    close: async () => client.release(true),
  };
}

/** The members as they would be by now. */
async function load(client: PoolClient, networkId: string, names: readonly MemberNames[]): Promise<StoredMember[]> {
  const emails = names.flatMap(({ emailFolded, emailLookups }) => [
    ...emailLookups,
    ...(emailFolded === undefined ? [] : [emailFolded]),
  ]);
  const externalIds = names.flatMap(({ externalId }) => externalId ?? []);
  const planned = await run<{ member: StoredMember }>(
    client,
    Prisma.sql`
      SELECT member FROM planned_members
      WHERE email_keys && ${emails}::text[] OR external_id = ANY(${externalIds}::text[])`,
  );
  const stored = await run<StoredMember>(client, membersOf(networkId, names));
  const replaced = await run<{ id: string }>(
    client,
    Prisma.sql`SELECT id FROM planned_members WHERE id = ANY(${stored.map(({ id }) => id)}::uuid[])`,
  );
  const isReplaced = new Set(replaced.map(({ id }) => id));
  return [...planned.map(({ member }) => revived(member)), ...stored.filter(({ id }) => !isReplaced.has(id))];
}

/** Times are text in JSON. */
function revived(member: StoredMember): StoredMember {
  const { createdAt, lastActiveAt } = member;
  return {
    ...member,
    createdAt: createdAt === null ? null : new Date(createdAt),
    lastActiveAt: lastActiveAt === null ? null : new Date(lastActiveAt),
  };
}

/** By its folded address it is found, too, where that says less than its mailbox. */
function keysIn({ emailFolded, emailIdentity }: StoredMember): string[] {
  return [...new Set([...keysOf(emailFolded, emailIdentity), emailFolded])];
}

async function keep(client: PoolClient, members: readonly StoredMember[]): Promise<void> {
  if (members.length === 0) return;
  const rows = members.map((member) => ({
    id: member.id,
    externalId: member.externalId,
    emailKeys: keysIn(member),
    member,
  }));
  await run(
    client,
    Prisma.sql`
      INSERT INTO planned_members
      SELECT id, "emailKeys", "externalId", member FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        AS r(id uuid, "emailKeys" text[], "externalId" text, member jsonb)
      ON CONFLICT (id) DO UPDATE SET
        email_keys = EXCLUDED.email_keys, external_id = EXCLUDED.external_id, member = EXCLUDED.member`,
  );
}

async function run<Row extends object>(client: PoolClient, { text, values }: Prisma.Sql): Promise<Row[]> {
  const { rows } = await client.query<Row & QueryResultRow>(text, values);
  return rows;
}
