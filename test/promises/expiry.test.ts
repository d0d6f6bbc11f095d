// Promise 1, for a key that ends by itself: by the database's clock, whatever the gateways' own clocks say.
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { digestOf } from '../../src/domain/token.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { rotateApiKey } from '../../src/services/api-keys/rotate.ts';
import { graphql } from '../support/client.ts';
import { makeKey, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { endUnderTraffic } from './traffic.ts';

const LIFE_MS = 400;
const HOUR_MS = 3_600_000;

let database: Database;
let gateways: readonly TestGateway[] = [];
beforeAll(async () => {
  database = await openTestDatabase();
  gateways = await Promise.all([startTestGateway(), startTestGateway()]);
});
afterAll(async () => {
  vi.useRealTimers();
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await database.close();
});

/** The gateways run in this process, and so by its clock. */
function setClock(offsetMs: number): void {
  vi.useRealTimers();
  if (offsetMs !== 0) vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + offsetMs, shouldAdvanceTime: true });
}

async function databaseNow(): Promise<Date> {
  const { rows } = await database.pool.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return rows[0]?.now ?? new Date(Number.NaN);
}

async function untilPast(time: Date): Promise<void> {
  while ((await databaseNow()) < time) await new Promise((resolve) => setTimeout(resolve, 2));
}

test.for([
  ['right', 0],
  ['an hour behind', -HOUR_MS],
  ['an hour ahead', HOUR_MS],
] as const)(
  'no request that begins after its expiry is let in, the gateways’ clocks being %s',
  async ([, offsetMs]) => {
    setClock(offsetMs);
    const letIn = [0, 0];
    for (let round = 0; round < 3; round += 1) {
      const { network, admin } = await makeNetwork(database);
      const expiresAt = new Date((await databaseNow()).getTime() + LIFE_MS);
      const { apiKey, token } = await makeKey(database, network.id, { adminId: admin.id, expiresAt });
      const outcome = await endUnderTraffic({
        database,
        urls: gateways.map(({ url }) => url),
        token,
        keyId: apiKey.id,
        end: () => untilPast(expiresAt),
      });
      expect(outcome.late).toEqual([]);
      for (const gateway of letIn.keys()) letIn[gateway] = (letIn[gateway] ?? 0) + (outcome.before[gateway] ?? 0);
      for (const { reply } of outcome.after) {
        expect(reply.status).toBe(401);
        expect(reply.body.errors?.[0]).toMatchObject({
          message: `API token expired at ${expiresAt.toISOString()}`,
          extensions: { code: 'TOKEN_EXPIRED' },
        });
      }
    }
    expect(Math.min(...letIn)).toBeGreaterThan(0);
  },
);

test('no request that begins after an overlap’s end is let in with the old token, under load; the new one goes on', async () => {
  for (let round = 0; round < 3; round += 1) {
    const { network, admin } = await makeNetwork(database);
    const { apiKey, token } = await makeKey(database, network.id, { adminId: admin.id });
    const rotated = await rotateApiKey(database, COMMAND_LINE, network.id, apiKey.id, 60);
    if (!rotated.ok) throw new Error(rotated.errors[0].message);
    const endsAt = new Date((await databaseNow()).getTime() + LIFE_MS);
    await database.pool.query('UPDATE secrets SET expires_at = $2 WHERE digest = $1', [digestOf(token), endsAt]);
    const urls = gateways.map(({ url }) => url);
    const outcome = await endUnderTraffic({ database, urls, token, keyId: apiKey.id, end: () => untilPast(endsAt) });
    expect(outcome.late).toEqual([]);
    expect(Math.min(...outcome.before)).toBeGreaterThan(0);
    for (const { reply } of outcome.after) {
      expect(reply.body.errors?.[0]?.message).toBe(`API token expired at ${endsAt.toISOString()}`);
    }
    for (const url of urls) expect((await graphql(url, rotated.token, '{ me { id } }')).status).toBe(200);
  }
});

test('of two requests, one before and one after its end, the first is let in and the second is not', async () => {
  const { network, admin } = await makeNetwork(database);
  const expiresAt = new Date((await databaseNow()).getTime() + LIFE_MS);
  const { token } = await makeKey(database, network.id, { adminId: admin.id, expiresAt });
  const [near, far] = gateways.map(({ url }) => url);
  const statusAt = async (url = '') => (await graphql(url, token, '{ me { id } }')).status;
  expect(await statusAt(near)).toBe(200);
  await untilPast(expiresAt);
  expect([await statusAt(near), await statusAt(far)]).toEqual([401, 401]);
});
