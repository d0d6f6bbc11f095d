// What is stored, and what callers are told of time, goes by the database's clock, whatever a gateway's own says.
import { readdir, readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseId } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { createAdmin } from '../../src/services/admins.ts';
import { importMembers } from '../../src/services/members/import.ts';
import { createNetwork, updateNetwork } from '../../src/services/networks.ts';
import { makeNetwork, STANDARD } from '../support/fixtures.ts';
import { useScratchGateway } from '../support/suite.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Far more than this test takes, and far less than the clocks differ by. */
const NEAR_MS = 10 * MINUTE_MS;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Sets this process's clock, and so the gateway's. The database is another process. */
function shiftClock(ms: number): void {
  vi.setSystemTime(REAL.now() + ms);
}
const REAL = { now: () => performance.timeOrigin + performance.now() };

describe.for([
  ['an hour ahead', HOUR_MS],
  ['an hour behind', -HOUR_MS],
  ['a month ahead', 31 * 24 * HOUR_MS],
] as const)('a gateway whose clock is %s', ([, shiftMs]) => {
  const suite = useScratchGateway({ USAGE_FLUSH_INTERVAL_MS: '50' });

  async function nowMs(): Promise<number> {
    const { rows } = await suite.database.pool.query(
      'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms',
    );
    return rows[0].ms;
  }

  /** A network with something of everything in it, written with the clock shifted. */
  async function write() {
    // By the fixtures, whose ids carry this process's time.
    shiftClock(0);
    const own = await makeNetwork(suite.database, { network: { ...STANDARD, monthlyQuota: 100_000 } });
    shiftClock(shiftMs);
    const ask = async (query: string) => {
      const { body } = await suite.call(own.token, query);
      expect(body.errors).toBeUndefined();
      return body.data;
    };
    const made = await ask(
      'mutation { createApiKey(input: { name: "made", scopes: [] }) { token apiKey { id createdAt } } }',
    );
    const { id } = made.createApiKey.apiKey;
    await ask(`mutation { rotateApiKey(input: { id: "${id}", overlapSeconds: 120 }) { token } }`);
    await ask(`mutation { updateApiKey(input: { id: "${id}", note: "x" }) { userErrors { code } } }`);
    await ask(`mutation { revokeApiKey(input: { id: "${id}" }) { revokedCount } }`);
    await suite.call(made.createApiKey.token, '{ me { id } }');
    await ask('mutation { createApiKey(input: { name: "", scopes: [] }) { userErrors { code } } }');
    const members = '[{ email: "a@example.test", name: "A" }, { email: "b@example.test", name: "B" }]';
    const { upsertMembers } = await ask(
      `mutation { upsertMembers(input: { members: ${members} }) { results { id } } }`,
    );
    const [first, second] = upsertMembers.results;
    await ask(`mutation { updateMember(input: { id: "${first.id}", name: "C" }) { userErrors { code } } }`);
    await ask(`mutation { deleteMembers(input: { ids: ["${second.id}"] }) { deletedIds } }`);
    const { database } = suite;
    await createAdmin(database, COMMAND_LINE, own.network.id, { email: 'bob@example.test', name: 'Bob', role: null });
    await updateNetwork(database, COMMAND_LINE, own.network.id, { name: 'Renamed' });
    const source = (async function* () {
      yield Buffer.from('{"email":"c@example.test","name":"C"}\n');
    })();
    await importMembers(database, COMMAND_LINE, own.network.id, { source, format: 'jsonl' });
    return own;
  }

  test('stores every time, and every id, as the database tells them', async () => {
    await write();
    const input = { slug: 'made-ahead', name: 'X', plan: 'STANDARD', requestsPerMinute: null } as const;
    const rest = {
      networkRequestsPerMinute: null,
      costPerMinute: null,
      monthlyQuota: null,
      monthlyQuotaEnforced: false,
    };
    expect((await createNetwork(suite.database, COMMAND_LINE, { ...input, ...rest })).ok).toBe(true);
    await expect.poll(() => suite.database.prisma.refusedAttempt.count(), { timeout: 30_000 }).toBeGreaterThan(0);
    await expect
      .poll(() => suite.database.prisma.authenticationFailure.count(), { timeout: 30_000 })
      .toBeGreaterThan(0);
    const now = await nowMs();
    const times = await everyTime(now);
    // Something is found in each table that a network fills.
    for (const table of [
      'networks',
      'admins',
      'api_keys',
      'secrets',
      'members',
      'member_deletions',
      'audit_events',
      'usage_counts',
    ]) {
      expect(times.some(({ place }) => place.startsWith(`${table}.`))).toBe(true);
    }
    expect(times.filter(({ isNear }) => !isNear)).toEqual([]);
  });

  test('tells callers when their limits reset by the database, too', async () => {
    const own = await write();
    const { body, cost } = await suite.call(
      own.token,
      '{ me { rateLimit { resetAt windows { name resetAt } } } network { monthlyQuota { resetAt } usage(bucket: MINUTE) { until } } }',
    );
    const now = await nowMs();
    const { rateLimit } = body.data.me;
    const windows = rateLimit.windows.filter(({ name }: { name: string }) => name !== 'month');
    const times = [rateLimit.resetAt, cost?.resetAt, ...windows.map(({ resetAt }: { resetAt: string }) => resetAt)];
    for (const time of [...times, body.data.network.usage.until])
      expect(Math.abs(Date.parse(time) - now)).toBeLessThan(NEAR_MS);
    const at = new Date(now);
    const monthEnd = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1)).toISOString();
    expect(body.data.network.monthlyQuota.resetAt).toBe(monthEnd);

    const refused = await suite.call(own.token, '{ members(first: 1000) { nodes { id } } }');
    expect(Math.abs(Date.parse(refused.cost?.resetAt ?? '') - now)).toBeLessThan(NEAR_MS);
    const limited = await untilLimited(own.token);
    expect(Math.abs(Date.parse(limited.resetAt) - now)).toBeLessThan(NEAR_MS);
  });

  async function untilLimited(token: string): Promise<{ resetAt: string }> {
    for (let calls = 0; calls < 200; calls += 1) {
      const { status, body } = await suite.call(token, '{ me { id } }');
      if (status === 429) return body.errors?.[0]?.extensions['limit'] as { resetAt: string };
    }
    throw new Error('no limit was reached');
  }

  test('takes an expiry that lies ahead of the database, and none that does not', async () => {
    shiftClock(0);
    const own = await makeNetwork(suite.database);
    shiftClock(shiftMs);
    const codes = async (ms: number) => {
      const expiresAt = new Date((await nowMs()) + ms).toISOString();
      const input = `{ name: "at ${ms}", scopes: [], expiresAt: "${expiresAt}" }`;
      const { body } = await suite.call(
        own.token,
        `mutation { createApiKey(input: ${input}) { userErrors { code } } }`,
      );
      return body.data.createApiKey.userErrors.map(({ code }: { code: string }) => code);
    };
    expect(await codes(10 * MINUTE_MS)).toEqual([]);
    expect(await codes(-10 * MINUTE_MS)).toEqual(['OUT_OF_RANGE']);
  });

  /** Each time that is stored, and that each id carries; `isNear`: whether it is what the database's clock says. */
  async function everyTime(now: number): Promise<{ place: string; time: string; isNear: boolean }[]> {
    const { rows: columns } = await suite.database.pool.query(`
      SELECT table_name AS "table", column_name AS "column", data_type AS type FROM information_schema.columns
      WHERE table_schema = 'public' AND table_name <> '_prisma_migrations'
        AND (data_type = 'timestamp with time zone' OR (data_type = 'uuid' AND column_name IN ('id', 'member_id')))`);
    const found: { place: string; time: string; isNear: boolean }[] = [];
    for (const { table, column, type } of columns) {
      const { rows } = await suite.database.pool.query(
        `SELECT DISTINCT ${column}::text AS text, ${type === 'uuid' ? 'NULL' : `(extract(epoch FROM ${column}) * 1000)::float8`} AS ms
         FROM ${table} WHERE ${column} IS NOT NULL ${type === 'uuid' ? `AND substr(${column}::text, 15, 1) = '7'` : ''}`,
      );
      for (const { text, ms } of rows) {
        const time = ms ?? Number.parseInt(text.replaceAll('-', '').slice(0, 12), 16);
        const place = `${table}.${column}`;
        found.push({ place, time: new Date(time).toISOString(), isNear: (BOUNDS[place] ?? near)(time, now) });
      }
    }
    return found;
  }
});

