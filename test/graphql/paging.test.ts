import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { fold } from '../../src/domain/text.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { makeKey, makeMembers, makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';
import { compareText, type PageArgs, relayPage } from './paging-model.ts';

const suite = useGateway();

const ORDERS = ['ID', 'CREATED_AT', 'NAME'] as const;
type Order = (typeof ORDERS)[number];
interface ListArgs {
  readonly filter: Readonly<Record<string, readonly string[] | null>> | null;
  readonly orderBy: { readonly field: Order; readonly direction: 'ASC' | 'DESC' } | null;
}

/** A row as the model knows it. */
interface Row {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  readonly [filtered: string]: unknown;
}

interface List {
  readonly field: string;
  readonly type: string;
  readonly rows: Row[];
  token: string;
}

// Ties, case, and text whose order by UTF-16 units differs from that by code points (U+1F600 and U+FF5E).
const NAMES = ['ada', 'Ada', 'ADA b', 'Émile', 'Zoë', 'zoe', 'straße', '\u{1F600}', '\uFF5E tilde', 'Ωmega', 'ΩMEGA'];
const TIMES = ['2020-01-01T00:00:00.000Z', '2020-01-01T00:00:00.001Z', '2021-06-30T23:59:59.999Z'];

const members: List = { field: 'members', type: 'Member', rows: [], token: '' };
const apiKeys: List = { field: 'apiKeys', type: 'ApiKey', rows: [], token: '' };

beforeAll(async () => {
  const { network, token } = await makeNetwork(suite.database);
  const made = await makeMembers(suite.database, network.id, 60, (index) => ({
    name: NAMES[(index * 7) % NAMES.length] ?? '',
    createdAt: TIMES[(index * 5) % TIMES.length] ?? '',
    role: (['MEMBER', 'OWNER', 'MODERATOR'] as const)[index % 3] ?? 'MEMBER',
    status: index % 4 === 0 ? 'INVITED' : 'ACTIVE',
  }));
  members.token = token;
  members.rows.push(...made.map((row) => ({ ...row, id: toId('Member', row.id), createdAt: row.createdAt.getTime() })));
});

beforeAll(async () => {
  const { admin, apiKey, network, token } = await makeNetwork(suite.database);
  for (let index = 0; index < 24; index += 1) {
    const environment = index % 3 === 0 ? 'TEST' : 'LIVE';
    const name = `${NAMES[(index * 7) % NAMES.length]} ${index % 3}`;
    const key = (
      await makeKey(suite.database, network.id, { adminId: admin.id, name: `${name} ${index}`, environment })
    ).apiKey;
    const nameFolded = fold(name);
    await suite.database.prisma.apiKey.update({
      where: { id: key.id },
      data: { nameFolded, createdAt: TIMES[(index * 5) % TIMES.length] ?? '' },
    });
    if (index % 4 === 0) await revokeApiKey(suite.database, COMMAND_LINE, network.id, key.id);
  }
  await suite.database.prisma.apiKey.update({ where: { id: apiKey.id }, data: { name: 'own', nameFolded: 'own' } });
  const made = await suite.database.prisma.apiKey.findMany({
    where: { networkId: network.id },
    orderBy: { id: 'asc' },
  });
  apiKeys.token = token;
  apiKeys.rows.push(
    ...made.map((row) => ({
      id: toId('ApiKey', row.id),
      name: row.nameFolded,
      createdAt: row.createdAt.getTime(),
      environment: row.environment,
      status: row.revokedAt === null ? 'ACTIVE' : 'REVOKED',
    })),
  );
});

const count = fc.option(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constantFrom(24, 25, 59, 60, 61, 250)), {
  nil: undefined,
});
const place = fc.option(fc.nat(), { nil: undefined });
const pageArgs = fc.record({ first: count, last: count, after: place, before: place });
const orderBy = fc.option(fc.record({ field: fc.constantFrom(...ORDERS), direction: fc.constantFrom('ASC', 'DESC') }), {
  freq: 6,
});

function filterOf(values: Readonly<Record<string, readonly string[]>>) {
  const choices = Object.entries(values).map(
    ([field, all]) => [field, fc.option(fc.subarray([...all]), { freq: 1 })] as const,
  );
  return fc.option(fc.record(Object.fromEntries(choices)), { freq: 1 });
}

describe('a page is what Relay’s algorithm makes of the whole list', () => {
  test.for([
    ['members', members, { role: ['OWNER', 'MODERATOR', 'MEMBER', 'ADMIN'], status: ['ACTIVE', 'INVITED'] }, 150],
    ['apiKeys', apiKeys, { environment: ['LIVE', 'TEST'], status: ['ACTIVE', 'REVOKED', 'EXPIRED'] }, 80],
  ] as const)('%s, whatever the order, direction, filter, cursors and counts', async ([, list, values, numRuns]) => {
    const property = fc.asyncProperty(filterOf(values), orderBy, pageArgs, async (filter, order, page) => {
      await expectRelayPage(list, { filter, orderBy: order } as ListArgs, page);
    });
    await fc.assert(property, { numRuns });
  });
});

