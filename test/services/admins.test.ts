import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import type { Admin } from '../../src/database/generated/client.ts';
import { newUuid, toId } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import {
  type AdminOutcome,
  createAdmin,
  findAdmin,
  firstAdmin,
  listAdmins,
  removeAdmin,
} from '../../src/services/admins.ts';
import { makeAdmin, makeKey, makeNetwork, openTestDatabase } from '../support/fixtures.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

/** A network without any admin. */
async function emptyNetwork(): Promise<string> {
  const { network, admin } = await makeNetwork(database);
  await database.prisma.admin.delete({ where: { id: admin.id } });
  return network.id;
}

function create(networkId: string, email: string, role: Admin['role'] | null = null): Promise<AdminOutcome> {
  return createAdmin(database, COMMAND_LINE, networkId, { email, name: 'Somebody', role });
}

async function created(networkId: string, email: string, role: Admin['role'] | null = null): Promise<Admin> {
  const outcome = await create(networkId, email, role);
  if (!outcome.ok) throw new Error(outcome.errors[0].message);
  return outcome.admin;
}

function errorsOf(outcome: AdminOutcome): unknown {
  return outcome.ok ? [] : outcome.errors.map(({ code, field }) => [code, field.at(-1)]);
}

describe('an admin is made', () => {
  test('the first is an owner by default, the next are admins, with audit events that name no person', async () => {
    const network = await emptyNetwork();
    expect(await created(network, 'Ada@X.org')).toMatchObject({
      role: 'OWNER',
      email: 'Ada@X.org',
      emailFolded: 'ada@x.org',
    });
    expect(await created(network, 'bob@x.org')).toMatchObject({ role: 'ADMIN' });
    const where = { networkId: network, action: 'admin.created' };
    const events = await database.prisma.auditEvent.findMany({ where, orderBy: { id: 'asc' } });
    expect(events.map((event) => event.details)).toEqual([{ after: { role: 'OWNER' } }, { after: { role: 'ADMIN' } }]);
  });

  test('of several first ones at once exactly one becomes the owner', async () => {
    const network = await emptyNetwork();
    const admins = await Promise.all(['a', 'b', 'c', 'd'].map((name) => created(network, `${name}@x.org`)));
    expect(admins.map((admin) => admin.role).toSorted()).toEqual(['ADMIN', 'ADMIN', 'ADMIN', 'OWNER']);
  });

  test('not twice with one address, whatever its case; but again after removal', async () => {
    const network = await emptyNetwork();
    const first = await created(network, 'ada@x.org');
    await created(network, 'owner@x.org', 'OWNER');
    expect(errorsOf(await create(network, 'ADA@x.ORG'))).toEqual([['EMAIL_TAKEN', 'email']]);
    await removeAdmin(database, COMMAND_LINE, network, first.id);
    expect((await created(network, 'ADA@x.ORG')).id).not.toBe(first.id);
  });

  test('not twice with one mailbox, however its domain is spelled; and is found by each spelling', async () => {
    const network = await emptyNetwork();
    const ada = await created(network, 'ada@bücher.example');
    for (const email of ['ada@xn--bcher-kva.example', 'ADA@BÜCHER\u3002example', 'ada@bü\u00adcher.example']) {
      expect(errorsOf(await create(network, email))).toEqual([['EMAIL_TAKEN', 'email']]);
      expect(await findAdmin(database, network, email)).toMatchObject({ id: ada.id });
    }
    expect(await findAdmin(database, network, 'ada@bucher.example')).toBeNull();
  });

  test('not without an address and a name, nor where there is no network', async () => {
    const network = await emptyNetwork();
    const outcome = await createAdmin(database, COMMAND_LINE, network, { email: 'nobody', name: ' ', role: null });
    expect(errorsOf(outcome)).toEqual([
      ['INVALID', 'email'],
      ['INVALID', 'name'],
    ]);
    expect(errorsOf(await create(newUuid(), 'ada@x.org'))).toEqual([['NOT_FOUND', 'network']]);
  });
});

