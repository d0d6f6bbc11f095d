import type { UserError } from '../../domain/user-error.ts';
import { builder, type ObjectFields } from '../builder.ts';
import { cost, listSize } from '../directives.ts';
import { shownErrors, shownMessage } from '../text-bounds.ts';
import { UserErrorCodeEnum } from './enums.ts';

/** The `extensions` of a field that gives them: `userErrorsField` has them. */
export const USER_ERRORS_SIZE = listSize({ assumedSize: 10 });

export const UserErrorRef = builder.objectRef<UserError>('UserError').implement({
  description: 'Something in the input that a person can mend. With any of these, nothing was changed.',
  extensions: cost(0),
  fields: (t) => ({
    code: t.expose('code', { type: UserErrorCodeEnum, description: 'For programs.' }),
    message: t.string({ description: 'For people: names the bound.', resolve: ({ message }) => shownMessage(message) }),
    field: t.stringList({
      description: 'The path of the input field, such as `["input", "name"]`.',
      resolve: (error) => [...error.field],
    }),
  }),
});

/** `userErrors` of a payload, or of one thing's part in it. */
export function userErrorsField<Payload extends { readonly userErrors: readonly UserError[] }>(
  t: ObjectFields<Payload>,
  options: { readonly description?: string } = {},
) {
  return t.field({
    ...options,
    type: [UserErrorRef],
    extensions: USER_ERRORS_SIZE,
    resolve: ({ userErrors }) => shownErrors(userErrors),
  });
}
