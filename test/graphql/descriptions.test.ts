// The schema explains itself to whoever reads it by introspection: in GraphiQL, or as a program.
import {
  buildClientSchema,
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
  getIntrospectionQuery,
  isObjectType,
} from 'graphql';
import { describe, expect, test } from 'vitest';
import { completeDescriptions } from '../../src/graphql/descriptions.ts';
import { requiresScopes } from '../../src/graphql/directives.ts';
import { buildSchema, printSchema } from '../../src/graphql/schema.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

async function introspected(): Promise<GraphQLSchema> {
  const { token } = await makeNetwork(suite.database, { scopes: [] });
  const { body } = await suite.call(token, getIntrospectionQuery());
  return buildClientSchema(body.data);
}

describe('by introspection', () => {
  test.for([
    ['Query', 'members', ['`members:read`']],
    ['Member', 'email', ['`members:email`']],
    ['Mutation', 'createApiKey', ['`keys:write`']],
    ['Query', 'auditEvents', ['`audit:read`']],
  ] as const)('%s.%s says which scopes it needs', async ([name, field, scopes]) => {
    const type = (await introspected()).getType(name);
    const description = isObjectType(type) ? type.getFields()[field]?.description : null;
    for (const scope of scopes) expect(description).toContain(scope);
  });

  test('so do arguments and types', async () => {
    const schema = await introspected();
    const email = schema
      .getQueryType()
      ?.getFields()
      ['member']?.args.find(({ name }) => name === 'email');
    expect(email?.description).toContain('`members:email`');
    expect(schema.getType('ApiKey')?.description).toContain('`keys:read`');
  });
});

test('a schema of which an element says nothing is refused, with all of them named', () => {
  const query = new GraphQLObjectType({
    name: 'Query',
    fields: {
      told: { type: GraphQLString, description: 'Something.', args: { how: { type: GraphQLString } } },
      untold: { type: GraphQLString },
    },
  });
  expect(() => completeDescriptions(new GraphQLSchema({ query }))).toThrow(
    'These elements of the schema have no description: Query, Query.told(how), Query.untold',
  );
});

test('an element that needs several scopes names all of them, once', () => {
  const query = new GraphQLObjectType({
    name: 'Query',
    description: 'The root.',
    fields: {
      both: {
        type: GraphQLString,
        description: 'Both.',
        extensions: requiresScopes('members:read', 'members:email'),
      },
    },
  });
  const schema = new GraphQLSchema({ query });
  completeDescriptions(schema);
  expect(query.getFields()['both']?.description).toBe('Both. Needs `members:read` and `members:email`.');
});

test('a schema that is built again says the same', () => {
  expect(printSchema(buildSchema())).toBe(printSchema(buildSchema()));
});
