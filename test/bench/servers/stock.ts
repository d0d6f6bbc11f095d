/**
 * The stock way to build such an API: Pothos's `prismaConnection`, Prisma, graphql-shield on every field, and Yoga with
 * its defaults. Nobody is looked up: every caller counts as signed in. Its ids are written as the gateway writes them,
 * so that the answers can be compared. BENCH_NETWORK_ID says whose members.
 */
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import util from 'node:util';
import SchemaBuilder from '@pothos/core';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import { PrismaPg } from '@prisma/adapter-pg';
import { createYoga } from 'graphql-yoga';
import pg from 'pg';
import { PrismaClient } from '../../../src/database/generated/client.ts';
import type PrismaTypes from '../../../src/database/generated/pothos.ts';
import { getDatamodel } from '../../../src/database/generated/pothos.ts';
import { toId } from '../../../src/domain/id.ts';
import { announce } from './announce.ts';

// As in src/graphql/scopes.ts: shield does not load on this Node otherwise (TRAPS: shield 7.6.5).
Object.assign(util, { isUndefined: (value: unknown) => value === undefined });
const require = createRequire(import.meta.url);
const { shield, rule } = require('graphql-shield') as typeof import('graphql-shield');
const { applyMiddleware } = require('graphql-middleware') as typeof import('graphql-middleware');

interface Types {
  Context: { readonly user: { readonly networkId: string } | null };
  PrismaTypes: PrismaTypes;
  DefaultFieldNullability: false;
  Scalars: { DateTime: { Input: Date; Output: Date } };
}

const networkId = process.env['BENCH_NETWORK_ID'] ?? '';
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 10 });
const prisma = new PrismaClient({ adapter: new PrismaPg(pool) });

const builder = new SchemaBuilder<Types>({
  plugins: [RelayPlugin, PrismaPlugin],
  defaultFieldNullability: false,
  relay: { encodeGlobalID: (_type, id) => toId('Member', String(id)) },
  prisma: { client: prisma, dmmf: getDatamodel() },
});

builder.scalarType('DateTime', { serialize: (value) => value.toISOString() });
const Role = builder.enumType('MemberRole', { values: ['OWNER', 'ADMIN', 'MODERATOR', 'MEMBER'] as const });
const Status = builder.enumType('MemberStatus', { values: ['ACTIVE', 'INVITED', 'SUSPENDED'] as const });

builder.prismaNode('Member', {
  id: { field: 'id' },
  fields: (t) => ({
    name: t.exposeString('name'),
    role: t.expose('role', { type: Role }),
    status: t.expose('status', { type: Status }),
    location: t.exposeString('location', { nullable: true }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
  }),
});

builder.queryType({
  fields: (t) => ({
    members: t.prismaConnection({
      type: 'Member',
      cursor: 'id',
      edgesNullable: false,
      resolve: (query, _root, _args, { user }) =>
        prisma.member.findMany({ ...query, where: { networkId: user?.networkId ?? '' }, orderBy: { id: 'asc' } }),
    }),
  }),
});

const signedIn = rule({ cache: 'contextual' })((_parent, _args, { user }: Types['Context']) => user !== null);
const schema = applyMiddleware(builder.toSchema(), shield({}, { fallbackRule: signedIn }));

announce(createServer(createYoga({ schema, context: () => ({ user: { networkId } }) })));