describe('an admin is found', () => {
  test('by address in any case and by id, in the own network only, until removal', async () => {
    const [network, other] = [await emptyNetwork(), await emptyNetwork()];
    await created(network, 'owner@x.org');
    const admin = await created(network, 'ada@x.org');
    for (const reference of ['ADA@x.org ', toId('Admin', admin.id)]) {
      expect(await findAdmin(database, network, reference)).toEqual(admin);
      expect(await findAdmin(database, other, reference)).toBeNull();
    }
    await removeAdmin(database, COMMAND_LINE, network, admin.id);
    expect(await findAdmin(database, network, 'ada@x.org')).toBeNull();
    expect(await findAdmin(database, network, toId('Admin', admin.id))).toBeNull();
  });

  test('the first one is the oldest owner, else the oldest admin', async () => {
    const network = await emptyNetwork();
    expect(await firstAdmin(database, network)).toBeNull();
    const admin = await created(network, 'a@x.org', 'ADMIN');
    expect(await firstAdmin(database, network)).toEqual(admin);
    const owner = await created(network, 'b@x.org', 'OWNER');
    await created(network, 'c@x.org', 'OWNER');
    expect(await firstAdmin(database, network)).toEqual(owner);
  });
});

describe('an admin is removed', () => {
  test('the row stays, with an audit event; doing it again changes nothing', async () => {
    const { network, admin } = await makeNetwork(database);
    await makeAdmin(database, network.id);
    const outcome = await removeAdmin(database, COMMAND_LINE, network.id, admin.id);
    expect(outcome).toMatchObject({ ok: true, admin: { id: admin.id, removedAt: expect.any(Date) } });
    expect(await removeAdmin(database, COMMAND_LINE, network.id, admin.id)).toEqual(outcome);
    const where = { networkId: network.id, action: 'admin.removed', subjectId: admin.id };
    expect(await database.prisma.auditEvent.count({ where })).toBe(1);
    const listed: string[] = [];
    for await (const page of listAdmins(database, network.id)) listed.push(...page.map(({ id }) => id));
    expect(listed).not.toContain(admin.id);
    expect(listed).toHaveLength(1);
  });

  test('their keys say that they have ended, and why; those of others go on', async () => {
    const { network, apiKey } = await makeNetwork(database);
    const admin = await makeAdmin(database, network.id);
    const { apiKey: gone } = await makeKey(database, network.id, { adminId: admin.id, name: 'CI' });
    await removeAdmin(database, COMMAND_LINE, network.id, admin.id);
    const read = (id: string) => database.prisma.apiKey.findUniqueOrThrow({ where: { id } });
    expect(await read(gone.id)).toMatchObject({
      revokedAt: expect.any(Date),
      revokedByKind: 'COMMAND_LINE',
      revokedReason: 'Its admin was removed',
    });
    expect((await read(apiKey.id)).revokedAt).toBeNull();
    const where = { networkId: network.id, action: 'admin.removed' };
    const event = await database.prisma.auditEvent.findFirstOrThrow({ where });
    expect(event.details).toMatchObject({ after: { revokedKeys: 1 } });
    const ended = { networkId: network.id, action: 'key.revoked' };
    expect(await database.prisma.auditEvent.findMany({ where: ended })).toMatchObject([
      {
        actorKind: 'COMMAND_LINE',
        subjectId: gone.id,
        details: {
          before: { status: 'ACTIVE' },
          after: { status: 'REVOKED', name: 'CI', reason: 'Its admin was removed' },
        },
      },
    ]);
    // Its name is free again.
    await makeKey(database, network.id, { adminId: apiKey.adminId, name: 'CI' });
  });

  test('the last owner only by force', async () => {
    const { network, admin } = await makeNetwork(database);
    await makeAdmin(database, network.id, 'ADMIN');
    expect(errorsOf(await removeAdmin(database, COMMAND_LINE, network.id, admin.id))).toEqual([
      ['LAST_OWNER', 'admin'],
    ]);
    expect(await removeAdmin(database, COMMAND_LINE, network.id, admin.id, { force: true })).toMatchObject({
      ok: true,
    });
  });

  test('of the last two owners, removed at the same time, one stays', async () => {
    const { network, admin } = await makeNetwork(database);
    const other = await makeAdmin(database, network.id);
    const outcomes = await Promise.all(
      [admin, other].map(({ id }) => removeAdmin(database, COMMAND_LINE, network.id, id)),
    );
    expect(outcomes.map((outcome) => outcome.ok).toSorted()).toEqual([false, true]);
  });

  test('not through another network', async () => {
    const [{ network }, { admin }] = [await makeNetwork(database), await makeNetwork(database)];
    expect(errorsOf(await removeAdmin(database, COMMAND_LINE, network.id, admin.id))).toEqual([['NOT_FOUND', 'admin']]);
  });
});
