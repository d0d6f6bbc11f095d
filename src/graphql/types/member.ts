import { badInput } from '../../domain/errors.ts';
import { uuidOf } from '../../domain/id.ts';
import { builder } from '../builder.ts';
import { connect } from '../connection.ts';
import { cost, declare, requiresScopes } from '../directives.ts';
import { fieldsBelow } from '../selection.ts';
import { MemberRoleEnum, MemberStatusEnum } from './enums.ts';
import { addressToFind, MemberFilter, MemberOrder, memberList } from './member-list.ts';
import { callersNetwork, NetworkRef } from './network.ts';
import { connectionType, PAGE_SIZE, pageArgs } from './page.ts';

/** Points: a page of 250 members is 64. */
const MEMBER_POINTS = 0.25;
/** Of counting rows one by one, however many there are. */
const COUNT_POINTS = 10;

export const MemberRef = builder.prismaNode('Member', {
  id: { field: 'id' },
  description: 'A person in the network.',
  extensions: declare(requiresScopes('members:read'), cost(MEMBER_POINTS)),
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
    lastActiveAt: t.expose('lastActiveAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When they were last active in the community, as whoever writes members says; null: never.',
    }),
    network: t.field({ type: NetworkRef, resolve: (_member, _args, context) => callersNetwork(context) }),
  }),
});

const MemberConnection = connectionType('Member', MemberRef);

builder.objectField(MemberConnection, 'totalCount', (t) =>
  t.int({
    description:
      'How many members satisfy the filter, on all pages together: counted one by one, each time it is asked.',
    extensions: cost(COUNT_POINTS),
    resolve: (connection) => connection.count(),
  }),
);

builder.queryField('members', (t) =>
  t.field({
    type: MemberConnection,
    description: "The network's members, a page at a time; by id where no order is given.",
    extensions: declare(requiresScopes('members:read'), PAGE_SIZE),
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
