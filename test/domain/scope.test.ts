import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ADMIN_ROLES, ALL_SCOPES, effectiveScopes, isScope, SCOPES, scopesOfRole } from '../../src/domain/scope.ts';
import { UnreadableValueError } from '../../src/domain/unreadable.ts';

describe('scopes', () => {
  test('are written members:read, and MEMBERS_READ in GraphQL', () => {
    const names = Object.entries(SCOPES).map(([key, { name }]) => [key, name.toUpperCase().replace(':', '_')]);
    for (const [key, written] of names) expect(key).toBe(written);
    expect([...ALL_SCOPES].sort()).toEqual([
      'audit:read',
      'keys:read',
      'keys:write',
      'members:email',
      'members:read',
      'members:write',
      'network:read',
      'usage:read',
    ]);
  });

  test.for(['', 'members', 'members:*', 'MEMBERS_READ', 'members:read ', 'toString', '__proto__'])(
    '%j is none',
    (text) => {
      expect(isScope(text)).toBe(false);
    },
  );

  test('an owner may do everything, an admin everything but read the audit trail', () => {
    expect(scopesOfRole('OWNER')).toEqual(new Set(ALL_SCOPES));
    expect(scopesOfRole('ADMIN')).toEqual(new Set(ALL_SCOPES.filter((scope) => scope !== 'audit:read')));
  });

  test('of a key are never more than it was given, nor than its admin’s role has, nor than there are', () => {
    const granted = fc.array(fc.oneof(fc.constantFrom(...ALL_SCOPES), fc.string()));
    fc.assert(
      fc.property(granted, fc.constantFrom(...ADMIN_ROLES), (given, role) => {
        const effective = effectiveScopes(given, role);
        const expected = given.filter((scope) => isScope(scope) && scopesOfRole(role).has(scope));
        expect([...effective].sort()).toEqual([...new Set(expected)].sort());
      }),
    );
  });

  test.each(['SUPPORT', '', undefined, null])(
    'of the role %s, which nobody knows, are an error and not none',
    (role) => {
      expect(() => scopesOfRole(role as never)).toThrow(UnreadableValueError);
      expect(() => effectiveScopes([], role as never)).toThrow(UnreadableValueError);
    },
  );
});
