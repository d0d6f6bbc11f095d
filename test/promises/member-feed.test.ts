/**
 * Promise 3, whole: a client that takes a position, pulls every member and then follows the feed holds what the table
 * holds, whoever writes meanwhile, however long a transaction stays open, and whichever gateways die on the way.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, inject, test } from 'vitest';
import { makeKey, makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { TEST_SECRET } from '../support/gateway.ts';
import { startGatewayProgram } from '../support/program.ts';
import { useGateway } from '../support/suite.ts';
import { beside, Client, expectOnce, fill, table, WRITERS } from './feed-client.ts';

const suite = useGateway({ DATABASE_POOL_SIZE: '10' });

const placeOf = ({ network, token }: TestNetwork, url = () => suite.url) => ({
  database: suite.database,
  networkId: network.id,
  url,
  token,
});

const MEMBERS = 100_000;
const PULL_TIMEOUT_MS = 180_000;

/** A transaction that has changed, made and deleted members, and stays open. */
async function holdOpen(networkId: string): Promise<{ commit(): Promise<void> }> {
  const session = await suite.database.pool.connect();
  const first = '(SELECT id FROM members WHERE network_id = $1 ORDER BY id LIMIT 1)';
  const last = '(SELECT id FROM members WHERE network_id = $1 ORDER BY id DESC LIMIT 1)';
  await session.query('BEGIN');
  await session.query(`SELECT FROM members WHERE id IN (${first}, ${last}) ORDER BY id FOR UPDATE`, [networkId]);
  await session.query(`UPDATE members SET name = 'held open' WHERE id = ${first}`, [networkId]);
  await session.query(`DELETE FROM members WHERE id = ${last}`, [networkId]);
  return {
    async commit() {
      await session.query('COMMIT');
      session.release();
    },
  };
}

/** Of a key of its own: the writers' key waits for locks with all the connections that it may have. */
async function readersToken({ network, admin }: TestNetwork): Promise<string> {
  return (await makeKey(suite.database, network.id, { adminId: admin.id })).token;
}

describe('a copy equals the table', () => {
  test(`of ${MEMBERS} members, after a pull and the feed beside ${WRITERS} writers`, {
    timeout: PULL_TIMEOUT_MS,
  }, async () => {
    const own = await makeNetwork(suite.database);
    const { network } = own;
    await fill(suite.database, network.id, MEMBERS);
    const client = new Client(() => suite.url, await readersToken(own));
    const writes = await beside(placeOf(own), async () => {
      // Written before the client begins, committed in the midst of its pull.
      const early = await holdOpen(network.id);
      await client.begin();
      await client.pull((page) => (page === 50 ? early.commit() : Promise.resolve()));
      await client.follow(100);
    });
    expect(writes).toBeGreaterThan(100);
    await client.follow();
    expectOnce(client);
    const rows = await table(suite.database, network.id);
    expect(client.copy.size).toBe(rows.size);
    expect(client.copy).toEqual(rows);
    expect(await client.follow()).toBe(0);
  });

  test('where the gateways are killed and others started between pages', { timeout: PULL_TIMEOUT_MS }, async () => {
    const own = await makeNetwork(suite.database);
    const { network } = own;
    await fill(suite.database, network.id, 3_000);
    const token = await readersToken(own);
    const start = async () => {
      const program = startGatewayProgram({ DATABASE_URL: inject('databaseUrl'), GATEHOUSE_SECRETS: TEST_SECRET });
      return { program, url: await program.url };
    };
    let gateway = await start();
    const client = new Client(() => gateway.url, token);
    const replace = async () => {
      await gateway.program.kill('SIGKILL');
      gateway = await start();
    };
    await beside(
      placeOf(own, () => gateway.url),
      async () => {
        await client.begin();
        await client.pull((page) => (page % 5 === 2 ? replace() : Promise.resolve()));
        await replace();
        await client.follow(7);
      },
    );
    await client.follow();
    await gateway.program.kill('SIGKILL');
    expectOnce(client);
    expect(client.copy).toEqual(await table(suite.database, network.id));
  });

  test('where a transaction that began early stays open for seconds, and commits late', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const [held, free] = await makeMembers(suite.database, network.id, 2);
    const client = new Client(() => suite.url, token);
    await client.begin();
    await client.pull();
    const slow = await suite.database.pool.connect();
    try {
      await slow.query('BEGIN');
      await slow.query(`UPDATE members SET name = 'late' WHERE id = $1`, [held?.id]);
      // Another writer of the network waits for the first: its position is the next, and so is its commit.
      const quick = suite.database.pool.query(`UPDATE members SET name = 'early' WHERE id = $1`, [free?.id]);
      for (let turn = 0; turn < 4; turn += 1) {
        await delay(500);
        expect(await client.follow()).toBe(0);
      }
      await slow.query('COMMIT');
      await quick;
    } finally {
      slow.release();
    }
    expect(await client.follow(1)).toBe(2);
    expect(client.copy).toEqual(await table(suite.database, network.id));
  });
});

test('the order of positions is the order of commits, whatever the writers’ speed', async () => {
  const own: TestNetwork = await makeNetwork(suite.database);
  const members = await makeMembers(suite.database, own.network.id, 20);
  const client = new Client(() => suite.url, own.token);
  await client.begin();
  await client.pull();
  const watching = { isOver: false };
  const writers = members.map(async ({ id }, index) => {
    await suite.database.prisma.$transaction(async (prisma) => {
      await delay(Math.random() * 50);
      await prisma.member.update({ where: { id }, data: { name: `changed ${index}` } });
      await delay(Math.random() * 50);
    });
  });
  const watcher = (async () => {
    while (!watching.isOver) await client.follow(3);
  })();
  await Promise.all(writers);
  watching.isOver = true;
  await watcher;
  await client.follow();
  expect(client.copy).toEqual(await table(suite.database, own.network.id));
});
