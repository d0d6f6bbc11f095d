/** The enums of the schema. */

import type { Plan } from '../../domain/plan.ts';
import { type AdminRole, SCOPES, type Scope, type ScopeKey } from '../../domain/scope.ts';
import type { Environment } from '../../domain/token.ts';
import { USER_ERROR_CODES, type UserErrorCode } from '../../domain/user-error.ts';
import { builder } from '../builder.ts';

interface Described {
  readonly description: string;
}

const scopeValues = Object.fromEntries(
  Object.entries(SCOPES).map(([key, { name, grants }]) => [
    key,
    { value: name, description: `\`${name}\`: ${grants}` },
  ]),
) as Record<ScopeKey, { value: Scope; description: string }>;

export const ScopeEnum = builder.enumType('Scope', {
  description: 'One permission of a key. Outside GraphQL it is written `members:read` for `MEMBERS_READ`, and so on.',
  values: scopeValues,
});

export const PlanEnum = builder.enumType('Plan', {
  description: "A network's plan: STANDARD, PREMIUM, or CUSTOM with numbers of its own.",
  values: {
    STANDARD: { description: '100 requests a minute for each key.' },
    PREMIUM: { description: '300 requests a minute for each key.' },
    CUSTOM: { description: 'Numbers of its own.' },
  } satisfies Record<Plan, Described>,
});

export const AdminRoleEnum = builder.enumType('AdminRole', {
  description: 'What an admin may do: an OWNER everything, an ADMIN everything but read the audit trail.',
  values: {
    OWNER: { description: 'May do everything.' },
    ADMIN: { description: 'May do everything but read the audit trail.' },
  } satisfies Record<AdminRole, Described>,
});

export const MemberRoleEnum = builder.enumType('MemberRole', {
  description: "A member's role in the community. It grants nothing in this API.",
  values: {
    OWNER: { description: 'Owns the community.' },
    ADMIN: { description: 'Runs the community.' },
    MODERATOR: { description: 'Looks after what is said there.' },
    MEMBER: { description: 'Takes part.' },
  },
});

export const MemberStatusEnum = builder.enumType('MemberStatus', {
  description: 'Whether a member takes part: ACTIVE, still INVITED, or SUSPENDED.',
  values: {
    ACTIVE: { description: 'Takes part.' },
    INVITED: { description: 'Was asked to join, and has not yet.' },
    SUSPENDED: { description: 'May not take part for now.' },
  },
});

export const KeyStatusEnum = builder.enumType('ApiKeyStatus', {
  description: 'Whether a key works: ACTIVE, EXPIRED by its time, or REVOKED by somebody.',
  values: {
    ACTIVE: { description: 'It works.' },
    EXPIRED: { description: 'Its time is over.' },
    REVOKED: { description: 'Somebody ended it.' },
  },
});

export const KeyEnvironmentEnum = builder.enumType('ApiKeyEnvironment', {
  description: 'LIVE, or TEST: a TEST key reads the same data and is refused every member write.',
  values: {
    LIVE: { description: 'Does what its scopes say.' },
    TEST: { description: 'Is refused every member write. Its token begins with `gk_test_`.' },
  } satisfies Record<Environment, Described>,
});

export const OrderDirectionEnum = builder.enumType('OrderDirection', {
  description: 'Which way a list runs.',
  values: {
    ASC: { description: 'The lowest, or earliest, first.' },
    DESC: { description: 'The highest, or latest, first.' },
  },
});

export const UserErrorCodeEnum = builder.enumType('UserErrorCode', {
  description: 'What is wrong with an input.',
  values: Object.fromEntries(
    Object.entries(USER_ERROR_CODES).map(([code, description]) => [code, { value: code, description }]),
  ) as Record<UserErrorCode, { value: UserErrorCode; description: string }>,
});
