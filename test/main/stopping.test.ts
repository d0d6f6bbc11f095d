// How a gateway ends: asked to, it finishes what is under way and leaves nothing behind; killed, the next one goes on.
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { digestOf } from '../../src/domain/token.ts';
import { graphql } from '../support/client.ts';
import { dataFolder } from '../support/data-folder.ts';
import { makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { TEST_SECRET } from '../support/gateway.ts';
import { hold, type Lock } from '../support/lock.ts';
import { type GatewayProgram, startGatewayProgram } from '../support/program.ts';
import { scratchUrl } from '../support/scratch.ts';
import { serversIn } from '../support/servers.ts';

const CREATE = 'mutation { createApiKey(input: { name: "held", scopes: [] }) { token } }';
/** What the first test on it leaves is what the next one starts on. */
let embedded: string | undefined;

/** For a process to end that has nothing more to wait for. */
const END_MAX_MS = 5_000;

describe.each(['SIGTERM', 'SIGINT'] as const)('on %s', (signal) => {
  let database: Database;
  let settings: Record<string, string> = {};
  let own: TestNetwork;
  let lock: Lock | undefined;
  beforeAll(async () => {
    const url = await scratchUrl({ migrated: true });
    settings = { DATABASE_URL: url, GATEHOUSE_SECRETS: TEST_SECRET };
    database = await openDatabase({ url, dataDir: '', poolSize: 3, statementTimeoutMs: 30_000 });
    own = await makeNetwork(database);
    return () => database.close();
  });
  afterEach(async () => {
    await lock?.release();
  });

  /** A creation of a key that stands still inside its transaction. */
  async function startHeld(gateway: GatewayProgram) {
    const url = await gateway.url;
    lock = await hold(database.pool, 'LOCK TABLE audit_events IN SHARE MODE');
    const reply = graphql(url, own.token, CREATE);
    reply.catch(() => undefined); // who cuts it off expects that
    await lock.untilAwaited();
    return { url, reply, lock };
  }

  test('it finishes what is under way, refuses new work and exits 0', async () => {
    const gateway = startGatewayProgram(settings);
    const { url, reply, lock: held } = await startHeld(gateway);
    const ending = gateway.kill(signal);
    await expect.poll(() => fetch(`${url}/healthz`).catch((error) => error.cause.code)).toBe('ECONNREFUSED');
    await held.release();
    const { status, body } = await reply;
    expect(status).toBe(200);
    expect(await ending).toEqual({ code: 0, signal: null });
    // What the caller was told is true.
    const digest = digestOf(body.data.createApiKey.token);
    const { rowCount } = await database.pool.query('DELETE FROM secrets WHERE digest = $1', [digest]);
    expect(rowCount).toBe(1);
    await database.pool.query(`DELETE FROM api_keys WHERE name = 'held'`);
  });

  test('it cuts off what does not finish within SHUTDOWN_TIMEOUT_MS, and exits 0 all the same', async () => {
    const gateway = startGatewayProgram({ ...settings, SHUTDOWN_TIMEOUT_MS: '500' });
    const { reply } = await startHeld(gateway);
    const begunAt = performance.now();
    expect(await gateway.kill(signal)).toEqual({ code: 0, signal: null });
    expect(performance.now() - begunAt).toBeGreaterThan(450);
    expect(performance.now() - begunAt).toBeLessThan(500 + END_MAX_MS);
    await expect(reply).rejects.toThrow();
    await lock?.release();
    const { rows } = await database.pool.query(`SELECT 1 FROM api_keys WHERE name = 'held'`);
    expect(rows).toEqual([]);
  });

  test('it leaves no PostgreSQL running, not even in the middle of its start', async () => {
    embedded ??= await dataFolder();
    const folder = embedded;
    // However slow the machine is: the start itself goes on to its end first.
    const interrupted = startGatewayProgram({ DATA_DIR: folder, SHUTDOWN_TIMEOUT_MS: '60000' });
    await expect.poll(() => serversIn(folder), { timeout: 30_000, interval: 5 }).not.toEqual([]);
    expect(await interrupted.kill(signal)).toEqual({ code: 0, signal: null });
    expect(await serversIn(folder)).toEqual([]);
    const next = startGatewayProgram({ DATA_DIR: folder });
    await next.url;
    expect(await serversIn(folder)).toHaveLength(1);
    expect(await next.kill(signal)).toEqual({ code: 0, signal: null });
    expect(await serversIn(folder)).toEqual([]);
  });
});

test('after a kill -9 the next start goes on with the same PostgreSQL, and the last one out stops it', async () => {
  const folder = embedded ?? (await dataFolder());
  const killed = startGatewayProgram({ DATA_DIR: folder });
  await killed.url;
  const server = await serversIn(folder);
  await killed.kill('SIGKILL');
  const [next, another] = [startGatewayProgram({ DATA_DIR: folder }), startGatewayProgram({ DATA_DIR: folder })];
  const urls = await Promise.all([next.url, another.url]);
  expect(await serversIn(folder)).toEqual(server);
  await next.kill('SIGTERM');
  expect((await fetch(`${urls[1]}/readyz`)).status).toBe(200);
  await another.kill('SIGTERM');
  expect(await serversIn(folder)).toEqual([]);
});
