/** Relay's global object identification: any object that the caller may see, by its id alone. */
import { brandWithType } from '@pothos/core';
import type { GraphQLSchema } from 'graphql';
import { badInput } from '../../domain/errors.ts';
import { type IdType, parseId } from '../../domain/id.ts';
import { builder } from '../builder.ts';
import type { Context } from '../context.ts';
import { AUTHENTICATED, declare, declaredScopes, listSize } from '../directives.ts';

const NODES_MAX = 250;

const LOADERS: Partial<Record<IdType, (context: Context, uuid: string) => Promise<object | null>>> = {
  Network: ({ loaders }, uuid) => loaders.network.load(uuid),
  Admin: ({ loaders }, uuid) => loaders.admin.load(uuid),
  ApiKey: ({ loaders }, uuid) => loaders.apiKey.load(uuid),
  Member: ({ loaders }, uuid) => loaders.member.load(uuid),
  AuditEvent: ({ loaders }, uuid) => loaders.auditEvent.load(uuid),
};

/** Null for what is no id, what does not exist, what is another network's and what the token may not see, alike. */
export async function findNode(id: string, context: Context, schema: GraphQLSchema): Promise<object | null> {
  const parsed = parseId(id);
  const load = parsed === null ? undefined : LOADERS[parsed.type];
  if (parsed === null || load === undefined || !mayRead(parsed.type, context, schema)) return null;
  const node = await load(context, parsed.uuid);
  if (node !== null) brandWithType(node, parsed.type as never);
  return node;
}

function mayRead(type: IdType, { principal }: Context, schema: GraphQLSchema): boolean {
  const scopes = declaredScopes(schema.getType(type) ?? {});
  // Deny by default: a type that declares no scopes is no node to anybody.
  return scopes?.every((scope) => principal.scopes.has(scope)) ?? false;
}

builder.queryField('node', (t) =>
  t.field({
    type: builder.nodeInterfaceRef(),
    nullable: true,
    description: 'Anything by its id; null where there is nothing of this id that the token may see.',
    extensions: AUTHENTICATED,
    args: { id: t.arg.id({ required: true, description: 'Of whatever kind.' }) },
    resolve: (_root, { id }, context, info) => findNode(id, context, info.schema) as Promise<never>,
  }),
);

builder.queryField('nodes', (t) =>
  t.field({
    type: [builder.nodeInterfaceRef()],
    nullable: { list: false, items: true },
    description: `Several things by their ids, at most ${NODES_MAX}, in the order of the ids; null as in \`node\`.`,
    extensions: declare(AUTHENTICATED, listSize({ assumedSize: NODES_MAX, slicingArguments: ['ids'] })),
    args: { ids: t.arg.idList({ required: true, description: `At most ${NODES_MAX}, of whatever kinds.` }) },
    resolve(_root, { ids }, context, info) {
      if (ids.length > NODES_MAX) throw badInput(`\`ids\` takes at most ${NODES_MAX} ids, not ${ids.length}`, 'ids');
      return ids.map((id) => findNode(id, context, info.schema)) as Promise<never>[];
    },
  }),
);
