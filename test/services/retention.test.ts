/** What is kept for a time only is deleted after it; what is kept for longer is not, whoever tries. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { newUuid } from '../../src/domain/id.ts';
import { BUCKET_MS, bucketStart, usageRange } from '../../src/domain/usage.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { suspendNetwork } from '../../src/services/networks.ts';
import { RetentionJob, sweep } from '../../src/services/retention.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { withClient } from '../support/postgres.ts';
import { scratchUrl } from '../support/scratch.ts';

const SETTINGS = { usageMinutesDays: 7, usageHoursDays: 400, refusalsDays: 90, auditDays: 730, deletionsDays: 30 };
const NEVER = new AbortController().signal;

let url = '';
let database: Database;
beforeAll(async () => {
  url = await scratchUrl({ migrated: true });
  database = await openDatabase({ url, dataDir: '', poolSize: 4, statementTimeoutMs: 30_000 });
});
afterAll(() => database.close());

/** An event that was written so many days ago, and promised for so many. */
async function event(networkId: string, agoDays: number, promisedDays: number): Promise<string> {
  const id = newUuid();
  await database.pool.query(
    `INSERT INTO audit_events (id, network_id, action, actor_kind, subject_type, created_at, keep_until)
     SELECT $1, $2, 'key.created', 'COMMAND_LINE', 'ApiKey', at, at + make_interval(days => $4)
     FROM (SELECT now() - make_interval(days => $3) AS at) AS t`,
    [id, networkId, agoDays, promisedDays],
  );
  return id;
}

const eventsOf = async (networkId: string) =>
  (await database.prisma.auditEvent.findMany({ where: { networkId }, orderBy: { createdAt: 'asc' } })).map(
    ({ id }) => id,
  );

describe('the database itself refuses, for whoever is connected to it,', () => {
  test.for([
    ['to change an event', `UPDATE audit_events SET action = 'key.revoked' WHERE id = $1`, /refuses UPDATE/],
    ['to shorten its time', 'UPDATE audit_events SET keep_until = now() WHERE id = $1', /refuses UPDATE/],
    ['to delete it before its time', 'DELETE FROM audit_events WHERE id = $1', /refuses DELETE/],
  ] as const)('%s', async ([, statement, message]) => {
    const { network } = await makeNetwork(database);
    const id = await event(network.id, 729, 730);
    await withClient(url, async (client) => {
      await expect(client.query(statement, [id])).rejects.toThrow(message);
    });
    expect(await eventsOf(network.id)).toContain(id);
  });

  test('to empty the trail', async () => {
    const { network } = await makeNetwork(database);
    const id = await event(network.id, 800, 730);
    for (const statement of ['TRUNCATE audit_events', 'TRUNCATE audit_events CASCADE']) {
      await withClient(url, (client) => expect(client.query(statement)).rejects.toThrow(/refuses TRUNCATE/));
    }
    expect(await eventsOf(network.id)).toContain(id);
  });

  test('also in a session that replays changes, where other triggers sleep', async () => {
    const { rows } = await database.pool.query(
      `SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'audit_events'::regclass AND NOT tgisinternal ORDER BY 1`,
    );
    expect(rows).toEqual([
      { tgname: 'audit_events_keep_rows', tgenabled: 'A' },
      { tgname: 'audit_events_keep_table', tgenabled: 'A' },
    ]);
  });
});

describe('an audit event', () => {
  test('is promised the retention of the setting under which it was written', async () => {
    const { network } = await makeNetwork(database);
    for (const auditRetentionDays of [1, 10, undefined]) {
      const settings = auditRetentionDays === undefined ? {} : { auditRetentionDays };
      const other = await openDatabase({ url, dataDir: '', poolSize: 2, statementTimeoutMs: 30_000, ...settings });
      await suspendNetwork(other, COMMAND_LINE, network.id);
      await other.prisma.network.update({ where: { id: network.id }, data: { suspendedAt: null } });
      await other.close();
    }
    const { rows } = await database.pool.query(
      `SELECT round(extract(epoch FROM keep_until - created_at) / 86400)::int AS days FROM audit_events
       WHERE network_id = $1 AND action = 'network.suspended' ORDER BY created_at`,
      [network.id],
    );
    expect(rows).toEqual([{ days: 1 }, { days: 10 }, { days: 730 }]);
  });

  test('is deleted when the time that it was promised is over, and the present setting’s too', async () => {
    const { network } = await makeNetwork(database);
    const made = await eventsOf(network.id);
    await event(network.id, 800, 730);
    const promised = await event(network.id, 800, 900);
    const underway = await event(network.id, 20, 10);
    expect(await sweep(database, SETTINGS, NEVER)).toMatchObject({ audit_events: expect.any(Number) });
    expect(await eventsOf(network.id)).toEqual([promised, underway, ...made]);
    await sweep(database, { ...SETTINGS, auditDays: 15 }, NEVER);
    expect(await eventsOf(network.id)).toEqual([promised, ...made]);
  });
});

