/** What an operation needs is known before it runs, from what the schema declares. */
import { describe, expect, test } from 'vitest';
import type { Scope } from '../../src/domain/scope.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

type Variables = Record<string, unknown>;
type Case = readonly [promise: string, query: string, variables?: Variables, operationName?: string];

async function ask(scopes: readonly Scope[], [, query, variables, operationName]: Case) {
  const { network, token } = await makeNetwork(suite.database, { scopes });
  await makeMembers(suite.database, network.id, 2, (index) => ({ email: `m${index}@example.test` }));
  const response = await fetch(`${suite.url}/graphql`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
    },
    body: JSON.stringify({ query, variables, operationName }),
  });
  return { status: response.status, text: await response.text() };
}

async function expectMissing(held: readonly Scope[], missing: readonly Scope[], what: Case): Promise<void> {
  const { status, text } = await ask(held, what);
  const body = JSON.parse(text);
  expect({ status, missing: body.errors?.[0]?.extensions.missingScopes }).toEqual({ status: 403, missing });
  expect(body).not.toHaveProperty('data');
  expect(text).not.toContain('@example.test');
}

async function expectAnswered(held: readonly Scope[], what: Case): Promise<void> {
  const { status, text } = await ask(held, what);
  expect({ status, errors: JSON.parse(text).errors }).toEqual({ status: 200, errors: undefined });
  expect(text).not.toContain('@example.test');
}

const FILTERED = (filter: string) => `members(filter: ${filter}) { nodes { id } }`;

describe('the address needs members:email wherever it could be read or guessed', () => {
  const CASES: readonly Case[] = [
    ['a field', '{ members { nodes { email } } }'],
    ['a field by another name', '{ members { nodes { name: email } } }'],
    ['a field of an edge', '{ members { edges { node { email } } } }'],
    ['a field of one member', '{ member(id: "mem_1") { email } }'],
    ['a field of a node', '{ node(id: "mem_1") { ... on Member { email } } }'],
    ['a field of nodes', '{ nodes(ids: []) { ... on Node { ... on Member { email } } } }'],
    ['a field beside others, twice', '{ members { nodes { id email } } again: members { nodes { email } } }'],
    ['an inline fragment', '{ members { nodes { ... { ... on Member { email } } } } }'],
    ['a fragment', '{ members { ...A } } fragment A on MemberConnection { nodes { email } }'],
    [
      'a fragment of a fragment, behind the operation or before it',
      'fragment B on Member { email } { members { nodes { ...A } } } fragment A on Member { ...B }',
    ],
    ['an argument', '{ member(email: "m1@example.test") { id } }'],
    ['an argument’s variable', 'query($e: String) { member(email: $e) { id } }', { e: 'm1@example.test' }],
    ['an argument’s variable by default', 'query($e: String = "m1@example.test") { member(email: $e) { id } }'],
    ['an empty address, which is one', '{ member(email: "") { id } }'],
    ['an input field', `{ ${FILTERED('{ email: ["m1@example.test"] }')} }`],
    ['an input field with one value for a list', `{ ${FILTERED('{ email: "m1@example.test" }')} }`],
    ['an input field beside others', `{ ${FILTERED('{ role: [MEMBER], email: ["m1@example.test"] }')} }`],
    ['an input field with an empty list', `{ ${FILTERED('{ email: [] }')} }`],
    [
      'a variable in an input field',
      `query($e: [String!]) { ${FILTERED('{ email: $e }')} }`,
      { e: ['m1@example.test'] },
    ],
    ['a variable in a list', `query($e: String!) { ${FILTERED('{ email: [$e] }')} }`, { e: 'm1@example.test' }],
    ['a variable for a list', `query($e: [String!]) { ${FILTERED('{ email: $e }')} }`, { e: 'm1@example.test' }],
    [
      'a variable that holds it',
      `query($f: MemberFilter) { ${FILTERED('$f')} }`,
      { f: { email: ['m1@example.test'] } },
    ],
    [
      'a variable that holds it by default',
      `query($f: MemberFilter = { email: ["m1@example.test"] }) { ${FILTERED('$f')} }`,
    ],
    [
      'a variable in a fragment',
      `query($e: [String!]) { ...A } fragment A on Query { ${FILTERED('{ email: $e }')} }`,
      { e: ['x'] },
    ],
    ['a field that is included', '{ members { nodes { email @include(if: true) } } }'],
    ['a field that is not skipped', '{ members { nodes { email @skip(if: false) } } }'],
    [
      'a field that a variable includes',
      'query($i: Boolean!) { members { nodes { email @include(if: $i) } } }',
      { i: true },
    ],
    ['a field that a default includes', 'query($i: Boolean = true) { members { nodes { email @include(if: $i) } } }'],
    [
      'a field that a variable does not skip',
      'query($s: Boolean = true) { members { nodes { email @skip(if: $s) } } }',
      { s: false },
    ],
    ['a fragment that is included', '{ members { nodes { ...A @include(if: true) } } } fragment A on Member { email }'],
    [
      'a fragment that is skipped here and not there',
      '{ members { nodes { ...A @skip(if: true) ...A } } } fragment A on Member { email }',
    ],
    ['the operation that is chosen', 'query A { me { id } } query B { members { nodes { email } } }', {}, 'B'],
  ];
  test.for(CASES)('%s', (what) => expectMissing(['members:read', 'keys:write'], ['members:email'], what));
});

