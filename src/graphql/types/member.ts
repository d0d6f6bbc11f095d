import { badInput } from '../../domain/errors.ts';
import { uuidOf } from '../../domain/id.ts';
import { RawJson } from '../../domain/json-size.ts';
import { builder } from '../builder.ts';
import { connect } from '../connection.ts';
import { cost, declare, requiresScopes } from '../directives.ts';
import { fieldsBelow } from '../selection.ts';
import { CUSTOM_FIELDS_TEXT_MAX_BYTES } from '../text-bounds.ts';
import { MemberRoleEnum, MemberStatusEnum } from './enums.ts';
import { addressToFind, MemberFilter, MemberOrder, memberList } from './member-list.ts';
import { callersNetwork, NetworkRef } from './network.ts';
import { connectionType, PAGE_SIZE, pageArgs } from './page.ts';

/** Points: a page of 250 members is 64. */
const MEMBER_POINTS = 0.25;
/** Of a total that is at hand. */
const TOTAL_POINTS = 1;
/** How many members are counted for a point where there is a filter: see docs/limits.md for what that is measured by. */
const ROWS_PER_POINT = 2_000;

export const MemberRef = builder.prismaNode('Member', {
  id: { field: 'id' },
  description: 'A person in the network.',
  extensions: declare(requiresScopes('members:read'), cost(MEMBER_POINTS)),
  fields: (t) => ({
    externalId: t.exposeString('externalId', {
      nullable: true,
      description: 'The id that the system which the member came from knows them by. Unique in the network.',
    }),
    name: t.exposeString('name', { description: 'What they are called.' }),
    email: t.exposeString('email', {
      description:
        'The e-mail address. Unique in the network, without regard to case and to how its domain is spelled: ' +
        '`ada@bücher.example` and `ada@xn--bcher-kva.example` are one.',
      extensions: requiresScopes('members:email'),
    }),
    role: t.expose('role', { type: MemberRoleEnum, description: 'Their role in the community.' }),
    status: t.expose('status', { type: MemberStatusEnum, description: 'Whether they take part.' }),
    avatarUrl: t.exposeString('avatarUrl', { nullable: true, description: 'An http or https URL of a picture.' }),
    location: t.exposeString('location', { nullable: true, description: 'Where they say that they are.' }),
    tags: t.exposeStringList('tags', { description: 'Words by which the network sorts its members.' }),
    timeZone: t.exposeString('timeZone', {
      nullable: true,
      description: 'The IANA name of their time zone, such as `Europe/Berlin`.',
    }),
    permalink: t.exposeString('permalink', {
      nullable: true,
      description: "The URL of the member's page in the community.",
    }),
    customFields: t.field({
      type: 'JSON',
      resolve: ({ customFields }) => shownCustomFields(customFields),
      description: "The network's own fields, by their names. `{}` where there is none.",
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When they joined.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When anything of it was last changed here.' }),
    lastActiveAt: t.expose('lastActiveAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When they were last active in the community, as whoever writes members says; null: never.',
    }),
    network: t.field({
      type: NetworkRef,
      description: 'The network that they are in.',
      resolve: (_member, _args, context) => callersNetwork(context),
    }),
  }),
});

/** As lists read them they are text. Text that is longer than they may be is of numbers such as 1e-300, written out. */
function shownCustomFields(customFields: unknown): unknown {
  if (typeof customFields !== 'string') return customFields;
  const isUsual =
    customFields.length * 3 <= CUSTOM_FIELDS_TEXT_MAX_BYTES ||
    Buffer.byteLength(customFields) <= CUSTOM_FIELDS_TEXT_MAX_BYTES;
  return isUsual ? new RawJson(customFields) : JSON.parse(customFields);
}

const MemberConnection = connectionType('Member', MemberRef);

builder.objectField(MemberConnection, 'totalCount', (t) =>
  t.int({
    description:
      'How many members satisfy the filter, on all pages together. Without a filter it is at hand, as of the latest ' +
      'change. With one, members are counted each time, a part of the network after the other: those that are not ' +
      'changed meanwhile are counted exactly.',
    extensions: cost(TOTAL_POINTS, { rowsPerPoint: ROWS_PER_POINT, filteredBy: 'filter' }),
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
        description: 'The whole address, without regard to case and to how its domain is spelled.',
        extensions: requiresScopes('members:email'),
      }),
    },
    resolve: (_root, { id, email }, { loaders, reads }) => {
      const byId = typeof id === 'string';
      if (byId === (typeof email === 'string')) throw badInput('Give either `id` or `email`', 'id');
      if (!byId) {
        const address = addressToFind(String(email));
        return address === null ? null : reads.memberByEmail(address);
      }
      const uuid = uuidOf('Member', id);
      return uuid === null ? null : loaders.member.load(uuid);
    },
  }),
);
