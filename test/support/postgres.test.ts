import { expect, inject, test } from 'vitest';
import { openPool, withClient, withPool } from './postgres.ts';
import { scratchUrl } from './scratch.ts';

const ROUNDS = 10;
const CONNECTIONS = 5;

/** Without FORCE it fails while anybody is connected. */
async function dropUnforced(url: string): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  await withClient(inject('databaseUrl'), (client) => client.query(`DROP DATABASE ${name}`));
}

test('a closed pool has no connection left: its database can be dropped without force at once', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const url = await scratchUrl({ migrated: false });
    await withPool({ connectionString: url, max: CONNECTIONS }, (pool) =>
      Promise.all(Array.from({ length: CONNECTIONS }, () => pool.query('SELECT pg_sleep(0.01)'))),
    );
    await dropUnforced(url);
  }
});

test('a database dropped by force under a pool and a client ends no test run', async () => {
  const url = await scratchUrl({ migrated: false });
  const pool = openPool({ connectionString: url });
  const held = await pool.connect();
  await pool.query('SELECT 1');
  const name = new URL(url).pathname.slice(1);
  await withClient(url, async (client) => {
    await withClient(inject('databaseUrl'), (admin) => admin.query(`DROP DATABASE ${name} WITH (FORCE)`));
    await expect(client.query('SELECT 1')).rejects.toThrow();
    await expect(held.query('SELECT 1')).rejects.toThrow();
  });
  held.release(true);
  await pool.close();
});
