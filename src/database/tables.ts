/** The lists that can be paged, as SQL reads them: a row has the shape of its Prisma model. */
import type { Admin, ApiKey, Member } from './generated/client.ts';
import type { KeysetTable } from './keyset.ts';

export { EMAIL_KEY, EMAIL_LOOKUP } from './email-identity.ts';

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
    timeZone: 'time_zone',
    permalink: 'permalink',
    // As text, which goes into the answer as it is: see RawJson.
    customFields: 'custom_fields::text',
    createdAt: 'created_at',
    updatedAt: 'updated_at',
    lastActiveAt: 'last_active_at',
  },
  longColumn: 'customFields',
  orders: {
    ID: null,
    CREATED_AT: { property: 'createdAt', type: 'timestamptz' },
    UPDATED_AT: { property: 'updatedAt', type: 'timestamptz' },
    NAME: { property: 'nameFolded', type: 'text' },
    LAST_ACTIVE_AT: { property: 'lastActiveAt', type: 'timestamptz', nullIs: '-infinity' },
  },
  // Triggers keep it: see the migration `member_counts`.
  counter: 'SELECT members::float8 AS rows FROM member_counts WHERE network_id = $1',
  // As members_terms_idx has it.
  terms: 'public.member_terms(network_id, role, status, tags, custom_fields, name_folded, email_folded)',
} as const satisfies KeysetTable<Member>;

/** Read by id alone. */
export const ADMINS = {
  name: 'admins',
  columns: {
    id: 'id',
    networkId: 'network_id',
    email: 'email',
    emailFolded: 'email_folded',
    name: 'name',
    role: 'role',
    createdAt: 'created_at',
    removedAt: 'removed_at',
  },
  orders: {},
} as const satisfies KeysetTable<Admin>;

/** A key as it is read: whether it has expired is the database's to say, by its clock as the statement begins. */
export type KeyRow = ApiKey & { readonly expired: boolean };

export const API_KEYS = {
  name: 'api_keys',
  columns: {
    id: 'id',
    networkId: 'network_id',
    adminId: 'admin_id',
    name: 'name',
    nameFolded: 'name_folded',
    note: 'note',
    redactedToken: 'redacted_token',
    scopes: 'scopes',
    allowedAddresses: 'allowed_addresses',
    environment: 'environment',
    createdAt: 'created_at',
    createdByKind: 'created_by_kind',
    createdById: 'created_by_id',
    ancestorIds: 'ancestor_ids',
    expired: 'COALESCE(expires_at <= statement_timestamp(), false)',
    expiresAt: 'expires_at',
    lastUsedAt: 'last_used_at',
    lastUsedAddress: 'last_used_address',
    revokedAt: 'revoked_at',
    revokedByKind: 'revoked_by_kind',
    revokedById: 'revoked_by_id',
    revokedReason: 'revoked_reason',
  },
  orders: {
    ID: null,
    CREATED_AT: { property: 'createdAt', type: 'timestamptz' },
    // Never used is longest ago; never ending is last.
    LAST_USED_AT: { property: 'lastUsedAt', type: 'timestamptz', nullIs: '-infinity' },
    EXPIRES_AT: { property: 'expiresAt', type: 'timestamptz', nullIs: 'infinity' },
    NAME: { property: 'nameFolded', type: 'text' },
  },
} as const satisfies KeysetTable<KeyRow>;
