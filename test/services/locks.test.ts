/** Changes of several keys at once: in one order, so that none waits for another in a ring; and again where one did. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { newUuid } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { removeAdmin } from '../../src/services/admins.ts';
import { revokeApiKeys } from '../../src/services/api-keys/revoke.ts';
import { makeAdmin, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

/** An admin with three keys, whose rows lie in the table against the order of their ids. */
async function makeThree() {
  const { network } = await makeNetwork(database);
  const admin = await makeAdmin(database, network.id);
  const ids = [newUuid(), newUuid(), newUuid()].sort();
  const common = { networkId: network.id, adminId: admin.id, redactedToken: '', scopes: [] };
  for (const id of ids.toReversed()) {
    const data = { ...common, id, name: id, nameFolded: id, createdByKind: 'COMMAND_LINE' as const };
    await database.prisma.apiKey.create({ data });
  }
  return { networkId: network.id, adminId: admin.id, ids };
}

const LOCK_ROW = 'SELECT 1 FROM api_keys WHERE id = $1 FOR UPDATE';

test('an admin is removed while the admin’s keys are revoked: they wait for each other in one order', async () => {
  const { networkId, adminId, ids } = await makeThree();
  const lock = await hold(database.pool, LOCK_ROW, [ids[1]]);
  const revoked = revokeApiKeys(database, COMMAND_LINE, networkId, { keyIds: ids }, {});
  await lock.untilAwaited();
  const removed = removeAdmin(database, COMMAND_LINE, networkId, adminId);
  // It waits behind the other one, for the first of the keys; in another order it would have locked the last by now.
  await pause(300);
  const { rows } = await database.pool.query(
    'SELECT id FROM api_keys WHERE id = ANY($1::uuid[]) FOR UPDATE SKIP LOCKED',
    [ids],
  );
  expect(rows).toEqual([{ id: ids[2] }]);
  await lock.release();
  expect(await Promise.all([revoked, removed])).toMatchObject([{ ok: true, revokedCount: 3 }, { ok: true }]);
});

test('a write that PostgreSQL ends to break a ring of locks is done again', async () => {
  const { networkId, ids } = await makeThree();
  const lock = await hold(database.pool, LOCK_ROW, [ids[1]]);
  const revoked = revokeApiKeys(database, COMMAND_LINE, networkId, { keyIds: ids }, {});
  await lock.untilAwaited();
  // The write waits for this session, and this one now for the write; whoever has waited for longer is ended.
  await lock.run(LOCK_ROW, [ids[0]]);
  await lock.release();
  expect(await revoked).toMatchObject({ ok: true, revokedCount: 3 });
  const where = { networkId, action: 'key.revoked' };
  expect(await database.prisma.auditEvent.count({ where })).toBe(3);
});
