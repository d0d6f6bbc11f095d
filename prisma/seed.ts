/**
 * The demo network of a first start: 1,000 believable members from a seeded generator (the same on every machine), an
 * owner, and a key. One transaction, so an interrupted first start leaves nothing and the next one makes it whole.
 */
import type { Database } from '../src/database/database.ts';
import type { Prisma } from '../src/database/generated/client.ts';
import { newUuid } from '../src/domain/id.ts';
import { ALL_SCOPES } from '../src/domain/scope.ts';
import { fold } from '../src/domain/text.ts';
import { COMMAND_LINE } from '../src/services/actor.ts';
import { createApiKeyIn } from '../src/services/api-keys/create.ts';
import { type WriteTransaction, write } from '../src/services/transaction.ts';

export interface Demo {
  readonly slug: string;
  readonly members: number;
  readonly token: string;
}

const SLUG = 'demo';
const MEMBERS = 1_000;
const SEED = 20_261_123;
/** Fixed, so that the generated times are the same on every machine too. */
const REFERENCE_DATE = '2026-11-01T00:00:00.000Z';
/** Two gateways that start at once on an empty database make one demo. */
const DEMO_LOCK = 0x6761_7465;

/** Null where the database holds, or ever held, a network. */
export async function seedDemo(database: Database): Promise<Demo | null> {
  if (await hasHistory(database.prisma)) return null;
  const newId = () => newUuid(database.clock.now());
  const networkId = newId();
  // Before the transaction, whose time is bounded: on a slow machine this takes the longest of all.
  const members = await demoMembers(networkId, newId);
  return write(database, COMMAND_LINE, async (transaction) => {
    await transaction.prisma.$queryRaw`SELECT 1 AS locked FROM pg_advisory_xact_lock(${DEMO_LOCK}::bigint)`;
    if (await hasHistory(transaction.prisma)) return null;
    return { slug: SLUG, members: members.length, token: await makeDemo(transaction, networkId, members) };
  });
}

/** The audit trail remembers a network that was deleted: a demo that somebody removed does not come back. */
async function hasHistory(prisma: Pick<Prisma.TransactionClient, 'network' | 'auditEvent'>): Promise<boolean> {
  const [network, event] = await Promise.all([
    prisma.network.findFirst({ select: { id: true } }),
    prisma.auditEvent.findFirst({ select: { id: true } }),
  ]);
  return network !== null || event !== null;
}

async function makeDemo(
  transaction: WriteTransaction,
  networkId: string,
  members: Prisma.MemberCreateManyInput[],
): Promise<string> {
  const { prisma, audit, newId } = transaction;
  await prisma.network.create({ data: { id: networkId, slug: SLUG, name: 'Demo Community' } });
  const subject = { type: 'Network', id: networkId } as const;
  await audit({ networkId, action: 'network.created', subject, details: { after: { slug: SLUG } } });

  const [name, email] = ['Ada Demo', 'ada@demo.example'];
  const admin = await prisma.admin.create({
    data: { id: newId(), networkId, name, email, emailFolded: fold(email), role: 'OWNER' },
  });
  await audit({
    networkId,
    action: 'admin.created',
    subject: { type: 'Admin', id: admin.id },
    details: { after: { role: 'OWNER' } },
  });

  await prisma.member.createMany({ data: members });
  const details = { created: members.length };
  await audit({ networkId, action: 'members.imported', subject: { type: 'Member', id: null }, details });

  const input = { name: 'Demo', scopes: ALL_SCOPES, expiresAt: null, environment: 'LIVE', adminId: admin.id } as const;
  const created = await createApiKeyIn(transaction, networkId, input);
  if (!created.ok) throw new Error(`the demo's key was refused: ${created.errors[0].message}`);
  return created.token;
}

async function demoMembers(networkId: string, newId: () => string): Promise<Prisma.MemberCreateManyInput[]> {
  // Loaded here alone: a start that makes no demo does not pay for it.
  const { allLocales, Faker } = await import('@faker-js/faker');
  const { en, de, fr, es, pl, ja, ko, ar, el, uk, base } = allLocales;
  const generators = [en, en, en, de, fr, es, pl, ja, ko, ar, el, uk].map(
    (locale, index) => new Faker({ locale: [locale, en, base], seed: SEED + index }),
  );
  return Array.from({ length: MEMBERS }, (_, index) => {
    const faker = generators[index % generators.length];
    if (faker === undefined) throw new RangeError('no generator');
    return { id: newId(), ...demoMember(networkId, index, faker) };
  });
}

type Generator = InstanceType<typeof import('@faker-js/faker').Faker>;

function demoMember(networkId: string, index: number, faker: Generator): Omit<Prisma.MemberCreateManyInput, 'id'> {
  const name = faker.person.fullName();
  const email = `member${index + 1}.${faker.internet.domainWord()}@example.com`.toLowerCase();
  const createdAt = faker.date.past({ years: 4, refDate: REFERENCE_DATE });
  const status = faker.helpers.weightedArrayElement([
    { value: 'ACTIVE', weight: 88 },
    { value: 'INVITED', weight: 9 },
    { value: 'SUSPENDED', weight: 3 },
  ] as const);
  const role = faker.helpers.weightedArrayElement([
    { value: 'MEMBER', weight: 94 },
    { value: 'MODERATOR', weight: 4 },
    { value: 'ADMIN', weight: 2 },
  ] as const);
  return {
    networkId,
    externalId: `crm-${String(index + 1).padStart(5, '0')}`,
    name,
    nameFolded: fold(name),
    email,
    emailFolded: fold(email),
    role: index === 0 ? 'OWNER' : role,
    status,
    avatarUrl: `https://avatars.example.com/${index + 1}.png`,
    location: `${faker.location.city()}, ${faker.location.country()}`,
    tags: faker.helpers.arrayElements(['founder', 'mentor', 'speaker', 'volunteer', 'newsletter', 'local-chapter'], {
      min: 0,
      max: 3,
    }),
    customFields: {
      company: faker.company.name(),
      interests: faker.helpers.arrayElement(['music', 'code', 'food', 'sports']),
    },
    createdAt,
    lastActiveAt: status === 'INVITED' ? null : faker.date.between({ from: createdAt, to: REFERENCE_DATE }),
  };
}
