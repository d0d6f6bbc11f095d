/**
 * Plans over a schema in which anything may fail, at once or later: what is answered is graphql-js's, and no promise is left
 * behind that nobody hears of, for one such would be the whole gateway's affair and not its request's.
 */
import fc from 'fast-check';
import { buildSchema, execute, type GraphQLSchema, isObjectType, parse, validate } from 'graphql';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CompiledDocuments } from '../../src/graphql/compiled.ts';

type Ending = 'value' | 'null' | 'throw';

/** By the path of a field: how it ends, and after how many turns; 0: at once. */
type Fate = (path: string) => { readonly ending: Ending; readonly turns: number };

const SOURCE = `
  interface Thing { s: String sn: String! t: Thing tn: Thing! }
  type A implements Thing { s: String sn: String! t: Thing tn: Thing! ts: [Thing!]! a: A as: [A!] }
  type B implements Thing { s: String sn: String! t: Thing tn: Thing! bs: [B!]! ss: [String!] }
  type Query { a: A an: A! as: [A!]! ts: [Thing!] }`;

function schemaOf(fate: Fate): GraphQLSchema {
  const schema = buildSchema(SOURCE);
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const [name, field] of Object.entries(type.getFields())) {
      field.resolve = (_source, _args, _context, { path }) => {
        const at = keysOf(path);
        const { ending, turns } = fate(at);
        return turns === 0 ? end(ending, name, at) : later(turns, () => end(ending, name, at));
      };
    }
  }
  return schema;
}

function end(ending: Ending, field: string, at: string): unknown {
  if (ending === 'throw') throw new Error(`boom at ${at}`);
  if (ending === 'null') return null;
  const thing = (typename: string) => ({ __typename: typename });
  if (field === 'ss') return ['x', 'y'];
  if (field === 'as' || field === 'ts') return [thing('A'), thing('A'), thing('A')];
  if (field === 'bs') return [thing('B'), thing('B')];
  if (field.startsWith('s')) return 'text';
  return thing(field.startsWith('t') ? 'B' : 'A');
}

async function later<Result>(turns: number, work: () => Result): Promise<Result> {
  for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
  return work();
}

type Path = { readonly prev: Path | undefined; readonly key: string | number } | undefined;

function keysOf(path: Path): string {
  return path === undefined ? '' : `${keysOf(path.prev)}/${path.key}`;
}

const unheard: unknown[] = [];
const note = (error: unknown) => void unheard.push(error);
beforeEach(() => {
  unheard.length = 0;
  process.on('unhandledRejection', note);
});
afterEach(() => void process.off('unhandledRejection', note));

/** The plan's answer, with every fate in its time; and graphql-js's, with the same fates at once. */
async function expectSame(query: string, fate: Fate): Promise<readonly string[]> {
  const document = parse(query);
  const schema = schemaOf(fate);
  expect(validate(schema, document)).toEqual([]);
  const compiled = new CompiledDocuments(schema, 0);
  const interpret = () => {
    throw new TypeError('there was to be a plan');
  };
  const answer = (await compiled.execute({ schema, document }, interpret)) as ReturnType<typeof executeAtOnce>;
  await new Promise((resolve) => setImmediate(resolve));
  const wanted = executeAtOnce(query, fate);
  expect(answer.data).toEqual(wanted.data);
  expect(answer.errors === undefined).toBe(wanted.errors === undefined);
  // Each null that an error stands for has one; where several might, which of them comes first is a matter of time.
  const told = (answer.errors ?? []).map(({ path = [] }) => JSON.stringify(nullAt(answer.data, path)));
  const messages = (wanted.errors ?? []).map(({ message, path = [] }) => {
    expect(told).toContain(JSON.stringify(nullAt(wanted.data, path)));
    return message;
  });
  expect(unheard).toEqual([]);
  return messages;
}

