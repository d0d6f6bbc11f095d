/** The lists that can be paged, as SQL reads them: a row has the shape of its Prisma model. */
import type { ApiKey, Member } from './generated/client.ts';
import type { KeysetTable } from './keyset.ts';

export const MEMBERS = {
  name: 'members',
  columns: [
    'id',
    'network_id AS "networkId"',
    'external_id AS "externalId"',
    'name',
    'name_folded AS "nameFolded"',
    'email',
    'email_folded AS "emailFolded"',
    'role',
    'status',
    'avatar_url AS "avatarUrl"',
    'location',
    'tags',
    'custom_fields AS "customFields"',
    'created_at AS "createdAt"',
    'updated_at AS "updatedAt"',
    'last_active_at AS "lastActiveAt"',
  ],
  orders: {
    ID: null,
    CREATED_AT: { column: 'created_at', type: 'timestamptz' },
    NAME: { column: 'name_folded', type: 'text' },
  },
} as const satisfies KeysetTable<Member>;

/**
 * What most lists of members show, and what they are sorted by: read in a third of the time, and only for a query that
 * is known to ask for nothing else.
 */
export const MEMBERS_IN_BRIEF = {
  ...MEMBERS,
  columns: ['id', 'name', 'name_folded AS "nameFolded"', 'role', 'status', 'location', 'created_at AS "createdAt"'],
} as const satisfies KeysetTable<Member>;

export const API_KEYS = {
  name: 'api_keys',
  columns: [
    'id',
    'network_id AS "networkId"',
    'admin_id AS "adminId"',
    'name',
    'name_folded AS "nameFolded"',
    'redacted_token AS "redactedToken"',
    'scopes',
    'environment',
    'created_at AS "createdAt"',
    'created_by_kind AS "createdByKind"',
    'created_by_id AS "createdById"',
    'expires_at AS "expiresAt"',
    'last_used_at AS "lastUsedAt"',
    'revoked_at AS "revokedAt"',
    'revoked_by_kind AS "revokedByKind"',
    'revoked_by_id AS "revokedById"',
  ],
  orders: {
    ID: null,
    CREATED_AT: { column: 'created_at', type: 'timestamptz' },
    NAME: { column: 'name_folded', type: 'text' },
  },
} as const satisfies KeysetTable<ApiKey>;
