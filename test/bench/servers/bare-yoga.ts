/** Yoga as its first example has it: one field, no token, no database. */
import { createServer } from 'node:http';
import { createSchema, createYoga } from 'graphql-yoga';
import { announce } from './announce.ts';

const yoga = createYoga({
  schema: createSchema({
    typeDefs: 'type Query { ping: String! }',
    resolvers: { Query: { ping: () => 'pong' } },
  }),
});

announce(createServer(yoga));
