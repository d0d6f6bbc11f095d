/**
 * What a request leaves behind is gone with the next collection of young garbage. One old object that holds a request
 * (a function that was written to a property, an object that was made a prototype) makes each of these collections copy
 * all of its rows and answers, which takes a fifth of a gateway's time: see the map, "What always holds".
 */
import { expect, inject, test } from 'vitest';
import { graphql } from '../support/client.ts';
import { makeMembers, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { TEST_SECRET } from '../support/gateway.ts';
import { startGatewayProgram } from '../support/program.ts';

const YOUNG = /: Scavenge ([\d.]+) \([\d.]+\) -> ([\d.]+) /g;
const PRELOAD = "import v8 from 'node:v8'; process.on('SIGUSR2', () => v8.setFlagsFromString('--trace-gc'));";
/** Once it is asked to, on its standard output. */
const TELLS_OF_GARBAGE = `data:text/javascript,${encodeURIComponent(PRELOAD)}`;
const QUERY = `query($first: Int!) {
  members(first: $first) { edges { cursor node { id name tags customFields createdAt } } pageInfo { hasNextPage } }
}`;
const REQUESTS = 400;
const PAGE = 250;

test('a page of members leaves nothing in old memory', async () => {
  const database = await openTestDatabase();
  const { network, token } = await makeNetwork(database);
  await makeMembers(database, network.id, PAGE);
  await database.close();
  const settings = { DATABASE_URL: inject('databaseUrl'), GATEHOUSE_SECRETS: TEST_SECRET };
  const gateway = startGatewayProgram(settings, ['--max-semi-space-size=4', '--import', TELLS_OF_GARBAGE]);
  const url = await gateway.url;
  const pages = async (count: number) => {
    for (let asked = 0; asked < count; asked += 1) {
      const { body } = await graphql(url, token, QUERY, { variables: { first: PAGE } });
      expect(body.data.members.edges).toHaveLength(PAGE);
    }
  };
  // Compiled, and all that it keeps is there.
  await pages(REQUESTS);
  process.kill(gateway.pid, 'SIGUSR2');
  await pages(REQUESTS);
  const told = [...gateway.output.stdout.matchAll(YOUNG)].map(([, before, after]) => ({
    before: Number(before),
    after: Number(after),
  }));
  expect(told.length).toBeGreaterThan(10);
  const collected = told.reduce((sum, { before, after }) => sum + before - after, 0);
  const grown = told.slice(1).reduce((sum, { after }, at) => sum + Math.max(0, after - (told[at]?.after ?? 0)), 0);
  expect(grown / collected).toBeLessThan(0.05);
});
