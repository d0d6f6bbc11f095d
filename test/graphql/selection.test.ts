/** A list reads only what is selected: whatever is asked for, however, is there, as if all had been read. */
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

const FIELDS = [
  'id',
  'externalId',
  'name',
  'email',
  'role',
  'status',
  'avatarUrl',
  'location',
  'timeZone',
  'permalink',
  'tags',
  'customFields',
  'createdAt',
  'updatedAt',
  'lastActiveAt',
] as const;
type Field = (typeof FIELDS)[number];

/** Ways to select a field of a node; each gives it under its own name, so that none hides another. */
const WAYS = [
  (field: Field) => `nodes { ${field} }`,
  (field: Field) => `nodes { other_${field}: ${field} }`,
  (field: Field) => `nodes { ... on Member { inline_${field}: ${field} } }`,
  (field: Field) => `nodes { ... { ... @include(if: true) { nested_${field}: ${field} } } }`,
  (field: Field) => `nodes { ...Of_${field} }`,
  (field: Field) => `... on MemberConnection { nodes { ...Of_${field} } }`,
] as const;

const own = { token: '', whole: [] as Record<Field, unknown>[] };

beforeAll(async () => {
  const { network, token } = await makeNetwork(suite.database);
  await makeMembers(suite.database, network.id, 3, (index) => ({
    externalId: `crm-${index}`,
    name: `Member ${3 - index}`,
    role: 'OWNER',
    status: 'SUSPENDED',
    avatarUrl: `https://example.test/${index}.png`,
    location: `Place ${index}`,
    timeZone: 'Europe/Oslo',
    permalink: `https://example.test/u/${index}`,
    tags: ['a', `${index}`],
    customFields: { number: index },
    createdAt: new Date(1_500_000_000_000 - index),
    updatedAt: new Date(1_550_000_000_000 + index),
    lastActiveAt: new Date(1_600_000_000_000 + index),
  }));
  own.token = token;
  const reply = await suite.call(token, `{ members { nodes { ${FIELDS.join(' ')} } } }`);
  own.whole = reply.body.data.members.nodes;
});

const selection = fc.array(fc.tuple(fc.constantFrom(...FIELDS), fc.nat({ max: WAYS.length - 1 })), {
  minLength: 1,
  maxLength: 6,
});
const order = fc.record({
  field: fc.constantFrom('ID', 'CREATED_AT', 'UPDATED_AT', 'NAME', 'LAST_ACTIVE_AT'),
  direction: fc.constantFrom('ASC', 'DESC'),
});

test('every field comes as it is, whichever are asked for beside it, in whatever form and order', async () => {
  expect(own.whole).toHaveLength(3);
  const property = fc.asyncProperty(selection, order, fc.boolean(), async (picks, orderBy, twice) => {
    const parts = picks.map(([field, way]) => WAYS[way]?.(field) ?? '');
    const fragments = picks.some(([, way]) => way >= 4)
      ? [
          ...new Set(
            picks
              .filter(([, way]) => way >= 4)
              .map(([field]) => `fragment Of_${field} on Member { spread_${field}: ${field} }`),
          ),
        ]
      : [];
    // The same list asked for twice is one field, whose selections count together.
    const list = (inner: string) => `members(orderBy: $orderBy) { ${inner} edges { cursor } }`;
    const lists = twice ? parts.map(list).join(' ') : list(parts.join(' '));
    const query = `query($orderBy: MemberOrder) { ${lists} } ${fragments.join(' ')}`;
    const reply = await suite.call(own.token, query, { variables: { orderBy } });
    expect(reply.body.errors).toBeUndefined();
    // By any order the rows stand in one sequence here or in its reverse.
    const forward = ['ID', 'UPDATED_AT', 'LAST_ACTIVE_AT'].includes(orderBy.field) === (orderBy.direction === 'ASC');
    const rows = forward ? own.whole : [...own.whole].reverse();
    reply.body.data.members.nodes.forEach((node: Record<string, unknown>, index: number) => {
      for (const [name, value] of Object.entries(node)) {
        expect([name, value]).toEqual([name, rows[index]?.[name.replace(/^[a-z]+_/, '') as Field]]);
      }
      expect(Object.keys(node).length).toBeGreaterThan(0);
    });
  });
  await fc.assert(property, { numRuns: 60 });
});

/** As many lists as one operation may ask for. */
const AT_ONCE = 20;

test('more forms of selection than there are statements kept are answered all the same', async () => {
  // 2^10 subsets of ten fields, past the bound of 500: each is another statement.
  const subsets = Array.from({ length: 560 }, (_, index) =>
    FIELDS.slice(0, 10).filter((_field, bit) => (index >> bit) & 1),
  );
  for (let from = 0; from < subsets.length; from += AT_ONCE) {
    const lists = subsets
      .slice(from, from + AT_ONCE)
      .map((fields, index) => `l${index}: members(first: 1) { nodes { __typename ${fields.join(' ')} } }`);
    const reply = await suite.call(own.token, `{ ${lists.join(' ')} }`);
    expect(reply.body.errors).toBeUndefined();
    const [first] = own.whole;
    subsets.slice(from, from + AT_ONCE).forEach((fields, index) => {
      const expected = Object.fromEntries(fields.map((field) => [field, first?.[field]]));
      expect(reply.body.data[`l${index}`].nodes).toEqual([{ __typename: 'Member', ...expected }]);
    });
  }
});
