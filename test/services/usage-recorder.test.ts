/** The recorder against a real database that takes what it writes, refuses it, or is sent it twice. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { newUuid } from '../../src/domain/id.ts';
import { digestOf } from '../../src/domain/token.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { type CountedRequest, UsageBuffer } from '../../src/services/usage/buffer.ts';
import { writeFlush } from '../../src/services/usage/flush.ts';
import { type RecorderOptions, UsageRecorder } from '../../src/services/usage/recorder.ts';
import { totals } from '../support/counted.ts';
import { makeKey, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { scratchUrl } from '../support/scratch.ts';

const NEVER_MS = 60_000;
const MINUTE_MS = 60_000;

let database: Database;
beforeAll(async () => {
  const url = await scratchUrl({ migrated: true });
  database = await openDatabase({ url, dataDir: '', poolSize: 8, statementTimeoutMs: 30_000 });
});
afterAll(() => database.close());

function makeRecorder(options: Partial<RecorderOptions> = {}) {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger('debug', { write: (line) => lines.push(JSON.parse(line)) });
  const recorder = new UsageRecorder(database, log, { flushIntervalMs: NEVER_MS, ...options });
  return { recorder, messages: () => lines.map(({ msg }) => msg), lines };
}

function requestOf({ apiKey, token }: Pick<TestNetwork, 'apiKey' | 'token'>): CountedRequest {
  const { id: keyId, networkId } = apiKey;
  const request = { keyId, networkId, digest: digestOf(token), address: '203.0.113.77', atMs: Date.now() };
  return { ...request, error: false, limited: false, cost: 3 };
}

/** While it lasts, no flush is taken, and everything else works. */
async function whileNothingIsTaken(work: () => Promise<void>): Promise<void> {
  await database.pool.query('ALTER TABLE usage_counts RENAME TO usage_elsewhere');
  try {
    await work();
  } finally {
    await database.pool.query('ALTER TABLE usage_elsewhere RENAME TO usage_counts');
  }
}

const lastUsed = async (keyId: string) => {
  const key = await database.prisma.apiKey.findUniqueOrThrow({ where: { id: keyId }, include: { secrets: true } });
  return [key.lastUsedAt?.getTime(), key.lastUsedAddress, key.secrets[0]?.lastUsedAt?.getTime()];
};

describe('counts are exact', () => {
  test('when gateways flush the same keys at once, over and over, in minutes, hours and days alike', async () => {
    const own = await makeNetwork(database);
    const keys = await Promise.all([1, 2, 3].map(() => makeKey(database, own.network.id, { adminId: own.admin.id })));
    const recorders = [1, 2, 3, 4].map(() => makeRecorder().recorder);
    const minutes = 5;
    const rounds = 30;
    for (let round = 0; round < rounds; round += 1) {
      await Promise.all(
        recorders.map((recorder, at) => {
          // Each in another order, so that rows locked in the order of arrival would lock each other up.
          const order = at % 2 === 0 ? keys : keys.toReversed();
          for (const key of order) {
            const request = requestOf(key);
            const atMs = request.atMs - (round % minutes) * MINUTE_MS;
            recorder.request({ ...request, atMs, error: round % 3 === 0, limited: round % 5 === 0 });
          }
          return recorder.flush();
        }),
      );
    }
    const all = { requests: 360, errors: 120, limited: 72, cost: 1080 };
    const where = { networkId: own.network.id };
    expect(await totals(database, where)).toEqual({ MINUTE: all, HOUR: all, DAY: all });
    await Promise.all(recorders.map((recorder) => recorder.close()));
  });

  test('when a flush comes days late: it is added to the hour and day that it belongs to', async () => {
    const own = await makeNetwork(database);
    const request = requestOf(own);
    const late = Date.UTC(2026, 0, 31, 23, 59, 59, 999);
    for (const atMs of [late, request.atMs, late, late + 1]) {
      const { recorder } = makeRecorder();
      recorder.request({ ...request, atMs });
      await recorder.close();
    }
    const { rows } = await database.pool.query(
      `SELECT bucket, starts_at, requests::int FROM usage_counts WHERE key_id = $1 AND starts_at < '2026-03-01' ORDER BY 1, 2`,
      [own.apiKey.id],
    );
    expect(rows.map(({ bucket, starts_at, requests }) => [bucket, starts_at.toISOString(), requests])).toEqual([
      ['MINUTE', '2026-01-31T23:59:00.000Z', 2],
      ['MINUTE', '2026-02-01T00:00:00.000Z', 1],
      ['HOUR', '2026-01-31T23:00:00.000Z', 2],
      ['HOUR', '2026-02-01T00:00:00.000Z', 1],
      ['DAY', '2026-01-31T00:00:00.000Z', 2],
      ['DAY', '2026-02-01T00:00:00.000Z', 1],
    ]);
  });

  test('when a flush is sent again because its answer was lost, also while the first is still under way', async () => {
    const own = await makeNetwork(database);
    const counted = new UsageBuffer(10);
    counted.addRequest(requestOf(own));
    counted.addFailure({ ...requestOf(own), reason: 'expired' });
    const flush = { gatewayId: newUuid(), sequence: 1, counted };
    const taken = await Promise.all([1, 2, 3, 4].map(() => writeFlush(database, flush)));
    expect(taken.filter((flushed) => flushed.taken)).toHaveLength(1);
    expect(await writeFlush(database, flush)).toEqual({ taken: false, busy: [] });
    expect((await totals(database, { keyId: own.apiKey.id })).DAY.requests).toBe(1);
    const [failure] = await database.prisma.authenticationFailure.findMany({ where: { keyId: own.apiKey.id } });
    expect(failure?.count).toBe(1);
    expect(await writeFlush(database, { ...flush, sequence: 2 })).toEqual({ taken: true, busy: [] });
    expect((await totals(database, { keyId: own.apiKey.id })).DAY.requests).toBe(2);
  });

  test('when the database refuses a flush: it is sent again, once, with what came meanwhile behind it', async () => {
    const own = await makeNetwork(database);
    const { recorder, messages } = makeRecorder();
    recorder.request(requestOf(own));
    await whileNothingIsTaken(async () => {
      await recorder.flush();
      recorder.request(requestOf(own));
      await recorder.flush();
      await recorder.flush();
    });
    // Said once, however often it is tried.
    expect(messages()).toEqual(['what was counted could not be written: kept, and tried again']);
    await recorder.flush();
    expect((await totals(database, { keyId: own.apiKey.id })).MINUTE.requests).toBe(1);
    await recorder.flush();
    expect((await totals(database, { keyId: own.apiKey.id })).MINUTE.requests).toBe(2);
    expect(messages().slice(1)).toEqual(['what was counted is written again']);
    await recorder.close();
  });
});

