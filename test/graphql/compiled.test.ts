/** A compiled document answers as an interpreted one does, byte for byte, errors included; and what is compiled is bounded. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type DocumentNode,
  type GraphQLInputType,
  getNamedType,
  Kind,
  OperationTypeNode,
  parse,
  type TypeNode,
  typeFromAST,
  validate,
} from 'graphql';
import { beforeAll, describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { ALL_SCOPES } from '../../src/domain/scope.ts';
import type { Principal } from '../../src/domain/verification.ts';
import { CompiledDocuments } from '../../src/graphql/compiled.ts';
import type { Context } from '../../src/graphql/context.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import type { GraphqlServer } from '../../src/graphql/server.ts';
import { principalOf } from '../support/context.ts';
import { answerOf, makeExecutors } from '../support/executors.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { ROOT } from '../support/program.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const schema = buildSchema();
const { compiled, interpreted } = makeExecutors();

const own = {} as { principal: Principal; values: Record<string, unknown> };

beforeAll(async () => {
  const made = await makeNetwork(suite.database);
  const members = await makeMembers(suite.database, made.network.id, 5, (index) => ({
    tags: ['a', `${index}`],
    customFields: { level: index },
    ...(index % 2 === 0 ? {} : { lastActiveAt: new Date(1_600_000_000_000 + index) }),
  }));
  own.principal = principalOf(made, new Set(ALL_SCOPES));
  const id = toId('Member', members[1]?.id ?? '');
  own.values = { ID: id, String: members[1]?.email, Int: 2, Boolean: true };
});

/** Every text in the tests and documents that is a query of this schema. */
async function documentsOfTheSuite(): Promise<string[]> {
  const folders = ['test/api', 'test/graphql', 'test/http', 'test/promises', 'test/access', 'docs', '.'];
  const files = await Promise.all(
    folders.map(async (folder) =>
      (await readdir(join(ROOT, folder)))
        .filter((file) => /\.(ts|md)$/.test(file))
        .map((file) => join(ROOT, folder, file)),
    ),
  );
  const texts = await Promise.all(files.flat().map((file) => readFile(file, 'utf8')));
  const quoted = texts.flatMap((text) => [
    ...text.matchAll(/`([^`$]*(?:\$(?!\{)[^`$]*)*)`|'([^'\n]*)'|"query": ?"([^\n]*?)"[,}]/g),
  ]);
  const found = quoted.map(([, template, single, json]) => template ?? single ?? json?.replaceAll('\\"', '"') ?? '');
  return [...new Set(found)].filter((text) => /^\s*(\{|query|fragment)/.test(text) && isQuery(text));
}

function isQuery(text: string): boolean {
  try {
    const document = parse(text);
    const operations = operationsOf(document);
    return operations.length > 0 && operations.every(({ operation }) => operation === OperationTypeNode.QUERY);
  } catch {
    // No GraphQL at all.
    return false;
  }
}

function operationsOf(document: DocumentNode) {
  return document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
}

/** Values for a document's variables: none, sensible ones, nulls, and wrong ones. */
function variablesFor(text: string): Record<string, unknown>[] {
  const definitions = operationsOf(parse(text)).flatMap(({ variableDefinitions }) => variableDefinitions ?? []);
  const all = (value: (type: TypeNode) => unknown) =>
    Object.fromEntries(definitions.map(({ variable, type }) => [variable.name.value, value(type)]));
  const sensible = (type: TypeNode): unknown => {
    if (type.kind === Kind.NON_NULL_TYPE) return sensible(type.type);
    if (type.kind === Kind.LIST_TYPE) return [sensible(type.type)];
    const named = typeFromAST(schema, type) as GraphQLInputType | undefined;
    const name = named === undefined ? '' : getNamedType(named).name;
    if (name.endsWith('Order')) return { field: 'NAME', direction: 'DESC' };
    if (name === 'MemberFilter') return { role: ['MEMBER'], createdAt: { from: '2000-01-01T00:00:00Z' } };
    return own.values[name] ?? {};
  };
  return definitions.length === 0 ? [{}] : [{}, all(sensible), all(() => null), all(() => ({ wrong: [1] }))];
}

test('every document of the suite, whatever its variables are, is answered the same compiled and interpreted', async () => {
  const documents = await documentsOfTheSuite();
  expect(documents.length).toBeGreaterThan(50);
  expect(documents.filter((text) => validate(schema, parse(text)).length === 0).length).toBeGreaterThan(30);
  const answers = new Set<string>();
  for (const query of documents) {
    for (const variables of variablesFor(query)) {
      const ask = (server: GraphqlServer) => answerOf(server, suite.database, own.principal, { query, variables });
      const [first, second] = [await ask(interpreted), await ask(compiled)];
      expect([query, variables, second]).toEqual([query, variables, first]);
      answers.add(first);
    }
  }
  // Data, refusals and wrong input are all among them.
  for (const part of ['"data":{', 'BAD_USER_INPUT', 'GRAPHQL_VALIDATION_FAILED']) {
    expect([...answers].some((answer) => answer.includes(part.replaceAll('"', '\\"')))).toBe(true);
  }
}, 60_000);

describe('a document is compiled', () => {
  const context = {} as Context;
  const args = (document: DocumentNode) => ({ schema, document, contextValue: context, variableValues: {} });

  /** How many of so many runs were interpreted. */
  function interpretedOf(documents: CompiledDocuments, document: DocumentNode, runs: number): number {
    let count = 0;
    for (let run = 0; run < runs; run += 1) {
      documents.execute(args(document), () => {
        count += 1;
      });
    }
    return count;
  }

  test('after it was seen often enough, and not before', () => {
    expect(interpretedOf(new CompiledDocuments(schema, 10), parse('{ __typename }'), 50)).toBe(10);
  });

  test('never where it is new each time, nor where it is a mutation', () => {
    const documents = new CompiledDocuments(schema, 10);
    for (let index = 0; index < 50; index += 1) expect(interpretedOf(documents, parse('{ __typename }'), 1)).toBe(1);
    const mutation = parse('mutation { revokeApiKey(input: { id: "x" }) { userErrors { code } } }');
    expect(interpretedOf(documents, mutation, 50)).toBe(50);
  });

  test('in time, however often fragments spread each other', () => {
    const fragments = Array.from({ length: 40 }, (_, n) => `fragment F${n} on Viewer { ...F${n + 1} ...F${n + 1} }`);
    const document = parse(`{ me { ...F0 } } ${fragments.join(' ')} fragment F40 on Viewer { id }`);
    expect(validate(schema, document)).toEqual([]);
    expect(interpretedOf(new CompiledDocuments(schema, 1), document, 20)).toBe(1);
  });

  test('for a bounded number of the values that @skip and @include are given', () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const fields = names.map((name) => `${name}: __typename @skip(if: $${name})`).join(' ');
    const document = parse(`query(${names.map((name) => `$${name}: Boolean!`).join(' ')}) { ${fields} }`);
    const documents = new CompiledDocuments(schema, 0);
    let interpreted = 0;
    for (let bits = 0; bits < 32; bits += 1) {
      const values = names.map((name, at) => [name, ((bits >> at) & 1) === 1]);
      const variableValues = Object.fromEntries(values);
      const result = documents.execute({ ...args(document), variableValues }, () => {
        interpreted += 1;
      });
      const wanted = names.filter((name) => !variableValues[name]);
      if (result !== undefined) expect(Object.keys((result as { data: object }).data)).toEqual(wanted);
    }
    expect(interpreted).toBe(16);
  });

  test('and dropped again where many others are used more', () => {
    const documents = new CompiledDocuments(schema, 1);
    const first = parse('{ first: __typename }');
    expect(interpretedOf(documents, first, 3)).toBe(1);
    for (let index = 0; index < 200; index += 1) interpretedOf(documents, parse(`{ a${index}: __typename }`), 2);
    expect(interpretedOf(documents, first, 3)).toBe(1);
  });
});
