import { toId } from '../../domain/id.ts';
import type { Principal } from '../../domain/verification.ts';
import { builder } from '../builder.ts';
import { AUTHENTICATED, CALLERS_OWN } from '../directives.ts';
import { ApiKeyRef } from './api-key.ts';
import { AdminRoleEnum, PlanEnum, ScopeEnum } from './enums.ts';
import { RateLimitRef, type RateLimits } from './rate-limit.ts';

const ViewerRef = builder.objectRef<Principal>('Viewer').implement({
  description: 'Who is calling: the admin whom the token acts for, and what the token may do.',
  fields: (t) => ({
    id: t.id({ description: "The admin's id.", resolve: ({ adminId }) => toId('Admin', adminId) }),
    name: t.exposeString('adminName', { description: "The admin's name." }),
    email: t.exposeString('adminEmail', { description: "The admin's e-mail address." }),
    networkId: t.id({
      description: 'The network that the token belongs to.',
      resolve: ({ networkId }) => toId('Network', networkId),
    }),
    role: t.expose('adminRole', { type: AdminRoleEnum, description: "The admin's role now." }),
    createdAt: t.expose('adminCreatedAt', { type: 'DateTime', description: 'When the admin was added.' }),
    apiKey: t.field({
      type: ApiKeyRef,
      description: 'The key whose token was sent.',
      extensions: CALLERS_OWN,
      async resolve({ keyId }, _args, { loaders }) {
        const key = await loaders.apiKey.load(keyId);
        if (key === null) throw new Error("the caller's key is gone");
        return key;
      },
    }),
    scopes: t.field({
      type: [ScopeEnum],
      description: "What the token may do now: the key's scopes within its admin's present role.",
      resolve: ({ scopes }) => [...scopes],
    }),
    plan: t.expose('plan', { type: PlanEnum, description: "The network's plan." }),
    rateLimit: t.field({
      type: RateLimitRef,
      description: 'What is left of each limit, this request counted.',
      resolve(_viewer, _args, { limits }) {
        const [requests, ...others] = limits.decision?.limits ?? [];
        if (requests === undefined) throw new Error('this request was never charged');
        return [requests, ...others] satisfies RateLimits;
      },
    }),
  }),
});

builder.queryField('me', (t) =>
  t.field({
    type: ViewerRef,
    description: 'Who is calling. Any valid token may ask: use it to test one.',
    extensions: AUTHENTICATED,
    // All of it was read to verify the token, a moment ago.
    resolve: (_root, _args, { principal }) => principal,
  }),
);
