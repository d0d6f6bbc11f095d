/** Each filter and order of `members`, alone and together, against a plain list in memory. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { fold } from '../../src/domain/text.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';
import { compareText } from './paging-model.ts';

const suite = useGateway();

const NAMES = [
  'Ada Lovelace',
  'ÁDÁM',
  '李明',
  '李明明',
  'a_b',
  'a%b',
  'a\\b',
  'O’Neil',
  "o'neil",
  'Zoë Straße',
  'x',
  '😀😀😀 joy',
];
const TIMES = [
  '2020-01-01T00:00:00.000Z',
  '2020-01-01T00:00:00.001Z',
  '2021-06-30T23:59:59.999Z',
  '2023-03-01T00:00:00.000Z',
];
const TAGS = ['vip', 'VIP', 'a b', 'émigré', '"quoted"', '{}'];
const VALUES = ['x', 'X', 1, 0, 1.5, true, false, ''];
const FIELDS = ['city', 'über"\\', 'level'];

interface Row {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly externalId: string | null;
  readonly role: string;
  readonly status: string;
  readonly tags: readonly string[];
  readonly customFields: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly lastActiveAt: Date | null;
}
interface Range {
  readonly from?: string | undefined;
  readonly before?: string | undefined;
}
interface Filter {
  readonly role?: readonly string[];
  readonly status?: readonly string[];
  readonly tags?: readonly string[];
  readonly externalId?: readonly string[];
  readonly email?: readonly string[];
  readonly nameContains?: string;
  readonly emailContains?: string;
  readonly customFields?: readonly { readonly name: string; readonly equals: unknown }[];
  readonly createdAt?: Range;
  readonly updatedAt?: Range;
  readonly lastActiveAt?: Range;
}

const own = { token: '', rows: [] as Row[] };
const at = <Value>(values: readonly Value[], index: number): Value => values[index % values.length] as Value;

beforeAll(async () => {
  const [mine, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
  for (const { network } of [mine, other]) {
    const rows = await makeMembers(suite.database, network.id, 90, (index) => ({
      name: at(NAMES, index * 5),
      email: `${index}.${['ada', 'Émile', 'o_o', '100%'][index % 4]}@Example-${index % 3}.test`,
      externalId: index % 4 === 0 ? null : `crm-${index}`,
      role: at(['MEMBER', 'OWNER', 'MODERATOR', 'ADMIN'] as const, index),
      status: at(['ACTIVE', 'INVITED', 'SUSPENDED'] as const, index >> 1),
      tags: TAGS.filter((_, tag) => (index >> (tag % 4)) % 3 === 0),
      customFields: {
        ...(index % 5 === 0 ? {} : { [at(FIELDS, index)]: at(VALUES, index >> 1) }),
        ...(index % 7 === 0 ? { list: ['x'], city: ['x', { city: 'x' }] } : {}),
      },
      createdAt: at(TIMES, index * 3),
      updatedAt: at(TIMES, index >> 2),
      ...(index % 3 === 0 ? {} : { lastActiveAt: at(TIMES, index) }),
    }));
    if (network === mine.network)
      own.rows = rows.map((row) => ({ ...(row as unknown as Row), id: toId('Member', row.id) }));
  }
  own.token = mine.token;
});

// ——— the model ———

function satisfies(row: Row, filter: Filter): boolean {
  const among = (values: readonly string[] | undefined, value: string | null) =>
    values === undefined || (value !== null && values.includes(value));
  return (
    among(filter.role, row.role) &&
    among(filter.status, row.status) &&
    among(filter.externalId, row.externalId) &&
    among(filter.email?.map(fold), fold(row.email)) &&
    (filter.tags === undefined || filter.tags.some((tag) => row.tags.includes(tag))) &&
    (filter.customFields ?? []).every(({ name, equals }) => row.customFields[name] === equals) &&
    has(row.name, filter.nameContains) &&
    has(row.email, filter.emailContains) &&
    lies(row.createdAt, filter.createdAt) &&
    lies(row.updatedAt, filter.updatedAt) &&
    lies(row.lastActiveAt, filter.lastActiveAt)
  );
}

function has(text: string, part: string | undefined): boolean {
  if (part === undefined) return true;
  return [...fold(part)].length < 3 ? fold(text).startsWith(fold(part)) : fold(text).includes(fold(part));
}

function lies(time: Date | null, range: Range | undefined): boolean {
  if (range?.from === undefined && range?.before === undefined) return true;
  if (time === null) return false;
  return (
    !(range.from !== undefined && time < new Date(range.from)) &&
    !(range.before !== undefined && time >= new Date(range.before))
  );
}

const ORDERS = ['ID', 'CREATED_AT', 'UPDATED_AT', 'NAME', 'LAST_ACTIVE_AT'] as const;

function sorted(
  rows: readonly Row[],
  { field, direction }: { field: (typeof ORDERS)[number]; direction: string },
): Row[] {
  const time = (value: Date | null) => value?.getTime() ?? Number.NEGATIVE_INFINITY;
  const compare = {
    ID: () => 0,
    CREATED_AT: (a: Row, b: Row) => time(a.createdAt) - time(b.createdAt),
    UPDATED_AT: (a: Row, b: Row) => time(a.updatedAt) - time(b.updatedAt),
    NAME: (a: Row, b: Row) => compareText(fold(a.name), fold(b.name)),
    // Of two that never were active the one is no earlier than the other.
    LAST_ACTIVE_AT: (a: Row, b: Row) => time(a.lastActiveAt) - time(b.lastActiveAt) || 0,
  }[field];
  const ascending = rows.toSorted((a, b) => compare(a, b) || compareText(a.id, b.id));
  return direction === 'DESC' ? ascending.reverse() : ascending;
}

// ——— what is asked ———

const some = (values: readonly string[]) => fc.subarray([...values], { minLength: 0, maxLength: 3 });
const part = (texts: readonly string[]) =>
  fc.constantFrom(...texts).chain((text) => {
    const letters = [...text];
    return fc
      .tuple(fc.nat(letters.length - 1), fc.integer({ min: 1, max: 6 }))
      .map(([start, length]) => letters.slice(start, start + length).join(''));
  });
const range: fc.Arbitrary<Range> = fc
  .record({
    from: fc.option(fc.constantFrom(...TIMES), { nil: undefined }),
    before: fc.option(fc.constantFrom(...TIMES), { nil: undefined }),
  })
  .filter(({ from, before }) => from === undefined || before === undefined || from < before);
const PARTS: { readonly [Name in keyof Filter]-?: fc.Arbitrary<Exclude<Filter[Name], undefined>> } = {
  role: some(['MEMBER', 'OWNER', 'MODERATOR', 'ADMIN']),
  status: some(['ACTIVE', 'INVITED', 'SUSPENDED']),
  tags: some([...TAGS, 'none', '\u0000']),
  externalId: some(['crm-1', 'crm-2', 'CRM-3', 'none', '\ud800']),
  email: some(['1.émile@example-1.test', '2.O_O@example-2.TEST', 'none@example.test']),
  nameContains: part([...NAMES, 'nobody is called so']),
  emailContains: part(['1.émile@example-1', 'o_o@', '100%', 'ADA', 'xyz']),
  customFields: fc.array(
    fc.record({ name: fc.constantFrom(...FIELDS, 'list', 'none'), equals: fc.constantFrom(...VALUES, 'none') }),
    {
      maxLength: 2,
    },
  ),
  createdAt: range,
  updatedAt: range,
  lastActiveAt: range,
};
const order = fc.record({ field: fc.constantFrom(...ORDERS), direction: fc.constantFrom('ASC', 'DESC') });

const QUERY = `query($first: Int, $last: Int, $after: String, $before: String, $filter: MemberFilter, $orderBy: MemberOrder) {
  members(first: $first, last: $last, after: $after, before: $before, filter: $filter, orderBy: $orderBy) {
    totalCount edges { cursor node { id } } pageInfo { startCursor endCursor hasNextPage hasPreviousPage }
  }
}`;

/** The ids on page after page, from either end. */
async function pull(filter: Filter | null, orderBy: object, size: number, forward: boolean): Promise<string[][]> {
  const pages: string[][] = [];
  for (let cursor: string | null = null; ; ) {
    const place: object = forward ? { first: size, after: cursor } : { last: size, before: cursor };
    const { body } = await suite.call(own.token, QUERY, { variables: { filter, orderBy, ...place } });
    expect(body.errors).toBeUndefined();
    const { edges, pageInfo, totalCount } = body.data.members;
    pages.push([String(totalCount), ...edges.map(({ node }: { node: { id: string } }) => node.id)]);
    if (!(forward ? pageInfo.hasNextPage : pageInfo.hasPreviousPage)) return forward ? pages : pages.reverse();
    cursor = forward ? pageInfo.endCursor : pageInfo.startCursor;
  }
}

