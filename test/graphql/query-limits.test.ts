/** A document over a bound is refused with its figures before it is validated; one at the bound is let in. */
import { describe, expect, test } from 'vitest';
import { type Asked, expectLetIn, expectTooExpensive } from '../support/bounds.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { type Suite, useGateway } from '../support/suite.ts';

interface Bound {
  readonly name: string;
  /** As it follows the figure in the message. */
  readonly unit: string;
  readonly max: number;
  readonly setting: string;
  /** Another value of the setting, for which each of these documents is within all other bounds. */
  readonly changed: number;
  /** A request with exactly so many, by how it comes to them. */
  readonly ways: Readonly<Record<string, (count: number) => Asked>>;
}

function times(count: number, part: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => part(index)).join(' ');
}

const ME = '{ me { id } }';

const BOUNDS: readonly Bound[] = [
  {
    name: 'depth',
    unit: 'levels deep',
    max: 15,
    setting: 'QUERY_MAX_DEPTH',
    changed: 5,
    ways: {
      fields: (levels) => ({
        query: `{ me { apiKey { ${times(levels - 3, () => 'createdByKey {')} id ${times(levels - 3, () => '}')} } } }`,
      }),
      'fragments, in whatever order these stand': (levels) => ({
        query: `fragment B on ApiKey { id } { me { apiKey {
          ${times(levels - 4, () => 'createdByKey {')} ...A ${times(levels - 4, () => '}')} } } }
          fragment A on ApiKey { createdByKey { ...B } }`,
      }),
      'an operation that is not chosen': (levels) => ({
        query: `${ofOperations(levels)} query A ${ME}`,
      }),
    },
  },
  {
    name: 'aliases',
    unit: 'aliases long',
    max: 50,
    setting: 'QUERY_MAX_ALIASES',
    changed: 4,
    ways: {
      fields: (count) => ({ query: `{ me { ${times(count, (index) => `a${index}: id`)} } }` }),
      'a fragment that is spread again': (count) => ({
        query: `{ me { ${count % 2 === 0 ? '' : 'x: id'} ...A ...A } }
          fragment A on Viewer { ${times(Math.floor(count / 2), (index) => `a${index}: id`)} }`,
      }),
    },
  },
  {
    name: 'rootFields',
    unit: 'root fields wide',
    max: 20,
    setting: 'QUERY_MAX_ROOT_FIELDS',
    changed: 2,
    ways: {
      fields: (count) => ({ query: `{ ${times(count, () => 'me { id }')} }` }),
      fragments: (count) => ({
        query: `{ ...A ... on Query { me { id } } } fragment A on Query { ${times(count - 1, () => '__typename')} }`,
      }),
    },
  },
  {
    name: 'directives',
    unit: 'directives long',
    max: 50,
    setting: 'QUERY_MAX_DIRECTIVES',
    changed: 2,
    ways: {
      fields: (count) => ({ query: `{ me { ${times(count, () => 'id @include(if: true)')} } }` }),
      'fragments and what is spread': (count) => ({
        query: `{ me { id ...A @skip(if: false) } } fragment A on Viewer { ${times(count - 1, () => '... @include(if: true) { id }')} }`,
      }),
    },
  },
  {
    name: 'repeats',
    unit: 'fields long of one name',
    max: 100,
    setting: 'QUERY_MAX_REPEATS',
    changed: 15,
    ways: {
      fields: (count) => ({ query: `{ me { ${times(count, () => 'id')} } }` }),
      aliases: (count) => ({ query: `{ me { name: name ${times(count - 1, () => 'name')} } }` }),
      'fragments and other levels': (count) => ({
        query: `{ me { id apiKey { id ...A } } } fragment A on ApiKey { ${times(count - 2, () => 'id')} }`,
      }),
      'an operation that is not chosen': (count) => ({
        query: `query B { me { ${times(count - 1, () => 'id')} } } query A ${ME}`,
      }),
    },
  },
  {
    name: 'listItems',
    unit: 'items long in a list',
    max: 1_000,
    setting: 'QUERY_MAX_LIST_ITEMS',
    changed: 5,
    ways: {
      'the document': (count) => ({
        query: `{ apiKeys(filter: { status: [${times(count, () => 'ACTIVE')}] }) { nodes { id } } }`,
      }),
      'a variable’s default': (count) => ({
        query: `query($s: [ApiKeyStatus!] = [${times(count, () => 'ACTIVE')}]) { apiKeys(filter: { status: $s }) { nodes { id } } }`,
      }),
      'a variable': (count) => ({
        query: 'query($s: [ApiKeyStatus!]) { apiKeys(filter: { status: $s }) { nodes { id } } }',
        variables: { s: Array(count).fill('ACTIVE') },
      }),
      'a list within lists and objects of a variable': (count) => ({
        query: ME,
        variables: { nobodys: [[], { a: [[null, { b: Array(count).fill([]) }]] }, 'x'] },
      }),
    },
  },
  {
    name: 'variables',
    unit: 'variables long',
    max: 100,
    setting: 'QUERY_MAX_VARIABLES',
    changed: 2,
    ways: {
      declarations: (count) => ({
        query: `query(${times(count, (index) => `$v${index}: ID! = "x"`)}) {
          nodes(ids: [${times(count, (index) => `$v${index}`)}]) { id } }`,
      }),
      'what is sent': (count) => ({
        query: ME,
        variables: Object.fromEntries(Array.from({ length: count }, (_, index) => [`v${index}`, null])),
      }),
    },
  },
];

function ofOperations(levels: number): string {
  return `query B { me { apiKey { ${times(levels - 3, () => 'createdByKey {')} id ${times(levels - 3, () => '}')} } } }`;
}

