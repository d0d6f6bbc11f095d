/** An outcome that a person can mend: what they typed is not acceptable. Several come back together. */
export const USER_ERROR_CODES = {
  BLANK: 'A required text is empty.',
  TOO_LONG: 'A text or list is over its bound.',
  INVALID: 'A value is not of the form that its field asks for.',
  OUT_OF_RANGE: 'A number or time is outside its bounds.',
  NAME_TAKEN: 'Another key that is neither revoked nor expired has this name.',
  SLUG_TAKEN: 'Another network has this slug.',
  EMAIL_TAKEN: 'Another admin, or another member, of the network has this e-mail address.',
  EXTERNAL_ID_TAKEN: 'Another member of the network has this externalId.',
  MEMBER_CONFLICT: 'The address and externalId do not belong to one member.',
  TOKEN_ALREADY_SHOWN: 'An earlier request gave this token: it was shown then, and is nowhere else.',
  SCOPE_NOT_HELD: 'A key can hand out no scope that its maker lacks.',
  NOT_HELD:
    'A key is given to, and changed or revoked by, nobody who holds less: in life, addresses, environment or scopes. And a ' +
    'token is given to nobody who acts for another admin than its key.',
  KEY_ENDED: 'The key has expired or was revoked, and what has ended stays so.',
  KEY_ACTIVE: 'The key still works: revoke it first.',
  NOT_FOUND: 'There is no such thing, or none that the caller may see.',
  LAST_OWNER: 'A network keeps at least one owner.',
} as const;

export type UserErrorCode = keyof typeof USER_ERROR_CODES;

export interface UserError {
  readonly code: UserErrorCode;
  /** For a person to read: names the bound. */
  readonly message: string;
  /** The path of the input field, such as ["input", "name"]. */
  readonly field: readonly string[];
}

/** What a write came to: done, or why not. */
export type Outcome<Value> =
  | ({ readonly ok: true } & Value)
  | { readonly ok: false; readonly errors: readonly [UserError, ...UserError[]] };

export function refused(errors: readonly UserError[]): { ok: false; errors: [UserError, ...UserError[]] } {
  const [first, ...rest] = errors;
  if (first === undefined) throw new TypeError('a refusal has at least one error');
  return { ok: false, errors: [first, ...rest] };
}
