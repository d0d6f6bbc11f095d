// Promise 6: a change and its audit event commit together, or neither does. The faults are PostgreSQL's own.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import type { AuditEvent } from '../../src/database/generated/client.ts';
import { toId } from '../../src/domain/id.ts';
import { fold } from '../../src/domain/text.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { createAdmin, removeAdmin } from '../../src/services/admins.ts';
import { createApiKey } from '../../src/services/api-keys/create.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { importMembers } from '../../src/services/members/import.ts';
import * as networks from '../../src/services/networks.ts';
import { graphql } from '../support/client.ts';
import { makeAdmin, makeKey, makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { scratchUrl } from '../support/scratch.ts';

let database: Database;
let gateway: TestGateway;
beforeAll(async () => {
  const url = await scratchUrl({ migrated: true });
  database = await openDatabase({ url, dataDir: '', poolSize: 5, statementTimeoutMs: 30_000 });
  gateway = await startTestGateway({ DATABASE_URL: url });
});
afterAll(async () => {
  await gateway.close();
  await database.close();
});

/** What a write is made on: a network of its own, with what can be taken from it. */
interface Own extends TestNetwork {
  readonly other: { readonly adminId: string; readonly keyId: string };
}

async function makeOwn(): Promise<Own> {
  const made = await makeNetwork(database);
  const { network, admin } = made;
  await makeMembers(database, network.id, 3);
  const other = await makeAdmin(database, network.id, 'ADMIN');
  const { apiKey } = await makeKey(database, network.id, { adminId: admin.id });
  return { ...made, other: { adminId: other.id, keyId: apiKey.id } };
}

interface Write {
  /** The table that the change itself is in. */
  readonly table: 'networks' | 'admins' | 'api_keys' | 'members';
  /** Resolves once it is done, to the request's id where there is one. */
  readonly run: (own: Own) => Promise<string | null>;
  /** What is on record after it. */
  readonly event: (own: Own) => Partial<Record<keyof AuditEvent, unknown>>;
}

const NEW = { name: 'made', scopes: ['members:read'], expiresAt: null, environment: 'TEST' } as const;
const PEOPLE = Buffer.from('email,name\nnew@example.test,New\nother@example.test,Other\nno address,Bad\n');

async function done(work: Promise<{ ok: boolean }>): Promise<null> {
  expect((await work).ok).toBe(true);
  return null;
}

/** Throws the error of an answer, having seen that it gives nothing away. */
async function asked({ token }: Own, query: string): Promise<string> {
  const { body, headers } = await graphql(gateway.url, token, query);
  const requestId = headers.get('x-request-id') ?? '';
  const [error] = body.errors ?? [];
  if (error === undefined) return requestId;
  expect(error.message).toMatch(
    new RegExp(`^(Internal server error: the operator can find it by ${requestId}|Service unavailable: .*)$`),
  );
  throw new Error(error.extensions.code);
}

const byOperator = (subjectType: string, subjectId: unknown, details: object) => ({
  actorKind: 'COMMAND_LINE',
  actorId: null,
  subjectType,
  subjectId,
  details,
});

const WRITES: Readonly<Record<string, Write>> = {
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
  'a key made by the operator': {
    table: 'api_keys',
    run: ({ network, admin }) => done(createApiKey(database, COMMAND_LINE, network.id, { ...NEW, adminId: admin.id })),
    event: () => ({ action: 'key.created', ...byOperator('ApiKey', expect.any(String), { after: NEW }) }),
  },
  'a key revoked by the operator': {
    table: 'api_keys',
    run: ({ network, other }) => done(revokeApiKey(database, COMMAND_LINE, network.id, other.keyId)),
    event: ({ other }) => ({
      action: 'key.revoked',
      ...byOperator('ApiKey', other.keyId, { before: { status: 'ACTIVE' }, after: { status: 'REVOKED' } }),
    }),
  },
  'an admin made': {
    table: 'admins',
    run: ({ network }) =>
      done(createAdmin(database, COMMAND_LINE, network.id, { email: 'new@example.test', name: 'New', role: 'ADMIN' })),
    event: () => ({
      action: 'admin.created',
      ...byOperator('Admin', expect.any(String), { after: { role: 'ADMIN' } }),
    }),
  },
  'an admin removed': {
    table: 'admins',
    run: ({ network, other }) => done(removeAdmin(database, COMMAND_LINE, network.id, other.adminId)),
    event: ({ other }) => ({
      action: 'admin.removed',
      ...byOperator('Admin', other.adminId, { before: { role: 'ADMIN' }, after: { removedAt: expect.any(String) } }),
    }),
  },
  'a network’s plan changed': {
    table: 'networks',
    run: ({ network }) => done(networks.updateNetwork(database, COMMAND_LINE, network.id, { plan: 'PREMIUM' })),
    event: ({ network }) => ({
      action: 'network.updated',
      ...byOperator('Network', network.id, { before: { plan: 'STANDARD' }, after: { plan: 'PREMIUM' } }),
    }),
  },
  'a network suspended': {
    table: 'networks',
    run: ({ network }) => done(networks.suspendNetwork(database, COMMAND_LINE, network.id)),
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
      done(importMembers(database, COMMAND_LINE, network.id, { source: source(PEOPLE), format: 'csv' })),
    event: () => ({
      action: 'members.imported',
      ...byOperator('Member', null, { created: 2, updated: 0, unchanged: 0, rejected: 1 }),
    }),
  },
};

/** What is on record of itself alone, not in a network that was there before. */
const FOUNDING: Pick<Write, 'table' | 'run'> = {
  table: 'networks',
  run: () => done(networks.createNetwork(database, COMMAND_LINE, { slug: 'founded', name: 'Founded', ...STANDARD })),
};
const STANDARD = {
  plan: 'STANDARD',
  requestsPerMinute: null,
  networkRequestsPerMinute: null,
  costPerMinute: null,
} as const;

async function* source(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** Each fault as a trigger: where it stands, when it strikes, and what it does. */
const FAULTS = {
  'the event is refused': () => ['audit_events', 'at once', `RAISE EXCEPTION 'no event today'`],
  'the event is refused when it is to be committed': () => [
    'audit_events',
    'at commit',
    `RAISE EXCEPTION 'no event today'`,
  ],
  'the change is refused when it is to be committed': (table: string) => [
    table,
    'at commit',
    `RAISE EXCEPTION 'no change today'`,
  ],
  'the connection is lost with the event': () => [
    'audit_events',
    'at once',
    'PERFORM pg_terminate_backend(pg_backend_pid())',
  ],
} as const satisfies Record<string, (table: string) => readonly [string, 'at once' | 'at commit', string]>;

async function breakDown([table, when, what]: readonly [string, 'at once' | 'at commit', string]): Promise<void> {
  await database.pool.query(`
    CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${what}; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER fault AFTER INSERT OR UPDATE OR DELETE ON ${table}
    ${when === 'at once' ? '' : 'DEFERRABLE INITIALLY DEFERRED'} FOR EACH ROW EXECUTE FUNCTION fault()`);
}

afterEach(() => database.pool.query('DROP FUNCTION IF EXISTS fault() CASCADE'));

/** Every row of every table. */
async function contents(): Promise<Record<string, string[]>> {
  const { rows: tables } = await database.pool.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`,
  );
  const all: Record<string, string[]> = {};
  for (const { name } of tables) {
    const { rows } = await database.pool.query<{ row: string }>(`SELECT t::text AS row FROM "${name}" t ORDER BY 1`);
    all[name] = rows.map(({ row }) => row);
  }
  return all;
}

describe.each(Object.entries({ ...WRITES, 'a network made': FOUNDING }))('%s', (_name, { table, run }) => {
  test.for(Object.entries(FAULTS))('leaves nothing at all where %s', async ([, fault]) => {
    const own = await makeOwn();
    await breakDown(fault(table));
    const before = await contents();
    await expect(run(own)).rejects.toThrow();
    expect(await contents()).toEqual(before);
  });
});

describe.each(Object.entries(WRITES))('%s', (_name, { run, event }) => {
  test('is on record: who, what, before and after, by which request', async () => {
    const own = await makeOwn();
    const where = { networkId: own.network.id };
    const known = new Set((await database.prisma.auditEvent.findMany({ where })).map(({ id }) => id));
    const before = await database.prisma.$queryRaw<{ now: Date }[]>`SELECT now()::timestamptz(3) AS now`;
    const requestId = await run(own);
    const events = (await database.prisma.auditEvent.findMany({ where })).filter(({ id }) => !known.has(id));
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ networkId: own.network.id, requestId, ...event(own) });
    expect(events[0]?.createdAt.getTime()).toBeGreaterThanOrEqual(before[0]?.now.getTime() ?? Number.NaN);
    await expectNoSecret(events);
  });
});

/** No token, no digest, no address of anybody. */
async function expectNoSecret(events: readonly AuditEvent[]): Promise<void> {
  const text = JSON.stringify(events);
  expect(text).not.toMatch(/gk_(live|test)_/);
  expect(fold(text)).not.toContain('@');
  const secrets = await database.prisma.secret.findMany({ select: { digest: true } });
  for (const { digest } of secrets) {
    for (const encoding of ['hex', 'base64', 'base64url'] as const) {
      expect(text).not.toContain(Buffer.from(digest).toString(encoding));
    }
  }
}

describe('what changes nothing', () => {
  test('is not on record: a key revoked again, a network suspended again, a plan that it has already', async () => {
    const { network, other } = await makeOwn();
    await revokeApiKey(database, COMMAND_LINE, network.id, other.keyId);
    await networks.suspendNetwork(database, COMMAND_LINE, network.id);
    const events = await database.prisma.auditEvent.count({ where: { networkId: network.id } });
    await revokeApiKey(database, COMMAND_LINE, network.id, other.keyId);
    await networks.suspendNetwork(database, COMMAND_LINE, network.id);
    await networks.updateNetwork(database, COMMAND_LINE, network.id, { plan: network.plan });
    expect(await database.prisma.auditEvent.count({ where: { networkId: network.id } })).toBe(events);
  });

  test('is not on record: a key that was refused', async () => {
    const own = await makeOwn();
    const where = { networkId: own.network.id };
    const events = await database.prisma.auditEvent.count({ where });
    const { body } = await graphql(
      gateway.url,
      own.token,
      'mutation { createApiKey(input: { name: "", scopes: [] }) { userErrors { code } } }',
    );
    expect(body.data.createApiKey.userErrors).toEqual([{ code: 'BLANK' }]);
    expect(await database.prisma.auditEvent.count({ where })).toBe(events);
  });
});

test('a network that is made is on record in itself', async () => {
  await FOUNDING.run(await makeOwn());
  const network = await networks.findNetwork(database, 'founded');
  const events = await database.prisma.auditEvent.findMany({ where: { networkId: network?.id ?? '' } });
  expect(events).toMatchObject([
    {
      action: 'network.created',
      ...byOperator('Network', network?.id, { after: { slug: 'founded', name: 'Founded', plan: 'STANDARD' } }),
    },
  ]);
});

test('a network that is deleted is on record after it has gone, step by step', async () => {
  const { network } = await makeOwn();
  expect((await networks.deleteNetwork(database, COMMAND_LINE, network.id)).ok).toBe(true);
  const events = await database.prisma.auditEvent.findMany({
    where: { networkId: network.id },
    orderBy: { id: 'asc' },
  });
  expect(events.slice(-3).map(({ action, details }) => [action, details])).toEqual([
    ['network.suspended', expect.anything()],
    ['network.deleted', { members: 3, finished: false }],
    ['network.deleted', { before: { slug: network.slug, name: network.name, plan: 'STANDARD' }, finished: true }],
  ]);
});
