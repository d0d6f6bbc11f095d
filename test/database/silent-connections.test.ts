/**
 * Connections to the database that stay open and swallow bytes, as behind a firewall that forgot them or before a frozen
 * backend: they cost whoever waits on them a deadline, and nobody anything after that (promise 9).
 */
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { DEADLINES } from '../../src/database/deadlines.ts';
import { databaseFault } from '../../src/database/faults.ts';
import { graphql, type Reply } from '../support/client.ts';
import { makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { openCable, type Silence } from '../support/proxy.ts';
import { scratchUrl } from '../support/scratch.ts';

const STATEMENT_TIMEOUT_MS = 4_000;
const SHORT = { connectMs: 1_000, lookupMs: 600, cancelMs: 300, graceMs: 500, farewellMs: 300 };
const POOL_SIZE = 5;
/** Nothing here takes longer; on a busy machine, too. */
const SOON_MS = 20_000;

const cable = openCable();
let direct: Database;
let url: string;
let own: TestNetwork;
let others: TestNetwork[] = [];
let gateway: TestGateway;
let closed: Promise<void> | null = null;

/** A connection past the cable, which ends with its test: a lock that it holds as well. */
async function directClient(): Promise<pg.PoolClient> {
  const client = await direct.pool.connect();
  onTestFinished(() => client.release(true));
  return client;
}

/** The gateway's end, once it was asked for. */
function close(): Promise<void> {
  closed ??= gateway.close();
  return closed;
}

beforeAll(async () => {
  const scratch = await scratchUrl({ migrated: true });
  direct = await openDatabase({ url: scratch, dataDir: '', poolSize: 3, statementTimeoutMs: 30_000 });
  url = await cable.url(scratch);
  own = await makeNetwork(direct);
  others = await Promise.all(Array.from({ length: POOL_SIZE - 2 }, () => makeNetwork(direct)));
  await makeMembers(direct, own.network.id, 3);
});
afterAll(async () => {
  await cable.pull();
  await direct.close();
});

const MEMBERS = '{ members { nodes { id } } }';
const WRITE = 'mutation { createApiKey(input: { name: "never", scopes: [] }) { token } }';
const ask = (query: string) => graphql(gateway.url, own.token, query);

async function readyz(): Promise<unknown[]> {
  const reply = await fetch(`${gateway.url}/readyz`);
  const { status, checks } = (await reply.json()) as { status: string; checks: { database: string } };
  return [reply.status, status, checks.database];
}
const READY = [200, 'ready', 'ok'];
const UNAVAILABLE = [503, 'unavailable', 'unreachable'];

/** Opens as many connections as the pool may have: for several networks, as none has all of them at once. */
async function fillPool(): Promise<void> {
  const tokens = [own, ...others].map(({ token }) => token);
  const asked = Array.from({ length: 3 * POOL_SIZE }, (_, index) => tokens[index % tokens.length] ?? own.token);
  while (cable.connections < POOL_SIZE) await Promise.all(asked.map((token) => graphql(gateway.url, token, MEMBERS)));
}

async function untilServed(): Promise<void> {
  await expect.poll(async () => (await ask(MEMBERS)).status, { timeout: SOON_MS }).toBe(200);
}

function expectUnavailable({ status, headers, body }: Reply): void {
  expect({ status, code: body.errors?.[0]?.extensions.code, retryAfter: headers.get('retry-after') }).toEqual({
    status: 503,
    code: 'SERVICE_UNAVAILABLE',
    retryAfter: '5',
  });
}

describe('a gateway whose connections go silent', () => {
  beforeEach(async () => {
    closed = null;
    gateway = await startTestGateway(
      {
        DATABASE_URL: url,
        DATABASE_POOL_SIZE: String(POOL_SIZE),
        STATEMENT_TIMEOUT_MS: String(STATEMENT_TIMEOUT_MS),
        SHUTDOWN_TIMEOUT_MS: '1000',
      },
      { deadlines: SHORT },
    );
    await fillPool();
  });
  afterEach(async () => {
    cable.mend();
    await close();
    expect(gateway.log.filter(({ msg }) => msg === 'a bug')).toEqual([]);
  });

  test.for<Silence>(['requests', 'answers', 'both'])(
    'that swallow %s answers all that wait with 503, and serves again over new connections',
    async (what) => {
      cable.silence(what);
      const waiting = await Promise.all(Array.from({ length: 150 }, () => ask(MEMBERS)));
      for (const reply of waiting) if (reply.status !== 200) expectUnavailable(reply);
      expect(waiting.some(({ status }) => status === 503)).toBe(true);
      await untilServed();
      expect(await readyz()).toEqual(READY);
    },
  );

  test('pays one deadline for all connections that went silent together, not one each', async () => {
    cable.silence();
    const replies: number[] = [];
    for (let asked = 0; asked < 5; asked += 1) replies.push((await ask(MEMBERS)).status);
    expect(replies).toEqual([503, 200, 200, 200, 200]);
  });

  test('and cannot make new ones says 503 and not ready, until it can', async () => {
    cable.silence('both', { newOnes: true });
    expectUnavailable(await ask(MEMBERS));
    expect(await readyz()).toEqual(UNAVAILABLE);
    expectUnavailable(await ask(MEMBERS));
    expect(await readyz()).toEqual(UNAVAILABLE);
    cable.mend();
    await untilServed();
    await expect.poll(readyz, { timeout: SOON_MS }).toEqual(READY);
  });

  test('in part goes on over the others, and gets rid of the silent ones', async () => {
    cable.silence('both', { oneIn: 2 });
    const load = async () => {
      const replies = await Promise.all(Array.from({ length: 3 * POOL_SIZE }, () => ask(MEMBERS)));
      return [...new Set(replies.map(({ status }) => status))];
    };
    // One that is used for nothing stays until it is: what counts is that none of them is there in the end.
    await expect.poll(async () => [await load(), cable.silent], { timeout: SOON_MS }).toEqual([[200], 0]);
    await expect.poll(readyz, { timeout: SOON_MS }).toEqual(READY);
  });

  test('while a write is under way rejects it, and keeps none of its connections', async () => {
    const lock = await directClient();
    await lock.query('BEGIN; LOCK TABLE audit_events');
    const writers = [own, ...others];
    const replies = writers.map(({ token }) => graphql(gateway.url, token, WRITE));
    const waiting = `SELECT count(*)::int AS count FROM pg_locks WHERE NOT granted AND relation = 'audit_events'::regclass`;
    const blocked = async () => (await lock.query(waiting)).rows[0].count;
    await expect.poll(blocked, { timeout: SOON_MS, interval: 5 }).toBe(writers.length);
    cable.silence();
    for (const reply of await Promise.all(replies)) expectUnavailable(reply);
    await lock.query('ROLLBACK');
    await untilServed();
    expect(await direct.prisma.apiKey.count({ where: { name: 'never' } })).toBe(0);
    const made = await ask('mutation { createApiKey(input: { name: "made", scopes: [] }) { token } }');
    expect(made.body.errors).toBeUndefined();
  });

  test('stops all the same, within its time limit', async () => {
    const lock = await directClient();
    await lock.query('BEGIN; LOCK TABLE members');
    const reply = ask(MEMBERS).catch(() => null);
    await delay(100);
    cable.silence('both', { newOnes: true });
    const begunMs = performance.now();
    await close();
    // SHUTDOWN_TIMEOUT_MS, and what a gateway may take beyond it.
    expect(performance.now() - begunMs).toBeLessThan(1_000 + 5_000);
    await reply;
    await lock.query('ROLLBACK');
  });
});

describe('a pool whose connections go silent', () => {
  let database: Database;
  beforeEach(async () => {
    database = await openDatabase({
      url,
      dataDir: '',
      poolSize: 2,
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      deadlines: SHORT,
    });
  });
  afterEach(async () => {
    cable.mend();
    await database.close();
  });

  test.for<[string, () => Promise<unknown>]>([
    ['a statement', () => database.pool.query('SELECT 1')],
    ['a statement of Prisma’s', () => database.prisma.network.count()],
    ['a transaction that begins', () => database.prisma.$transaction((all) => all.network.count())],
    ['several statements at once', () => Promise.all([database.prisma.admin.count(), database.prisma.network.count()])],
  ])('rejects %s as unreachable and has a good one for the next', async ([, run]) => {
    await run();
    cable.silence();
    const error = await run().then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(databaseFault(error)).toBe('unreachable');
    await run();
    await expect.poll(() => database.pool.totalCount - database.pool.idleCount).toBe(0);
  });

  test.for(['a statement inside', 'the commit', 'the rollback'])(
    'rejects a transaction at %s, and its connection is not handed on',
    async (when) => {
      const error = await database.prisma
        .$transaction(async (all) => {
          await all.network.count();
          cable.silence();
          if (when === 'a statement inside') await all.network.count();
          if (when === 'the rollback') throw new Error('rolled back');
        })
        .then(
          () => null,
          (thrown: unknown) => thrown,
        );
      if (when === 'the rollback') expect(error).toMatchObject({ message: 'rolled back' });
      else expect(databaseFault(error)).toBe('unreachable');
      await expect.poll(() => database.pool.totalCount - database.pool.idleCount, { timeout: SOON_MS }).toBe(0);
      expect(await database.prisma.network.count()).toBeGreaterThan(0);
    },
  );

  test('waits for a longer limit that a transaction has set, and for no other', async () => {
    await database.prisma.$transaction(
      async (all) => {
        await all.$executeRawUnsafe(`SET LOCAL statement_timeout = ${3 * STATEMENT_TIMEOUT_MS}`);
        await all.$queryRawUnsafe(`SELECT pg_sleep(${(STATEMENT_TIMEOUT_MS + SHORT.graceMs + 500) / 1_000})::text`);
      },
      { timeout: SOON_MS },
    );
    cable.silence();
    const begunMs = performance.now();
    await expect(database.pool.query('SELECT 1')).rejects.toThrow('no answer came');
    expect(performance.now() - begunMs).toBeLessThan(3 * STATEMENT_TIMEOUT_MS);
  });

  test('closes without waiting for them, and leaves none of them open', async () => {
    const closing = await openDatabase({ url, dataDir: '', poolSize: 2, statementTimeoutMs: 60_000, deadlines: SHORT });
    await Promise.all([closing.pool.query('SELECT 1'), closing.pool.query('SELECT 1')]);
    cable.silence();
    const hung = expect(closing.pool.query('SELECT 2')).rejects.toThrow('being closed');
    await delay(50); // it has a connection by then
    const closes = closing.close();
    closing.cutOff();
    await closes;
    await hung;
    await expect.poll(() => cable.connections, { timeout: SOON_MS }).toBe(0);
  });

  test('does not count a process of its own that was busy as silence', async () => {
    await database.pool.query('SELECT 1');
    const answer = database.pool.query({ text: 'SELECT 1 AS one', ...{ limit: 'lookup' } });
    await delay(0);
    const end = performance.now() + SHORT.lookupMs + SHORT.cancelMs + 200;
    while (performance.now() < end);
    expect((await answer).rows).toEqual([{ one: 1 }]);
  });
});

test('with the usual deadlines a gateway says not ready from 5 s on, and serves within 30 s of good connections', {
  timeout: 60_000,
}, async () => {
  gateway = await startTestGateway({ DATABASE_URL: url, DATABASE_POOL_SIZE: String(POOL_SIZE) });
  await fillPool();
  cable.silence('both', { newOnes: true });
  const waiting = Array.from({ length: 20 }, () => ask(MEMBERS));
  await delay(5_000);
  for (let probe = 0; probe < 3; probe += 1) expect(await readyz()).toEqual(UNAVAILABLE);
  cable.mend();
  const mendedMs = performance.now();
  await expect.poll(async () => (await ask(MEMBERS)).status, { timeout: 30_000 }).toBe(200);
  await expect.poll(readyz, { timeout: 30_000 }).toEqual(READY);
  expect(performance.now() - mendedMs).toBeLessThan(30_000);
  for (const reply of await Promise.all(waiting)) if (reply.status !== 200) expectUnavailable(reply);
  await gateway.close();
});

test('the deadlines leave a gateway that is configured as usual less than 30 s to be back', () => {
  const { connectMs, lookupMs, cancelMs, graceMs } = DEADLINES;
  expect(connectMs + lookupMs + cancelMs).toBeLessThan(30_000);
  expect(10_000 + graceMs + connectMs).toBeLessThan(30_000);
});
