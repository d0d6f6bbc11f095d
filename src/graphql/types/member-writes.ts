/** Creating, changing and deleting members. */
import { toId, uuidOf } from '../../domain/id.ts';
import type { UserError } from '../../domain/user-error.ts';
import type { TypedMember, UpsertedMember } from '../../services/caller-services.ts';
import { builder } from '../builder.ts';
import type { Context } from '../context.ts';
import { cost, declare, listSize, requiresScopes, WRITE_POINTS } from '../directives.ts';
import { shownErrorsOfItem } from '../text-bounds.ts';
import { MemberRoleEnum, MemberStatusEnum } from './enums.ts';
import { MemberRef } from './member.ts';
import { USER_ERRORS_SIZE, UserErrorRef, userErrorsField } from './user-error.ts';

const WRITES_MAX = 1_000;
/** Points of each member in a change: twice what reading one costs. */
const MEMBER_WRITE_POINTS = 0.5;
const WRITE = declare(requiresScopes('members:write'), cost(WRITE_POINTS));

/** As many members as are given. */
function sized(given: string, told: string) {
  return listSize({ assumedSize: WRITES_MAX, slicingArguments: [`input.${given}`], sizedFields: [told] });
}

const CUSTOM_FIELDS = 'An object. What it names is set, or erased by null; other custom fields stay.';

/** What a member has beside an address and a name. Absent: it stays, or is the default of a new member. */
const optionalFields = (t: Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]) => ({
  externalId: t.string({ description: 'Unique in the network. Null: none.' }),
  role: t.field({ type: MemberRoleEnum, description: 'Of a new member, where absent: MEMBER.' }),
  status: t.field({ type: MemberStatusEnum, description: 'Of a new member, where absent: ACTIVE.' }),
  avatarUrl: t.string({ description: 'An http or https URL. Null: none.' }),
  location: t.string({ description: 'Null: none.' }),
  tags: t.stringList({ description: 'All of them: others are dropped.' }),
  timeZone: t.string({ description: 'An IANA name, such as `Europe/Berlin`. Null: none.' }),
  permalink: t.string({ description: "An http or https URL: the member's page in the community. Null: none." }),
  customFields: t.field({ type: 'JSON', description: CUSTOM_FIELDS }),
  createdAt: t.field({ type: 'DateTime', description: 'When they joined.' }),
  lastActiveAt: t.field({ type: 'DateTime', description: 'When they were last active. Null: never.' }),
});

const UpsertMember = builder.inputType('UpsertMember', {
  description:
    'A member as it is to be: known by externalId, else by address. What is absent stays; a new member has both an ' +
    'address and a name.',
  fields: (t) => ({
    email: t.string({
      description: 'The e-mail address. Unique in the network, without regard to case.',
      extensions: requiresScopes('members:email'),
    }),
    name: t.string({ description: 'What they are called.' }),
    ...optionalFields(t),
  }),
});

const UpsertMembersInput = builder.inputType('UpsertMembersInput', {
  description: 'Members to create or change.',
  fields: (t) => ({
    members: t.field({ type: [UpsertMember], required: true, description: `At most ${WRITES_MAX}.` }),
  }),
});

const UpdateMemberInput = builder.inputType('UpdateMemberInput', {
  description: 'Which member to change, and what. What is absent stays.',
  fields: (t) => ({
    id: t.id({ required: true, description: '`mem_…`' }),
    email: t.string({
      description: 'The e-mail address. Unique in the network, without regard to case.',
      extensions: requiresScopes('members:email'),
    }),
    name: t.string({ description: 'What they are called.' }),
    ...optionalFields(t),
  }),
});

const DeleteMembersInput = builder.inputType('DeleteMembersInput', {
  description: 'Which members to delete.',
  fields: (t) => ({ ids: t.idList({ required: true, description: `\`mem_…\`, at most ${WRITES_MAX}.` }) }),
});

const MemberOutcome = builder.enumType('MemberOutcome', {
  description: 'What became of a member that was given.',
  values: {
    CREATED: { description: 'There was none; now there is.' },
    UPDATED: { description: 'It was there, and is different now.' },
    UNCHANGED: { description: 'It was so already.' },
    REJECTED: { description: 'Nothing of it was stored: `userErrors` says why.' },
  },
});

/** As it is now; null where there is none. What the request had read of it before may be outdated. */
function fresh({ loaders }: Context, id: string | null) {
  return id === null ? null : loaders.member.clear(id).load(id);
}

