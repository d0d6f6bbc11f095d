// Promise 1: when a change that ends or narrows a token has returned, no gateway honours the old state, and no write
// begun under it commits later. Two gateways, traffic on both, again and again.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { toId } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { removeAdmin } from '../../src/services/admins.ts';
import { suspendNetwork, updateNetwork } from '../../src/services/networks.ts';
import { settle } from '../../src/services/transaction.ts';
import { graphql } from '../support/client.ts';
import { makeAdmin, makeKey, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { endUnderTraffic, isSuccess, type Outcome } from './traffic.ts';

const REVOCATIONS = 200;
const ROUNDS = 20;
/** A plan that limits nothing here. */
const PLAN = { plan: 'CUSTOM', requestsPerMinute: 1_000_000 } as const;
const REVOKE = 'mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { status } userErrors { code } } }';

let database: Database;
let gateways: readonly TestGateway[] = [];
let urls: readonly string[] = [];
beforeAll(async () => {
  database = await openTestDatabase();
  // On the second, requests wait for a connection between being let in and writing.
  gateways = await Promise.all([startTestGateway(), startTestGateway({ DATABASE_POOL_SIZE: '2' })]);
  urls = gateways.map(({ url }) => url);
});
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await database.close();
});

/** Plays the rounds; each must keep the promise, and all together must have put it to the test. */
async function rounds(count: number, play: (round: number) => Promise<Outcome>): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let round = 0; round < count; round += 1) {
    const outcome = await play(round);
    expect(outcome, `round ${round}`).toMatchObject({ late: [], appeared: [], acknowledgedLate: [] });
    outcomes.push(outcome);
  }
  for (const gateway of urls.keys()) {
    expect(outcomes.some(({ before }) => (before[gateway] ?? 0) > 0)).toBe(true);
    expect(outcomes.every(({ after }) => after.some((sent) => sent.gateway === gateway))).toBe(true);
  }
  return outcomes;
}

function refusalsOf(outcomes: readonly Outcome[]): Set<string | undefined> {
  return new Set(outcomes.flatMap(({ after }) => after.map(({ reply }) => reply.body.errors?.[0]?.extensions.code)));
}

describe('when it has returned, nothing is let in and nothing is written under', () => {
  test(`a revoked key, on both gateways, ${REVOCATIONS} times`, async () => {
    const { network, admin, token: owner } = await makeNetwork(database, { network: PLAN });
    const outcomes = await rounds(REVOCATIONS, async (round) => {
      const { apiKey, token } = await makeKey(database, network.id, { adminId: admin.id });
      const end = async () => {
        const variables = { id: toId('ApiKey', apiKey.id) };
        const { body } = await graphql(urls[round % urls.length] ?? '', owner, REVOKE, { variables });
        expect(body).toEqual({ data: { revokeApiKey: { apiKey: { status: 'REVOKED' }, userErrors: [] } } });
      };
      return endUnderTraffic({ database, urls, token, keyId: apiKey.id, end });
    });
    expect(refusalsOf(outcomes)).toEqual(new Set(['TOKEN_EXPIRED']));
    expect(outcomes.filter(({ made }) => made > 0).length).toBeGreaterThan(REVOCATIONS / 2);
  }, 240_000);

  test('the key of an admin who was removed', async () => {
    const { network } = await makeNetwork(database, { network: PLAN });
    const outcomes = await rounds(ROUNDS, async () => {
      const admin = await makeAdmin(database, network.id, 'ADMIN');
      const { apiKey, token } = await makeKey(database, network.id, {
        adminId: admin.id,
        scopes: ['keys:write', 'members:read'],
      });
      const end = async () => {
        const outcome = await removeAdmin(database, COMMAND_LINE, network.id, admin.id);
        expect(outcome.ok).toBe(true);
      };
      return endUnderTraffic({ database, urls, token, keyId: apiKey.id, end });
    });
    expect(refusalsOf(outcomes)).toEqual(new Set(['TOKEN_EXPIRED']));
  });

  test('a key of a network that was suspended', async () => {
    const outcomes = await rounds(ROUNDS, async () => {
      const { network, apiKey, token } = await makeNetwork(database, { network: PLAN });
      const end = async () => {
        const outcome = await suspendNetwork(database, COMMAND_LINE, network.id);
        expect(outcome.ok).toBe(true);
      };
      return endUnderTraffic({ database, urls, token, keyId: apiKey.id, end });
    });
    expect(refusalsOf(outcomes)).toEqual(new Set(['FORBIDDEN']));
  });

  test('the former role of an admin, whose keys go on within the present one', async () => {
    const outcomes = await rounds(ROUNDS, async () => {
      const { network, admin, apiKey, token } = await makeNetwork(database, { network: PLAN });
      const end = async () => {
        // No command changes a role yet; whichever does will do this.
        await database.prisma.admin.update({ where: { id: admin.id, networkId: network.id }, data: { role: 'ADMIN' } });
        await settle(database, { adminId: admin.id });
      };
      return endUnderTraffic({
        database,
        urls,
        token,
        keyId: apiKey.id,
        end,
        // Only an owner's key can hand this out.
        scopes: ['AUDIT_READ'],
        honoursOld: ({ reply: { body } }) => body.data?.me?.role === 'OWNER' || body.data?.createApiKey?.token != null,
      });
    });
    for (const { after } of outcomes) {
      const seen = after.map(
        ({ reply: { body } }) => body.data?.me?.role ?? body.data?.createApiKey?.userErrors[0]?.code,
      );
      expect(new Set(seen)).toEqual(new Set(['ADMIN', 'SCOPE_NOT_HELD']));
    }
  });
});

describe('when it has returned, every gateway goes by', () => {
  test('the new plan', async () => {
    const { network, admin } = await makeNetwork(database, { network: { plan: 'PREMIUM' } });
    let plan: 'PREMIUM' | 'CUSTOM' = 'PREMIUM';
    await rounds(ROUNDS / 2, async () => {
      const { apiKey, token } = await makeKey(database, network.id, { adminId: admin.id });
      const before = plan;
      plan = before === 'PREMIUM' ? 'CUSTOM' : 'PREMIUM';
      const changes = plan === 'CUSTOM' ? PLAN : { plan };
      const end = async () => {
        const outcome = await updateNetwork(database, COMMAND_LINE, network.id, changes);
        expect(outcome.ok).toBe(true);
      };
      const outcome = await endUnderTraffic({
        database,
        urls,
        token,
        keyId: apiKey.id,
        end,
        honoursOld: ({ reply }) => reply.body.data?.me?.plan === before,
      });
      expect(outcome.after.every(isSuccess)).toBe(true);
      // Nothing was taken away, so keys may go on appearing.
      return { ...outcome, appeared: [], acknowledgedLate: [] };
    });
  });
});
