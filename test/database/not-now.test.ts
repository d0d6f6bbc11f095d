/** A database that cannot do something now: neither the caller's fault nor a bug. What can be read is read on. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { graphql, type Reply } from '../support/client.ts';
import { makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { withClient } from '../support/postgres.ts';
import { scratchUrl } from '../support/scratch.ts';
import { useScratchGateway } from '../support/suite.ts';

const MEMBERS = '{ members { nodes { id } } }';
const WRITE = 'mutation($name: String!) { createApiKey(input: { name: $name, scopes: [] }) { apiKey { id } } }';
/** On a busy machine, too. */
const SOON_MS = 30_000;
const READ_ONLY = 'Service unavailable: the database can be read and not now be written';

function expectUnavailable({ status, headers, body }: Reply, message?: string): void {
  expect({ status, code: body.errors?.[0]?.extensions.code, retryAfter: headers.get('retry-after') }).toEqual({
    status: 503,
    code: 'SERVICE_UNAVAILABLE',
    retryAfter: '5',
  });
  if (message !== undefined) expect(body.errors?.[0]?.message).toBe(message);
}

const bugs = ({ log }: TestGateway) => log.filter(({ level }) => level === 'error' || level === 'fatal');

describe('a database that is read-only', () => {
  let url: string;
  let gateway: TestGateway;
  let own: TestNetwork;
  let names = 0;

  beforeAll(async () => {
    url = await scratchUrl({ migrated: true });
    const database = await openDatabase({ url, dataDir: '', poolSize: 1, statementTimeoutMs: 30_000 });
    own = await makeNetwork(database, { network: { plan: 'STANDARD', monthlyQuota: 1_000_000 } });
    await makeMembers(database, own.network.id, 2);
    await database.close();
  });
  afterAll(() => gateway.close());

  async function setReadOnly(value: 'on' | 'off'): Promise<void> {
    const name = new URL(url).pathname.slice(1);
    await withClient(inject('databaseUrl'), (client) =>
      client.query(`ALTER DATABASE ${name} SET default_transaction_read_only = ${value}`),
    );
  }
  const ask = (query: string, variables?: Record<string, unknown>) =>
    graphql(gateway.url, own.token, query, variables === undefined ? {} : { variables });
  const write = () => {
    names += 1;
    return ask(WRITE, { name: `key ${names}` });
  };
  const readyz = async () => {
    const reply = await fetch(`${gateway.url}/readyz`);
    return [reply.status, await reply.json()];
  };
  const stored = (sql: string) =>
    withClient(url, async (client) => Number((await client.query<{ count: string }>(sql)).rows[0]?.count));

  test('serves what reads, refuses what writes with 503 and Retry-After, and says so in readyz', async () => {
    await setReadOnly('on');
    gateway = await startTestGateway({ DATABASE_URL: url, USAGE_FLUSH_INTERVAL_MS: '250' });
    expect((await ask(MEMBERS)).body.data.members.nodes).toHaveLength(2);
    expectUnavailable(await write(), READ_ONLY);
    expect(await readyz()).toEqual([200, { status: 'degraded', checks: { database: 'read-only', limiter: 'ok' } }]);
  });

  test('does not fill the log, and loses nothing that was counted meanwhile', async () => {
    // Long enough for several tries of whatever writes by itself.
    for (let round = 0; round < 10; round += 1) {
      await ask(MEMBERS);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect(bugs(gateway)).toEqual([]);
    const told = gateway.log.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
    expect(told.filter((message) => String(message).startsWith('what was counted could not be written'))).toHaveLength(
      1,
    );
    expect(told.length).toBeLessThan(10);
    expect(await stored('SELECT count(*) FROM usage_counts')).toBe(0);
  });

  test('writes again as soon as it can, also where requests keep its connections in use', async () => {
    let isDone = false;
    const load = (async () => {
      let requests = 0;
      while (!isDone) {
        await ask(MEMBERS);
        await readyz();
        requests += 1;
      }
      return requests;
    })();
    await setReadOnly('off');
    await expect.poll(async () => (await write()).status, { timeout: SOON_MS }).toBe(200);
    await expect
      .poll(readyz, { timeout: SOON_MS })
      .toEqual([200, { status: 'ready', checks: { database: 'ok', limiter: 'ok' } }]);
    isDone = true;
    expect(await load).toBeGreaterThan(0);
    const counted = gateway.log.filter(({ msg, route }) => msg === 'request' && route === '/graphql').length;
    await expect
      .poll(() => stored(`SELECT sum(requests) AS count FROM usage_counts WHERE bucket = 'DAY'`), { timeout: SOON_MS })
      .toBe(counted);
    await expect
      .poll(() => stored('SELECT sum(requests) AS count FROM network_months'), { timeout: SOON_MS })
      .toBe(counted);
    expect(bugs(gateway)).toEqual([]);
  });

  test('becomes so under a gateway at work', async () => {
    await setReadOnly('on');
    await withClient(url, (client) =>
      client.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
      ),
    );
    await expect.poll(async () => (await ask(MEMBERS)).status, { timeout: SOON_MS }).toBe(200);
    await expect.poll(async () => (await readyz())[1], { timeout: SOON_MS }).toMatchObject({ status: 'degraded' });
    expectUnavailable(await write(), READ_ONLY);
    await setReadOnly('off');
    await expect.poll(async () => (await write()).status, { timeout: SOON_MS }).toBe(200);
  });
});

