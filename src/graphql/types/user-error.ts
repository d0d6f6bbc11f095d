import type { UserError } from '../../domain/user-error.ts';
import { builder } from '../builder.ts';
import { UserErrorCodeEnum } from './enums.ts';

export const UserErrorRef = builder.objectRef<UserError>('UserError').implement({
  description: 'Something in the input that a person can mend. With any of these, nothing was changed.',
  fields: (t) => ({
    code: t.expose('code', { type: UserErrorCodeEnum, description: 'For programs.' }),
    message: t.exposeString('message', { description: 'For people: names the bound.' }),
    field: t.stringList({
      description: 'The path of the input field, such as `["input", "name"]`.',
      resolve: (error) => [...error.field],
    }),
  }),
});
