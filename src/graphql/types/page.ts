/** The types and arguments that all connections share. */
import type { ObjectRef } from '@pothos/core';
import { builder } from '../builder.ts';
import { type Connection, type Edge, PAGE_DEFAULT, PAGE_MAX, type PageInfo } from '../connection.ts';
import { cost, listSize } from '../directives.ts';

const PageInfoRef = builder.objectRef<PageInfo>('PageInfo').implement({
  description: 'Where a page stands in its list (https://relay.dev/graphql/connections.htm).',
  extensions: cost(0),
  fields: (t) => ({
    hasNextPage: t.boolean({
      description: 'Whether the list goes on behind this page.',
      resolve: (page) => page.hasNextPage(),
    }),
    hasPreviousPage: t.boolean({
      description: 'Whether the list has anything before this page.',
      resolve: (page) => page.hasPreviousPage(),
    }),
    startCursor: t.exposeString('startCursor', { nullable: true, description: "The first edge's cursor." }),
    endCursor: t.exposeString('endCursor', {
      nullable: true,
      description: "The last edge's cursor: give it as `after` to get the next page.",
    }),
  }),
});

/** The connection type of an object type and its edge type, named as Relay names them. */
export function connectionType<Row extends { readonly id: string }>(
  name: string,
  // biome-ignore lint/suspicious/noExplicitAny: Pothos names its schema types here, which the row decides for us
  node: ObjectRef<any, Row>,
) {
  const edge = builder.objectRef<Edge<Row>>(`${name}Edge`).implement({
    description: `One ${name} of a list, with its place there.`,
    extensions: cost(0),
    fields: (t) => ({
      cursor: t.exposeString('cursor', {
        description: 'The place of this edge: good for this list alone, even after the row has changed or gone.',
      }),
      node: t.expose('node' as never, { type: node }),
    }),
  });
  return builder.objectRef<Connection<Row>>(`${name}Connection`).implement({
    description: `A page of a list of ${name}s.`,
    fields: (t) => ({
      edges: t.field({ type: [edge], resolve: (connection) => [...connection.edges] }),
      nodes: t.field({
        type: [node],
        description: 'The nodes without their edges.',
        resolve: (connection) => connection.nodes as never,
      }),
      pageInfo: t.field({ type: PageInfoRef, resolve: (connection) => connection.pageInfo }),
    }),
  });
}

/** The four arguments of every connection. */
export const pageArgs = builder.args((t) => ({
  first: t.int({ description: `The page's length from its start: 1 to ${PAGE_MAX}, ${PAGE_DEFAULT} when absent.` }),
  after: t.string({ description: 'A cursor: the page starts behind it.' }),
  last: t.int({ description: `The page's length from its end: 1 to ${PAGE_MAX}.` }),
  before: t.string({ description: 'A cursor: the page ends before it.' }),
}));

/** The `extensions` of a field that gives a connection with these arguments: as long a list as they ask for. */
export const PAGE_SIZE = listSize({
  assumedSize: PAGE_DEFAULT,
  slicingArguments: ['first', 'last'],
  sizedFields: ['edges', 'nodes'],
});