describe('a state of the database that passes', () => {
  const suite = useScratchGateway();
  let own: TestNetwork;

  beforeAll(async () => {
    own = await makeNetwork(suite.database);
    await suite.database.pool.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'said' USING ERRCODE = (SELECT state FROM refusal); END $$;
      CREATE TABLE refusal (state text);
      INSERT INTO refusal VALUES ('00000');
      CREATE TRIGGER refuse BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION refuse()`);
  });

  const states = [
    ...['08006', '08P01', '25006', '25P03', '25P04', '28000', '28P01', '3D000', '40001', '40P01'],
    ...['53000', '53100', '53200', '53300', '53400', '55000', '55006', '55P03', '57000', '57P01', '57P02', '57P03'],
    ...['57P04', '57P05', '58000', '58030', '72000'],
  ];
  test.for(states)('%s is 503 with Retry-After for a write, and no bug', async (state) => {
    await suite.database.pool.query('UPDATE refusal SET state = $1', [state]);
    expectUnavailable(await suite.call(own.token, WRITE, { variables: { name: state } }));
    expect(bugs(suite.gateway)).toEqual([]);
  });

  test.for(['22012', '23514', '42P01', 'XX000', 'XX001'])('%s stays a bug', async (state) => {
    await suite.database.pool.query('UPDATE refusal SET state = $1', [state]);
    const { status, body } = await suite.call(own.token, WRITE, { variables: { name: state } });
    // Within an operation that was let in: the answer is a GraphQL one, with the status in its error.
    expect([status, body.errors?.[0]?.extensions]).toMatchObject([294, { code: 'INTERNAL_SERVER_ERROR', status: 500 }]);
    expect(bugs(suite.gateway)).toHaveLength(1);
    suite.gateway.log.length = 0;
  });
});

describe('a database that no longer lets the gateway in', () => {
  test.for([
    ['its role lost the right to log in', 'ALTER ROLE $role NOLOGIN', 'ALTER ROLE $role LOGIN'],
    ['its role has no connection left', 'ALTER ROLE $role CONNECTION LIMIT 0', 'ALTER ROLE $role CONNECTION LIMIT -1'],
    [
      'it was renamed',
      'ALTER DATABASE $database RENAME TO $database_away',
      'ALTER DATABASE $database_away RENAME TO $database',
    ],
    [
      'it takes no connections',
      'ALTER DATABASE $database ALLOW_CONNECTIONS false',
      'ALTER DATABASE $database ALLOW_CONNECTIONS true',
    ],
  ] as const)('because %s: 503 until it does', async ([, breakIt, mendIt]) => {
    const url = new URL(await scratchUrl({ migrated: true }));
    const database = url.pathname.slice(1);
    const role = `${database}_role`;
    const run = (sql: string) =>
      withClient(inject('databaseUrl'), async (admin) => {
        const endSessions = async () => {
          const ended = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE $1';
          return (await admin.query(ended, [`${database}%`])).rowCount;
        };
        // A database is not renamed while anybody is in it.
        await expect.poll(endSessions, { timeout: SOON_MS }).toBe(0);
        await admin.query(sql.replaceAll('$role', role).replaceAll('$database', database));
        await endSessions();
      });
    await run(`CREATE ROLE $role LOGIN PASSWORD 'secret'`);
    await withClient(url.href, (client) =>
      client.query(`GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}; GRANT ALL ON SCHEMA public TO ${role}`),
    );
    const own = await openDatabase({ url: url.href, dataDir: '', poolSize: 1, statementTimeoutMs: 30_000 });
    const { token } = await makeNetwork(own);
    await own.close();
    const ofRole = new URL(url);
    ofRole.username = role;
    ofRole.password = 'secret';
    const gateway = await startTestGateway({ DATABASE_URL: ofRole.href });
    try {
      expect((await graphql(gateway.url, token, MEMBERS)).status).toBe(200);
      await run(breakIt);
      await expect.poll(async () => (await fetch(`${gateway.url}/readyz`)).status, { timeout: SOON_MS }).toBe(503);
      expectUnavailable(await graphql(gateway.url, token, MEMBERS));
      await run(mendIt);
      await expect
        .poll(async () => (await graphql(gateway.url, token, MEMBERS)).status, { timeout: SOON_MS })
        .toBe(200);
      expect(bugs(gateway)).toEqual([]);
    } finally {
      await gateway.close();
      await withClient(url.href, (client) => client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`));
    }
  });
});
