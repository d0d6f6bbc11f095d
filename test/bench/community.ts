/** What the servers serve: one network of 20,000 members whose rows lie among those of others, as they would in use. */
import type { Database } from '../../src/database/database.ts';
import { newUuid } from '../../src/domain/id.ts';
import { PLAN_NUMBER_MAX } from '../../src/domain/plan.ts';
import type { Scope } from '../../src/domain/scope.ts';
import { fold } from '../../src/domain/text.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { createAdmin } from '../../src/services/admins.ts';
import { createApiKey } from '../../src/services/api-keys/create.ts';
import { createNetwork } from '../../src/services/networks.ts';

export interface Community {
  /** A UUID. */
  readonly networkId: string;
  readonly members: number;
  readonly token: string;
}

const MEMBERS = 20_000;
const OTHER_NETWORKS = 3;
const MEMBERS_OF_OTHERS = 5_000;
const BATCH = 1_000;
const INSERT_MEMBERS = 'INSERT INTO members SELECT * FROM jsonb_populate_recordset(NULL::members, $1::jsonb)';
const SCOPES: readonly Scope[] = ['members:read', 'keys:read', 'network:read'];
const ROLES = ['OWNER', 'ADMIN', 'MODERATOR', 'MEMBER', 'MEMBER', 'MEMBER', 'MEMBER'] as const;
const STATUSES = ['ACTIVE', 'ACTIVE', 'ACTIVE', 'ACTIVE', 'INVITED', 'SUSPENDED'] as const;
const NAMES = [
  'Ada Łukasiewicz',
  'Benoît Okafor',
  'Chika Suzuki',
  'Dmytro Ковальчук',
  'Elif Yılmaz',
  'Fritz Müller',
  '山田 太郎',
];
const PLACES = [
  'Lagos, Nigeria',
  'Łódź, Poland',
  'Kyoto, Japan',
  null,
  'São Paulo, Brazil',
  'Kyiv, Ukraine',
  'Izmir, Türkiye',
];
const START_MS = Date.UTC(2022, 0, 1);

export async function makeCommunity(database: Database): Promise<Community> {
  const [own, ...others] = await Promise.all(
    Array.from({ length: 1 + OTHER_NETWORKS }, (_, index) => makeNetwork(database, `bench-${index}`)),
  );
  if (own === undefined) throw new RangeError('no network was made');
  for (let from = 0; from < MEMBERS; from += BATCH) {
    for (const { networkId } of from < MEMBERS_OF_OTHERS ? [own, ...others] : [own]) {
      await database.pool.query(INSERT_MEMBERS, [JSON.stringify(membersOf(networkId, from))]);
    }
  }
  // Without figures the planner would sort the whole table (TRAPS: Prisma); VACUUM, so that none runs amid a round.
  await database.pool.query('VACUUM ANALYZE');
  return { ...own, members: MEMBERS };
}

async function makeNetwork(database: Database, slug: string): Promise<Omit<Community, 'members'>> {
  const unlimited = {
    plan: 'CUSTOM',
    requestsPerMinute: PLAN_NUMBER_MAX,
    networkRequestsPerMinute: PLAN_NUMBER_MAX,
    costPerMinute: PLAN_NUMBER_MAX,
  } as const;
  const made = await createNetwork(database, COMMAND_LINE, { slug, name: `Bench ${slug}`, ...unlimited });
  if (!made.ok) throw new Error(made.errors[0].message);
  const networkId = made.network.id;
  const maker = await createAdmin(database, COMMAND_LINE, networkId, {
    email: `ada@${slug}.example`,
    name: 'Ada Bench',
    role: null,
  });
  if (!maker.ok) throw new Error(maker.errors[0].message);
  const key = await createApiKey(database, COMMAND_LINE, networkId, {
    adminId: maker.admin.id,
    name: 'Bench',
    scopes: SCOPES,
    expiresAt: null,
    environment: 'LIVE',
  });
  if (!key.ok) throw new Error(key.errors[0].message);
  return { networkId, token: key.token };
}

/** As rows of the table. */
function membersOf(networkId: string, from: number) {
  return Array.from({ length: BATCH }, (_, offset) => {
    const index = from + offset;
    const name = `${pick(NAMES, index)} ${index}`;
    const email = `member${index}@${networkId}.example`;
    const createdAt = new Date(START_MS + index * 7_777_777);
    return {
      id: newUuid(),
      network_id: networkId,
      external_id: `crm-${index}`,
      name,
      name_folded: fold(name),
      email,
      email_folded: fold(email),
      role: pick(ROLES, index),
      status: pick(STATUSES, index),
      avatar_url: `https://avatars.example/${index}.png`,
      location: pick(PLACES, index),
      tags: index % 3 === 0 ? ['mentor', 'newsletter'] : [],
      custom_fields: { company: `Company ${index % 100}` },
      created_at: createdAt,
      updated_at: createdAt,
      last_active_at: createdAt,
    };
  });
}

function pick<Value>(values: readonly Value[], index: number): Value {
  return values[index % values.length] as Value;
}
