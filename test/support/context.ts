/** What a resolver is handed, made as the gateway makes it, for tests that run a schema without a server. */
import { onTestFinished } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { NetworkReads } from '../../src/database/network-reads.ts';
import { CursorSigner } from '../../src/domain/cursor.ts';
import { Keyring } from '../../src/domain/keyring.ts';
import { planNumbers } from '../../src/domain/plan.ts';
import { digestOf } from '../../src/domain/token.ts';
import type { Principal } from '../../src/domain/verification.ts';
import { Context } from '../../src/graphql/context.ts';
import { RequestLimits } from '../../src/graphql/request-limits.ts';
import { MemoryLimiter } from '../../src/limits/memory-limiter.ts';
import { Meter } from '../../src/limits/meter.ts';
import { MonthCounter } from '../../src/limits/month-counter.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { CallerServices } from '../../src/services/caller-services.ts';
import { makeNetwork, type TestNetwork } from './fixtures.ts';
import { TEST_SECRET } from './gateway.ts';

export function principalOf({ admin, apiKey, network, token }: TestNetwork, scopes: Principal['scopes']): Principal {
  return {
    digest: digestOf(token),
    keyId: apiKey.id,
    adminId: admin.id,
    adminRole: 'OWNER',
    adminName: admin.name,
    adminEmail: admin.email,
    adminCreatedAt: admin.createdAt,
    networkId: network.id,
    networkSlug: network.slug,
    environment: 'LIVE',
    allowedAddresses: [],
    expiresAt: null,
    plan: network.plan,
    numbers: planNumbers(network.plan, network),
    monthly: { quota: network.monthlyQuota, enforced: network.monthlyQuotaEnforced, used: 0, start: new Date(0) },
    scopes,
  };
}

/**
 * A context of a caller with these scopes, in a network of its own, with limits in memory. `numbers`: those of a CUSTOM
 * plan; absent: plenty.
 */
export async function makeContext(
  database: Database,
  scopes: Principal['scopes'],
  numbers?: { readonly requestsPerMinute: number },
): Promise<Context> {
  const made = await makeNetwork(database, numbers === undefined ? {} : { network: { plan: 'CUSTOM', ...numbers } });
  return contextOf(database, principalOf(made, scopes));
}

/** The same for a caller who is there. Until the test has finished. */
export function contextOf(database: Database, principal: Principal): Context {
  const months = new MonthCounter(database, { onCrossed: () => undefined, onError: () => undefined });
  const limiter = new MemoryLimiter();
  onTestFinished(async () => {
    await months.close();
    await limiter.close();
  });
  const meter = new Meter(limiter, months, false, () => undefined);
  return new Context({
    requestId: 'req_test',
    principal,
    reads: new NetworkReads(database, principal.networkId, new AbortController().signal),
    services: new CallerServices(database, { kind: 'KEY', principal }, COMMAND_LINE),
    cursors: new CursorSigner(new Keyring([TEST_SECRET])),
    usageRetention: { MINUTE: 1, HOUR: 1, DAY: null },
    onRefusedAttempt: () => undefined,
    limits: new RequestLimits(meter, principal, { points: 1_000 }, () => undefined),
  });
}