async function expectAsModelled(
  filter: Filter,
  orderBy: { field: (typeof ORDERS)[number]; direction: string },
  size: number,
  forward: boolean,
) {
  const expected = sorted(
    own.rows.filter((row) => satisfies(row, filter)),
    orderBy,
  ).map(({ id }) => id);
  const pages = await pull(filter, orderBy, size, forward);
  expect(pages.flatMap(([, ...ids]) => ids)).toEqual(expected);
  expect(new Set(pages.map(([count]) => count))).toEqual(new Set([String(expected.length)]));
}

describe('a pull gives what a plain list would, with its count, filtered by', () => {
  test.for(Object.keys(PARTS) as (keyof Filter)[])('%s, whatever the order and the size of the page', async (name) => {
    const property = fc.asyncProperty(
      PARTS[name] as fc.Arbitrary<unknown>,
      order,
      fc.integer({ min: 7, max: 250 }),
      fc.boolean(),
      (value, orderBy, size, forward) => expectAsModelled({ [name]: value }, orderBy, size, forward),
    );
    await fc.assert(property, { numRuns: 25 });
  });

  test('several at once', async () => {
    const filter = fc.record(PARTS as never, { requiredKeys: [] }) as fc.Arbitrary<Filter>;
    const property = fc.asyncProperty(filter, order, fc.integer({ min: 7, max: 250 }), fc.boolean(), expectAsModelled);
    await fc.assert(property, { numRuns: 60 });
  });
});

