/** A migration whose connection goes silent ends, and one that takes long does not. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ConnectionPool } from '../../src/database/connection-pool.ts';
import { watched } from '../../src/database/migrate/heartbeat.ts';
import { migrate } from '../../src/database/migrate/migrate.ts';
import { sessionConfig } from '../../src/database/session-client.ts';
import { sessionSettings } from '../../src/database/session-settings.ts';
import { openCable } from '../support/proxy.ts';
import { scratchUrl } from '../support/scratch.ts';

const BEAT_MS = 250;
const SETTINGS = sessionSettings({ statementTimeoutMs: 60_000, lockTimeoutMs: 0, idleInTransactionTimeoutMs: 0 });
const SHORT = { connectMs: 1_000, lookupMs: 600, cancelMs: 300, graceMs: 500, farewellMs: 300 };

const cable = openCable();
let url: string;
let pool: ConnectionPool;

beforeAll(async () => {
  url = await cable.url(await scratchUrl({ migrated: true }));
});
beforeEach(() => {
  pool = new ConnectionPool({
    ...sessionConfig({ connectionString: url }, SETTINGS),
    max: 1,
    deadlines: SHORT,
    statementTimeoutMs: 60_000,
  });
  pool.on('error', () => undefined); // connections are broken on purpose
  return async () => {
    cable.mend();
    pool.cutOff();
    await pool.end();
  };
});
afterAll(() => cable.pull());

/** A script that sleeps, on a connection of which `breakIt` makes what it likes first. */
async function runScript(seconds: number, breakIt: () => void): Promise<unknown> {
  const client = await pool.connect();
  try {
    const [{ pid } = { pid: 0 }] = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows;
    const script = { text: `SELECT pg_sleep(${seconds}), 'done' AS said`, ...{ limit: 'unlimited' } };
    breakIt();
    return (await watched(client, pid, pool.config, () => client.query(script), BEAT_MS)).rows[0]?.said;
  } finally {
    client.release(true);
  }
}

test('a script that takes long is let run', async () => {
  expect(await runScript((8 * BEAT_MS) / 1_000, () => undefined)).toBe('done');
});

test.for(['requests', 'answers', 'both'] as const)('a script whose connection swallows %s fails', async (what) => {
  await expect(runScript(0.5, () => cable.silence(what))).rejects.toThrow('no answer came');
});

test('a script whose server cannot be reached in any other way either fails', async () => {
  await expect(runScript(30, () => cable.silence('both', { newOnes: true }))).rejects.toThrow('no answer came');
});

test('a start whose connection is silent from the first statement on fails instead of hanging', async () => {
  cable.silence('both', { newOnes: true });
  await expect(migrate({ connectionString: url, connectionTimeoutMillis: 700 })).rejects.toThrow();
});
