/** The lists that can be paged, as SQL reads them: a row has the shape of its Prisma model. */
import type { ApiKey, Member } from './generated/client.ts';
import type { KeysetTable } from './keyset.ts';

export const MEMBERS = {
  name: 'members',
  columns: {
    id: 'id',
    networkId: 'network_id',
    externalId: 'external_id',
    name: 'name',
    nameFolded: 'name_folded',
    email: 'email',
    emailFolded: 'email_folded',
    role: 'role',
    status: 'status',
    avatarUrl: 'avatar_url',
    location: 'location',
    tags: 'tags',
    customFields: 'custom_fields',
    createdAt: 'created_at',
    updatedAt: 'updated_at',
    lastActiveAt: 'last_active_at',
  },
  orders: {
    ID: null,
    CREATED_AT: { property: 'createdAt', type: 'timestamptz' },
    NAME: { property: 'nameFolded', type: 'text' },
  },
} as const satisfies KeysetTable<Member>;

export const API_KEYS = {
  name: 'api_keys',
  columns: {
    id: 'id',
    networkId: 'network_id',
    adminId: 'admin_id',
    name: 'name',
    nameFolded: 'name_folded',
    redactedToken: 'redacted_token',
    scopes: 'scopes',
    environment: 'environment',
    createdAt: 'created_at',
    createdByKind: 'created_by_kind',
    createdById: 'created_by_id',
    expiresAt: 'expires_at',
    lastUsedAt: 'last_used_at',
    revokedAt: 'revoked_at',
    revokedByKind: 'revoked_by_kind',
    revokedById: 'revoked_by_id',
  },
  orders: {
    ID: null,
    CREATED_AT: { property: 'createdAt', type: 'timestamptz' },
    NAME: { property: 'nameFolded', type: 'text' },
  },
} as const satisfies KeysetTable<ApiKey>;
