/** Every write that is on record, for audit.test.ts: how it is made, and what is on record of it. */
import { expect } from 'vitest';
import type { AuditEvent } from '../../src/database/generated/client.ts';
import { toId, uuidOf } from '../../src/domain/id.ts';
import { ALL_SCOPES } from '../../src/domain/scope.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { createAdmin, removeAdmin } from '../../src/services/admins.ts';
import { createApiKey } from '../../src/services/api-keys/create.ts';
import { endLeaked, leakedKeys } from '../../src/services/api-keys/leaked.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { rotateApiKey } from '../../src/services/api-keys/rotate.ts';
import { importMembers } from '../../src/services/members/import.ts';
import * as networks from '../../src/services/networks.ts';
import { makeAdmin, makeKey, makeMembers, makeNetwork, STANDARD, type TestNetwork } from '../support/fixtures.ts';
import { useScratchGateway } from '../support/suite.ts';

export const suite = useScratchGateway();

/** What a write is made on: a network of its own, with what can be taken from it. */
export interface Own extends TestNetwork {
  readonly other: { readonly adminId: string; readonly keyId: string };
  readonly expired: { readonly keyId: string };
  readonly memberId: string;
  /** A key with two tokens. */
  readonly rotated: { readonly keyId: string; readonly token: string; readonly previousToken: string };
}

export async function makeOwn(): Promise<Own> {
  const made = await makeNetwork(suite.database, { network: { plan: 'STANDARD' } });
  const { network, admin } = made;
  const [member] = await makeMembers(suite.database, network.id, 3);
  const other = await makeAdmin(suite.database, network.id, 'ADMIN');
  const { apiKey } = await makeKey(suite.database, network.id, { adminId: admin.id });
  const expired = await makeKey(suite.database, network.id, { adminId: admin.id, expiresAt: new Date(Date.now() - 1) });
  const first = await makeKey(suite.database, network.id, { adminId: admin.id });
  const second = await rotateApiKey(suite.database, COMMAND_LINE, network.id, first.apiKey.id, 3_600);
  if (!second.ok) throw new Error(second.errors[0].message);
  return {
    ...made,
    other: { adminId: other.id, keyId: apiKey.id },
    expired: { keyId: expired.apiKey.id },
    memberId: toId('Member', member?.id ?? ''),
    rotated: { keyId: first.apiKey.id, token: second.token, previousToken: first.token },
  };
}

export type Expected = Partial<Record<keyof AuditEvent, unknown>>;

export interface Write {
  /** The table that the change itself is in. */
  readonly table: 'networks' | 'admins' | 'api_keys' | 'secrets' | 'members' | 'idempotent_writes';
  /** What was done before. */
  readonly prepare?: (own: Own) => Promise<unknown>;
  /** Resolves once it is done, to the request's id where there is one. */
  readonly run: (own: Own) => Promise<string | null>;
  /** What is on record after it: an event, or several in their order. */
  readonly event: (own: Own) => Expected | readonly Expected[];
}

const NEW = { name: 'made', scopes: ['members:read'], expiresAt: null, environment: 'TEST' } as const;
const PEOPLE = Buffer.from('email,name\nnew@example.test,New\nother@example.test,Other\nno address,Bad\n');

async function done(work: Promise<{ ok: boolean }>): Promise<null> {
  expect((await work).ok).toBe(true);
  return null;
}

/** Throws the error of an answer, having seen that it gives nothing away. */
async function asked({ token }: Own, query: string, sent: Record<string, string> = {}): Promise<string> {
  const { body, headers } = await suite.call(token, query, { headers: sent });
  const requestId = headers.get('x-request-id') ?? '';
  const [error] = body.errors ?? [];
  if (error === undefined) return requestId;
  expect(error.message).toMatch(
    new RegExp(`^(Internal server error: the operator can find it by ${requestId}|Service unavailable: .*)$`),
  );
  throw new Error(error.extensions.code);
}

export const byOperator = (subjectType: string, subjectId: unknown, details: object) => ({
  actorKind: 'COMMAND_LINE',
  actorId: null,
  subjectType,
  subjectId,
  details,
});