test('minutes and hours of usage go after their time, days stay, and so do refusals for theirs', async () => {
  const { network, apiKey } = await makeNetwork(database);
  await database.pool.query(
    `INSERT INTO usage_counts (network_id, key_id, bucket, starts_at, requests, errors, limited, cost)
     SELECT $1, $2, bucket, date_trunc('day', now()) - make_interval(days => ago), 1, 0, 0, 0
     FROM unnest(ARRAY['MINUTE', 'HOUR', 'DAY']::usage_bucket[]) AS bucket, unnest(ARRAY[0, 6, 9, 399, 402, 4000]) AS ago`,
    [network.id, apiKey.id],
  );
  await database.pool.query(
    `INSERT INTO authentication_failures (id, network_id, key_id, reason, minute, count)
     SELECT gen_random_uuid(), $1, $2, 'expired', now() - make_interval(days => ago), 1 FROM unnest(ARRAY[1, 89, 91]) AS ago`,
    [network.id, apiKey.id],
  );
  await database.pool.query(
    `INSERT INTO refused_attempts (id, network_id, key_id, action, code, minute, count)
     SELECT gen_random_uuid(), $1, $2, 'createApiKey', 'FORBIDDEN', now() - make_interval(days => ago), 1
     FROM unnest(ARRAY[1, 89, 91]) AS ago`,
    [network.id, apiKey.id],
  );
  await sweep(database, SETTINGS, NEVER);
  const { rows } = await database.pool.query(
    `SELECT bucket::text AS what, count(*)::int AS left FROM usage_counts WHERE key_id = $1 GROUP BY bucket
     UNION ALL SELECT 'failures', count(*)::int FROM authentication_failures WHERE key_id = $1
     UNION ALL SELECT 'attempts', count(*)::int FROM refused_attempts WHERE key_id = $1 ORDER BY 1`,
    [apiKey.id],
  );
  expect(Object.fromEntries(rows.map(({ what, left }) => [what, left]))).toEqual({
    ...{ MINUTE: 2, HOUR: 4, DAY: 6 },
    ...{ failures: 2, attempts: 2 },
  });
});

test.for(['MINUTE', 'HOUR'] as const)(
  'the %s in which the retention begins is kept whole, as it is shown',
  async (bucket) => {
    const { network, apiKey } = await makeNetwork(database);
    const days = { MINUTE: SETTINGS.usageMinutesDays, HOUR: SETTINGS.usageHoursDays, DAY: null };
    const kept = days[bucket];
    const minute = () => bucketStart('MINUTE', Date.now());
    for (let before = Number.NaN; before !== minute(); ) {
      // Again where the minute has changed over it: that moves the boundary.
      before = minute();
      const boundary = bucketStart(bucket, Date.now() - kept * 86_400_000);
      await database.pool.query('DELETE FROM usage_counts WHERE key_id = $1', [apiKey.id]);
      await database.pool.query(
        `INSERT INTO usage_counts (network_id, key_id, bucket, starts_at, requests, errors, limited, cost)
       SELECT $1, $2, $3, at, 1, 0, 0, 0 FROM unnest($4::timestamptz[]) AS at`,
        [network.id, apiKey.id, bucket, [new Date(boundary - BUCKET_MS[bucket]), new Date(boundary)]],
      );
      await sweep(database, SETTINGS, NEVER);
      const { rows } = await database.pool.query('SELECT starts_at FROM usage_counts WHERE key_id = $1', [apiKey.id]);
      if (before !== minute()) continue;
      expect(rows).toEqual([{ starts_at: new Date(boundary) }]);
      const until = new Date(boundary + BUCKET_MS[bucket]);
      expect(usageRange({ bucket, since: new Date(boundary), until }, new Date(), days)).not.toHaveProperty('message');
    }
    // Its time is over in a minute at the latest: no later sweep is to find it.
    await database.pool.query('DELETE FROM usage_counts WHERE key_id = $1', [apiKey.id]);
  },
);

