import type { Network } from '../../database/generated/client.ts';
import { monthAt } from '../../domain/month.ts';
import { planNumbers } from '../../domain/plan.ts';
import { builder } from '../builder.ts';
import type { Context } from '../context.ts';
import { cost, requiresScopes } from '../directives.ts';
import { PlanEnum } from './enums.ts';

interface MonthlyQuota {
  readonly limit: number;
  readonly used: number;
  readonly enforced: boolean;
  readonly resetAt: Date;
}

const MonthlyQuotaRef = builder.objectRef<MonthlyQuota>('MonthlyQuota').implement({
  description: 'How many requests all keys of the network may make in a calendar month (UTC).',
  extensions: cost(0),
  fields: (t) => ({
    limit: t.exposeInt('limit', { description: 'The most in a month.' }),
    used: t.exposeInt('used', { description: 'Requests of this month that were let in, to within a few seconds.' }),
    remaining: t.int({
      description: 'What is left of this month.',
      resolve: ({ limit, used }) => Math.max(0, limit - used),
    }),
    enforced: t.exposeBoolean('enforced', {
      description: 'Whether requests past it are refused; else they are counted, and the operator is warned.',
    }),
    resetAt: t.expose('resetAt', { type: 'DateTime', description: 'When the next month begins.' }),
  }),
});

function monthOf({ monthlyQuota, monthlyQuotaEnforced }: Network, { principal, limits }: Context): MonthlyQuota | null {
  if (monthlyQuota === null) return null;
  const remaining = limits.decision?.limits.find(({ name }) => name === 'month')?.remaining ?? monthlyQuota;
  // What is left is known to the request, what was used past the quota to the database alone.
  const used = Math.max(principal.monthly.used, monthlyQuota - remaining);
  return { limit: monthlyQuota, used, enforced: monthlyQuotaEnforced, resetAt: monthAt(new Date(limits.wallMs())).end };
}

export const NetworkRef = builder.prismaNode('Network', {
  id: { field: 'id' },
  description: 'A community network: the tenant that the token belongs to.',
  extensions: requiresScopes('network:read'),
  fields: (t) => ({
    slug: t.exposeString('slug', { description: "The network's short name in addresses." }),
    name: t.exposeString('name', { description: 'What the network is called.' }),
    plan: t.expose('plan', { type: PlanEnum, description: 'Which limits its keys have.' }),
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
    monthlyQuota: t.field({
      type: MonthlyQuotaRef,
      nullable: true,
      description: 'Null: the network may make any number of requests a month.',
      resolve: (network, _args, context) => monthOf(network, context),
    }),
    maxKeyLifeSeconds: t.exposeInt('maxKeyLifeSeconds', {
      nullable: true,
      description:
        'The longest that a key may live, from its making, in seconds: for keys that are made or changed under it. ' +
        'Null: ten years, or without an end.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
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
