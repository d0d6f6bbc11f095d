/** Promise 3: a pull misses nothing and repeats nothing, while rows are inserted, changed and deleted between its pages. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import { fold } from '../../src/domain/text.ts';
import { makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

type Order = 'ID' | 'CREATED_AT' | 'NAME';
interface Pull {
  readonly field: Order;
  readonly direction: 'ASC' | 'DESC';
  readonly forward: boolean;
  readonly size: number;
  readonly filtered: boolean;
}

/** One change between two pages; the numbers choose among the rows that are there. */
type Change =
  | { readonly kind: 'insert'; readonly name: string; readonly anywhere: boolean }
  | { readonly kind: 'delete' | 'deleteCursorRow' | 'moveCursorRowOutOfFilter'; readonly row: number }
  | { readonly kind: 'rename' | 'toggleRole'; readonly row: number; readonly name: string };

const name = fc.constantFrom('a', 'B', 'm', 'Z', 'é');
const row = fc.nat();
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('insert' as const), name, anywhere: fc.boolean() }),
  fc.record({
    kind: fc.constantFrom('delete' as const, 'deleteCursorRow' as const, 'moveCursorRowOutOfFilter' as const),
    row,
  }),
  fc.record({ kind: fc.constantFrom('rename' as const, 'toggleRole' as const), row, name }),
);
const pull = (field: fc.Arbitrary<Order>) =>
  fc.record<Pull>({
    field,
    direction: fc.constantFrom('ASC', 'DESC'),
    forward: fc.boolean(),
    size: fc.integer({ min: 1, max: 6 }),
    filtered: fc.boolean(),
  });
const changes = fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 8 });

const ROWS = 16;

describe('while rows are inserted, changed and deleted between its pages, a pull gives once', () => {
  test('by id: every row that was there, and matched, throughout, and no row twice', async () => {
    const property = fc.asyncProperty(pull(fc.constant('ID')), changes, async (how, what) => {
      const { seen, throughout } = await pullUnderChange(how, what);
      expect(seen.filter((id) => throughout.has(id)).sort()).toEqual([...throughout].sort());
      expect(new Set(seen).size).toBe(seen.length);
      const sorted = [...seen].sort();
      expect(seen).toEqual((how.direction === 'ASC') === how.forward ? sorted : sorted.reverse());
    });
    await fc.assert(property, { numRuns: 25 });
  });

  test('by name and by time: every row that was there, matched and kept its key throughout', async () => {
    const property = fc.asyncProperty(pull(fc.constantFrom('CREATED_AT', 'NAME')), changes, async (how, what) => {
      const { seen, throughout } = await pullUnderChange(how, what);
      expect(seen.filter((id) => throughout.has(id)).sort()).toEqual([...throughout].sort());
    });
    await fc.assert(property, { numRuns: 25 });
  });
});

describe('a cursor is a place, not a row', () => {
  test.for(['ID', 'CREATED_AT', 'NAME'] as const)('by %s: it stays good when its row is deleted', async (field) => {
    await expectPlaceAfter(field, (id) => suite.database.pool.query('DELETE FROM members WHERE id = $1', [id]));
  });

  test.for(['ID', 'CREATED_AT', 'NAME'] as const)(
    'by %s: it stays good when its row leaves the filter',
    async (field) => {
      await expectPlaceAfter(field, (id) =>
        suite.database.pool.query(`UPDATE members SET role = 'OWNER' WHERE id = $1`, [id]),
      );
    },
  );

  test.for(['CREATED_AT', 'NAME'] as const)('by %s: it stays good when its row moves to the end', async (field) => {
    const last = { CREATED_AT: `created_at = '2100-01-01Z'`, NAME: `name_folded = 'zzzz'` }[field];
    await expectPlaceAfter(
      field,
      (id) => suite.database.pool.query(`UPDATE members SET ${last} WHERE id = $1`, [id]),
      [0],
    );
  });

  test('deleting every row of a page leaves both page flags true to the list', async () => {
    const own = await makeNetwork(suite.database);
    const members = await makeMembers(suite.database, own.network.id, 3);
    const { edges } = await page(own, { first: 3 });
    await suite.database.pool.query('DELETE FROM members WHERE id = $1', [members[0]?.id]);
    const [first, second] = edges.map(({ cursor }) => cursor);
    expect((await page(own, { first: 9, after: first })).pageInfo.hasPreviousPage).toBe(false);
    expect((await page(own, { first: 9, after: second })).pageInfo.hasPreviousPage).toBe(true);
    await suite.database.pool.query('DELETE FROM members WHERE network_id = $1', [own.network.id]);
    const nothing = {
      edges: [],
      pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null },
    };
    expect(await page(own, { first: 9, after: second })).toEqual(nothing);
    expect(await page(own, { last: 9, before: second })).toEqual(nothing);
  });
});

/** Reads a page of one, ends its row by `change`, and reads on: the rest must come, with what `moved` names behind it. */
async function expectPlaceAfter(
  field: Order,
  change: (uuid: string) => Promise<unknown>,
  moved: number[] = [],
): Promise<void> {
  const own = await makeNetwork(suite.database);
  const members = await makeMembers(suite.database, own.network.id, 4, (index) => ({
    name: `name ${index}`,
    createdAt: new Date(1_600_000_000_000 + index),
  }));
  const args = { filter: { role: ['MEMBER'] }, orderBy: { field } };
  const first = await page(own, { ...args, first: 1 });
  await change(members[0]?.id ?? '');
  const rest = await page(own, { ...args, first: 9, after: first.pageInfo.endCursor });
  const expected = [1, 2, 3, ...moved].map((index) => toId('Member', members[index]?.id ?? ''));
  expect(rest.edges.map(({ node }) => node.id)).toEqual(expected);
}