test('deleted members and what became of requests are forgotten after their time', async () => {
  const { network, apiKey } = await makeNetwork(database);
  await database.pool.query(
    `INSERT INTO member_deletions (network_id, position, member_id, deleted_at)
     SELECT $1, 100 - ago, gen_random_uuid(), now() - make_interval(days => ago) FROM unnest(ARRAY[1, 29, 31]) AS ago`,
    [network.id],
  );
  await database.pool.query(
    `INSERT INTO idempotent_writes (key_id, name_digest, operation, ordinal, request_digest, outcome, created_at)
     SELECT $1, sha256(ago::text::bytea), 0, 0, '', '{}', now() - make_interval(hours => ago)
     FROM unnest(ARRAY[1, 23, 25]) AS ago`,
    [apiKey.id],
  );
  expect(await sweep(database, SETTINGS, NEVER)).toEqual({ member_deletions: 1, idempotent_writes: 1 });
  const { prisma } = database;
  expect(await prisma.memberDeletion.count({ where: { networkId: network.id } })).toBe(2);
  expect(await prisma.idempotentWrite.count({ where: { keyId: apiKey.id } })).toBe(2);
});

describe('a sweep', () => {
  test('goes in batches to the end, and ends between two when it is told to', async () => {
    const { network, apiKey } = await makeNetwork(database);
    await database.pool.query(
      `INSERT INTO usage_counts (network_id, key_id, bucket, starts_at, requests, errors, limited, cost)
       SELECT $1, $2, 'MINUTE', date_trunc('minute', now()) - interval '30 days' - make_interval(mins => n), 1, 0, 0, 0
       FROM generate_series(1, 2500) AS n`,
      [network.id, apiKey.id],
    );
    const ended = new AbortController();
    ended.abort();
    expect(await sweep(database, SETTINGS, ended.signal)).toEqual({});
    expect(await sweep(database, SETTINGS, NEVER)).toEqual({ usage_counts: 2500 });
    expect(await sweep(database, SETTINGS, NEVER)).toEqual({});
  });

  test('is one gateway’s at a time, and leaves no lock behind, not even when it fails', async () => {
    const lock = await hold(database.pool, 'LOCK TABLE usage_counts IN SHARE MODE');
    const first = sweep(database, SETTINGS, NEVER);
    await lock.untilAwaited();
    expect(await sweep(database, SETTINGS, NEVER)).toBeNull();
    await lock.release();
    expect(await first).not.toBeNull();
    await database.pool.query('ALTER TABLE refused_attempts RENAME TO elsewhere');
    await expect(sweep(database, SETTINGS, NEVER)).rejects.toThrow('refused_attempts');
    await database.pool.query('ALTER TABLE elsewhere RENAME TO refused_attempts');
    await expect.poll(() => sweep(database, SETTINGS, NEVER)).toEqual({});
  });

  test('comes by itself, and says in the log what it deleted, or why it could not', async () => {
    const lines: Record<string, unknown>[] = [];
    const log = createLogger('info', { write: (line) => lines.push(JSON.parse(line)) });
    const { network } = await makeNetwork(database);
    await event(network.id, 800, 730);
    const job = new RetentionJob(database, log, SETTINGS, 0);
    await expect.poll(() => lines).toMatchObject([{ level: 'info', swept: { audit_events: 1 } }]);
    await job.close();
    const closed = await openDatabase({ url, dataDir: '', poolSize: 2, statementTimeoutMs: 30_000 });
    await closed.close();
    const failing = new RetentionJob(closed, log, SETTINGS, 0);
    await expect.poll(() => lines.slice(1)).toMatchObject([{ level: 'warn', error: { type: 'Error' } }]);
    await failing.close();
  });

  test('that is still to come does not hold up the end of a gateway', async () => {
    const job = new RetentionJob(database, createLogger('silent'), SETTINGS);
    await job.close();
  });
});
