/** Networks, admins, keys and members for tests, made in the database that the gateways under test use. */
import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import type { Admin, Member, Network, Prisma } from '../../src/database/generated/client.ts';
import type { KeyRow } from '../../src/database/tables.ts';
import { newUuid } from '../../src/domain/id.ts';
import { ALL_SCOPES, type Scope } from '../../src/domain/scope.ts';
import { fold } from '../../src/domain/text.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { type CreateApiKeyInput, createApiKey } from '../../src/services/api-keys/create.ts';

/** The run's database, opened once a test file. Close it in `afterAll`. */
export function openTestDatabase({ statementTimeoutMs = 30_000 } = {}): Promise<Database> {
  return openDatabase({ url: inject('databaseUrl'), dataDir: '', poolSize: 5, statementTimeoutMs });
}

/** A network's plan where nothing else is said. */
export const STANDARD = {
  plan: 'STANDARD',
  requestsPerMinute: null,
  networkRequestsPerMinute: null,
  costPerMinute: null,
  monthlyQuota: null,
  monthlyQuotaEnforced: false,
} as const;

export interface TestNetwork {
  readonly network: Network;
  /** Its owner. */
  readonly admin: Admin;
  /** A key with the scopes asked for, acting for the owner. */
  readonly apiKey: KeyRow;
  readonly token: string;
}

/** Numbers that no test reaches which is not about them. */
export const PLENTY = {
  plan: 'CUSTOM',
  requestsPerMinute: 1_000_000,
  networkRequestsPerMinute: 10_000_000,
  costPerMinute: 100_000_000,
} as const;

/**
 * A network of its own for one test, with an owner and a key that holds all scopes where none are named. Its limits are
 * out of reach unless `network` names a plan.
 */
export async function makeNetwork(
  database: Database,
  {
    scopes = ALL_SCOPES,
    network: data = {},
  }: { scopes?: readonly Scope[]; network?: Partial<Prisma.NetworkCreateInput> } = {},
): Promise<TestNetwork> {
  const slug = `t-${randomBytes(8).toString('hex')}`;
  const network = await database.prisma.network.create({
    data: { id: newUuid(), slug, name: `Test ${slug}`, ...(data.plan === undefined ? PLENTY : {}), ...data },
  });
  const admin = await makeAdmin(database, network.id);
  const { apiKey, token } = await makeKey(database, network.id, { scopes, adminId: admin.id });
  return { network, admin, apiKey, token };
}

export function makeAdmin(database: Database, networkId: string, role: Admin['role'] = 'OWNER'): Promise<Admin> {
  const email = `Admin-${randomBytes(6).toString('hex')}@Example.test`;
  return database.prisma.admin.create({
    data: { id: newUuid(), networkId, email, emailFolded: fold(email), name: 'Ada Admin', role },
  });
}

export async function makeKey(
  database: Database,
  networkId: string,
  input: Partial<CreateApiKeyInput> & { adminId: string },
): Promise<{ apiKey: KeyRow; token: string }> {
  // Stored directly: sooner than a key may be made to end, for a test that is to see it end.
  const { expiresAt = null } = input;
  const made = await createApiKey(database, COMMAND_LINE, networkId, {
    name: `key ${randomBytes(6).toString('hex')}`,
    scopes: ALL_SCOPES,
    environment: 'LIVE',
    ...input,
    expiresAt: null,
  });
  if (!made.ok) throw new Error(made.errors[0].message);
  const { apiKey, token } = made;
  if (expiresAt === null) return { apiKey, token };
  await database.prisma.apiKey.update({ where: { id: apiKey.id }, data: { expiresAt } });
  return { apiKey: { ...apiKey, expiresAt }, token };
}

/** Members, in the order of their ids. `shape` overrides what is generated. */
export async function makeMembers(
  database: Database,
  networkId: string,
  count: number,
  shape: (index: number) => Partial<Prisma.MemberCreateManyInput> = () => ({}),
): Promise<Member[]> {
  const rows = Array.from({ length: count }, (_, index) => {
    const {
      name = `Member ${index}`,
      email = `m${index}-${randomBytes(4).toString('hex')}@example.test`,
      ...more
    } = shape(index);
    return { id: newUuid(), networkId, name, nameFolded: fold(name), email, emailFolded: fold(email), ...more };
  });
  await database.prisma.member.createMany({ data: rows });
  return database.prisma.member.findMany({ where: { networkId }, orderBy: { id: 'asc' } });
}