test.for(ORDERS)('by %s, either way and from either end, each member comes once', async (field) => {
  for (const direction of ['ASC', 'DESC']) {
    for (const forward of [true, false]) await expectAsModelled({}, { field, direction }, 13, forward);
  }
});

describe('is refused, naming the field:', () => {
  test.for([
    ['nameContains', { nameContains: '' }, '`filter.nameContains` must have 1 to 200 characters, not 0'],
    ['nameContains', { nameContains: 'a'.repeat(201) }, '`filter.nameContains` must have 1 to 200 characters, not 201'],
    ['nameContains', { nameContains: 'a\u0000b' }, '`filter.nameContains` must not hold control characters'],
    ['emailContains', { emailContains: '' }, '`filter.emailContains` must have 1 to 254 characters, not 0'],
    ['tags', { tags: Array(101).fill('a') }, '`filter.tags` takes at most 100 values, not 101'],
    ['externalId', { externalId: Array(101).fill('a') }, '`filter.externalId` takes at most 100 values, not 101'],
    [
      'customFields',
      { customFields: Array(11).fill({ name: 'a', equals: 1 }) },
      '`filter.customFields` takes at most 10 values, not 11',
    ],
    [
      'customFields.0.equals',
      { customFields: [{ name: 'a', equals: ['x'] }] },
      '`filter.customFields.0.equals` must be a string',
    ],
    [
      'customFields.0.equals',
      { customFields: [{ name: 'a', equals: {} }] },
      '`filter.customFields.0.equals` must be a string',
    ],
    [
      'customFields.1.name',
      {
        customFields: [
          { name: 'a', equals: 1 },
          { name: '\u0000', equals: 1 },
        ],
      },
      '`filter.customFields.1.name` is no name',
    ],
    [
      'createdAt.from',
      { createdAt: { from: TIMES[1], before: TIMES[1] } },
      '`filter.createdAt.from` must be earlier than `before`',
    ],
  ] as const)('%s %o', async ([field, filter, message]) => {
    const reply = await suite.call(own.token, QUERY, { variables: { filter } });
    expect({ status: reply.status, data: reply.body.data }).toEqual({ status: 294, data: null });
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining(message),
      extensions: { code: 'BAD_USER_INPUT', field: `filter.${field}` },
    });
  });
});
