/**
 * Promise 8: one caller's worst is never another's. By order and counts: while a greedy key has its plan's worst queued, a
 * quiet network's query waits behind at most one slice and one statement of it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { sharesOf } from '../../src/database/fair-pool.ts';
import type { Caller } from '../../src/domain/fair-queue.ts';
import { toId } from '../../src/domain/id.ts';
import { graphql, type Reply } from '../support/client.ts';
import { makeKey, makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { hold } from '../support/lock.ts';
import { openPool, type TestPool } from '../support/postgres.ts';
import { scratchUrl } from '../support/scratch.ts';

const POOL_SIZE = 10;
const SHARES = sharesOf(POOL_SIZE);
/** For what comes a moment later: generous, for a busy machine. */
const POLL = { timeout: 20_000 };
/** Asks for nothing of the table that the tests lock. */
const QUIET = '{ me { name } network { slug } }';
/** 951 points. */
const WORST = `{ ${Array.from({ length: 15 }, (_, at) => `p${at}: members(first: 250) { nodes { id customFields } }`).join(' ')} }`;

/** 254 points. */
const LARGE_PAGES = `{ ${[1, 2, 3, 4].map((at) => `p${at}: members(first: 250) { nodes { id } }`).join(' ')} }`;

interface Given {
  readonly caller: Caller;
  readonly ahead: number;
}

let url: string;
let database: Database;
/** Sessions that may hold a lock for as long as a busy machine takes. */
let locks: TestPool;
let gateway: TestGateway;
const connections: Given[] = [];
const turns: Given[] = [];

beforeAll(async () => {
  url = await scratchUrl({ migrated: true });
  database = await openDatabase({ url, dataDir: '', poolSize: 5, statementTimeoutMs: 60_000 });
  locks = openPool({ connectionString: url, max: 2 });
  gateway = await startTestGateway(
    {
      DATABASE_URL: url,
      DATABASE_POOL_SIZE: String(POOL_SIZE),
      STATEMENT_TIMEOUT_MS: '60000',
      REQUEST_TIMEOUT_MS: '60000',
    },
    {
      onGrant: (caller, ahead) => connections.push({ caller, ahead }),
      onTurn: (caller, ahead) => turns.push({ caller, ahead }),
    },
  );
});
afterAll(async () => {
  await gateway.close();
  await locks.close();
  await database.close();
});

function call(token: string, query: string, variables?: Record<string, unknown>): Promise<Reply> {
  return graphql(gateway.url, token, query, variables === undefined ? {} : { variables });
}

function of(network: TestNetwork, given: readonly Given[]): Given[] {
  return given.filter(({ caller }) => caller.networkId === network.network.id);
}

/** How many connections of requests wait for a lock. Retention deletes audit events now and then. */
async function held(): Promise<number> {
  const { rows } = await locks.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock' AND query NOT LIKE 'DELETE FROM audit_events%'`,
  );
  return rows[0]?.count ?? 0;
}

async function untilHeld(count: number): Promise<void> {
  await expect.poll(held, POLL).toBe(count);
}