describe('memory is bounded', () => {
  test('a buffer that fills up is written before its time, in flushes of a bounded size', async () => {
    const own = await makeNetwork(database);
    const gatewayId = newUuid();
    const { recorder } = makeRecorder({ flushEntries: 3, gatewayId });
    const flushes = async () => {
      const { rows } = await database.pool.query('SELECT sequence FROM usage_flushes WHERE gateway_id = $1', [
        gatewayId,
      ]);
      return rows[0].sequence;
    };
    for (let minute = 0; minute < 7; minute += 1) {
      recorder.request({ ...requestOf(own), atMs: Date.now() - minute * MINUTE_MS });
    }
    recorder.failure({ ...requestOf(own), reason: 'expired' });
    await expect.poll(async () => (await totals(database, { keyId: own.apiKey.id })).MINUTE.requests).toBe(6);
    expect(await flushes()).toBe(2);
    await recorder.close();
    expect((await totals(database, { keyId: own.apiKey.id })).MINUTE.requests).toBe(7);
    expect(await flushes()).toBe(3);
  });

  test('past the bound what has an entry is counted still, the rest is lost, and the log says how much', async () => {
    const own = await makeNetwork(database);
    const request = requestOf(own);
    const { recorder, lines } = makeRecorder({ entriesMax: 2 });
    await whileNothingIsTaken(async () => {
      recorder.request(request);
      await recorder.flush();
      for (let minute = 0; minute < 5; minute += 1) {
        recorder.request({ ...request, atMs: request.atMs - minute * MINUTE_MS });
      }
      recorder.request(request);
    });
    await recorder.close();
    expect((await totals(database, { keyId: own.apiKey.id })).DAY.requests).toBe(1 + 2 + 1);
    expect(lines.filter(({ level }) => level === 'error')).toMatchObject([
      { entries: 2, msg: 'too much waits to be written: from now on counts are lost, until the database takes it' },
      { lost: 3, msg: 'so many counts were lost' },
    ]);
  });

  test('what cannot be written at the end of the process is said to be lost', async () => {
    const own = await makeNetwork(database);
    const { recorder, lines } = makeRecorder();
    recorder.request(requestOf(own));
    await whileNothingIsTaken(() => recorder.close());
    expect(lines.at(-1)).toMatchObject({ level: 'error', entries: 1 });
  });
});

