// Who a token is of: what ends a token refuses it, and what cannot be read refuses it too.
import { describe, expect, test } from 'vitest';
import { planNumbers } from '../../src/domain/plan.ts';
import { UnreadableValueError } from '../../src/domain/unreadable.ts';
import { judge, type SecretRecord } from '../../src/domain/verification.ts';

const TIME = new Date('2026-11-24T09:30:00.123Z');
const NO_TIME = new Date(Number.NaN);

const GOOD: SecretRecord = {
  digest: Buffer.alloc(32),
  keyId: 'a key',
  keyScopes: ['members:read'],
  environment: 'LIVE',
  allowedAddresses: [],
  expiresAt: null,
  expired: false,
  revokedAt: null,
  adminId: 'an admin',
  adminRole: 'OWNER',
  adminName: 'Ada',
  adminEmail: 'ada@example.test',
  adminCreatedAt: TIME,
  adminRemovedAt: null,
  networkId: 'a network',
  networkSlug: 'acme',
  networkSuspendedAt: null,
  plan: 'STANDARD',
  numbers: planNumbers('STANDARD', { requestsPerMinute: null, networkRequestsPerMinute: null, costPerMinute: null }),
  monthly: { quota: null, enforced: false, used: 0, start: TIME },
};

function statusOf(changed: object): string {
  return judge({ ...GOOD, ...changed }, '192.0.2.1').status;
}

describe('a token', () => {
  test.each([
    ['is valid where nothing ends it', {}, 'valid'],
    ['is valid before it expires', { expiresAt: TIME }, 'valid'],
    ['is refused once it has expired', { expiresAt: TIME, expired: true }, 'expired'],
    ['is refused once it is revoked', { revokedAt: TIME }, 'revoked'],
    ['is refused once its admin is removed', { adminRemovedAt: TIME }, 'revoked'],
    ['is refused while its network is suspended', { networkSuspendedAt: TIME }, 'suspended'],
    ['is refused from an address that is not allowed', { allowedAddresses: ['10.0.0.0/8'] }, 'address not allowed'],
    ['is valid from an allowed address', { allowedAddresses: ['192.0.2.0/24'] }, 'valid'],
  ] as const)('%s', (_, changed, status) => {
    expect(statusOf(changed)).toBe(status);
  });
});

/** What a value becomes where it cannot be read: missing, of another type, no moment. */
const UNREADABLE: readonly unknown[] = [
  undefined,
  NO_TIME,
  '24/11/2026 09:30:00',
  Number.NaN,
  Number.POSITIVE_INFINITY,
  {},
];

describe('a token is not let in, and the bug is thrown, where what is stored cannot be read', () => {
  const times = ['revokedAt', 'adminRemovedAt', 'networkSuspendedAt', 'expiresAt'] as const;
  test.each(times.flatMap((field) => UNREADABLE.map((value) => [field, value] as const)))('%s: %s', (field, value) => {
    expect(() => statusOf({ [field]: value })).toThrow(UnreadableValueError);
  });

  test.each([undefined, null, 'f', 0, Number.NaN])('whether it has expired: %s', (expired) => {
    expect(() => statusOf({ expired })).toThrow(UnreadableValueError);
    expect(() => statusOf({ expired, expiresAt: TIME })).toThrow(UnreadableValueError);
  });

  test('when it expired', () => {
    expect(() => statusOf({ expired: true, expiresAt: null })).toThrow(UnreadableValueError);
  });

  test.each([undefined, null, 'SUPPORT', ''])("its admin's role: %s", (adminRole) => {
    expect(() => statusOf({ adminRole })).toThrow(UnreadableValueError);
    expect(() => statusOf({ adminRole, keyScopes: [] })).toThrow(UnreadableValueError);
  });

  test.each([['10.0.0.0/99'], [''], [null], ['everywhere']])('an allowed address block: %s', (block) => {
    expect(() => statusOf({ allowedAddresses: [block] })).toThrow(UnreadableValueError);
    expect(() => statusOf({ allowedAddresses: ['192.0.2.0/24', block] })).toThrow(UnreadableValueError);
  });

  test.each([undefined, null, '', {}])('the list of allowed addresses: %s', (allowedAddresses) => {
    expect(() => statusOf({ allowedAddresses })).toThrow(UnreadableValueError);
  });
});

test('the error names what could not be read, and never holds the value', () => {
  expect(() => statusOf({ revokedAt: '24/11/2026 09:30:00' })).toThrow(
    'when a token was revoked cannot be read, so the request is refused',
  );
});
