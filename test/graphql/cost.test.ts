/** What an operation costs, before it runs and after, worked out from the schema alone. */
import { getOperationAST, parse } from 'graphql';
import { describe, expect, test } from 'vitest';
import { costOf } from '../../src/graphql/cost.ts';
import { buildSchema } from '../../src/graphql/schema.ts';

const schema = buildSchema();
const NONE: ReadonlySet<string> = new Set();

function cost(query: string, variables: Record<string, unknown> = {}) {
  const document = parse(query);
  const operation = getOperationAST(document);
  if (operation == null) throw new TypeError('no operation');
  return costOf(schema, document, operation, variables);
}

const requested = (query: string, variables?: Record<string, unknown>) => cost(query, variables).requested;

describe('points before execution', () => {
  test.each([
    ['an object is 1, values are nothing', '{ me { id name scopes plan } }', 1],
    ['a page of members is a quarter each and 1 for the connection', '{ members(first: 100) { nodes { id } } }', 26],
    ['rounded up', '{ members(first: 1) { nodes { id } } }', 2],
    ['50 where nothing says how many', '{ members { nodes { id } } }', 14],
    ['the larger of first and last', '{ members(first: 8, last: 100) { nodes { id } } }', 26],
    ['a page costs its rows, whatever is selected of it', '{ members(first: 100) { pageInfo { endCursor } } }', 26],
    ['as edges', '{ members(first: 100) { edges { cursor } } }', 26],
    ['as edges with nodes', '{ members(first: 100) { edges { cursor node { id } } } }', 26],
    ['edges and nodes are the same rows', '{ members(first: 100) { edges { cursor } nodes { id } } }', 26],
    ['objects in a list count as often', '{ members(first: 100) { nodes { network { id } } } }', 126],
    ['also in edges', '{ members(first: 100) { edges { node { network { id } } } } }', 126],
    ['what nests in its own type', '{ apiKeys(first: 10) { nodes { createdByKey { createdByKey { id } } } } }', 31],
    ['an alias costs again', '{ a: me { id } b: me { id } }', 2],
    [
      'fields that merge cost once',
      '{ me { id } ...A ...A ... { me { name } } } fragment A on Query { me { plan } }',
      1,
    ],
    ['ids say how many', '{ nodes(ids: ["a", "b", "c"]) { id } }', 3],
    ['a single id stands for a list of one', '{ nodes(ids: "a") { id } }', 1],
    [
      'the dearest type of several',
      '{ node(id: "x") { ... on Network { id } ... on ApiKey { createdBy { id } } } }',
      2,
    ],
    ['a mutation', 'mutation { createApiKey(input: { name: "x", scopes: [] }) { token userErrors { message } } }', 10],
    ['a total that is at hand', '{ members(first: 4) { totalCount } }', 3],
    ['a page of changes is as dear as one of members', '{ memberChanges(first: 100) { position } }', 26],
    ['with the members in it', '{ memberChanges(first: 100) { changes { kind member { id name } } } }', 26],
    ['with what is beyond them', '{ memberChanges(first: 100) { changes { member { network { id } } } } }', 126],
    ['writing a member', 'mutation { updateMember(input: { id: "x" }) { userErrors { code } } }', 10],
    [
      'writing several, by how many are given',
      'mutation { upsertMembers(input: { members: [{ email: "a", name: "A" }, { email: "b", name: "B" }] }) { userErrors { code } } }',
      11,
    ],
    [
      'and reading what became of them',
      'mutation { upsertMembers(input: { members: [{ email: "a", name: "A" }, { email: "b", name: "B" }] }) { results { outcome member { id } } } }',
      12,
    ],
    [
      'deleting several',
      'mutation { deleteMembers(input: { ids: ["a", "b", "c", "d"] }) { userErrors { code } } }',
      12,
    ],
    ['and telling of them', 'mutation { deleteMembers(input: { ids: ["a", "b", "c", "d"] }) { deletedIds } }', 12],
    ['the type’s name is nothing', '{ __typename }', 0],
    ['the schema, at least', '{ __schema { queryType { name } } }', 10],
    [
      'the schema, by its fields',
      `{ __schema { types { ${'fields { name } '.repeat(1)} ${Array.from({ length: 40 }, (_, index) => `f${index}: name`).join(' ')} } } }`,
      43,
    ],
  ])('%s', (_name, query, points) => {
    expect(requested(query)).toBe(points);
  });

  const BY = 'query($n: Int = 8, $ids: [ID!] = ["a", "b"], $on: Boolean = true)';
  test.each([
    ['variables', { n: 200 }, `${BY} { members(first: $n) { nodes { id } } }`, 51],
    ['defaults of variables', {}, `${BY} { members(first: $n) { nodes { id } } }`, 3],
    ['null means as if not given', { n: null }, `${BY} { members(first: $n) { nodes { id } } }`, 14],
    ['lists in variables', { ids: ['a', 'b', 'c', 'd'] }, `${BY} { nodes(ids: $ids) { id } }`, 4],
    [
      'lists in an input object',
      { ids: Array(100).fill('a') },
      'mutation($ids: [ID!]!) { deleteMembers(input: { ids: $ids }) { deletedIds } }',
      60,
    ],
    [
      'input objects in variables',
      { input: { ids: Array(100).fill('a') } },
      'mutation($input: DeleteMembersInput!) { deleteMembers(input: $input) { deletedIds } }',
      60,
    ],
    [
      'as the most where an input object is none',
      { input: 7 },
      'mutation($input: DeleteMembersInput!) { deleteMembers(input: $input) { deletedIds } }',
      510,
    ],
    ['@skip', { on: true }, `${BY} { me { id } members(first: 100) @skip(if: $on) { nodes { id } } }`, 1],
    ['@include', {}, `${BY} { members(first: 100) @include(if: $on) { nodes { id } } }`, 26],
    ['@include of a fragment', { on: false }, `${BY} { me { id } ... @include(if: $on) { a: me { id } } }`, 1],
  ])('count %s', (_name, variables, query, points) => {
    expect(requested(query, variables)).toBe(points);
  });

  test('what a resolver refuses in its own words is not reckoned beyond reason', () => {
    expect(requested('{ members(first: 2000000000) { nodes { id } } }')).toBe(251);
    expect(requested('{ members(first: -5) { nodes { id } } }')).toBe(1);
  });

  test('too much to count is more than any bound, and counted in bounded time', () => {
    const fragments = Array.from({ length: 14 }, (_, index) => {
      const inner = index === 13 ? 'id' : `...F${index + 1}`;
      return `fragment F${index} on ApiKey { ${Array.from({ length: 5 }, (__, at) => `a${index}_${at}: createdByKey { ${inner} }`).join(' ')} }`;
    });
    const startedMs = performance.now();
    expect(requested(`{ me { apiKey { ...F0 } } } ${fragments.join(' ')}`)).toBe(Number.POSITIVE_INFINITY);
    // Without a bound there would be 5 to the power of 14 to count.
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  const COUNT = (filter: string) => `query($role: [MemberRole!], $all: MemberFilter) {
    members(first: 4, filter: ${filter}) { totalCount }
  }`;
  test.each([
    ['a filter', '{ role: [OWNER] }', {}, 0, 3],
    ['a filter, by the rows that there are', '{ role: [OWNER] }', {}, 1_000_000, 503],
    ['a part of the rows of a point', '{ role: [OWNER] }', {}, 2_001, 5],
    ['a filter in a variable', '$all', { all: { status: ['ACTIVE'] } }, 10_000, 8],
    ['a value in a variable', '{ role: $role }', { role: ['OWNER'] }, 10_000, 8],
    ['no filter', 'null', {}, 1_000_000, 3],
    ['a filter of nothing', '{}', {}, 1_000_000, 3],
    ['a filter of nothing in a variable', '$all', { all: { status: null } }, 1_000_000, 3],
    ['a variable that is not given', '$all', {}, 1_000_000, 3],
    ['a value that is not given', '{ role: $role }', {}, 1_000_000, 3],
  ])('counting with %s', (_name, filter, variables, rows, points) => {
    expect(cost(COUNT(filter), variables).ofRows(rows).requested).toBe(points);
  });

  test('each alias of a count costs, and what is merged once', () => {
    const members = 'members(first: 4, filter: { role: [OWNER] })';
    const query = `{ a: ${members} { totalCount x: totalCount totalCount } b: ${members} { totalCount } }`;
    const { requested, counting } = cost(query).ofRows(10_000);
    // Two connections with four members each, three totals, and five points for the rows of each.
    expect([requested, counting]).toEqual([22, { points: 15, counts: 3, rows: 10_000 }]);
  });

  test('a filter costs nothing where nothing is counted', () => {
    const { requested, counting } = cost('{ members(first: 4, filter: { role: [OWNER] }) { nodes { id } } }').ofRows(
      1e6,
    );
    expect([requested, counting.counts]).toEqual([2, 0]);
  });

  test('uses of a field with a limit of its own are counted, aliases too, and merged ones once', () => {
    const create = 'createApiKey(input: { name: "x", scopes: [] }) { token }';
    const { limited } = cost(`mutation { ${create} a: ${create} b: ${create} ${create} }`);
    expect([...limited]).toEqual([['Mutation.createApiKey', { max: 10, uses: 3 }]]);
  });
});

describe('points after execution', () => {
  const nodes = (count: number) => Array.from({ length: count }, () => ({ id: 'x', network: { id: 'y' } }));

  test.each([
    ['a short page', '{ members(first: 100) { nodes { id } } }', { members: { nodes: nodes(4) } }, 2],
    ['an empty page', '{ members(first: 100) { nodes { id } } }', { members: { nodes: [] } }, 1],
    [
      'a page whose rows are not shown',
      '{ members(first: 100) { pageInfo { endCursor } } }',
      { members: { pageInfo: {} } },
      26,
    ],
    [
      'objects in a short page',
      '{ members(first: 100) { nodes { network { id } } } }',
      { members: { nodes: nodes(4) } },
      6,
    ],
    [
      'members that were not there to delete',
      'mutation { deleteMembers(input: { ids: ["a", "b", "c", "d"] }) { deletedIds } }',
      { deleteMembers: { deletedIds: ['a', 'b'] } },
      11,
    ],
    [
      'changes that there were not',
      '{ memberChanges(first: 100) { changes { member { id } } } }',
      { memberChanges: { changes: nodes(4).map((member) => ({ member })) } },
      2,
    ],
    ['what was looked for and is not there', '{ node(id: "x") { id } }', { node: null }, 1],
    ['ids that are not there', '{ nodes(ids: ["a", "b"]) { id } }', { nodes: [null, null] }, 2],
    ['of another type', '{ node(id: "x") { ... on ApiKey { createdBy { id } } } }', { node: {} }, 1],
  ])('of %s', (_name, query, data, points) => {
    expect(cost(query).actual(data, NONE)).toBe(points);
  });

  test('of a count: the rows that were counted, at the most those that were paid for', () => {
    const counted = cost('{ members(first: 4, filter: { role: [OWNER] }) { totalCount } }').ofRows(10_000);
    const data = { members: { totalCount: 7 } };
    expect([0, 2_000, 10_000, 20_000].map((rows) => counted.actual(data, NONE, rows))).toEqual([3, 4, 8, 8]);
    expect(counted.actual(null, NONE, 4_000)).toBe(5);
    expect(counted.actual(null, new Set(['members']), 4_000)).toBe(2);
  });

  test('where an error took the data away: of the fields that were not refused themselves', () => {
    const query = '{ a: members(first: 100) { nodes { id } } b: members(first: 100) { nodes { id } } }';
    expect(cost(query).actual(null, NONE)).toBe(52);
    expect(cost(query).actual(null, new Set(['b']))).toBe(26);
    expect(cost(query).actual(null, new Set(['a', 'b']))).toBe(0);
  });
});
