// What every request leaves behind: none is lost while gateways run and when they are told to stop, and a kill -9 takes at
// most what came since the last flush.
import { setTimeout as pause } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { mintToken } from '../../src/domain/token.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKeys } from '../../src/services/api-keys/revoke.ts';
import { graphql } from '../support/client.ts';
import { FLUSH_SETTINGS, totals, untilCounted } from '../support/counted.ts';
import { makeKey, makeNetwork } from '../support/fixtures.ts';
import { startTestGateway, TEST_SECRET } from '../support/gateway.ts';
import { startGatewayProgram } from '../support/program.ts';
import { openCable } from '../support/proxy.ts';
import { scratchUrl } from '../support/scratch.ts';

const ME = '{ me { id } }';

let url = '';
let database: Database;
beforeAll(async () => {
  url = await scratchUrl({ migrated: true });
  database = await openDatabase({ url, dataDir: '', poolSize: 3, statementTimeoutMs: 30_000 });
  return () => database.close();
});

const settings = (more: Record<string, string> = {}) => ({
  DATABASE_URL: url,
  GATEHOUSE_SECRETS: TEST_SECRET,
  ...more,
});

/** So many requests, some at a time. */
async function ask(address: string, token: string, count: number, query = ME): Promise<void> {
  for (let left = count; left > 0; left -= 10) {
    await Promise.all(Array.from({ length: Math.min(left, 10) }, () => graphql(address, token, query)));
  }
}

test('two gateways add up, key by key, with what went wrong', async () => {
  const own = await makeNetwork(database);
  const other = await makeKey(database, own.network.id, { adminId: own.admin.id, scopes: [] });
  const gateways = await Promise.all([1, 2].map(() => startTestGateway(settings(FLUSH_SETTINGS))));
  await Promise.all(
    gateways.map(async (gateway) => {
      await ask(gateway.url, own.token, 70);
      await ask(gateway.url, other.token, 20, '{ members { nodes { id } } }');
      await ask(gateway.url, other.token, 5);
      await ask(gateway.url, own.token, 3, '{ nonsense }');
      await graphql(gateway.url, own.token, ME, { path: '/networks/another/graphql' });
    }),
  );
  const ofOwn = { requests: 148, errors: 8, limited: 0, cost: 140 };
  const ofOther = { requests: 50, errors: 40, limited: 0, cost: 10 };
  expect(await untilCounted(database, { keyId: own.apiKey.id }, 148)).toEqual(ofOwn);
  expect(await untilCounted(database, { keyId: other.apiKey.id }, 50)).toEqual(ofOther);
  expect(await untilCounted(database, { networkId: own.network.id }, 198)).toMatchObject({ requests: 198, errors: 48 });
  await Promise.all(gateways.map((gateway) => gateway.close()));
});

test('a token that was refused is not counted as a request of its key', async () => {
  const own = await makeNetwork(database);
  await database.pool.query('UPDATE api_keys SET expires_at = now() WHERE id = $1', [own.apiKey.id]);
  const gateway = await startTestGateway(settings(FLUSH_SETTINGS));
  await ask(gateway.url, own.token, 5);
  await gateway.close();
  expect((await totals(database, { keyId: own.apiKey.id })).DAY.requests).toBe(0);
});

test('what is refused with nobody’s token is counted in the totals alone, which the log has in the end', async () => {
  const gateway = await startTestGateway(settings(FLUSH_SETTINGS));
  const own = await makeNetwork(database);
  for (const token of [
    null,
    null,
    'gk_live_short',
    mintToken('LIVE'),
    mintToken('LIVE'),
    mintToken('TEST'),
    own.token,
  ]) {
    await graphql(gateway.url, token, ME);
  }
  await gateway.close();
  const line = gateway.log.find(({ msg }) => msg === 'tokens that were not let in');
  expect(line?.['refusedTokens']).toEqual({ missing: 2, malformed: 1, unknown: 3 });
  expect(await database.prisma.authenticationFailure.count({ where: { networkId: own.network.id } })).toBe(0);
});

