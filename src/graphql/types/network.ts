import { planNumbers } from '../../domain/plan.ts';
import { builder } from '../builder.ts';
import type { Context } from '../context.ts';
import { requiresScopes } from '../directives.ts';
import { PlanEnum } from './enums.ts';

export const NetworkRef = builder.prismaNode('Network', {
  id: { field: 'id' },
  description: 'A community network: the tenant that the token belongs to.',
  extensions: requiresScopes('network:read'),
  fields: (t) => ({
    slug: t.exposeString('slug', { description: "The network's short name in addresses." }),
    name: t.exposeString('name'),
    plan: t.expose('plan', { type: PlanEnum }),
    requestsPerMinute: t.int({
      description: 'How many requests each key may make in any 60 seconds.',
      resolve: (network) => planNumbers(network.plan, network).requestsPerMinute,
    }),
    networkRequestsPerMinute: t.int({
      description: 'How many requests all keys together may make in any 60 seconds.',
      resolve: (network) => planNumbers(network.plan, network).networkRequestsPerMinute,
    }),
    costPerMinute: t.int({
      description: 'How many cost points each key may spend in any 60 seconds.',
      resolve: (network) => planNumbers(network.plan, network).costPerMinute,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime' }),
  }),
});

/** The caller's network. It is there: the token was verified against it a moment ago. */
export async function callersNetwork({ loaders, principal }: Context) {
  const network = await loaders.network.load(principal.networkId);
  if (network === null) throw new Error("the caller's network is gone");
  return network;
}

builder.queryField('network', (t) =>
  t.field({
    type: NetworkRef,
    description: 'The network that the token belongs to.',
    extensions: requiresScopes('network:read'),
    resolve: (_root, _args, context) => callersNetwork(context),
  }),
);