describe('while a key has its plan’s worst queued, whose statements do not end', () => {
  test('it holds its share of the connections, and no other network waits for one', async () => {
    const [greedy, quiet] = [await makeNetwork(database), await makeNetwork(database)];
    const lock = await hold(locks, 'LOCK TABLE members');
    try {
      const worst = Array.from({ length: 10 }, () => call(greedy.token, WORST));
      const pages = Array.from({ length: 90 }, () => call(greedy.token, '{ members(first: 50) { nodes { id } } }'));
      await untilHeld(SHARES.perKey);
      connections.length = 0;
      for (let round = 0; round < 20; round += 1) expect((await call(quiet.token, QUIET)).status).toBe(200);
      expect(of(quiet, connections).map(({ ahead }) => ahead)).toEqual(Array(20).fill(0));
      expect(of(greedy, connections)).toEqual([]);
      expect(await held()).toBe(SHARES.perKey);
      const ready = await fetch(`${gateway.url}/readyz`);
      expect(ready.status).toBe(200);
      await lock.release();
      // And it is served, all of it.
      const replies = await Promise.all([...worst, ...pages]);
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    } finally {
      await lock.release();
    }
  });

  test('another key of its network waits for none either', async () => {
    const greedy = await makeNetwork(database);
    const other = await makeKey(database, greedy.network.id, { adminId: greedy.admin.id });
    const lock = await hold(locks, 'LOCK TABLE members');
    try {
      const worst = Array.from({ length: 10 }, () => call(greedy.token, LARGE_PAGES));
      await untilHeld(SHARES.perKey);
      connections.length = 0;
      for (let round = 0; round < 10; round += 1) expect((await call(other.token, QUIET)).status).toBe(200);
      expect(of(greedy, connections).map(({ ahead }) => ahead)).toEqual(Array(10).fill(0));
      await lock.release();
      await Promise.all(worst);
    } finally {
      await lock.release();
    }
  });

  test('a network of fifty greedy keys holds its share, and a quiet one waits for none', async () => {
    const [greedy, quiet] = [await makeNetwork(database), await makeNetwork(database)];
    const keys: { token: string }[] = [];
    for (let count = 0; count < 50; count += 1) {
      keys.push(await makeKey(database, greedy.network.id, { adminId: greedy.admin.id }));
    }
    const lock = await hold(locks, 'LOCK TABLE members');
    try {
      const worst = keys.flatMap(({ token }) => [1, 2].map(() => call(token, LARGE_PAGES)));
      await untilHeld(SHARES.perNetwork);
      connections.length = 0;
      for (let round = 0; round < 10; round += 1) expect((await call(quiet.token, QUIET)).status).toBe(200);
      expect(of(quiet, connections).map(({ ahead }) => ahead)).toEqual(Array(10).fill(0));
      expect(await held()).toBe(SHARES.perNetwork);
      await lock.release();
      const replies = await Promise.all(worst);
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    } finally {
      await lock.release();
    }
  });

  test('writes that wait for a lock hold no more than that either', async () => {
    const [greedy, quiet] = [await makeNetwork(database), await makeNetwork(database)];
    const lock = await hold(locks, 'LOCK TABLE audit_events');
    try {
      const writes = Array.from({ length: 30 }, (_, at) =>
        call(greedy.token, `mutation { createApiKey(input: { name: "k${at}", scopes: [] }) { userErrors { code } } }`),
      );
      await untilHeld(SHARES.perKey);
      connections.length = 0;
      for (let round = 0; round < 10; round += 1) expect((await call(quiet.token, QUIET)).status).toBe(200);
      expect(of(quiet, connections).map(({ ahead }) => ahead)).toEqual(Array(10).fill(0));
      expect(await held()).toBe(SHARES.perKey);
      await lock.release();
      await Promise.all(writes);
    } finally {
      await lock.release();
    }
  });
});

