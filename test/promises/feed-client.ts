/** A client of the feed as the documentation has it, what it is compared with, and writers of every kind beside it. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { newUuid, toId } from '../../src/domain/id.ts';
import { graphql } from '../support/client.ts';

export const WRITERS = 8;

const FIELDS = 'id externalId name status tags';
const PULL = `query($after: String) {
  members(first: 250, after: $after) { nodes { ${FIELDS} } pageInfo { hasNextPage endCursor } }
}`;
const CHANGES = `query($after: String, $first: Int) {
  memberChanges(after: $after, first: $first) { changes { kind id member { ${FIELDS} } } position hasMore }
}`;

type Copied = { readonly id: string };

/** A client as the documentation has it. */
export class Client {
  readonly copy = new Map<string, Copied>();
  /** How often the pull gave each member. */
  readonly pulled = new Map<string, number>();
  readonly #ask: (query: string, variables: object) => Promise<Record<string, never>>;
  #position: string | null = null;

  constructor(url: () => string, token: string) {
    this.#ask = async (query, variables) => {
      const { body } = await graphql(url(), token, query, { variables: { ...variables } });
      if (body.errors !== undefined) throw new Error(JSON.stringify(body.errors));
      return body.data;
    };
  }

  async begin(): Promise<void> {
    const { memberChanges } = (await this.#ask(CHANGES, {})) as never as { memberChanges: { position: string } };
    this.#position = memberChanges.position;
  }

  /** `between` is called after each page. */
  async pull(between: (page: number) => Promise<void> = async () => undefined): Promise<void> {
    let after: string | null = null;
    for (let page = 0; ; page += 1) {
      const { members } = (await this.#ask(PULL, { after })) as never as {
        members: { nodes: Copied[]; pageInfo: { hasNextPage: boolean; endCursor: string } };
      };
      for (const node of members.nodes) {
        this.copy.set(node.id, node);
        this.pulled.set(node.id, (this.pulled.get(node.id) ?? 0) + 1);
      }
      await between(page);
      if (!members.pageInfo.hasNextPage) return;
      after = members.pageInfo.endCursor;
    }
  }

  /** How many changes there were. */
  async follow(first = 250): Promise<number> {
    let count = 0;
    for (let hasMore = true; hasMore; ) {
      const { memberChanges } = (await this.#ask(CHANGES, { after: this.#position, first })) as never as {
        memberChanges: {
          changes: { kind: string; id: string; member: Copied | null }[];
          position: string;
          hasMore: boolean;
        };
      };
      for (const { id, member } of memberChanges.changes) {
        if (member === null) this.copy.delete(id);
        else this.copy.set(id, member);
      }
      count += memberChanges.changes.length;
      this.#position = memberChanges.position;
      hasMore = memberChanges.hasMore;
    }
    return count;
  }
}

export async function table({ prisma }: Database, networkId: string): Promise<Map<string, Copied>> {
  const rows = await prisma.member.findMany({
    where: { networkId },
    select: { id: true, externalId: true, name: true, status: true, tags: true },
  });
  return new Map(rows.map((row) => [toId('Member', row.id), { ...row, id: toId('Member', row.id) }]));
}

export async function fill({ pool }: Database, networkId: string, count: number): Promise<void> {
  await pool.query(
    `INSERT INTO members (id, network_id, external_id, name, name_folded, email, email_folded)
     SELECT gen_random_uuid(), $1, 'e' || n, 'Name ' || n, 'name ' || n, n || '@example.test', n || '@example.test'
     FROM generate_series(1, $2::int) n`,
    [networkId, count],
  );
}

/** Where writers write: by SQL of their own, and through a gateway, which may be another one each time, or dying. */
export interface Place {
  readonly database: Database;
  readonly networkId: string;
  readonly url: () => string;
  readonly token: string;
}

type Write = (place: Place, mark: string) => Promise<unknown>;

/** A member somewhere in the network, or none. */
const SOME = '(SELECT id FROM members WHERE network_id = $1 AND id >= gen_random_uuid() ORDER BY id LIMIT 1)';
const INSERT = `INSERT INTO members (id, network_id, name, name_folded, email, email_folded)
  VALUES (gen_random_uuid(), $1, $2, $2, $2 || '@example.test', $2 || '@example.test')`;