interface PageReply {
  readonly edges: readonly { readonly cursor: string; readonly node: { readonly id: string } }[];
  readonly pageInfo: {
    readonly startCursor: string | null;
    readonly endCursor: string | null;
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
  };
}

async function page({ token }: TestNetwork, variables: Record<string, unknown>): Promise<PageReply> {
  const query = `query($first: Int, $last: Int, $after: String, $before: String, $filter: MemberFilter, $orderBy: MemberOrder) {
    members(first: $first, last: $last, after: $after, before: $before, filter: $filter, orderBy: $orderBy) {
      edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }`;
  const reply = await suite.call(token, query, { variables });
  expect(reply.body.errors).toBeUndefined();
  return reply.body.data.members;
}

interface Pulled {
  /** Ids in the order in which they came. */
  readonly seen: readonly string[];
  /** The rows that were there from the first page to the last, matched the filter and kept their keys. */
  readonly throughout: ReadonlySet<string>;
}

async function pullUnderChange(how: Pull, what: readonly (readonly Change[])[]): Promise<Pulled> {
  const own = await makeNetwork(suite.database);
  const made = await makeMembers(suite.database, own.network.id, ROWS, (index) => ({
    name: ['a', 'B', 'm', 'Z', 'é'][index % 5] ?? '',
    createdAt: new Date(1_600_000_000_000 + (index % 4)),
    role: index % 3 === 0 ? 'OWNER' : 'MEMBER',
  }));
  const rows = new Set(made.map(({ id }) => id));
  const throughout = new Set(made.filter(({ role }) => role === 'MEMBER' || !how.filtered).map(({ id }) => id));
  const note = ({ kind }: Change, uuid: string) => {
    if (kind === 'insert') rows.add(uuid);
    if (kind === 'delete' || kind === 'deleteCursorRow') rows.delete(uuid);
    if (kind !== 'rename' || how.field === 'NAME') throughout.delete(uuid);
  };
  const seen: string[] = [];
  let turn = 0;
  for await (const ids of walk(own, how)) {
    seen.push(...ids);
    for (const step of what[turn] ?? []) {
      const uuid = await apply(step, own.network.id, [...rows], seen.at(-1));
      if (uuid !== null) note(step, uuid);
    }
    turn += 1;
  }
  return { seen, throughout: new Set([...throughout].map((uuid) => toId('Member', uuid))) };
}

/** The ids of page after page, in the order of the walk; between two of them the caller may change what it likes. */
async function* walk(own: TestNetwork, { direction, field, filtered, forward, size }: Pull): AsyncGenerator<string[]> {
  const list = { filter: filtered ? { role: ['MEMBER'] } : null, orderBy: { field, direction } };
  let cursor: string | null = null;
  for (let more = true; more; ) {
    const place: object = forward ? { first: size, after: cursor } : { last: size, before: cursor };
    const { edges, pageInfo }: PageReply = await page(own, { ...list, ...place });
    const ids = edges.map(({ node }) => node.id);
    cursor = (forward ? pageInfo.endCursor : pageInfo.startCursor) ?? cursor;
    more = forward ? pageInfo.hasNextPage : pageInfo.hasPreviousPage;
    yield forward ? ids : ids.reverse();
  }
}

/** Makes the change; gives the UUID of the row that it touched, null where there was none. `last`: the row of the cursor. */
async function apply(
  step: Change,
  networkId: string,
  rows: readonly string[],
  last: string | undefined,
): Promise<string | null> {
  const { pool } = suite.database;
  if (step.kind === 'insert') {
    // A row's id need not be the newest: another gateway's clock may be behind, and an import may be slow to commit.
    const uuid = step.anywhere ? `${newUuid().slice(0, 9)}0000-7000-8000-${randomBytes(6).toString('hex')}` : newUuid();
    const text =
      'INSERT INTO members (id, network_id, name, name_folded, email, email_folded) VALUES ($1, $2, $3, $4, $5, $5)';
    await pool.query(text, [
      uuid,
      networkId,
      step.name,
      fold(step.name),
      `${randomBytes(6).toString('hex')}@example.test`,
    ]);
    return uuid;
  }
  const byCursor = step.kind === 'deleteCursorRow' || step.kind === 'moveCursorRowOutOfFilter';
  const uuid = byCursor ? rows.find((id) => toId('Member', id) === last) : rows[step.row % Math.max(rows.length, 1)];
  if (uuid === undefined) return null;
  const set = (change: string, ...values: string[]) =>
    pool.query(`UPDATE members SET ${change} WHERE id = $1`, [uuid, ...values]);
  if (step.kind === 'rename') await set('name = $2, name_folded = $3', step.name, fold(step.name));
  else if (step.kind === 'toggleRole')
    await set(`role = CASE role WHEN 'MEMBER' THEN 'OWNER'::member_role ELSE 'MEMBER' END`);
  else if (step.kind === 'moveCursorRowOutOfFilter') await set(`role = 'OWNER'`);
  else await pool.query('DELETE FROM members WHERE id = $1', [uuid]);
  return uuid;
}
