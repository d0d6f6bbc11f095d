/** The audit trail. */
import type { AuditEvent } from '../../database/generated/client.ts';
import { AUDIT_EVENTS, type AuditFilter, auditConditions } from '../../database/record-lists.ts';
import {
  AUDIT_ACTIONS,
  AUDIT_SUBJECTS,
  type AuditSubject,
  actorIdOf,
  isAuditAction,
  subjectIdOf,
} from '../../domain/audit.ts';
import { badInput } from '../../domain/errors.ts';
import { type IdType, parseId } from '../../domain/id.ts';
import { builder } from '../builder.ts';
import { connect, type ListSpec } from '../connection.ts';
import { declare, requiresScopes } from '../directives.ts';
import { AdminRef } from './admin.ts';
import { OrderDirectionEnum } from './enums.ts';
import { findNode } from './node.ts';
import { connectionType, PAGE_SIZE, pageArgs } from './page.ts';

const AuditActorKind = builder.enumType('AuditActorKind', {
  description: 'Who can make a change.',
  values: {
    ADMIN: { description: 'An admin in person.' },
    KEY: { description: 'A program, with an API key.' },
    COMMAND_LINE: { description: 'The operator of this Gatehouse.' },
    SCANNER: { description: 'Whoever reported a leaked token.' },
  },
});

const AuditSubjectType = builder.enumType('AuditSubjectType', {
  description: 'What a change can be of.',
  values: {
    Network: { description: 'The network itself.' },
    Admin: { description: 'An admin.' },
    ApiKey: { description: 'A key.' },
    Member: { description: 'A member, or several.' },
  } satisfies Record<AuditSubject, { readonly description: string }>,
});

const ACTIONS_IN_WORDS = Object.entries(AUDIT_ACTIONS)
  .map(([action, words]) => `\`${action}\`: ${words}`)
  .join('\n');

const IF_THERE = 'null where it is gone, or where the token lacks the scope for its type.';

const AuditEventRef = builder.prismaNode('AuditEvent', {
  id: { field: 'id' },
  description: 'A change, as it was committed: nothing alters an event, and it outlives what it tells of.',
  extensions: requiresScopes('audit:read'),
  fields: (t) => ({
    action: t.exposeString('action', {
      description: `What was done. A later release may know more actions.\n\n${ACTIONS_IN_WORDS}`,
    }),
    actorKind: t.expose('actorKind', { type: AuditActorKind, description: 'Who did it.' }),
    actorId: t.id({
      nullable: true,
      description: 'The id of the key or admin that did it; null for the operator and for whoever reports a leak.',
      resolve: actorIdOf,
    }),
    actor: t.field({
      type: builder.nodeInterfaceRef(),
      nullable: true,
      description: `The key or admin that did it; ${IF_THERE}`,
      resolve: (event, _args, context, info) => nodeOf(actorIdOf(event), (id) => findNode(id, context, info.schema)),
    }),
    admin: t.field({
      type: AdminRef,
      nullable: true,
      description: 'On whose authority: the admin in person, or the one whom the key acted for; null for the operator.',
      resolve: ({ adminId }, _args, { loaders }) => (adminId === null ? null : loaders.admin.load(adminId)),
    }),
    subjectType: t.field({
      type: AuditSubjectType,
      description: 'What was changed.',
      resolve: (event) => event.subjectType as AuditSubject,
    }),
    subjectId: t.id({
      nullable: true,
      description: 'The id of what was changed; null where that was many things.',
      resolve: subjectIdOf,
    }),
    subject: t.field({
      type: builder.nodeInterfaceRef(),
      nullable: true,
      description: `What was changed, as it is now; ${IF_THERE}`,
      resolve: (event, _args, context, info) => nodeOf(subjectIdOf(event), (id) => findNode(id, context, info.schema)),
    }),
    before: t.field({
      type: 'JSON',
      nullable: true,
      description: 'What was changed, as it was before: never a secret.',
      resolve: (event) => detailsOf(event).before ?? null,
    }),
    after: t.field({
      type: 'JSON',
      nullable: true,
      description: 'The same, as it was after.',
      resolve: (event) => detailsOf(event).after ?? null,
    }),
    details: t.field({
      type: 'JSON',
      description:
        'All that is kept of the change, `before` and `after` in it. Of members, counts and names of fields.',
      resolve: (event) => event.details,
    }),
    requestId: t.exposeString('requestId', { nullable: true, description: 'By which the access log has the request.' }),
    address: t.exposeString('address', { nullable: true, description: "The caller's IP address." }),
    userAgent: t.exposeString('userAgent', {
      nullable: true,
      description: "What the caller's program calls itself.",
    }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: "When it was written, by the database's clock.",
    }),
  }),
});