describe('last used', () => {
  test('is the latest of all gateways, however late they write, with the block that it came from', async () => {
    const own = await makeNetwork(database);
    const now = Date.now();
    for (const [agoMs, address] of [
      [1_000, '198.51.100.200'],
      [60_000, '203.0.113.9'],
      [500, '2001:db8:1:2:3:4:5:6'],
      [700, null],
    ] as const) {
      const { recorder } = makeRecorder();
      recorder.request({ ...requestOf(own), atMs: now - agoMs, address });
      await recorder.close();
    }
    expect(await lastUsed(own.apiKey.id)).toEqual([now - 500, '2001:db8:1::/48', now - 500]);
  });

  test('is the latest of all gateways that write at the same moment', async () => {
    const own = await makeNetwork(database);
    const keys = await Promise.all([1, 2, 3].map(() => makeKey(database, own.network.id, { adminId: own.admin.id })));
    const recorders = Array.from({ length: 6 }, () => makeRecorder().recorder);
    const now = Date.now();
    for (const [at, recorder] of recorders.entries()) {
      for (const key of keys) recorder.request({ ...requestOf(key), atMs: now - ((at * 7) % 6) * 10 });
    }
    await Promise.all(recorders.map((recorder) => recorder.close()));
    for (const key of keys) expect(await lastUsed(key.apiKey.id)).toEqual([now, '203.0.113.0/24', now]);
    expect((await totals(database, { networkId: own.network.id })).HOUR.requests).toBe(18);
  });

  test.for([
    ['its key', 'SELECT 1 FROM api_keys WHERE id = $1 FOR UPDATE'],
    ['its secret', 'SELECT 1 FROM secrets WHERE key_id = $1 FOR UPDATE'],
  ] as const)('waits in memory while somebody changes %s, whom no flush ever holds up', async ([, statement]) => {
    const own = await makeNetwork(database);
    const { recorder } = makeRecorder();
    const request = requestOf(own);
    recorder.request(request);
    const client = await database.pool.connect();
    await client.query('BEGIN');
    await client.query(statement, [own.apiKey.id]);
    await recorder.flush();
    expect((await totals(database, { keyId: own.apiKey.id })).DAY.requests).toBe(1);
    expect((await lastUsed(own.apiKey.id))[2]).toBeUndefined();
    // The end of the process waits for it, too.
    const closed = recorder.close();
    await client.query('COMMIT');
    client.release();
    await closed;
    expect(await lastUsed(own.apiKey.id)).toEqual([request.atMs, '203.0.113.0/24', request.atMs]);
    expect((await totals(database, { keyId: own.apiKey.id })).DAY.requests).toBe(1);
  });

  test('never lies in the future, nor does a count, whatever a gateway’s clock says', async () => {
    const own = await makeNetwork(database);
    const { recorder } = makeRecorder();
    recorder.request({ ...requestOf(own), atMs: Date.now() + 86_400_000 });
    recorder.failure({ ...requestOf(own), reason: 'expired', atMs: Date.now() + 86_400_000 });
    await recorder.close();
    const { rows } = await database.pool.query(
      `SELECT (SELECT max(starts_at) FROM usage_counts WHERE key_id = $1) <= now() AS counted,
              (SELECT max(minute) FROM authentication_failures WHERE key_id = $1) <= now() AS failed,
              (SELECT last_used_at FROM api_keys WHERE id = $1) <= now() AS used`,
      [own.apiKey.id],
    );
    expect(rows).toEqual([{ counted: true, failed: true, used: true }]);
  });

  test('of a key that is deleted meanwhile is nobody’s, and its counts are kept', async () => {
    const own = await makeNetwork(database);
    const { recorder } = makeRecorder();
    recorder.request(requestOf(own));
    await database.prisma.apiKey.delete({ where: { id: own.apiKey.id } });
    await recorder.close();
    expect((await totals(database, { keyId: own.apiKey.id })).DAY.requests).toBe(1);
  });
});

test('nothing counted is nothing written; off is nothing counted, but when a key was last used is known', async () => {
  const own = await makeNetwork(database);
  const { recorder } = makeRecorder();
  await recorder.flush();
  await recorder.close();
  const off = makeRecorder({ flushIntervalMs: 0 }).recorder;
  off.request(requestOf(own));
  await off.close();
  const { rows } = await database.pool.query('SELECT count(*)::int AS n FROM usage_counts WHERE key_id = $1', [
    own.apiKey.id,
  ]);
  expect(rows).toEqual([{ n: 0 }]);
  const at = expect.any(Number);
  expect(await lastUsed(own.apiKey.id)).toEqual([at, '203.0.113.0/24', at]);
});
