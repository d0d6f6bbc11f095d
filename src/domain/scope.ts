import { readWord } from './unreadable.ts';

/** A scope is one permission. It is written `members:read` everywhere but in GraphQL, where it is `MEMBERS_READ`. */
export const SCOPES = {
  MEMBERS_READ: { name: 'members:read', grants: 'Read members, without their e-mail addresses.' },
  MEMBERS_EMAIL: { name: 'members:email', grants: "Read members' e-mail addresses, and look members up by them." },
  MEMBERS_WRITE: { name: 'members:write', grants: 'Create, change and delete members.' },
  KEYS_READ: { name: 'keys:read', grants: 'List the API keys of the network. Tokens are never shown.' },
  KEYS_WRITE: { name: 'keys:write', grants: 'Create, change and revoke API keys, within the scopes of the caller.' },
  AUDIT_READ: { name: 'audit:read', grants: 'Read the audit trail.' },
  USAGE_READ: { name: 'usage:read', grants: 'Read how much each key is used.' },
  NETWORK_READ: { name: 'network:read', grants: "Read the network's settings and its plan." },
} as const;

export type ScopeKey = keyof typeof SCOPES;
export type Scope = (typeof SCOPES)[ScopeKey]['name'];

export const ALL_SCOPES: readonly Scope[] = Object.values(SCOPES).map((scope) => scope.name);

const KNOWN: ReadonlySet<string> = new Set(ALL_SCOPES);

export function isScope(text: string): text is Scope {
  return KNOWN.has(text);
}

export const ADMIN_ROLES = ['OWNER', 'ADMIN'] as const;
export type AdminRole = (typeof ADMIN_ROLES)[number];

/** An owner may do everything; an admin everything but read the audit trail, which records the admins themselves. */
const SCOPES_OF_ROLE: Record<AdminRole, ReadonlySet<Scope>> = {
  OWNER: new Set(ALL_SCOPES),
  ADMIN: new Set(ALL_SCOPES.filter((scope) => scope !== 'audit:read')),
};

/** Throws UnreadableValueError for a role that this release does not know. */
export function scopesOfRole(role: AdminRole): ReadonlySet<Scope> {
  return SCOPES_OF_ROLE[readWord(ADMIN_ROLES, role, "an admin's role")];
}

/**
 * What a key may do now: its own scopes within its admin's present role. A stored scope that this release does not
 * know grants nothing: a later release may have given it. Throws as `scopesOfRole` does.
 */
export function effectiveScopes(granted: readonly string[], role: AdminRole): ReadonlySet<Scope> {
  const allowed = scopesOfRole(role);
  const scopes = new Set<Scope>();
  for (const scope of granted) if (isScope(scope) && allowed.has(scope)) scopes.add(scope);
  return scopes;
}