const UpsertMemberResult = builder.objectRef<UpsertedMember>('UpsertMemberResult').implement({
  description: 'What became of one of the members.',
  extensions: cost(MEMBER_WRITE_POINTS),
  fields: (t) => ({
    outcome: t.field({
      type: MemberOutcome,
      description: 'Whether it was created, changed, or neither.',
      resolve: ({ kind }) => kind.toUpperCase() as Uppercase<UpsertedMember['kind']>,
    }),
    id: t.id({
      nullable: true,
      description: '`mem_…`; null where it was rejected.',
      resolve: (result) => ('id' in result ? toId('Member', result.id) : null),
    }),
    member: t.field({
      type: MemberRef,
      nullable: true,
      description: 'The member as it is now; null where it was rejected.',
      resolve: (result, _args, context) => fresh(context, 'id' in result ? result.id : null),
    }),
    userErrors: t.field({
      type: [UserErrorRef],
      extensions: USER_ERRORS_SIZE,
      description: 'Why it was rejected.',
      resolve: (result) => ('errors' in result ? shownErrorsOfItem(result.errors) : []),
    }),
  }),
});

interface Payload {
  readonly userErrors: readonly UserError[];
}

const UpsertMembersPayload = builder
  .objectRef<Payload & { readonly results: readonly UpsertedMember[] }>('UpsertMembersPayload')
  .implement({
    description: 'A result for each member, in their order; none where the input as a whole is refused.',
    fields: (t) => ({
      results: t.field({
        type: [UpsertMemberResult],
        description: 'One for each member, in their order.',
        resolve: ({ results }) => [...results],
      }),
      userErrors: userErrorsField(t),
    }),
  });

const UpdateMemberPayload = builder
  .objectRef<Payload & { readonly id: string | null }>('UpdateMemberPayload')
  .implement({
    description: 'The member as it is now, or why there is none.',
    fields: (t) => ({
      member: t.field({
        type: MemberRef,
        nullable: true,
        description: 'The member as it is now; null where nothing was changed.',
        resolve: ({ id }, _args, context) => fresh(context, id),
      }),
      userErrors: userErrorsField(t),
    }),
  });

const DeleteMembersPayload = builder
  .objectRef<Payload & { readonly deletedIds: readonly string[] }>('DeleteMembersPayload')
  .implement({
    description: 'What was deleted.',
    fields: (t) => ({
      deletedIds: t.idList({
        extensions: cost(MEMBER_WRITE_POINTS),
        description: 'Ids that named a member of the network, each once; it is gone now.',
        resolve: ({ deletedIds }) => deletedIds.map((id) => toId('Member', id)),
      }),
      userErrors: userErrorsField(t),
    }),
  });

builder.mutationField('upsertMembers', (t) =>
  t.field({
    type: UpsertMembersPayload,
    description: 'Creates members and changes those that are there. What is not rejected commits together.',
    extensions: declare(WRITE, sized('members', 'results')),
    args: { input: t.arg({ type: UpsertMembersInput, required: true }) },
    async resolve(_root, { input }, { services }) {
      const outcome = await services.upsertMembers(input.members.map(typedMember));
      return outcome.ok ? { results: outcome.results, userErrors: [] } : { results: [], userErrors: outcome.errors };
    },
  }),
);

builder.mutationField('updateMember', (t) =>
  t.field({
    type: UpdateMemberPayload,
    description: 'Changes one member.',
    extensions: WRITE,
    args: { input: t.arg({ type: UpdateMemberInput, required: true }) },
    async resolve(_root, { input: { id, ...fields } }, { services }) {
      const outcome = await services.updateMember(uuidOf('Member', id), typedMember(fields));
      return outcome.ok ? { id: outcome.id, userErrors: [] } : { id: null, userErrors: outcome.errors };
    },
  }),
);

builder.mutationField('deleteMembers', (t) =>
  t.field({
    type: DeleteMembersPayload,
    description: 'Deletes members for good. The feed of changes tells of it.',
    extensions: declare(WRITE, sized('ids', 'deletedIds')),
    args: { input: t.arg({ type: DeleteMembersInput, required: true }) },
    async resolve(_root, { input }, { services }) {
      const ids = input.ids.map((id) => uuidOf('Member', id)).filter((id) => id !== null);
      const outcome = await services.deleteMembers(ids);
      return outcome.ok
        ? { deletedIds: outcome.deletedIds, userErrors: [] }
        : { deletedIds: [], userErrors: outcome.errors };
    },
  }),
);

/** The rules of the fields are the import's, which reads times as texts. */
function typedMember({
  customFields,
  ...given
}: {
  readonly customFields?: unknown;
  readonly [field: string]: unknown;
}): TypedMember {
  const fields = Object.entries(given).filter(([, value]) => value !== undefined);
  return {
    fields: new Map(fields.map(([name, value]) => [name, value instanceof Date ? value.toISOString() : value])),
    customFields: customFields ?? null,
  };
}
