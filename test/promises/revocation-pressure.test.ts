// Promise 1 under pressure: whoever floods the gateways with writes under a key cannot put off what is done to the key.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { toId } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { suspendNetwork, updateNetwork } from '../../src/services/networks.ts';
import { graphql } from '../support/client.ts';
import { makeKey, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

const WRITERS_A_GATEWAY = 10;
const RUN_UP_MS = 300;
/** Some twenty times what it takes on a quiet machine, and a quarter of what waiting for its turn in vain takes. */
const BOUND_MS = 5_000;
const PLAN = { plan: 'CUSTOM', requestsPerMinute: 1_000_000 } as const;
const CREATE = 'mutation ($name: String!) { createApiKey(input: { name: $name, scopes: [] }) { token } }';
const REVOKE = 'mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { status } } }';

let database: Database;
let gateways: readonly TestGateway[] = [];
let stop: () => Promise<number> = async () => 0;
beforeAll(async () => {
  database = await openTestDatabase();
  gateways = await Promise.all([startTestGateway(), startTestGateway()]);
});
afterEach(() => stop());
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await database.close();
});

/** Writes on both gateways until it is stopped, whatever they answer. Then it tells how many came through. */
function flood(token: string): () => Promise<number> {
  const state = { stopped: false, sent: 0, made: 0 };
  const write = async (url: string) => {
    while (!state.stopped) {
      state.sent += 1;
      const { body } = await graphql(url, token, CREATE, { variables: { name: `flood ${state.sent}` } });
      if (body.data?.createApiKey?.token != null) state.made += 1;
    }
  };
  const writers = gateways.flatMap(({ url }) => Array.from({ length: WRITERS_A_GATEWAY }, () => write(url)));
  return async () => {
    state.stopped = true;
    await Promise.all(writers);
    return state.made;
  };
}

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, RUN_UP_MS));
  const begunAt = performance.now();
  await work();
  return performance.now() - begunAt;
}

test('a flood of writes under a key does not put off its revocation', async () => {
  const { network, admin, token: owner } = await makeNetwork(database, { network: PLAN });
  const { apiKey, token } = await makeKey(database, network.id, { adminId: admin.id });
  stop = flood(token);
  const took = await elapsed(async () => {
    const variables = { id: toId('ApiKey', apiKey.id) };
    const { body } = await graphql(gateways[0]?.url ?? '', owner, REVOKE, { variables });
    expect(body.data?.revokeApiKey.apiKey.status).toBe('REVOKED');
  });
  expect(took).toBeLessThan(BOUND_MS);
  expect(await stop()).toBeGreaterThan(0);
});

test('a flood of writes under a key does not put off the suspension of its network', async () => {
  const { network, token } = await makeNetwork(database, { network: PLAN });
  stop = flood(token);
  const took = await elapsed(() => suspendNetwork(database, COMMAND_LINE, network.id));
  expect(took).toBeLessThan(BOUND_MS);
  expect(await stop()).toBeGreaterThan(0);
});

test('a flood of writes under a key does not put off a change of its network’s plan, though the key goes on writing', async () => {
  const { network, token } = await makeNetwork(database, { network: PLAN });
  stop = flood(token);
  for (const name of ['One', 'Two', 'Three']) {
    const took = await elapsed(() => updateNetwork(database, COMMAND_LINE, network.id, { name }));
    expect(took).toBeLessThan(BOUND_MS);
  }
  expect(await stop()).toBeGreaterThan(0);
});
