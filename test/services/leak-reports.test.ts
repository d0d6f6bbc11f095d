/** Reports of leaked tokens: what becomes of them when the database does not let a key be ended at once, or at all. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { toId } from '../../src/domain/id.ts';
import { digestOf } from '../../src/domain/token.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { LeakReports, type LeakReportsOptions } from '../../src/services/api-keys/leak-reports.ts';
import { makeKey, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const LIVES_ON = 'a leaked token lives on: its key could not be ended';
const SOURCE = { ...COMMAND_LINE, requestId: 'req_report' };

function open(options: Partial<LeakReportsOptions> = {}) {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger('debug', { write: (line) => lines.push(JSON.parse(line)) });
  const quick = { keysAtOnce: 2, triesMax: 3, lockWaitMs: 100, firstPauseMs: 20 };
  return { lines, reports: new LeakReports(database, log, { ...quick, ...options }) };
}

async function makeKeys(count: number) {
  const { network, admin } = await makeNetwork(database);
  const keys = Array.from({ length: count }, () => makeKey(database, network.id, { adminId: admin.id }));
  return Promise.all(keys);
}

const holdKeys = (...ids: string[]) =>
  hold(database.pool, 'SELECT 1 FROM api_keys WHERE id = ANY($1::uuid[]) FOR UPDATE', [ids]);

async function isRevoked(id: string): Promise<boolean> {
  return (await database.prisma.apiKey.findUniqueOrThrow({ where: { id } })).revokedAt !== null;
}

test('a key that is held past all tries lives on, and the log says which; the others ended at once', async () => {
  const [stuck, ...free] = await makeKeys(4);
  const id = stuck?.apiKey.id ?? '';
  const lock = await holdKeys(id);
  const { reports, lines } = open();
  const { done } = await reports.take(
    SOURCE,
    [stuck, ...free].map((key) => key?.token ?? ''),
    'a log',
  );
  await lock.untilAwaited();
  await expect.poll(() => Promise.all(free.map(({ apiKey }) => isRevoked(apiKey.id)))).toEqual([true, true, true]);
  expect(lines).toEqual([]);
  await done;
  expect(lines).toEqual([
    expect.objectContaining({
      level: 'error',
      msg: LIVES_ON,
      requestId: 'req_report',
      keyId: toId('ApiKey', id),
      error: expect.objectContaining({ message: expect.stringContaining('lock timeout') }),
    }),
  ]);
  await lock.release();
  expect(await isRevoked(id)).toBe(false);
  // Reported again, it ends.
  await (await reports.take(SOURCE, [stuck?.token ?? ''], null)).done;
  expect(await isRevoked(id)).toBe(true);
});

test('a key that is held for a while ends with a later try, and is on record once', async () => {
  const [stuck] = await makeKeys(1);
  const id = stuck?.apiKey.id ?? '';
  const lock = await holdKeys(id);
  const { reports, lines } = open({ triesMax: 10 });
  const { done } = await reports.take(SOURCE, [stuck?.token ?? ''], null);
  await lock.untilAwaited();
  await pause(250);
  await lock.release();
  await done;
  expect([await isRevoked(id), lines]).toEqual([true, []]);
  expect(await database.prisma.auditEvent.count({ where: { subjectId: id, action: 'key.leaked' } })).toBe(1);
});

test('it is done when no write that began under the token can commit any more', async () => {
  const [key] = await makeKeys(1);
  const underWay = await hold(database.pool, 'SELECT pg_advisory_xact_lock_shared($1::bigint)', [
    digestOf(key?.token ?? '').readBigInt64BE(0),
  ]);
  const { reports } = open();
  const { done } = await reports.take(SOURCE, [key?.token ?? ''], null);
  let isDone = false;
  const settled = done.then(() => {
    isDone = true;
  });
  await underWay.untilAwaited();
  expect([await isRevoked(key?.apiKey.id ?? ''), isDone]).toEqual([true, false]);
  await underWay.release();
  await settled;
});

test('no more keys are tried at once than it may, however many were found', async () => {
  const keys = await makeKeys(5);
  const lock = await holdKeys(...keys.map(({ apiKey }) => apiKey.id));
  const { reports } = open({ lockWaitMs: 500, triesMax: 1 });
  const { done } = await reports.take(
    SOURCE,
    keys.map(({ token }) => token),
    null,
  );
  await lock.untilAwaited(2);
  for (let look = 0; look < 10; look += 1) {
    await pause(10);
    expect(await lock.awaiting()).toBeLessThanOrEqual(2);
  }
  await lock.release();
  await done;
});

test('a gateway that stops ends what is under way, without pauses, or says how many live on', async () => {
  const [first, second] = await makeKeys(2);
  const lock = await holdKeys(first?.apiKey.id ?? '');
  const { reports, lines } = open({ firstPauseMs: 60_000 });
  await reports.take(SOURCE, [first?.token ?? '', second?.token ?? ''], null);
  await lock.untilAwaited();
  const startedMs = performance.now();
  await reports.close();
  expect(performance.now() - startedMs).toBeLessThan(4_000);
  expect(await isRevoked(second?.apiKey.id ?? '')).toBe(true);
  expect(lines).toMatchObject([{ msg: LIVES_ON }]);
  await lock.release();
});
