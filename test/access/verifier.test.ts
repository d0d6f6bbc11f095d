/** Verification is fresh every time (promise 1) and cheap under load: what is counted here is the queries. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Verifier } from '../../src/access/verifier.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { mintToken } from '../../src/domain/token.ts';
import type { Verification } from '../../src/domain/verification.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { makeKey, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { openPool, type TestPool } from '../support/postgres.ts';
import { openCable } from '../support/proxy.ts';
import { mistyped } from '../support/refusals.ts';
import { scratchUrl } from '../support/scratch.ts';

let database: Database;
let own: TestNetwork;
let pool: TestPool;
let verifier: Verifier;
let queries = 0;
const cable = openCable();

beforeAll(async () => {
  const url = await scratchUrl({ migrated: true });
  database = await openDatabase({ url, dataDir: '', poolSize: 5, statementTimeoutMs: 30_000 });
  pool = openPool({ connectionString: await cable.url(url) });
  const { query } = pool;
  pool.query = function count(...args: unknown[]) {
    queries += 1;
    return (query as (...all: unknown[]) => unknown).apply(pool, args);
  } as typeof query;
});
afterAll(async () => {
  await pool.close();
  await cable.pull();
  await database.close();
});
beforeEach(async () => {
  own = await makeNetwork(database);
  verifier = new Verifier({ pool }, () => undefined);
  queries = 0;
});

const bearer = (token: string) => `Bearer ${token}`;
const times = <Value>(count: number, make: (index: number) => Value) =>
  Array.from({ length: count }, (_, index) => make(index));
const statuses = (verifications: readonly Verification[]) => [...new Set(verifications.map(({ status }) => status))];

describe('lookups of concurrent requests share a query', () => {
  test('2,000 of one token', async () => {
    const found = await Promise.all(times(2_000, () => verifier.verify(bearer(own.token), null)));
    expect(statuses(found)).toEqual(['valid']);
    expect(queries).toBeLessThanOrEqual(4); // of 500 each
  });

  test('of many tokens, each with its own answer', async () => {
    const keys = await Promise.all(times(30, () => makeKey(database, own.network.id, { adminId: own.admin.id })));
    await revokeApiKey(database, COMMAND_LINE, own.network.id, keys[7]?.apiKey.id ?? '');
    const stranger = mintToken('LIVE');
    const headers = [
      ...keys.map(({ token }) => bearer(token)),
      bearer(stranger),
      bearer(mistyped(stranger)),
      undefined,
    ];
    const found = await Promise.all(headers.map((header) => verifier.verify(header, null)));
    expect(queries).toBe(1);
    keys.forEach(({ apiKey }, index) => {
      const verification = found[index];
      if (index === 7) expect(verification).toMatchObject({ status: 'revoked' });
      else expect(verification).toMatchObject({ status: 'valid', principal: { keyId: apiKey.id } });
    });
    expect(found.slice(-3).map((verification) => verification?.status)).toEqual(['unknown', 'malformed', 'missing']);
  });

  test('that come while two lookups are under way wait for one of these, together', async () => {
    const lock = await hold(database.pool, 'LOCK TABLE secrets');
    const under: Promise<Verification>[] = [];
    for (let lookup = 1; lookup <= 2; lookup += 1) {
      under.push(verifier.verify(bearer(own.token), null));
      await lock.untilAwaited(lookup);
    }
    const waiting = times(400, () => verifier.verify(bearer(own.token), null));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(queries).toBe(2);
    await lock.release();
    expect(statuses(await Promise.all([...under, ...waiting]))).toEqual(['valid']);
    expect(queries).toBe(3);
  });
});

describe('nothing is kept: each change is seen at the very next request', () => {
  const verify = () => verifier.verify(bearer(own.token), null);
  const change = (sql: string, id: string) => database.pool.query(sql, [id]);

  test('one after the other, each asks again', async () => {
    for (let asked = 1; asked <= 5; asked += 1) {
      expect(await verify()).toMatchObject({ status: 'valid' });
      expect(queries).toBe(asked);
    }
  });

  test('a key that is revoked', async () => {
    expect(await verify()).toMatchObject({ status: 'valid' });
    await revokeApiKey(database, COMMAND_LINE, own.network.id, own.apiKey.id);
    const { id: keyId, networkId } = own.apiKey;
    expect(await verify()).toEqual({ status: 'revoked', at: expect.any(Date), key: { keyId, networkId } });
  });

  test.for<[string, string, (own: TestNetwork) => string, object]>([
    [
      'an end that has come',
      'UPDATE api_keys SET expires_at = now() WHERE id = $1',
      ({ apiKey }) => apiKey.id,
      { status: 'expired' },
    ],
    [
      'a secret’s own end',
      'UPDATE secrets SET expires_at = now() WHERE key_id = $1',
      ({ apiKey }) => apiKey.id,
      { status: 'expired' },
    ],
    [
      'an end ahead',
      `UPDATE api_keys SET expires_at = now() + interval '1 hour' WHERE id = $1`,
      ({ apiKey }) => apiKey.id,
      { status: 'valid' },
    ],
    [
      'an admin who is removed',
      'UPDATE admins SET removed_at = now() WHERE id = $1',
      ({ admin }) => admin.id,
      { status: 'revoked' },
    ],
    [
      'a network that is suspended',
      'UPDATE networks SET suspended_at = now() WHERE id = $1',
      ({ network }) => network.id,
      { status: 'suspended' },
    ],
    [
      'scopes that are taken away',
      `UPDATE api_keys SET scopes = '{keys:read,made:up}' WHERE id = $1`,
      ({ apiKey }) => apiKey.id,
      { principal: { scopes: new Set(['keys:read']) } },
    ],
    [
      'a role that is lowered',
      `UPDATE admins SET role = 'ADMIN' WHERE id = $1`,
      ({ admin }) => admin.id,
      { principal: { adminRole: 'ADMIN' } },
    ],
    [
      'a plan that is changed',
      `UPDATE networks SET plan = 'PREMIUM' WHERE id = $1`,
      ({ network }) => network.id,
      { principal: { plan: 'PREMIUM', numbers: { requestsPerMinute: 300 } } },
    ],
    ['a key that is gone', 'DELETE FROM api_keys WHERE id = $1', ({ apiKey }) => apiKey.id, { status: 'unknown' }],
  ])('%s', async ([, sql, idOf, expected]) => {
    expect(await verify()).toMatchObject({ status: 'valid' });
    await change(sql, idOf(own));
    expect(await verify()).toMatchObject(expected);
  });

  test('also by those that waited for lookups begun before it', async () => {
    const lock = await hold(database.pool, 'LOCK TABLE secrets');
    const under: Promise<Verification>[] = [];
    for (let lookup = 1; lookup <= 2; lookup += 1) {
      under.push(verify());
      await lock.untilAwaited(lookup);
    }
    await change('UPDATE networks SET suspended_at = now() WHERE id = $1', own.network.id);
    const after = times(20, verify);
    await lock.release();
    expect(statuses(await Promise.all(after))).toEqual(['suspended']);
    await Promise.all(under);
  });
});

describe('no query is made', () => {
  test('for what is no token', async () => {
    const headers = [
      undefined,
      '',
      'Bearer',
      'Basic abc',
      bearer('x'),
      bearer(mistyped(own.token)),
      bearer(own.token.slice(0, -1)),
    ];
    const found = await Promise.all(headers.map((header) => verifier.verify(header, null)));
    expect(statuses(found).sort()).toEqual(['malformed', 'missing']);
    expect(queries).toBe(0);
  });

  test('for a token that was just found unknown, and it is for any other', async () => {
    const stranger = bearer(mintToken('LIVE'));
    expect(await verifier.verify(stranger, null)).toEqual({ status: 'unknown' });
    expect(queries).toBe(1);
    expect(statuses(await Promise.all(times(100, () => verifier.verify(stranger, null))))).toEqual(['unknown']);
    expect(queries).toBe(1);
    await verifier.verify(bearer(mintToken('LIVE')), null);
    expect(queries).toBe(2);
  });
});

test('a database that is out of reach rejects all that wait, and verification goes on once it is back', async () => {
  expect(await verifier.verify(bearer(own.token), null)).toMatchObject({ status: 'valid' });
  await cable.pull();
  const stranger = bearer(mintToken('LIVE'));
  for (let time = 0; time < 3; time += 1) {
    const found = await Promise.allSettled(times(10, () => verifier.verify(stranger, null)));
    expect([...new Set(found.map(({ status }) => status))]).toEqual(['rejected']);
  }
  await cable.plugIn();
  expect(await verifier.verify(bearer(own.token), null)).toMatchObject({ status: 'valid' });
  // It was not found unknown while nobody could look.
  queries = 0;
  expect(await verifier.verify(stranger, null)).toEqual({ status: 'unknown' });
  expect(queries).toBe(1);
});
