/** The enums of the schema. */

import { PLANS } from '../../domain/plan.ts';
import { ADMIN_ROLES, SCOPES, type Scope, type ScopeKey } from '../../domain/scope.ts';
import { ENVIRONMENTS } from '../../domain/token.ts';
import { USER_ERROR_CODES, type UserErrorCode } from '../../domain/user-error.ts';
import { builder } from '../builder.ts';

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
  values: PLANS,
});

export const AdminRoleEnum = builder.enumType('AdminRole', {
  description: 'What an admin may do: an OWNER everything, an ADMIN everything but read the audit trail.',
  values: ADMIN_ROLES,
});

export const MemberRoleEnum = builder.enumType('MemberRole', {
  description: "A member's role in the community. It grants nothing in this API.",
  values: ['OWNER', 'ADMIN', 'MODERATOR', 'MEMBER'] as const,
});

export const MemberStatusEnum = builder.enumType('MemberStatus', {
  description: 'Whether a member takes part: ACTIVE, still INVITED, or SUSPENDED.',
  values: ['ACTIVE', 'INVITED', 'SUSPENDED'] as const,
});

export const KeyStatusEnum = builder.enumType('ApiKeyStatus', {
  description: 'Whether a key works: ACTIVE, EXPIRED by its time, or REVOKED by somebody.',
  values: ['ACTIVE', 'EXPIRED', 'REVOKED'] as const,
});

export const KeyEnvironmentEnum = builder.enumType('ApiKeyEnvironment', {
  description: 'LIVE, or TEST: a TEST key reads the same data and is refused every member write.',
  values: ENVIRONMENTS,
});

export const OrderDirectionEnum = builder.enumType('OrderDirection', {
  description: 'Which way a list runs.',
  values: ['ASC', 'DESC'] as const,
});

export const UserErrorCodeEnum = builder.enumType('UserErrorCode', {
  description: 'What is wrong with an input.',
  values: Object.fromEntries(
    Object.entries(USER_ERROR_CODES).map(([code, description]) => [code, { value: code, description }]),
  ) as Record<UserErrorCode, { value: UserErrorCode; description: string }>,
});