describe('while a key has its plan’s worst under way', () => {
  const LARGE = { notes: 'x'.repeat(4_000) };
  const KINDS: readonly [string, (token: string) => Promise<unknown>][] = [
    ['queries of 951 points over large custom fields', (token) => call(token, WORST)],
    [
      'heavy filters',
      (token) =>
        call(token, 'query($f: MemberFilter) { members(first: 250, filter: $f) { nodes { id name } } }', {
          f: { nameContains: 'nobody', customFields: [{ name: 'n', equals: 1 }] },
        }),
    ],
    [
      'upserts of a thousand members',
      (token) =>
        call(token, UPSERT, {
          input: {
            members: Array.from({ length: 1_000 }, (_, at) => ({ name: `M ${at}`, email: `m${at}@example.test` })),
          },
        }),
    ],
    ['batches', (token) => batch(token)],
    ['documents that are new each time', (token) => call(token, WORST.replace('{', `{ # ${Math.random()}\n`))],
  ];
  const UPSERT = 'mutation($input: UpsertMembersInput!) { upsertMembers(input: $input) { userErrors { code } } }';

  async function batch(token: string): Promise<void> {
    const body = JSON.stringify(
      Array.from({ length: 10 }, () => ({ query: '{ members(first: 250) { nodes { id customFields } } }' })),
    );
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
    const response = await fetch(`${gateway.url}/graphql`, { method: 'POST', headers, body });
    expect(response.status).toBe(200);
    await response.arrayBuffer();
  }

  test.each(KINDS)('%s: a quiet network waits behind one slice and one statement of it at most', async (_, ask) => {
    const [greedy, quiet] = [await makeNetwork(database), await makeNetwork(database)];
    await makeMembers(database, greedy.network.id, 250, () => ({ customFields: LARGE }));
    await makeMembers(database, quiet.network.id, 3);
    const ended = { count: 0 };
    const worst = Array.from({ length: 5 }, async () => {
      await ask(greedy.token);
      ended.count += 1;
    });
    await expect.poll(() => of(greedy, connections).length, { ...POLL, interval: 1 }).toBeGreaterThan(0);
    connections.length = 0;
    turns.length = 0;
    let asked = 0;
    while (ended.count < worst.length && asked < 100) {
      const reply = await call(quiet.token, '{ me { name } members(first: 50) { nodes { id name } } }');
      expect([reply.status, reply.body.data?.members.nodes.length]).toEqual([200, 3]);
      asked += 1;
    }
    await Promise.all(worst);
    expect(asked).toBeGreaterThan(0);
    expect(of(quiet, connections)).toHaveLength(asked);
    expect(Math.max(...of(quiet, connections).map(({ ahead }) => ahead))).toBe(0);
    expect(Math.max(0, ...of(quiet, turns).map(({ ahead }) => ahead))).toBeLessThanOrEqual(1);
    expect(gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

const CREATE = 'mutation { createApiKey(input: { name: "made late", scopes: [] }) { userErrors { code } } }';
const REVOKE = 'mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { userErrors { code } } }';
const TOO_MANY_AT_ONCE =
  'Service unavailable: for 2 s, other queries of this key or network have been under way: send fewer at once';
const SHARE_IN_USE =
  'Service unavailable: for 2 s, queries of this key or network have used its whole share of the database connections';

describe('whoever fills their own queue is told so', () => {
  test('with 429 and the limit’s name, is charged nothing for it, and nobody else is told anything', async () => {
    const [greedy, quiet] = [await makeNetwork(database), await makeNetwork(database)];
    const lock = await hold(locks, 'LOCK TABLE members');
    try {
      const worst = Array.from({ length: 300 }, () => call(greedy.token, LARGE_PAGES));
      const first = await Promise.race(worst);
      expect(first.status).toBe(429);
      expect(first.headers.get('retry-after')).toBe('1');
      expect(first.headers.get('ratelimit')).toContain('"cost"');
      expect(first.body.errors?.[0]).toMatchObject({
        message: expect.stringMatching(/^Rate limit exceeded: 256 queries are waiting already for this key/),
        extensions: { code: 'RATE_LIMITED', limit: { name: 'concurrency', scope: 'key', max: 256 } },
      });
      expect(first.cost).toMatchObject({ actual: 0 });
      expect((await call(quiet.token, QUIET)).status).toBe(200);
      // What needs no place in the queue is answered all the same.
      expect((await call(greedy.token, '{ me { name } }')).status).toBe(200);
      await lock.release();
      const statuses = (await Promise.all(worst)).map(({ status }) => status);
      expect(statuses.filter((status) => status === 200)).toHaveLength(259);
      expect(statuses.filter((status) => status === 429)).toHaveLength(41);
    } finally {
      await lock.release();
    }
  });

  test('with 503 and what it waited for, once it has waited for too long', async () => {
    const [greedy, quiet] = [await makeNetwork(database), await makeNetwork(database)];
    const settings = { DATABASE_URL: url, REQUEST_TIMEOUT_MS: '4000', STATEMENT_TIMEOUT_MS: '60000' };
    const hasty = await startTestGateway(settings);
    const lock = await hold(locks, 'LOCK TABLE members');
    try {
      const worst = Array.from({ length: 3 }, () => graphql(hasty.url, greedy.token, WORST));
      // By Prisma, and in a transaction: they wait for one of the key's connections.
      await untilHeld(1);
      const small = ['{ network { slug } }', CREATE].map((query) => graphql(hasty.url, greedy.token, query));
      expect((await graphql(hasty.url, quiet.token, QUIET)).status).toBe(200);
      const replies = await Promise.all(worst);
      expect(replies.map(({ body }) => body.errors?.[0]?.message)).toContain(TOO_MANY_AT_ONCE);
      for (const { status, headers, body } of replies.filter(({ status }) => status === 503)) {
        expect([status, headers.get('retry-after')]).toEqual([503, '1']);
        expect([TOO_MANY_AT_ONCE, SHARE_IN_USE]).toContain(body.errors?.[0]?.message);
      }
      for (const { body } of await Promise.all(small)) expect(body.errors?.[0]?.message).toBe(SHARE_IN_USE);
      expect(hasty.log.filter(({ level }) => level === 'error')).toEqual([]);
    } finally {
      await lock.release();
      await hasty.close();
    }
  });

  test('and a token that is revoked while its query waits is refused', async () => {
    const { apiKey, token, network, admin } = await makeNetwork(database);
    const other = await makeKey(database, network.id, { adminId: admin.id });
    const lock = await hold(locks, 'LOCK TABLE members');
    try {
      const worst = Array.from({ length: 3 }, () => call(token, WORST));
      // The one that was let in reads page by page.
      await untilHeld(1);
      const revoked = await call(other.token, REVOKE, { id: toId('ApiKey', apiKey.id) });
      expect(revoked.body).toEqual({ data: { revokeApiKey: { userErrors: [] } } });
      await lock.release();
      const replies = await Promise.all(worst);
      expect(replies.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
    } finally {
      await lock.release();
    }
  });
});