/** Of so many tokens, in lists that are short enough. */
function ofTokens(count: number): Asked {
  const half = Math.floor((count - 40) / 2);
  const list = (name: string, items: number) =>
    `${name}: apiKeys(filter: { status: [${'ACTIVE '.repeat(items)}] }) { nodes { id } }`;
  return { query: `{ ${list('a', half)} ${list('b', count - 40 - half)} }` };
}

const TOKENS = { name: 'tokens', max: 2_000, changed: 50 } as const;

const suite = useGateway();
const changed = useGateway({
  QUERY_MAX_TOKENS: String(TOKENS.changed),
  ...Object.fromEntries(BOUNDS.map((bound) => [bound.setting, String(bound.changed)])),
});

const GATEWAYS = [
  ['by default', suite, (bound: { max: number }) => bound.max],
  ['as it is set', changed, (bound: { changed: number }) => bound.changed],
] as const satisfies readonly (readonly [string, Suite, (bound: Bound) => number])[];

describe.each(GATEWAYS)('%s', (_how, gateway, maxOf) => {
  const cases = BOUNDS.flatMap((bound) => Object.entries(bound.ways).map(([way, of]) => ({ ...bound, way, of })));

  test.for(cases)('$name in $way: the bound is let in', async (bound) => {
    // Without a name nobody says which of two operations is meant: it has passed the bound by then.
    if (bound.way === 'an operation that is not chosen') return expectUnchosen(gateway, bound.of(maxOf(bound)));
    return expectLetIn(gateway, bound.of(maxOf(bound)));
  });

  test.for(cases)('$name in $way: one over is refused', async (bound) => {
    const max = maxOf(bound);
    const message = `Query is ${max + 1} ${bound.unit}: at most ${max} are let in`;
    await expectTooExpensive(gateway, bound.of(max + 1), message, { name: bound.name, max, actual: max + 1 });
  });

  test('tokens: the bound is let in', () => expectLetIn(gateway, ofTokens(maxOf(TOKENS as never))));

  test('tokens: one over is refused', async () => {
    const max = maxOf(TOKENS as never);
    const message = `Query is more than ${max} tokens long: at most ${max} are let in`;
    await expectTooExpensive(gateway, ofTokens(max + 1), message, { name: 'tokens', max });
  });
});

async function expectUnchosen(gateway: Suite, { query }: Asked): Promise<void> {
  const { token } = await makeNetwork(gateway.database);
  const reply = await gateway.call(token, query);
  expect(reply.body.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
}

describe('tokens', () => {
  test('comments, commas and blanks are none', () =>
    expectLetIn(suite, {
      query: `# ${'a '.repeat(5_000)}\n${ofTokens(TOKENS.max).query.replaceAll('ACTIVE ', 'ACTIVE,,, \t')}`,
    }));

  test('as many as a body can hold cost no more than the first 2,000', async () => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, `{ me { ${'id '.repeat(300_000)} } }`);
    expect(reply.body.errors?.[0]?.extensions.code).toBe('QUERY_TOO_EXPENSIVE');
  });
});

test('inline fragments are no levels', () =>
  expectLetIn(suite, { query: `{ me { ${'... { '.repeat(200)} id ${'} '.repeat(200)} } }` }));

test('variables nested deeper than any stack are looked through', async () => {
  const { token } = await makeNetwork(suite.database);
  const deep = (innermost: string) => `${'['.repeat(100_000)}${innermost}${']'.repeat(100_000)}`;
  const ask = async (innermost: string) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const body = `{"query":"{ me { id } }","variables":{"x":${deep(innermost)}}}`;
    const reply = await fetch(`${suite.url}/graphql`, { method: 'POST', headers, body });
    return [reply.status, (await reply.json()).errors?.[0].extensions.limit];
  };
  expect(await ask('7')).toEqual([200, undefined]);
  const items = Array(1_001).fill(0).join(',');
  expect(await ask(items)).toEqual([400, { name: 'listItems', max: 1_000, actual: 1_001 }]);
});

describe('fragments', () => {
  /** Each spreads the next one twice: 2^60 of the innermost. Whoever walks them one by one does not come back. */
  const doubling = (innermost: string) =>
    `{ me { ...F0 } } ${times(60, (index) => `fragment F${index} on Viewer { ...F${index + 1} ...F${index + 1} }`)}
     fragment F60 on Viewer { ${innermost} }`;
  const refused = (innermost: string, name: string, unit: string, max: number) =>
    expectTooExpensive(
      suite,
      { query: doubling(innermost) },
      `Query is ${2 ** 60} ${unit}: at most ${max} are let in`,
      { name, max, actual: 2 ** 60 },
    );

  test('that spread each other twice, ever again, are counted without walking them: aliases', () =>
    refused('a: id', 'aliases', 'aliases long', 50));

  test('that spread each other twice, ever again, are counted without walking them: directives', () =>
    refused('id @include(if: true)', 'directives', 'directives long', 50));

  test('that spread each other twice, ever again, and hold neither, are answered', () =>
    expectLetIn(suite, { query: doubling('id') }));

  test.for([
    ['itself', '{ me { ...A } } fragment A on Viewer { id ...A }'],
    [
      'one that spreads it',
      '{ me { ...A } } fragment A on Viewer { ...B } fragment B on Viewer { ...C } fragment C on Viewer { ...A }',
    ],
    ['itself, in a field of its own', '{ me { apiKey { ...A } } } fragment A on ApiKey { createdByKey { ...A } }'],
  ] as const)('one that spreads %s is refused', async ([, query]) => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, query);
    expect(reply.status).toBe(422);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining('Cannot spread fragment "A" within itself'),
      extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
    });
  });
});
