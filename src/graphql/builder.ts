/** The schema builder. It defines no types: those are in types/. */
import SchemaBuilder from '@pothos/core';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import type PrismaTypes from '../database/generated/pothos.ts';
import { getDatamodel } from '../database/generated/pothos.ts';
import { ID_PREFIXES, type IdType, parseId, toId } from '../domain/id.ts';
import type { Context } from './context.ts';
import { DateTime, Json } from './scalars.ts';

interface Types {
  Context: Context;
  PrismaTypes: PrismaTypes;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    JSON: { Input: unknown; Output: unknown };
  };
}

export const builder = new SchemaBuilder<Types>({
  plugins: [RelayPlugin, PrismaPlugin],
  defaultFieldNullability: false,
  relay: {
    // Our own, in types/node.ts: they read through the loaders, and answer null for a type whose scope is missing.
    nodeQueryOptions: false,
    nodesQueryOptions: false,
    encodeGlobalID(typename, id) {
      if (!isIdType(typename)) throw new TypeError(`${typename} has no id prefix`);
      return toId(typename, String(id));
    },
    decodeGlobalID(id) {
      const parsed = parseId(id);
      return { typename: parsed?.type ?? '', id: parsed?.uuid ?? '' };
    },
    nodeTypeOptions: {
      description:
        'Anything with an id: `node(id:)` finds it again (https://relay.dev/graphql/objectidentification.htm).',
    },
  },
  prisma: {
    // Only reads, and only of the caller's network, can go through here.
    client: (context) => context.reads.prisma as never,
    dmmf: getDatamodel(),
    exposeDescriptions: false,
  },
});

builder.addScalarType('DateTime', DateTime);
builder.addScalarType('JSON', Json);

/** What the fields of an object type are made with, for functions that make one of them for several types. */
export type ObjectFields<Parent> = PothosSchemaTypes.ObjectFieldBuilder<typeof builder.$inferSchemaTypes, Parent>;

export function isIdType(name: string): name is IdType {
  return Object.hasOwn(ID_PREFIXES, name);
}