async function nodeOf(id: string | null, find: (id: string) => Promise<object | null>): Promise<never> {
  return (id === null ? null : await find(id)) as never;
}

function detailsOf({ details }: AuditEvent): { readonly before?: unknown; readonly after?: unknown } {
  return typeof details === 'object' && details !== null && !Array.isArray(details) ? details : {};
}

const AuditEventFilter = builder.inputType('AuditEventFilter', {
  description: 'Which events: those that satisfy every field that is given. In a list, any one of its values will do.',
  fields: (t) => ({
    action: t.stringList({ description: 'Such as `key.created`: see `AuditEvent.action`.' }),
    actorKind: t.field({ type: [AuditActorKind], description: 'By whom.' }),
    actorId: t.id({
      description:
        '`key_…`: what was done with this key. `adm_…`: what this admin did, in person and by every key that acted for ' +
        'the admin.',
    }),
    subjectType: t.field({ type: [AuditSubjectType], description: 'Of what.' }),
    subjectId: t.id({ description: 'What was done to the thing of this id, be it there still or not.' }),
    since: t.field({ type: 'DateTime', description: 'From this moment on.' }),
    until: t.field({ type: 'DateTime', description: 'Before this moment.' }),
  }),
});

const AuditEventOrder = builder.inputType('AuditEventOrder', {
  description: 'How events are sorted: by when they were made, and by id among those of one moment.',
  fields: (t) => ({
    direction: t.field({ type: OrderDirectionEnum, required: true, defaultValue: 'DESC' }),
  }),
});

const AuditEventConnection = connectionType('AuditEvent', AuditEventRef);

builder.queryField('auditEvents', (t) =>
  t.field({
    type: AuditEventConnection,
    description: 'What was changed in the network, and by whom; the latest first where no order is given.',
    extensions: declare(requiresScopes('audit:read'), PAGE_SIZE),
    args: { ...pageArgs, filter: t.arg({ type: AuditEventFilter }), orderBy: t.arg({ type: AuditEventOrder }) },
    resolve: (_root, { filter, orderBy, ...page }, context) =>
      connect(context, auditList(filter, orderBy?.direction ?? 'DESC'), page),
  }),
);

type FilterInput = typeof AuditEventFilter.$inferInput | null | undefined;

function auditList(filter: FilterInput, direction: 'ASC' | 'DESC'): ListSpec<AuditEvent> {
  return {
    table: AUDIT_EVENTS,
    wanted: null,
    order: 'CREATED_AT',
    descending: direction === 'DESC',
    conditions: auditConditions(filterOf(filter)),
    placeOf: (event) => [event.createdAt, event.id],
  };
}

function filterOf(input: FilterInput): AuditFilter {
  const unknown = input?.action?.find((action) => !isAuditAction(action));
  if (unknown !== undefined) {
    throw badInput(`\`action\` takes ${Object.keys(AUDIT_ACTIONS).join(', ')}`, 'action');
  }
  return {
    actions: input?.action ?? undefined,
    actorKinds: input?.actorKind ?? undefined,
    actor: input?.actorId == null ? undefined : actorOf(input.actorId),
    subjectTypes: input?.subjectType ?? undefined,
    subjectId: input?.subjectId == null ? undefined : idOf(input.subjectId, 'subjectId', AUDIT_SUBJECTS).uuid,
    since: input?.since ?? undefined,
    until: input?.until ?? undefined,
  };
}

function actorOf(id: string): AuditFilter['actor'] {
  const { type, uuid } = idOf(id, 'actorId', ['ApiKey', 'Admin'] as const);
  return { type, id: uuid };
}

/** A filter by what is no id would find nothing, and hide a typing error. */
function idOf<Type extends IdType>(id: string, field: string, types: readonly Type[]): { type: Type; uuid: string } {
  const parsed = parseId(id);
  const type = types.find((each) => each === parsed?.type);
  if (parsed !== null && type !== undefined) return { type, uuid: parsed.uuid };
  throw badInput(`\`${field}\` must be an id of ${types.join(', ')}`, field);
}
