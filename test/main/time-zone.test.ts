// Times are the same wherever the gateway runs, whatever the machine's and the database's time zones are.
import { beforeAll, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { toId } from '../../src/domain/id.ts';
import { graphql } from '../support/client.ts';
import { makeKey, makeMembers, makeNetwork } from '../support/fixtures.ts';
import { TEST_SECRET } from '../support/gateway.ts';
import { withClient } from '../support/postgres.ts';
import { startGatewayProgram } from '../support/program.ts';
import { scratchUrl } from '../support/scratch.ts';

const ZONES = ['UTC', 'America/New_York'];
/** In the hour that New York has twice that year. */
const JOINED = '2026-11-01T05:30:00.123Z';
const EXPIRES = '2031-03-09T07:30:00.456Z';

let url = '';
let database: Database;
beforeAll(async () => {
  url = await scratchUrl({ migrated: true });
  const name = new URL(url).pathname.slice(1);
  await withClient(url, (client) => client.query(`ALTER DATABASE ${name} SET TimeZone = 'Australia/Eucla'`));
  database = await openDatabase({ url, dataDir: '', poolSize: 2, statementTimeoutMs: 30_000 });
  return () => database.close();
});

test('the same moments come out, and keys end at the same moment, in every time zone', async () => {
  const { network, admin, token } = await makeNetwork(database);
  await makeMembers(database, network.id, 1, () => ({ createdAt: new Date(JOINED), lastActiveAt: new Date(JOINED) }));
  const ended = await makeKey(database, network.id, { adminId: admin.id });
  await database.pool.query(`UPDATE api_keys SET expires_at = clock_timestamp() - interval '1 minute' WHERE id = $1`, [
    ended.apiKey.id,
  ]);

  const answers: unknown[] = [];
  for (const TZ of ZONES) {
    const gateway = startGatewayProgram({ DATABASE_URL: url, GATEHOUSE_SECRETS: TEST_SECRET, TZ });
    const address = await gateway.url;
    const members = await graphql(
      address,
      token,
      '{ members { nodes { createdAt updatedAt lastActiveAt } } network { createdAt } }',
    );
    expect(members.body.data.members.nodes[0]).toMatchObject({ createdAt: JOINED, lastActiveAt: JOINED });
    const refusal = await graphql(address, ended.token, '{ me { id } }');
    expect(refusal.status).toBe(401);
    answers.push([members.body.data, refusal.body.errors?.[0]?.message]);

    // What is written there is read the same here, and is now.
    const create = `mutation { createApiKey(input: { name: "${TZ}", scopes: [], expiresAt: "${EXPIRES}" }) { apiKey { id createdAt expiresAt } } }`;
    const { data } = (await graphql(address, token, create)).body;
    const { id, createdAt, expiresAt } = data.createApiKey.apiKey;
    expect(expiresAt).toBe(EXPIRES);
    const made = await database.prisma.apiKey.findFirstOrThrow({ where: { name: TZ, networkId: network.id } });
    expect([toId('ApiKey', made.id), made.createdAt.toISOString(), made.expiresAt?.toISOString()]).toEqual([
      id,
      createdAt,
      EXPIRES,
    ]);
    const { rows } = await database.pool.query(
      'SELECT abs(extract(epoch FROM now() - $1::timestamptz)) < 60 AS recent',
      [createdAt],
    );
    expect(rows).toEqual([{ recent: true }]);
    await gateway.kill('SIGTERM');
  }
  const { rows: odd } = await database.pool.query(
    `SELECT * FROM usage_counts WHERE date_trunc(bucket::text, starts_at, 'UTC') <> starts_at`,
  );
  const { rows: counted } = await database.pool.query(
    'SELECT bucket, sum(requests)::int AS requests FROM usage_counts GROUP BY bucket ORDER BY bucket',
  );
  const requests = 2 * ZONES.length;
  expect([odd, counted]).toEqual([[], ['MINUTE', 'HOUR', 'DAY'].map((bucket) => ({ bucket, requests }))]);
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
});
