/** What the database can't do now is neither the caller's fault nor a bug: 503 and 504, and then it goes on. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import type { Reply } from '../support/client.ts';
import { makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { openCable } from '../support/proxy.ts';
import { useScratchGateway } from '../support/suite.ts';

const cable = openCable();
const suite = useScratchGateway({ STATEMENT_TIMEOUT_MS: '1000' }, (url) => cable.url(url));
const own: { network: TestNetwork } = {} as never;

beforeAll(async () => {
  own.network = await makeNetwork(suite.database);
  return () => cable.pull();
});

/** One of each way to the database, the table that it is made to wait for, and its status where that fails it. */
const WAYS = [
  ['a page', 'members', '{ members { nodes { id } } }', null],
  ['the price of a count', 'member_counts', '{ members(filter: { role: [OWNER] }) { totalCount } }', null],
  ['a total', 'member_counts', '{ members(first: 1) { totalCount } }', null],
  ['an object beside others', 'members', `{ member(id: "${toId('Member', newUuid())}") { id } }`, 294],
  ['a write', 'audit_events', 'mutation { createApiKey(input: { name: "never", scopes: [] }) { token } }', null],
] as const;

const UNAVAILABLE = {
  status: 503,
  code: 'SERVICE_UNAVAILABLE',
  message: 'Service unavailable: the database is out of reach',
};
const TIMEOUT = { status: 504, code: 'TIMEOUT', message: 'Timeout: the database took too long over this request' };

/** `status`: where data came with it; null: the code's own. */
function expectFault(
  reply: Reply,
  { code, message, status: ofCode }: typeof TIMEOUT,
  status: number | null = null,
): void {
  expect(reply.status).toBe(status ?? ofCode);
  expect(reply.body.errors?.[0]).toMatchObject({
    message,
    extensions: { code, status: ofCode, requestId: reply.headers.get('x-request-id') },
  });
  if (ofCode === 503) expect(reply.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
}

afterEach(() => {
  const bugs = suite.gateway.log.filter(({ level }) => level === 'error' || level === 'fatal');
  expect(bugs).toEqual([]);
});

describe('a database that is out of reach', () => {
  test('answers 503 with Retry-After, says so in readyz alone, and 200 again once it is back', async () => {
    const probe = async (path: string) => {
      const reply = await fetch(suite.url + path);
      return [reply.status, await reply.json()];
    };
    await cable.pull();
    try {
      expectFault(await suite.call(own.network.token, '{ me { id } }'), UNAVAILABLE);
      expect(await probe('/readyz')).toEqual([
        503,
        { status: 'unavailable', checks: { database: 'unreachable', limiter: 'ok' } },
      ]);
      expect(await probe('/healthz')).toEqual([200, { status: 'ok' }]);
      // What needs no database needs none now.
      expect((await suite.call('nonsense', '{ me { id } }')).status).toBe(401);
    } finally {
      await cable.plugIn();
    }
    expect((await suite.call(own.network.token, '{ me { id } }')).status).toBe(200);
    expect(await probe('/readyz')).toEqual([200, { status: 'ready', checks: { database: 'ok', limiter: 'ok' } }]);
  });

  test.for(WAYS)('or goes while %s is under way: 503', async ([, table, query, status]) => {
    const lock = await hold(suite.database.pool, `LOCK TABLE ${table}`);
    try {
      const reply = suite.call(own.network.token, query);
      await lock.untilAwaited();
      await cable.pull();
      expectFault(await reply, UNAVAILABLE, status);
    } finally {
      await lock.release();
      await cable.plugIn();
    }
    expect((await suite.call(own.network.token, '{ me { id } }')).status).toBe(200);
  });
});

describe('a database that takes too long', () => {
  test.for(WAYS)('over %s: 504, and the statement is ended', async ([, table, query, status]) => {
    const lock = await hold(suite.database.pool, `LOCK TABLE ${table}`);
    try {
      expectFault(await suite.call(own.network.token, query), TIMEOUT, status);
      expect(await lock.awaiting()).toBe(0);
    } finally {
      await lock.release();
    }
    expect(await suite.database.prisma.apiKey.count({ where: { name: 'never' } })).toBe(0);
  });

  test('over a verification: 504', async () => {
    const lock = await hold(suite.database.pool, 'LOCK TABLE secrets');
    try {
      expectFault(await suite.call(own.network.token, '{ me { id } }'), TIMEOUT);
    } finally {
      await lock.release();
    }
  });
});
