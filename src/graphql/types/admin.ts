import { builder } from '../builder.ts';
import { requiresScopes } from '../directives.ts';
import { AdminRoleEnum } from './enums.ts';

export const AdminRef = builder.prismaNode('Admin', {
  id: { field: 'id' },
  description: 'A person who may manage the network. Admins have accounts of their own, apart from members.',
  extensions: requiresScopes('keys:read'),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What the admin is called.' }),
    email: t.exposeString('email', { description: "The admin's e-mail address." }),
    role: t.expose('role', { type: AdminRoleEnum, description: 'What the admin may do.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the admin was added.' }),
    removedAt: t.expose('removedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the admin was removed; their keys ended with that.',
    }),
  }),
});
