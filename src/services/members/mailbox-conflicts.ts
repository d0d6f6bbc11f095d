/** Members of a network whose mailbox another member of it has: for the operator, who decides what becomes of the two. */
import type { Database } from '../../database/database.ts';
import { EMAIL_KEY, EMAIL_LOOKUP, EMAIL_PENDING } from '../../database/email-identity.ts';
import { keysetRows } from '../../database/keyset.ts';
import { mailboxOf } from '../../domain/email-identity.ts';
import { fillIdentities } from './fill-identities.ts';

const PAGE_MEMBERS = 500;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

export interface ConflictingMember {
  /** A UUID. */
  readonly id: string;
  readonly email: string;
  readonly externalId: string | null;
}

export interface MailboxConflict {
  /** The address with its domain in ASCII. */
  readonly mailbox: string;
  readonly member: ConflictingMember;
  /** Who has the mailbox. */
  readonly holder: ConflictingMember;
}

/** By the id of the member that does not have the mailbox, a page at a time. `networkId`: a UUID. */
export async function* mailboxConflicts(
  database: Pick<Database, 'pool' | 'prisma'>,
  networkId: string,
): AsyncGenerator<MailboxConflict[]> {
  // What is left pending after that is a conflict.
  await fillIdentities(database, new AbortController().signal, networkId);
  let after = FIRST_ID;
  for (;;) {
    const { rows } = await database.pool.query<ConflictingMember>(
      `SELECT id, email, external_id AS "externalId" FROM members
       WHERE ${EMAIL_PENDING} AND (network_id, id) > ($1::uuid, $2::uuid) AND network_id = $1::uuid
       ORDER BY network_id, id LIMIT ${PAGE_MEMBERS}`,
      [networkId, after],
    );
    yield await conflictsOf(database, networkId, rows);
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_MEMBERS) return;
    after = last.id;
  }
}

/** A member with the mailbox that it has. */
type Holder = ConflictingMember & { readonly mailbox: string };

const HOLDERS = {
  name: 'members',
  columns: { id: 'id', email: 'email', externalId: 'external_id', mailbox: EMAIL_KEY },
};

async function conflictsOf(
  { pool }: Pick<Database, 'pool'>,
  networkId: string,
  members: readonly ConflictingMember[],
): Promise<MailboxConflict[]> {
  const wanted = members.map(({ email }) => mailboxOf(email));
  const found = await keysetRows<Holder>(pool, networkId, HOLDERS, wanted, EMAIL_LOOKUP);
  const holders = new Map(found.map((holder) => [holder.mailbox, holder]));
  return members.flatMap((member) => {
    const mailbox = mailboxOf(member.email);
    const holder = holders.get(mailbox);
    return holder === undefined || holder.id === member.id ? [] : [{ mailbox, member, holder }];
  });
}
