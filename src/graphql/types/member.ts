import type { Member } from '../../database/generated/client.ts';
import { MEMBERS } from '../../database/tables.ts';
import { badInput } from '../../domain/errors.ts';
import { uuidOf } from '../../domain/id.ts';
import { fold, hasControlCharacters, isWellFormed } from '../../domain/text.ts';
import { builder } from '../builder.ts';
import { connect, type ListSpec } from '../connection.ts';
import { requiresScopes } from '../directives.ts';
import { fieldsBelow } from '../selection.ts';
import { MemberRoleEnum, MemberStatusEnum, OrderDirectionEnum } from './enums.ts';
import { callersNetwork, NetworkRef } from './network.ts';
import { connectionType, pageArgs } from './page.ts';

export const MemberRef = builder.prismaNode('Member', {
  id: { field: 'id' },
  description: 'A person in the network.',
  extensions: requiresScopes('members:read'),
  fields: (t) => ({
    externalId: t.exposeString('externalId', {
      nullable: true,
      description: 'The id that the system which the member came from knows them by. Unique in the network.',
    }),
    name: t.exposeString('name'),
    email: t.exposeString('email', {
      description: 'The e-mail address. Unique in the network, without regard to case.',
      extensions: requiresScopes('members:email'),
    }),
    role: t.expose('role', { type: MemberRoleEnum }),
    status: t.expose('status', { type: MemberStatusEnum }),
    avatarUrl: t.exposeString('avatarUrl', { nullable: true }),
    location: t.exposeString('location', { nullable: true }),
    tags: t.exposeStringList('tags'),
    customFields: t.expose('customFields', {
      type: 'JSON',
      description: "The network's own fields, by their names. `{}` where there is none.",
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When they joined.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime' }),
    lastActiveAt: t.expose('lastActiveAt', { type: 'DateTime', nullable: true }),
    network: t.field({ type: NetworkRef, resolve: (_member, _args, context) => callersNetwork(context) }),
  }),
});

const FILTER_VALUES_MAX = 100;

const MemberFilter = builder.inputType('MemberFilter', {
  description: 'Which members: those that satisfy every field that is given. In a list, any one of its values will do.',
  fields: (t) => ({
    role: t.field({ type: [MemberRoleEnum] }),
    status: t.field({ type: [MemberStatusEnum] }),
    email: t.stringList({
      description: `Whole addresses, without regard to case; at most ${FILTER_VALUES_MAX}.`,
      extensions: requiresScopes('members:email'),
    }),
  }),
});

const MemberOrderField = builder.enumType('MemberOrderField', {
  description: 'What members can be sorted by; the id decides among equals.',
  values: {
    ID: { description: 'In the order in which they were added to Gatehouse. A pull in this order misses nothing.' },
    CREATED_AT: { description: 'When they joined.' },
    NAME: { description: 'By name, without regard to case, character by character (Unicode code points).' },
  },
});

const MemberOrder = builder.inputType('MemberOrder', {
  description: 'How members are sorted.',
  fields: (t) => ({
    field: t.field({ type: MemberOrderField, required: true, defaultValue: 'ID' }),
    direction: t.field({ type: OrderDirectionEnum, required: true, defaultValue: 'ASC' }),
  }),
});

const MemberConnection = connectionType('Member', MemberRef);

builder.queryField('members', (t) =>
  t.field({
    type: MemberConnection,
    description: "The network's members, a page at a time; by id where no order is given.",
    extensions: requiresScopes('members:read'),
    args: {
      ...pageArgs,
      filter: t.arg({ type: MemberFilter }),
      orderBy: t.arg({ type: MemberOrder }),
    },
    resolve: (_root, { filter, orderBy, ...page }, context, info) =>
      // A member's fields bear the names of their columns' properties, so what is selected says what must be read.
      connect(context, { ...memberList(filter, orderBy), wanted: fieldsBelow(info) }, page),
  }),
);

builder.queryField('member', (t) =>
  t.field({
    type: MemberRef,
    nullable: true,
    description: 'One member, by id or by e-mail address; null where the network has none.',
    extensions: requiresScopes('members:read'),
    args: {
      id: t.arg.id({ description: '`mem_…`' }),
      email: t.arg.string({
        description: 'The whole address, without regard to case.',
        extensions: requiresScopes('members:email'),
      }),
    },
    resolve: (_root, { id, email }, { loaders, reads }) => {
      const byId = typeof id === 'string';
      if (byId === (typeof email === 'string')) throw badInput('Give either `id` or `email`', 'id');
      if (!byId) {
        const emailFolded = addressToFind(String(email));
        return emailFolded === null ? null : reads.prisma.member.findFirst({ where: { emailFolded } });
      }
      const uuid = uuidOf('Member', id);
      return uuid === null ? null : loaders.member.load(uuid);
    },
  }),
);

type FilterInput = typeof MemberFilter.$inferInput | null | undefined;
type OrderInput = typeof MemberOrder.$inferInput | null | undefined;

const PLACES: Record<'ID' | 'CREATED_AT' | 'NAME', ListSpec<Member>['placeOf']> = {
  ID: (member) => [member.id],
  CREATED_AT: (member) => [member.createdAt, member.id],
  NAME: (member) => [member.nameFolded, member.id],
};

function memberList(filter: FilterInput, orderBy: OrderInput): Omit<ListSpec<Member>, 'wanted'> {
  const order = orderBy?.field ?? 'ID';
  return {
    table: MEMBERS,
    order,
    descending: orderBy?.direction === 'DESC',
    conditions: conditionsOf(filter),
    placeOf: PLACES[order],
  };
}

function conditionsOf(filter: FilterInput): ListSpec<Member>['conditions'] {
  const conditions: { sql: string; value: unknown }[] = [];
  if (filter?.role) conditions.push({ sql: 'role = ANY($?::member_role[])', value: set(filter.role, 'role') });
  if (filter?.status)
    conditions.push({ sql: 'status = ANY($?::member_status[])', value: set(filter.status, 'status') });
  if (filter?.email) {
    const addresses = set(filter.email, 'email')
      .map(addressToFind)
      .filter((address) => address !== null);
    conditions.push({ sql: 'email_folded = ANY($?::text[])', value: set(addresses, 'email') });
  }
  return conditions;
}

/** An address as it is stored; null for what is none, and what PostgreSQL would refuse to look for. */
function addressToFind(typed: string): string | null {
  return hasControlCharacters(typed) || !isWellFormed(typed) ? null : fold(typed);
}

/** Sorted and without doubles, so that cursors do not depend on how a filter is spelled. */
function set(values: readonly string[], field: string): string[] {
  if (values.length > FILTER_VALUES_MAX) {
    throw badInput(
      `\`filter.${field}\` takes at most ${FILTER_VALUES_MAX} values, not ${values.length}`,
      `filter.${field}`,
    );
  }
  return [...new Set(values)].sort();
}