const near = (time: number, now: number) => Math.abs(time - now) < NEAR_MS;
/** Those that are not the moment at which they are written. */
const BOUNDS: Readonly<Record<string, (time: number, now: number) => boolean>> = {
  'audit_events.keep_until': (time, now) => time > now + 700 * 24 * HOUR_MS,
  // The beginnings of minutes, hours and days.
  'usage_counts.starts_at': (time, now) =>
    [1, 60, 24 * 60].some((minutes) => near(time, now - (now % (minutes * MINUTE_MS)))),
  'network_months.month': (time, now) => time === Date.UTC(new Date(now).getUTCFullYear(), new Date(now).getUTCMonth()),
};

describe('two gateways whose clocks are two hours apart', () => {
  const suite = useScratchGateway();

  test('give ids that sort as what they name was made', async () => {
    const own = await makeNetwork(suite.database);
    const made: string[] = [];
    for (const [index, shiftMs] of [HOUR_MS, -HOUR_MS, HOUR_MS, 0, -HOUR_MS].entries()) {
      shiftClock(shiftMs);
      const input = `{ name: "key ${index}", scopes: [] }`;
      const { body } = await suite.call(own.token, `mutation { createApiKey(input: ${input}) { apiKey { id } } }`);
      made.push(body.data.createApiKey.apiKey.id);
    }
    expect(made.every((id) => parseId(id) !== null)).toBe(true);
    expect(made.toSorted()).toEqual(made);
    const { body } = await suite.call(own.token, '{ apiKeys { nodes { id } } }');
    const listed = body.data.apiKeys.nodes.map(({ id }: { id: string }) => id);
    expect(listed.filter((id: string) => made.includes(id))).toEqual(made);
  });
});

test('nothing reads the clock of its process for what is stored or told', async () => {
  /** Files where it is right: what stays in the process or on its machine. */
  const ALLOWED = [
    'domain/id.ts', // the default, for what only the process knows
    'limits/meter.ts', // the default, for tests without a database
    'limits/month-counter.ts', // the same
    'graphql/rate-limits.ts', // a value that only its library compares
    ...['logger', 'bounded-destination'].map((name) => `observability/${name}.ts`), // a log line is the machine's own
    ...['lock-files', 'staging', 'postmaster', 'join'].map((name) => `database/embedded/${name}.ts`), // files' times
    ...['gateway.ts', 'services/usage/recorder.ts'], // names of this process
  ];
  const source = new URL('../../src/', import.meta.url);
  const files = await readdir(source, { recursive: true });
  const found: string[] = [];
  for (const file of files) {
    if (!file.endsWith('.ts') || file.startsWith('database/generated/')) continue;
    const text = await readFile(new URL(file, source), 'utf8');
    if (/Date\.now\b|new Date\(\)|newUuid\(\)/.test(text)) found.push(file);
  }
  expect(found.sort()).toEqual(ALLOWED.sort());
});