const bySql =
  (sql: string, isMarked = false): Write =>
  ({ database, networkId }, mark) =>
    database.pool.query(sql, isMarked ? [networkId, mark] : [networkId]);

/** A gateway that dies on the way answers nothing: what came of it is in the table. */
const byApi =
  (query: string, variables: (mark: string, id: string) => Record<string, unknown>): Write =>
  async ({ database, networkId, url, token }, mark) => {
    const { rows } = await database.pool.query<{ id: string }>(`SELECT ${SOME} AS id`, [networkId]);
    const id = toId('Member', rows[0]?.id ?? newUuid());
    const reply = await graphql(url(), token, query, { variables: variables(mark, id) }).catch(() => null);
    // 503 where it is stopping, or where others have written the same members again and again.
    const codes = reply?.body.errors?.map(({ extensions }) => extensions.code) ?? [];
    expect(['', 'SERVICE_UNAVAILABLE']).toContain(codes.join());
  };

/** Several members in one transaction, in the order that the documentation asks for, which stays open for a while. */
const inOneTransaction: Write = async ({ database, networkId }, mark) => {
  const session = await database.pool.connect();
  try {
    await session.query('BEGIN');
    const some = 'SELECT id FROM members WHERE network_id = $1 AND id >= gen_random_uuid() ORDER BY id LIMIT 5';
    const { rows } = await session.query<{ id: string }>(
      `SELECT id FROM members WHERE id IN (${some}) ORDER BY id FOR UPDATE`,
      [networkId],
    );
    const ids = rows.map(({ id }) => id);
    await session.query('UPDATE members SET name = $2 WHERE id = ANY($1)', [ids.slice(0, 3), mark]);
    await delay(Math.random() * 100);
    await session.query('DELETE FROM members WHERE id = ANY($1)', [ids.slice(3)]);
    await session.query(INSERT, [networkId, mark]);
    await session.query(Math.random() < 0.2 ? 'ROLLBACK' : 'COMMIT');
  } finally {
    session.release();
  }
};

const WRITES: readonly Write[] = [
  bySql(INSERT, true),
  bySql(`UPDATE members SET name = $2 WHERE id = ${SOME}`, true),
  bySql(`UPDATE members SET status = 'SUSPENDED' WHERE id = ${SOME}`),
  bySql(`DELETE FROM members WHERE id = ${SOME}`),
  inOneTransaction,
  byApi(
    'mutation($members: [UpsertMember!]!) { upsertMembers(input: { members: $members }) { results { outcome } } }',
    (mark) => ({
      members: [
        { externalId: `e${Math.ceil(Math.random() * 3_000)}`, name: mark },
        { email: `${mark}@example.test`, name: mark, externalId: mark },
        { email: `${mark}-2@example.test`, name: mark },
      ],
    }),
  ),
  byApi(
    'mutation($id: ID!, $mark: String!) { updateMember(input: { id: $id, name: $mark, tags: [$mark] }) { userErrors { code } } }',
    (mark, id) => ({ id, mark }),
  ),
  byApi('mutation($id: ID!) { deleteMembers(input: { ids: [$id] }) { deletedIds } }', (_mark, id) => ({ id })),
];

/** Inserts, changes, hides and deletes in every way there is until it is told to stop. */
async function write(place: Place, isOver: () => boolean): Promise<number> {
  let writes = 0;
  while (!isOver()) {
    await WRITES[Math.floor(Math.random() * WRITES.length)]?.(place, newUuid());
    writes += 1;
    await delay(Math.random() * 20);
  }
  return writes;
}

/** How many writes there were beside the work. */
export async function beside(place: Place, work: () => Promise<void>): Promise<number> {
  let isOver = false;
  const writers = Array.from({ length: WRITERS }, () => write(place, () => isOver));
  try {
    await work();
  } finally {
    isOver = true;
  }
  return (await Promise.all(writers)).reduce((sum, writes) => sum + writes, 0);
}

export function expectOnce(client: Client): void {
  expect([...client.pulled.values()].filter((times) => times > 1)).toEqual([]);
}
