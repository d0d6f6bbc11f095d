// Promise 1, for a key that ends by itself: by the database's clock, whatever the gateways' own clocks say.
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Database } from '../../src/database/database.ts';
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