describe('a list has one order, the id deciding among equals', () => {
  const all = ORDERS.flatMap((field) => (['ASC', 'DESC'] as const).map((direction) => [field, direction] as const));
  test.for(all)('by %s %s', async ([field, direction]) => {
    for (const list of [members, apiKeys]) {
      const args: ListArgs = { filter: null, orderBy: { field, direction } };
      expect((await readAll(list, args)).map(({ id }) => id)).toEqual(modelOf(list, args).map(({ id }) => id));
    }
  });
});

test.for([
  ['members', members],
  ['apiKeys', apiKeys],
] as const)('a walk page by page, either way, gives each row of %s once', async ([, list]) => {
  for (const forward of [true, false]) {
    const seen: string[] = [];
    let cursor: string | null = null;
    for (let more = true; more; ) {
      const page = await ask(list, null, forward ? { first: 7, after: cursor } : { last: 7, before: cursor });
      const ids = page.edges.map(({ node }: { node: Row }) => node.id);
      if (forward) seen.push(...ids);
      else seen.unshift(...ids);
      const { endCursor, hasNextPage, hasPreviousPage, startCursor } = page.pageInfo;
      cursor = forward ? endCursor : startCursor;
      more = forward ? hasNextPage : hasPreviousPage;
    }
    expect(seen).toEqual(list.rows.map(({ id }) => id));
  }
});

test('a page of 1 is let in, and one of 250', async () => {
  const { network, token } = await makeNetwork(suite.database);
  await makeMembers(suite.database, network.id, 251);
  const list = { ...members, token };
  for (const count of [1, 250]) {
    expect((await ask(list, null, { first: count })).edges).toHaveLength(count);
    expect((await ask(list, null, { last: count })).edges).toHaveLength(count);
  }
});

async function expectRelayPage(list: List, args: ListArgs, page: PageArgs): Promise<void> {
  const all = await readAll(list, args);
  const within = (index: number | undefined) =>
    index === undefined || all.length === 0 ? undefined : index % all.length;
  const [after, before] = [within(page.after), within(page.before)];
  const expected = relayPage(all, { ...page, after, before });
  const cursorAt = (index: number | undefined) => (index === undefined ? null : all[index]?.cursor);
  const found = await ask(list, args, { ...page, after: cursorAt(after), before: cursorAt(before) });
  expect(found).toEqual({
    edges: expected.edges.map(({ cursor, id }) => ({ cursor, node: { id } })),
    nodes: expected.edges.map(({ id }) => ({ id })),
    pageInfo: {
      hasNextPage: expected.hasNextPage,
      hasPreviousPage: expected.hasPreviousPage,
      startCursor: expected.edges.at(0)?.cursor ?? null,
      endCursor: expected.edges.at(-1)?.cursor ?? null,
    },
  });
}

/** The model's list: filtered and sorted in JavaScript. */
function modelOf({ rows }: List, { filter, orderBy }: ListArgs): Row[] {
  const { field, direction } = orderBy ?? { field: 'ID', direction: 'ASC' };
  const compare = (a: Row, b: Row) => {
    const byKey =
      field === 'ID' ? 0 : field === 'NAME' ? compareText(fold(a.name), fold(b.name)) : a.createdAt - b.createdAt;
    return (byKey === 0 ? compareText(a.id, b.id) : byKey) * (direction === 'ASC' ? 1 : -1);
  };
  const matches = (row: Row) =>
    Object.entries(filter ?? {}).every(([name, values]) => values === null || values.includes(String(row[name])));
  return rows.filter(matches).sort(compare);
}

/** The whole list with its cursors, which is checked against the model on its way. */
async function readAll(list: List, args: ListArgs): Promise<{ id: string; cursor: string }[]> {
  const { edges } = await ask(list, args, { first: 250 });
  const all = edges.map(({ cursor, node }: { cursor: string; node: Row }) => ({ cursor, id: node.id }));
  expect(all.map(({ id }: { id: string }) => id)).toEqual(modelOf(list, args).map(({ id }) => id));
  return all;
}

async function ask({ field, type, token }: List, args: ListArgs | null, page: object) {
  const query = `query($first: Int, $last: Int, $after: String, $before: String, $filter: ${type}Filter, $orderBy: ${type}Order) {
    list: ${field}(first: $first, last: $last, after: $after, before: $before, filter: $filter, orderBy: $orderBy) {
      edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }`;
  const reply = await suite.call(token, query, { variables: { ...args, ...page } });
  expect(reply.body.errors).toBeUndefined();
  return reply.body.data.list;
}
