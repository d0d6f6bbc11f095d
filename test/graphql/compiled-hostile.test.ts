/**
 * Documents that graphql-jit answered otherwise than graphql-js (fields that are excluded and merged, fragments spread
 * twice, defaults of variables), and any others: whatever a caller writes, nothing is read for which no scope was asked,
 * and the answer is the interpreted one.
 */
import fc from 'fast-check';
import { parse, validate } from 'graphql';
import { beforeAll, expect, test } from 'vitest';
import type { Scope } from '../../src/domain/scope.ts';
import type { Principal } from '../../src/domain/verification.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import type { GraphqlServer } from '../../src/graphql/server.ts';
import { graphql } from '../support/client.ts';
import { principalOf } from '../support/context.ts';
import { type Asked, answerOf, makeExecutors } from '../support/executors.ts';
import { makeKey, makeMembers, makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const schema = buildSchema();
const { compiled, interpreted, bugs } = makeExecutors();
const SCOPES: Scope[] = ['members:read', 'network:read', 'usage:read', 'audit:read'];
const own = {} as { token: string; principal: Principal };

beforeAll(async () => {
  const made = await makeNetwork(suite.database);
  await makeMembers(suite.database, made.network.id, 3, () => ({ email: `${crypto.randomUUID()}@leak.test` }));
  const key = await makeKey(suite.database, made.network.id, {
    adminId: made.admin.id,
    scopes: SCOPES,
  });
  Object.assign(own, { token: key.token, principal: principalOf({ ...made, ...key }, new Set(SCOPES)) });
});

async function expectSame(asked: Asked): Promise<string> {
  const ask = (server: GraphqlServer) => answerOf(server, suite.database, own.principal, asked);
  const wanted = await ask(interpreted);
  // Compiled by the first, used by the second.
  await ask(compiled);
  expect([asked, await ask(compiled)]).toEqual([asked, wanted]);
  return wanted;
}

const VIEWER = 'fragment F on Viewer { name }';

test.for([
  ['a fragment twice, the first excluded', `query($a: Boolean!) { me { ...F @include(if: $a) ...F } } ${VIEWER}`],
  [
    'a fragment in two places, one excluded',
    `query($a: Boolean!) { x: me { id ...F @include(if: $a) } y: me { id ...F } } ${VIEWER}`,
  ],
  ['a field twice, the first excluded', 'query($a: Boolean!) { me { id @include(if: $a) name id } }'],
  ['fields excluded twice over', 'query($a: Boolean!) { me { id name @skip(if: $a) @include(if: $a) } }'],
  [
    'a default that is a time',
    'query($f: DateTime = "2030-01-01T00:00:00Z") { members(filter: { createdAt: { from: $f, before: "2020-01-01T00:00:00Z" } }) { nodes { name } } }',
  ],
  [
    'a default with a time in it',
    'query($f: MemberFilter = { createdAt: { from: "2000-01-01T00:00:00Z" } }) { members(filter: $f) { nodes { name } } }',
  ],
  [
    'a default for what a service computes with',
    'query($s: DateTime = "2026-01-01T00:00:00Z", $u: DateTime = "2026-01-02T00:00:00Z") { network { usage(since: $s, until: $u, bucket: DAY) { __typename } } }',
  ],
  ['a default of an enum', 'query($r: [MemberRole!] = [ADMIN]) { members(filter: { role: $r }) { nodes { name } } }'],
  [
    'a default of an object',
    'query($o: MemberOrder = { field: NAME, direction: DESC }) { members(orderBy: $o) { nodes { name } } }',
  ],
  [
    'a default of any JSON',
    'query($j: JSON = 3) { members(filter: { customFields: [{ name: "a", equals: $j }] }) { nodes { name } } }',
  ],
] as const)('%s', async ([, query]) => {
  expect(validate(schema, parse(query))).toEqual([]);
  await expectSame({ query, variables: query.includes('$a') ? { a: false } : {} });
});

test.for([
  [
    'a time that is none',
    'query($f: DateTime) { members(filter: { createdAt: { from: $f } }) { nodes { name } } }',
    'nonsense',
  ],
  [
    'such a time in an object',
    'query($f: MemberFilter) { members(filter: $f) { nodes { name } } }',
    { createdAt: { from: 'nonsense' } },
  ],
  ['a field that is none', 'query($f: MemberFilter) { members(filter: $f) { nodes { name } } }', { nme: 'x' }],
  [
    'one value for a list',
    'query($f: MemberFilter) { members(filter: $f) { nodes { name } } }',
    { role: 'MEMBER', tags: 'x' },
  ],
  ['null in a list', 'query($f: MemberFilter) { members(filter: $f) { nodes { name } } }', { role: [null] }],
] as const)('a variable: %s', async ([, query, f]) => {
  await expectSame({ query, variables: { f } });
});

test.for(['@skip', '@include'])(
  'null for what %s looks at is refused before anything runs, told once',
  async (directive) => {
    const query = `query($p: Boolean = true) { members { edges { node { id ${directive}(if: $p) } } } }`;
    const wanted = await expectSame({ query, variables: { p: null } });
    const [, , body] = JSON.parse(wanted);
    expect(JSON.parse(body)).toMatchObject({
      errors: [
        {
          message: `The variable of \`${directive}\` must be true or false, not null`,
          extensions: { code: 'BAD_USER_INPUT' },
        },
      ],
    });
    expect(JSON.parse(body).errors).toHaveLength(1);
  },
);

test('two operations that share a fragment', async () => {
  const query = `query A($a: Boolean!) { me { id ...F @include(if: $a) } } query B { me { id ...F } } ${VIEWER}`;
  await expectSame({ query, variables: { a: false }, operationName: 'A' });
  expect(await expectSame({ query, variables: {}, operationName: 'B' })).toContain('name');
});

test('an e-mail address that was excluded is not told, however often it is asked for', async () => {
  for (const query of [
    '{ members { nodes { name } nodes @skip(if: true) { ... { email } } } }',
    '{ members { nodes { name } ... @include(if: false) { nodes { email } } } }',
    'query($a: Boolean = false) { members { nodes { name } nodes @include(if: $a) { ...E } } } fragment E on Member { email }',
    'query($a: Boolean = false) { members { nodes { name } } members @include(if: $a) { ...C } } fragment C on MemberConnection { nodes { email } }',
  ]) {
    for (let time = 0; time < 13; time += 1) {
      const { body } = await graphql(suite.url, own.token, query);
      expect(body.errors).toBeUndefined();
      expect(JSON.stringify(body)).not.toContain('@leak.test');
    }
  }
});

// ——— any document ———

const condition = fc.constantFrom('', '', '', '@include(if: $a)', '@include(if: $b)', '@skip(if: $a)', '@skip(if: $b)');
const joined = (part: fc.Arbitrary<string>, max: number) =>
  fc.array(part, { minLength: 1, maxLength: max }).map((parts) => parts.join(' '));
const { member, connection } = fc.letrec<{ member: string; connection: string }>((tie) => ({
  member: joined(
    fc.oneof(
      { depthSize: 'small' },
      fc.tuple(fc.constantFrom('id', 'name', 'email'), condition).map((parts) => parts.join(' ')),
      fc.tuple(fc.constantFrom('...M0', '...M1'), condition).map((parts) => parts.join(' ')),
      fc.tuple(condition, tie('member')).map(([when, inner]) => `... ${when} { ${inner} }`),
    ),
    3,
  ),
  connection: joined(
    fc.oneof(
      { depthSize: 'small' },
      fc.tuple(condition, tie('member')).map(([when, inner]) => `nodes ${when} { ${inner} }`),
      condition.map((when) => `...C ${when}`),
      fc.tuple(condition, tie('connection')).map(([when, inner]) => `... ${when} { ${inner} }`),
    ),
    2,
  ),
}));
const root = fc
  .tuple(fc.constantFrom('members', 'x: members'), condition, connection)
  .map(([field, when, inner]) => `${field} ${when} { ${inner} }`);

const anyDocument = fc
  .record({ roots: joined(root, 3), m0: fc.constantFrom('email', 'name'), m1: condition, c: member })
  .map(
    ({ roots, m0, m1, c }) => `
      query($a: Boolean!, $b: Boolean!) {
        a: __typename @include(if: $a) b: __typename @include(if: $b) ${roots} ...Q
      }
      fragment Q on Query { me { id } z: members { ...C nodes { ...M0 } } }
      fragment M0 on Member { ${m0} ...M1 ${m1} }
      fragment M1 on Member { email ${m1} name }
      fragment C on MemberConnection { nodes { ${c} } }`,
  );

test('any document: the same answer, and no address to whom may not read any', async () => {
  const statuses = new Set<string>();
  const property = fc.asyncProperty(anyDocument, fc.boolean(), fc.boolean(), async (query, a, b) => {
    fc.pre(validate(schema, parse(query)).length === 0);
    const answer = await expectSame({ query, variables: { a, b } });
    expect(answer).not.toContain('@leak.test');
    statuses.add(answer.slice(1, 4));
  });
  await fc.assert(property, { numRuns: 150 });
  // Answered and refused ones are among them.
  expect([...statuses]).toEqual(expect.arrayContaining(['200', '403']));
  expect(bugs).toEqual([]);
}, 120_000);