test('a gateway that is told to stop writes everything first, what was under way too', async () => {
  const own = await makeNetwork(database);
  const gateway = startGatewayProgram(settings({ USAGE_FLUSH_INTERVAL_MS: '60000' }));
  const address = await gateway.url;
  await ask(address, own.token, 25);
  expect((await totals(database, { keyId: own.apiKey.id })).DAY.requests).toBe(0);
  const last = Promise.allSettled([1, 2, 3].map(() => graphql(address, own.token, ME)));
  await pause(5);
  const ending = gateway.kill('SIGTERM');
  const answered = (await last).filter((call) => call.status === 'fulfilled' && call.value.status === 200).length;
  expect(await ending).toEqual({ code: 0, signal: null });
  expect((await totals(database, { keyId: own.apiKey.id })).DAY.requests).toBe(25 + answered);
  const key = await database.prisma.apiKey.findUniqueOrThrow({ where: { id: own.apiKey.id } });
  expect([key.lastUsedAddress, Date.now() - (key.lastUsedAt?.getTime() ?? 0) < 60_000]).toEqual(['127.0.0.0/24', true]);
});

describe('a kill -9', () => {
  const INTERVAL_MS = 1_000;
  /** For a flush to be written, on a busy machine. */
  const FLUSH_MS = 1_000;

  test('loses at most what came in the interval before it', async () => {
    const own = await makeNetwork(database);
    const gateway = startGatewayProgram(settings({ USAGE_FLUSH_INTERVAL_MS: String(INTERVAL_MS) }));
    const address = await gateway.url;
    const answeredAtMs: number[] = [];
    const end = Date.now() + 3 * INTERVAL_MS + Math.random() * INTERVAL_MS;
    while (Date.now() < end) {
      await graphql(address, own.token, ME);
      answeredAtMs.push(Date.now());
      await pause(5);
    }
    const killedAtMs = Date.now();
    await gateway.kill('SIGKILL');
    const { requests } = (await totals(database, { keyId: own.apiKey.id })).DAY;
    const older = answeredAtMs.filter((atMs) => atMs < killedAtMs - INTERVAL_MS - FLUSH_MS).length;
    expect(older).toBeGreaterThan(0);
    expect(requests).toBeGreaterThanOrEqual(older);
    expect(requests).toBeLessThanOrEqual(answeredAtMs.length);
  });
});

test('with counting off, a key that is in use is known to be: nobody ends it as unused', async () => {
  const own = await makeNetwork(database);
  const [used, unused] = await Promise.all(
    [1, 2].map(() => makeKey(database, own.network.id, { adminId: own.admin.id })),
  );
  const ids = [used, unused].map((key) => key?.apiKey.id);
  await database.pool.query(`UPDATE api_keys SET created_at = now() - interval '100 days' WHERE id = ANY($1)`, [ids]);
  const gateway = await startTestGateway(settings({ USAGE_FLUSH_INTERVAL_MS: '0' }));
  await ask(gateway.url, used?.token ?? '', 5);
  await gateway.close();
  const filter = { unusedSince: new Date(Date.now() - 90 * 86_400_000) };
  const revoked = await revokeApiKeys(database, COMMAND_LINE, own.network.id, { filter }, {});
  expect(revoked.ok && revoked.keys.map(({ id }) => id)).toEqual([unused?.apiKey.id]);
  expect((await totals(database, { networkId: own.network.id })).DAY.requests).toBe(0);
});

test('a database that is out of reach for a while costs nothing: the counts wait for it', async () => {
  const own = await makeNetwork(database);
  const cable = openCable();
  const gateway = await startTestGateway({
    ...settings(FLUSH_SETTINGS),
    DATABASE_URL: await cable.url(url),
    USAGE_FLUSH_INTERVAL_MS: '100',
  });
  await ask(gateway.url, own.token, 5);
  await untilCounted(database, { keyId: own.apiKey.id }, 5);
  // Between two flushes, by and large; where a flush is under way, its answer is lost.
  await ask(gateway.url, own.token, 7);
  await cable.pull();
  await pause(400);
  expect((await graphql(gateway.url, own.token, ME)).status).toBe(503);
  await cable.plugIn();
  await untilCounted(database, { keyId: own.apiKey.id }, 12);
  await gateway.close();
  await cable.pull();
});