describe('variables that are called like what every object has are no way round', () => {
  const NAMES = ['toString', 'constructor', 'valueOf', 'hasOwnProperty', '__proto__'];
  test.for(NAMES)('%s, given by default', async (name) => {
    await expectMissing(
      ['members:read'],
      ['members:email'],
      [name, `query($${name}: [String!] = ["m1@example.test"]) { ${FILTERED(`{ email: $${name} }`)} }`],
    );
    const included = `query($${name}: Boolean = true) { members { nodes { email @include(if: $${name}) } } }`;
    const { text } = await ask(['members:read'], [name, included]);
    expect(text).not.toContain('@example.test');
  });

  test('a variable __proto__ gives no other variable its value', async () => {
    const query = `query($__proto__: MemberFilter, $email: [String!]) {
      skipped: members(filter: $__proto__) @skip(if: true) { nodes { id } }
      found: members(filter: { email: $email }) { nodes { id } }
    }`;
    const { text } = await ask(
      ['members:read'],
      ['', query, JSON.parse('{"__proto__":{"email":["m1@example.test"]}}')],
    );
    expect(JSON.parse(text).data.found.nodes).toHaveLength(2);
  });
});

describe('what is not given needs nothing', () => {
  const CASES: readonly Case[] = [
    ['a null', '{ member(id: "mem_1", email: null) { id } }'],
    ['a null in an input field', `{ ${FILTERED('{ email: null }')} }`],
    ['a variable that is null', 'query($e: String) { member(id: "mem_1", email: $e) { id } }', { e: null }],
    [
      'a variable that is null in spite of its default',
      `query($e: [String!] = ["x"]) { ${FILTERED('{ email: $e }')} }`,
      { e: null },
    ],
    ['a variable that is absent', 'query($e: String) { member(id: "mem_1", email: $e) { id } }'],
    ['a variable without its field', `query($f: MemberFilter) { ${FILTERED('$f')} }`, { f: { role: ['OWNER'] } }],
    ['a variable with its field null', `query($f: MemberFilter) { ${FILTERED('$f')} }`, { f: { email: null } }],
    ['a field that is skipped', '{ members { nodes { id email @skip(if: true) } } }'],
    [
      'a field that is not included',
      'query($i: Boolean!) { members { nodes { id email @include(if: $i) } } }',
      { i: false },
    ],
    ['a field that is included and skipped', '{ members { nodes { id email @include(if: true) @skip(if: true) } } }'],
    [
      'a field in a fragment that is skipped',
      '{ members { nodes { id ...A @skip(if: true) } } } fragment A on Member { email }',
    ],
    ['a field under one that is skipped', '{ me { id } members @skip(if: true) { nodes { email } } }'],
    ['a fragment of a type that it can’t be', '{ me { id } ... @include(if: false) { members { nodes { email } } } }'],
    ['an operation that is not chosen', 'query A { me { id } } query B { members { nodes { email } } }', {}, 'A'],
  ];
  test.for(CASES)('%s', (what) => expectAnswered(['members:read'], what));
});

describe('a type’s declaration counts where a field has none of its own', () => {
  test.for<readonly [Scope, ...Case]>([
    ['network:read', 'a member’s network', '{ members { nodes { network { slug } } } }'],
    ['network:read', 'a node’s network', '{ node(id: "mem_1") { ... on Member { network { id } } } }'],
    ['keys:read', 'the maker of one’s own key', '{ me { apiKey { createdBy { name } } } }'],
    ['keys:read', 'the key that made one’s own', '{ me { apiKey { createdByKey { id } } } }'],
    ['keys:read', 'who revoked a key', 'mutation { revokeApiKey(input: { id: "x" }) { apiKey { revokedBy { id } } } }'],
  ])('%s: %s', async ([scope, ...what]) => {
    await expectMissing(['members:read', 'keys:write'], [scope], what);
  });

  test('and its own declaration wins: one’s own key is shown without keys:read', async () => {
    await expectAnswered([], ['', '{ me { apiKey { id name scopes } } }']);
    await expectAnswered([], ['', 'mutation { revokeCurrentApiKey { apiKey { id name } } }']);
  });
});

test('every scope that is missing is named at once, in the order of the alphabet', async () => {
  const query = '{ network { id } apiKeys { nodes { id } } members(filter: { email: ["x"] }) { nodes { id } } }';
  await expectMissing(['usage:read'], ['keys:read', 'members:email', 'members:read', 'network:read'], ['', query]);
});

test('fragments that spread each other over and over are each looked at once', async () => {
  // 2^90 ways lead to the last one: whoever walks them all does not come back.
  const fragments = Array.from(
    { length: 90 },
    (_, index) => `fragment F${index} on Member { ...F${index + 1} ...F${index + 1} }`,
  );
  const document = (last: string) =>
    `{ members { nodes { ...F0 } } } ${fragments.join(' ')} fragment F90 on Member { ${last} }`;
  await expectMissing(['members:read'], ['members:email'], ['', document('email')]);
  await expectAnswered(['members:read'], ['', document('id')]);
});
