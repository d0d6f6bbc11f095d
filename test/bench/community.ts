/** What the servers serve: one network whose members' rows lie among those of others, as they would in use. */
import type { Database } from '../../src/database/database.ts';
import { PLAN_NUMBER_MAX } from '../../src/domain/plan.ts';
import type { Scope } from '../../src/domain/scope.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { createAdmin } from '../../src/services/admins.ts';
import { createApiKey } from '../../src/services/api-keys/create.ts';
import { createNetwork } from '../../src/services/networks.ts';
import { fillMembers } from './fill.ts';

export interface Community {
  /** A UUID. */
  readonly networkId: string;
  readonly members: number;
  readonly token: string;
}

export interface Size {
  readonly members: number;
  readonly otherNetworks: number;
  readonly membersOfOthers: number;
}

const SCOPES: readonly Scope[] = ['members:read', 'keys:read', 'network:read'];

export async function makeCommunity(database: Database, url: string, size: Size): Promise<Community> {
  const networkId = await makeNetwork(database, 'bench');
  const others: string[] = [];
  for (let count = 0; count < size.otherNetworks; count += 1) {
    others.push(await makeNetwork(database, `other-${count}`));
  }
  const token = await makeKey(database, networkId);
  await fillMembers(url, [
    { networkIds: [networkId], members: size.members },
    { networkIds: others, members: size.membersOfOthers },
  ]);
  return { networkId, members: size.members, token };
}

/** A key that may make one request a minute. */
export async function makeKeyOver(database: Database): Promise<string> {
  return makeKey(database, await makeNetwork(database, 'bench-over', 1));
}

/** Resolves to its UUID. */
export async function makeNetwork(
  database: Database,
  slug: string,
  requestsPerMinute = PLAN_NUMBER_MAX,
): Promise<string> {
  const unlimited = {
    plan: 'CUSTOM',
    requestsPerMinute,
    networkRequestsPerMinute: PLAN_NUMBER_MAX,
    costPerMinute: PLAN_NUMBER_MAX,
    monthlyQuota: null,
    monthlyQuotaEnforced: false,
  } as const;
  const made = await createNetwork(database, COMMAND_LINE, { slug, name: `Bench ${slug}`, ...unlimited });
  if (!made.ok) throw new Error(made.errors[0].message);
  return made.network.id;
}

export async function makeKey(database: Database, networkId: string): Promise<string> {
  const person = { email: 'ada@bench.example', name: 'Ada Bench', role: null };
  const maker = await createAdmin(database, COMMAND_LINE, networkId, person);
  if (!maker.ok) throw new Error(maker.errors[0].message);
  const key = await createApiKey(database, COMMAND_LINE, networkId, {
    adminId: maker.admin.id,
    name: 'Bench',
    scopes: SCOPES,
    expiresAt: null,
    environment: 'LIVE',
  });
  if (!key.ok) throw new Error(key.errors[0].message);
  return key.token;
}