function executeAtOnce(query: string, fate: Fate) {
  const schema = schemaOf((path) => ({ ...fate(path), turns: 0 }));
  const result = execute({ schema, document: parse(query) });
  if (result instanceof Promise) throw new TypeError('it was to be there at once');
  return { data: JSON.parse(JSON.stringify(result.data ?? null)), errors: result.errors };
}

/** Where the null is that an error at this path has left: there, or as far up as it had to go. */
function nullAt(data: unknown, path: readonly (string | number)[]): readonly (string | number)[] {
  let value = data;
  for (const [depth, key] of path.entries()) {
    if (value === null) return path.slice(0, depth);
    value = (value as Record<string | number, unknown>)[key];
  }
  return path;
}

test('an item that fails at once, behind one that is still to fail', async () => {
  const fates: Readonly<Record<string, ReturnType<Fate>>> = {
    '/as/0/t': { ending: 'value', turns: 3 },
    '/as/0/sn': { ending: 'throw', turns: 0 },
    '/as/1/sn': { ending: 'throw', turns: 0 },
  };
  await expectSame('{ as { t { s } sn } }', (path) => fates[path] ?? { ending: 'value', turns: 0 });
});

test('a scalar that fails at once, behind a list that is still to fail', async () => {
  const fates: Readonly<Record<string, ReturnType<Fate>>> = {
    '/an/ts': { ending: 'throw', turns: 4 },
    '/an/sn': { ending: 'throw', turns: 0 },
  };
  await expectSame('{ an { ts { s } sn } }', (path) => fates[path] ?? { ending: 'value', turns: 0 });
});

// ——— anything ———

const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  A: ['s', 'sn', 't', 'tn', 'ts', 'a', 'as'],
  B: ['s', 'sn', 't', 'tn', 'bs', 'ss'],
  Thing: ['s', 'sn', 't', 'tn'],
  Query: ['a', 'an', 'as', 'ts'],
};
const LEAVES = new Set(['s', 'sn', 'ss']);
const TYPE_OF: Readonly<Record<string, string>> = {
  a: 'A',
  an: 'A',
  as: 'A',
  bs: 'B',
  t: 'Thing',
  tn: 'Thing',
  ts: 'Thing',
};

function selection(type: string, depth: number): fc.Arbitrary<string> {
  const names = (MEMBERS[type] ?? []).filter((name) => depth > 0 || LEAVES.has(name));
  const field = fc.constantFrom(...names).chain((name) => {
    if (LEAVES.has(name)) return fc.constant(name);
    return selection(TYPE_OF[name] ?? '', depth - 1).map((inner) => `${name} { ${inner} }`);
  });
  const cast = fc.constantFrom('A', 'B').chain((to) => selection(to, 0).map((inner) => `... on ${to} { ${inner} }`));
  const part = type === 'Thing' ? fc.oneof({ weight: 3, arbitrary: field }, { weight: 1, arbitrary: cast }) : field;
  return fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(' '));
}

const ENDINGS: readonly Ending[] = ['value', 'value', 'value', 'value', 'value', 'null', 'throw'];

/** The same for the same path, whoever asks. */
function fateOf(salt: number): Fate {
  return (path) => {
    let hash = salt;
    for (const letter of path) hash = (Math.imul(hash, 31) + letter.charCodeAt(0)) >>> 0;
    return { ending: ENDINGS[(hash >>> 3) % ENDINGS.length] ?? 'value', turns: (hash >>> 8) % 5 };
  };
}

test('any query, whatever fails in it and when', async () => {
  const failed = new Set<string>();
  const property = fc.asyncProperty(selection('Query', 3), fc.nat(), async (fields, salt) => {
    for (const message of await expectSame(`{ ${fields} }`, fateOf(salt))) failed.add(message.slice(0, 4));
  });
  await fc.assert(property, { numRuns: 500 });
  // Thrown errors and nulls where none may be are among them.
  expect([...failed].sort()).toEqual(['Cann', 'boom']);
});
