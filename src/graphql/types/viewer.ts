import type { Admin } from '../../database/generated/client.ts';
import { toId } from '../../domain/id.ts';
import { builder } from '../builder.ts';
import { AUTHENTICATED } from '../directives.ts';
import { ApiKeyRef } from './api-key.ts';
import { AdminRoleEnum, PlanEnum, ScopeEnum } from './enums.ts';

const ViewerRef = builder.objectRef<Admin>('Viewer').implement({
  description: 'Who is calling: the admin whom the token acts for, and what the token may do.',
  fields: (t) => ({
    id: t.id({ description: "The admin's id.", resolve: (admin) => toId('Admin', admin.id) }),
    name: t.exposeString('name'),
    email: t.exposeString('email'),
    networkId: t.id({ resolve: (admin) => toId('Network', admin.networkId) }),
    role: t.expose('role', { type: AdminRoleEnum }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    apiKey: t.field({
      type: ApiKeyRef,
      description: 'The key whose token was sent.',
      extensions: AUTHENTICATED,
      async resolve(_admin, _args, { loaders, principal }) {
        const key = await loaders.apiKey.load(principal.keyId);
        if (key === null) throw new Error("the caller's key is gone");
        return key;
      },
    }),
    scopes: t.field({
      type: [ScopeEnum],
      description: "What the token may do now: the key's scopes within its admin's present role.",
      resolve: (_admin, _args, { principal }) => [...principal.scopes],
    }),
    plan: t.field({ type: PlanEnum, resolve: (_admin, _args, { principal }) => principal.plan }),
  }),
});

builder.queryField('me', (t) =>
  t.field({
    type: ViewerRef,
    description: 'Who is calling. Any valid token may ask: use it to test one.',
    extensions: AUTHENTICATED,
    async resolve(_root, _args, { loaders, principal }) {
      const admin = await loaders.admin.load(principal.adminId);
      if (admin === null) throw new Error("the caller's admin is gone");
      return admin;
    },
  }),
);
