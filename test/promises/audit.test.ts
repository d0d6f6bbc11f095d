// Promise 6: a change and its audit event commit together, or neither does. The faults are PostgreSQL's own.
import { afterEach, describe, expect, test } from 'vitest';
import type { AuditEvent } from '../../src/database/generated/client.ts';
import { newUuid } from '../../src/domain/id.ts';
import { fold } from '../../src/domain/text.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import * as networks from '../../src/services/networks.ts';
import { byOperator, FOUNDING, makeOwn, suite, WRITES } from './audit-writes.ts';

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
  await suite.database.pool.query(`
    CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${what}; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER fault AFTER INSERT OR UPDATE OR DELETE ON ${table}
    ${when === 'at once' ? '' : 'DEFERRABLE INITIALLY DEFERRED'} FOR EACH ROW EXECUTE FUNCTION fault()`);
}

afterEach(() => suite.database.pool.query('DROP FUNCTION IF EXISTS fault() CASCADE'));

/** All tables but the counts of the month and which flush was the last, which a gateway beside this writes whenever it likes. */
async function contents(): Promise<Record<string, string[]>> {
  const { rows: tables } = await suite.database.pool.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_name NOT IN ('network_months', 'usage_flushes')
     ORDER BY 1`,
  );
  const all: Record<string, string[]> = {};
  for (const { name } of tables) {
    const { rows } = await suite.database.pool.query<{ row: string }>(
      `SELECT t::text AS row FROM "${name}" t ORDER BY 1`,
    );
    all[name] = rows.map(({ row }) => row);
  }
  return all;
}

describe.each(Object.entries({ ...WRITES, 'a network made': FOUNDING }))('%s', (_name, { table, prepare, run }) => {
  test.for(Object.entries(FAULTS))('leaves nothing at all where %s', async ([, fault]) => {
    const own = await makeOwn();
    await prepare?.(own);
    await breakDown(fault(table));
    const before = await contents();
    await expect(run(own)).rejects.toThrow();
    expect(await contents()).toEqual(before);
  });
});

describe.each(Object.entries(WRITES))('%s', (_name, { prepare, run, event }) => {
  test('is on record: who, what, before and after, by which request', async () => {
    const own = await makeOwn();
    await prepare?.(own);
    const where = { networkId: own.network.id };
    const known = new Set((await suite.database.prisma.auditEvent.findMany({ where })).map(({ id }) => id));
    const before = await suite.database.prisma.$queryRaw<{ now: Date }[]>`SELECT now()::timestamptz(3) AS now`;
    const requestId = await run(own);
    const orderBy = { id: 'asc' } as const;
    const events = (await suite.database.prisma.auditEvent.findMany({ where, orderBy })).filter(
      ({ id }) => !known.has(id),
    );
    const expected = [event(own)].flat();
    expect(events).toHaveLength(expected.length);
    expect(events).toMatchObject(expected.map((one) => ({ networkId: own.network.id, requestId, ...one })));
    expect(events[0]?.createdAt.getTime()).toBeGreaterThanOrEqual(before[0]?.now.getTime() ?? Number.NaN);
    await expectNoSecret(events);
  });
});

/** No token, no digest, no address of anybody. */
async function expectNoSecret(events: readonly AuditEvent[]): Promise<void> {
  const text = JSON.stringify(events);
  // More of a token than lists show.
  expect(text).not.toMatch(/gk_(live|test)_[0-9A-Za-z]{5}/);
  expect(fold(text)).not.toContain('@');
  const secrets = await suite.database.prisma.secret.findMany({ select: { digest: true } });
  for (const { digest } of secrets) {
    for (const encoding of ['hex', 'base64', 'base64url'] as const) {
      expect(text).not.toContain(Buffer.from(digest).toString(encoding));
    }
  }
}

test.for(Object.entries(FAULTS))(
  'the last batch of a long line of keys leaves nothing where %s; those before it stay',
  async ([, fault]) => {
    const { network, admin, other } = await makeOwn();
    const line = Array.from({ length: 500 }, () => newUuid());
    const common = { networkId: network.id, adminId: admin.id, redactedToken: '', scopes: [] };
    const maker = { createdByKind: 'KEY' as const, createdById: other.keyId };
    await suite.database.prisma.apiKey.createMany({
      data: line.map((id) => ({ ...common, ...maker, id, name: id, nameFolded: id })),
    });
    const last = line.at(-1) ?? '';
    const [table, when, what] = fault('api_keys');
    const row = table === 'api_keys' ? 'NEW.id' : 'NEW.subject_id';
    await breakDown([table, when, `IF ${row} = '${last}' THEN ${what}; END IF`]);
    await expect(
      revokeApiKey(suite.database, COMMAND_LINE, network.id, other.keyId, { includeCreated: true }),
    ).rejects.toThrow();
    const living = await suite.database.prisma.apiKey.findMany({
      where: { id: { in: [other.keyId, ...line] }, revokedAt: null },
    });
    expect(living.map(({ id }) => id)).toEqual([last]);
    const subjectId = { in: [other.keyId, ...line] };
    const events = await suite.database.prisma.auditEvent.findMany({ where: { action: 'key.revoked', subjectId } });
    expect(events.map((event) => event.subjectId).sort()).toEqual(
      [other.keyId, ...line].filter((id) => id !== last).sort(),
    );
  },
);

describe('what changes nothing', () => {
  test('is not on record: a key revoked again, a network suspended again, a plan that it has already', async () => {
    const { network, other } = await makeOwn();
    await revokeApiKey(suite.database, COMMAND_LINE, network.id, other.keyId);
    await networks.suspendNetwork(suite.database, COMMAND_LINE, network.id);
    const events = await suite.database.prisma.auditEvent.count({ where: { networkId: network.id } });
    await revokeApiKey(suite.database, COMMAND_LINE, network.id, other.keyId);
    await networks.suspendNetwork(suite.database, COMMAND_LINE, network.id);
    await networks.updateNetwork(suite.database, COMMAND_LINE, network.id, { plan: network.plan });
    expect(await suite.database.prisma.auditEvent.count({ where: { networkId: network.id } })).toBe(events);
  });

  test('is not on record: a key that was refused', async () => {
    const own = await makeOwn();
    const where = { networkId: own.network.id };
    const events = await suite.database.prisma.auditEvent.count({ where });
    const { body } = await suite.call(
      own.token,
      'mutation { createApiKey(input: { name: "", scopes: [] }) { userErrors { code } } }',
    );
    expect(body.data.createApiKey.userErrors).toEqual([{ code: 'BLANK' }]);
    expect(await suite.database.prisma.auditEvent.count({ where })).toBe(events);
  });
});

test('a network that is made is on record in itself', async () => {
  await FOUNDING.run(await makeOwn());
  const network = await networks.findNetwork(suite.database, 'founded');
  const events = await suite.database.prisma.auditEvent.findMany({ where: { networkId: network?.id ?? '' } });
  expect(events).toMatchObject([
    {
      action: 'network.created',
      ...byOperator('Network', network?.id, { after: { slug: 'founded', name: 'Founded', plan: 'STANDARD' } }),
    },
  ]);
});

test('a network that is deleted is on record after it has gone, step by step', async () => {
  const { network } = await makeOwn();
  expect((await networks.deleteNetwork(suite.database, COMMAND_LINE, network.id)).ok).toBe(true);
  const events = await suite.database.prisma.auditEvent.findMany({
    where: { networkId: network.id },
    orderBy: { id: 'asc' },
  });
  expect(events.slice(-3).map(({ action, details }) => [action, details])).toEqual([
    ['network.suspended', expect.anything()],
    ['network.deleted', { members: 3, finished: false }],
    ['network.deleted', { before: { slug: network.slug, name: network.name, plan: 'STANDARD' }, finished: true }],
  ]);
});
