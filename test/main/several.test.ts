// Several gateways that start at once on nothing: all come up, and what is made once is made once.
import { expect, test } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { graphql } from '../support/client.ts';
import { dataFolder } from '../support/data-folder.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { TEST_SECRET } from '../support/gateway.ts';
import { printedToken, startGatewayProgram } from '../support/program.ts';
import { scratchUrl } from '../support/scratch.ts';
import { serversIn } from '../support/servers.ts';

test('on an empty folder: one PostgreSQL, one demo, one secret; the last one out stops the server', async () => {
  const folder = await dataFolder();
  const gateways = [startGatewayProgram({ DATA_DIR: folder }), startGatewayProgram({ DATA_DIR: folder })];
  const urls = await Promise.all(gateways.map(({ url }) => url));
  const tokens = gateways.map(printedToken).filter((token) => token !== null);
  expect(tokens).toHaveLength(1);
  expect(await serversIn(folder)).toHaveLength(1);

  const page = 'query ($after: String) { members(first: 1, after: $after) { nodes { id } pageInfo { endCursor } } }';
  const [one, other] = urls.map(
    (url) => async (after: string | null) =>
      (await graphql(url, tokens[0] ?? '', page, { variables: { after } })).body.data.members,
  );
  const first = await one?.(null);
  // A cursor that the one has signed is the other's too.
  const second = await other?.(first.pageInfo.endCursor);
  expect(second.nodes[0].id > first.nodes[0].id).toBe(true);

  await gateways[0]?.kill('SIGTERM');
  expect(await serversIn(folder)).toHaveLength(1);
  expect(await other?.(null)).toEqual(first);
  await gateways[1]?.kill('SIGTERM');
  expect(await serversIn(folder)).toEqual([]);
});

test('on an empty PostgreSQL database: all migrate it together, and nobody makes a demo', async () => {
  const url = await scratchUrl({ migrated: false });
  const settings = { DATABASE_URL: url, GATEHOUSE_SECRETS: TEST_SECRET };
  const gateways = [1, 2, 3].map(() => startGatewayProgram(settings));
  const urls = await Promise.all(gateways.map((gateway) => gateway.url));
  for (const gateway of gateways) expect(printedToken(gateway)).toBeNull();

  const database = await openDatabase({ url, dataDir: '', poolSize: 2, statementTimeoutMs: 30_000 });
  expect(await database.prisma.network.count()).toBe(0);
  const { token } = await makeNetwork(database);
  await database.close();
  for (const address of urls) expect((await graphql(address, token, '{ me { id } }')).status).toBe(200);
  await Promise.all(gateways.map((gateway) => gateway.kill('SIGTERM')));
});