export const WRITES: Readonly<Record<string, Write>> = {
  'a key made by a key': {
    table: 'api_keys',
    run: (own) =>
      asked(
        own,
        'mutation { createApiKey(input: { name: "made", scopes: [MEMBERS_READ], environment: TEST }) { token } }',
      ),
    event: ({ apiKey }) => ({
      action: 'key.created',
      actorKind: 'KEY',
      actorId: apiKey.id,
      adminId: apiKey.adminId,
      subjectType: 'ApiKey',
      details: { after: NEW },
    }),
  },
  'a key revoked by a key': {
    table: 'api_keys',
    run: (own) =>
      asked(own, `mutation { revokeApiKey(input: { id: "${toId('ApiKey', own.other.keyId)}" }) { apiKey { id } } }`),
    event: ({ apiKey, other }) => ({
      action: 'key.revoked',
      actorKind: 'KEY',
      actorId: apiKey.id,
      subjectType: 'ApiKey',
      subjectId: other.keyId,
      details: { before: { status: 'ACTIVE' }, after: { status: 'REVOKED' } },
    }),
  },
  'a key changed by a key': {
    table: 'api_keys',
    run: (own) =>
      asked(
        own,
        `mutation { updateApiKey(input: { id: "${toId('ApiKey', own.other.keyId)}", scopes: [], allowedAddresses: ["10.0.0.1"] }) { apiKey { id } } }`,
      ),
    event: ({ apiKey, other }) => ({
      action: 'key.updated',
      actorKind: 'KEY',
      actorId: apiKey.id,
      subjectId: other.keyId,
      details: {
        before: { scopes: ALL_SCOPES, allowedAddresses: [] },
        after: { scopes: [], allowedAddresses: ['10.0.0.1/32'] },
      },
    }),
  },
  'a key rotated by a key': {
    table: 'secrets',
    run: (own) =>
      asked(
        own,
        `mutation { rotateApiKey(input: { id: "${toId('ApiKey', own.other.keyId)}", overlapSeconds: 60 }) { userErrors { code } } }`,
      ),
    event: ({ apiKey, other }) => ({
      action: 'key.rotated',
      actorKind: 'KEY',
      actorId: apiKey.id,
      subjectId: other.keyId,
      details: { before: expect.anything(), after: expect.anything() },
    }),
  },
  'an overlap ended by a key': {
    table: 'secrets',
    run: (own) =>
      asked(
        own,
        `mutation { endApiKeyOverlap(input: { id: "${toId('ApiKey', own.rotated.keyId)}" }) { apiKey { id } } }`,
      ),
    event: ({ apiKey, rotated }) => ({
      action: 'key.overlap_ended',
      actorKind: 'KEY',
      actorId: apiKey.id,
      subjectId: rotated.keyId,
    }),
  },
  'the caller’s own key revoked': {
    table: 'api_keys',
    run: (own) => asked(own, 'mutation { revokeCurrentApiKey(input: { reason: "done" }) { apiKey { id } } }'),
    event: ({ apiKey }) => ({
      action: 'key.revoked',
      actorKind: 'KEY',
      actorId: apiKey.id,
      subjectId: apiKey.id,
      details: { before: { status: 'ACTIVE' }, after: { status: 'REVOKED', reason: 'done' } },
    }),
  },
  'an expired key deleted by a key': {
    table: 'api_keys',
    run: (own) =>
      asked(own, `mutation { deleteApiKey(input: { id: "${toId('ApiKey', own.expired.keyId)}" }) { deletedId } }`),
    event: ({ apiKey, expired }) => ({
      action: 'key.deleted',
      actorKind: 'KEY',
      actorId: apiKey.id,
      subjectId: expired.keyId,
      details: { before: { status: 'EXPIRED' } },
    }),
  },
  'a leaked token ended': {
    table: 'api_keys',
    run: ({ rotated }) => reportLeak(rotated.token, 'a log'),
    event: ({ rotated }) => ({
      action: 'key.leaked',
      actorKind: 'SCANNER',
      actorId: null,
      subjectId: rotated.keyId,
      details: { before: { status: 'ACTIVE' }, after: { status: 'REVOKED' }, where: 'a log', livingInLine: 0 },
    }),
  },
  'a leaked token of an overlap ended': {
    table: 'secrets',
    run: ({ rotated }) => reportLeak(rotated.previousToken, null),
    event: ({ rotated }) => ({
      action: 'key.leaked',
      actorKind: 'SCANNER',
      subjectId: rotated.keyId,
      details: { before: { status: 'ACTIVE' }, after: { status: 'ACTIVE' }, where: null },
    }),
  },
  'a key made by the operator': {
    table: 'api_keys',
    run: ({ network, admin }) =>
      done(createApiKey(suite.database, COMMAND_LINE, network.id, { ...NEW, adminId: admin.id })),
    event: () => ({ action: 'key.created', ...byOperator('ApiKey', expect.any(String), { after: NEW }) }),
  },
  'a key revoked by the operator': {
    table: 'api_keys',
    run: ({ network, other }) => done(revokeApiKey(suite.database, COMMAND_LINE, network.id, other.keyId)),
    event: ({ other }) => ({
      action: 'key.revoked',
      ...byOperator('ApiKey', other.keyId, { before: { status: 'ACTIVE' }, after: { status: 'REVOKED' } }),
    }),
  },
  'an admin made': {
    table: 'admins',
    run: ({ network }) =>
      done(
        createAdmin(suite.database, COMMAND_LINE, network.id, {
          email: 'new@example.test',
          name: 'New',
          role: 'ADMIN',
        }),
      ),
    event: () => ({
      action: 'admin.created',
      ...byOperator('Admin', expect.any(String), { after: { role: 'ADMIN' } }),
    }),
  },
  'an admin removed': {
    table: 'admins',
    run: ({ network, other }) => done(removeAdmin(suite.database, COMMAND_LINE, network.id, other.adminId)),
    event: ({ other }) => ({
      action: 'admin.removed',
      ...byOperator('Admin', other.adminId, { before: { role: 'ADMIN' }, after: { removedAt: expect.any(String) } }),
    }),
  },
  'an admin removed, with the keys that acted for the admin': {
    table: 'api_keys',
    prepare: ({ network, other }) =>
      makeKey(suite.database, network.id, { adminId: other.adminId, scopes: [], name: 'theirs' }),
    run: ({ network, other }) => done(removeAdmin(suite.database, COMMAND_LINE, network.id, other.adminId)),
    event: ({ other }) => [
      {
        action: 'key.revoked',
        ...byOperator('ApiKey', expect.any(String), {
          before: { status: 'ACTIVE' },
          after: { status: 'REVOKED', name: 'theirs', reason: 'Its admin was removed' },
        }),
      },
      {
        action: 'admin.removed',
        ...byOperator('Admin', other.adminId, { after: { removedAt: expect.any(String), revokedKeys: 1 } }),
      },
    ],
  },
  'a key made by a request that may be sent again': {
    table: 'idempotent_writes',
    run: (own) =>
      asked(own, 'mutation { createApiKey(input: { name: "made once", scopes: [] }) { token } }', {
        'idempotency-key': 'once',
      }),
    event: ({ apiKey }) => ({ action: 'key.created', actorKind: 'KEY', actorId: apiKey.id, subjectType: 'ApiKey' }),
  },
  'members written by a key': {
    table: 'members',
    run: (own) =>
      asked(
        own,
        'mutation { upsertMembers(input: { members: [{ email: "new@example.test", name: "New" }] }) { results { member { id } } } }',
      ),
    event: ({ apiKey }) => ({
      action: 'members.upserted',
      actorKind: 'KEY',
      actorId: apiKey.id,
      subjectType: 'Member',
      subjectId: null,
      details: { created: 1, updated: 0, unchanged: 0, rejected: 0 },
    }),
  },
  'a member changed by a key': {
    table: 'members',
    run: (own) =>
      asked(own, `mutation { updateMember(input: { id: "${own.memberId}", name: "Renamed" }) { member { id } } }`),
    event: ({ apiKey, memberId }) => ({
      action: 'member.updated',
      actorKind: 'KEY',
      actorId: apiKey.id,
      subjectType: 'Member',
      subjectId: uuidOf('Member', memberId),
      details: { changedFields: ['name'] },
    }),
  },
  'members deleted by a key': {
    table: 'members',
    run: (own) => asked(own, `mutation { deleteMembers(input: { ids: ["${own.memberId}"] }) { deletedIds } }`),
    event: ({ apiKey }) => ({
      action: 'members.deleted',
      actorKind: 'KEY',
      actorId: apiKey.id,
      subjectId: null,
      details: { deleted: 1 },
    }),
  },
  'a network resumed': {
    table: 'networks',
    prepare: ({ network }) => networks.suspendNetwork(suite.database, COMMAND_LINE, network.id),
    run: ({ network }) => done(networks.resumeNetwork(suite.database, COMMAND_LINE, network.id)),
    event: ({ network }) => ({
      action: 'network.resumed',
      ...byOperator('Network', network.id, {
        before: { suspendedAt: expect.any(String) },
        after: { suspendedAt: null },
      }),
    }),
  },
  'a network’s members deleted before the network': {
    table: 'members',
    prepare: ({ network }) => networks.suspendNetwork(suite.database, COMMAND_LINE, network.id),
    run: ({ network }) => done(networks.deleteNetwork(suite.database, COMMAND_LINE, network.id)),
    event: ({ network }) => [
      { action: 'network.deleted', ...byOperator('Network', network.id, { members: 3, finished: false }) },
      { action: 'network.deleted', ...byOperator('Network', network.id, { finished: true }) },
    ],
  },
  'a network deleted in the end': {
    table: 'networks',
    async prepare({ network }) {
      await networks.suspendNetwork(suite.database, COMMAND_LINE, network.id);
      await suite.database.prisma.member.deleteMany({ where: { networkId: network.id } });
      await suite.database.prisma.memberDeletion.deleteMany({ where: { networkId: network.id } });
    },
    run: ({ network }) => done(networks.deleteNetwork(suite.database, COMMAND_LINE, network.id)),
    event: ({ network: { id, slug, name } }) => ({
      action: 'network.deleted',
      ...byOperator('Network', id, { before: { slug, name, plan: 'STANDARD' }, finished: true }),
    }),
  },
  'a network’s plan changed': {
    table: 'networks',
    run: ({ network }) => done(networks.updateNetwork(suite.database, COMMAND_LINE, network.id, { plan: 'PREMIUM' })),
    event: ({ network }) => ({
      action: 'network.updated',
      ...byOperator('Network', network.id, { before: { plan: 'STANDARD' }, after: { plan: 'PREMIUM' } }),
    }),
  },
  'a network suspended': {
    table: 'networks',
    run: ({ network }) => done(networks.suspendNetwork(suite.database, COMMAND_LINE, network.id)),
    event: ({ network }) => ({
      action: 'network.suspended',
      ...byOperator('Network', network.id, {
        before: { suspendedAt: null },
        after: { suspendedAt: expect.any(String) },
      }),
    }),
  },
  'members imported': {
    table: 'members',
    run: ({ network }) =>
      done(importMembers(suite.database, COMMAND_LINE, network.id, { source: source(PEOPLE), format: 'csv' })),
    event: () => ({
      action: 'members.imported',
      ...byOperator('Member', null, { created: 2, updated: 0, unchanged: 0, rejected: 1 }),
    }),
  },
};

/** What is on record of itself alone, not in a network that was there before. */
export const FOUNDING: Omit<Write, 'event'> = {
  table: 'networks',
  run: () =>
    done(networks.createNetwork(suite.database, COMMAND_LINE, { slug: 'founded', name: 'Founded', ...STANDARD })),
};
async function* source(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** Whoever reports a leak hears of no failure; the gateway does. */
async function reportLeak(token: string, where: string | null): Promise<null> {
  for (const leaked of await leakedKeys(suite.database, [token])) {
    await endLeaked(suite.database, COMMAND_LINE, leaked, where, 2_000);
  }
  return null;
}
