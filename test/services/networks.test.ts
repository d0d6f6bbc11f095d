import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import type { Network } from '../../src/database/generated/client.ts';
import { addToMonths } from '../../src/database/months.ts';
import { newUuid, toId } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import {
  createNetwork,
  deleteNetwork,
  findNetwork,
  listNetworks,
  type NetworkInput,
  type NetworkOutcome,
  resumeNetwork,
  suspendNetwork,
  updateNetwork,
} from '../../src/services/networks.ts';
import { makeMembers, makeNetwork, openTestDatabase, STANDARD } from '../support/fixtures.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const newSlug = (): string => `n-${randomBytes(6).toString('hex')}`;

function create(input: Partial<NetworkInput> = {}): Promise<NetworkOutcome> {
  return createNetwork(database, COMMAND_LINE, { slug: newSlug(), name: 'A network', ...STANDARD, ...input });
}

async function created(input: Partial<NetworkInput> = {}): Promise<Network> {
  const outcome = await create(input);
  if (!outcome.ok) throw new Error(outcome.errors[0].message);
  return outcome.network;
}

function errorsOf(outcome: NetworkOutcome): unknown {
  return outcome.ok ? [] : outcome.errors.map(({ code, field }) => [code, field.at(-1)]);
}

async function eventsOf(networkId: string): Promise<unknown[]> {
  const events = await database.prisma.auditEvent.findMany({ where: { networkId }, orderBy: { id: 'asc' } });
  return events.map(({ action, details }) => [action, details]);
}

describe('a network is made', () => {
  test('with its audit event, and found by slug and by id', async () => {
    const network = await created({ name: ' Blanks around ' });
    expect(network).toMatchObject({ name: 'Blanks around', plan: 'STANDARD', suspendedAt: null });
    expect(await eventsOf(network.id)).toEqual([
      ['network.created', { after: { slug: network.slug, name: 'Blanks around', ...STANDARD } }],
    ]);
    expect(await findNetwork(database, network.slug)).toEqual(network);
    expect(await findNetwork(database, toId('Network', network.id))).toEqual(network);
    expect(await findNetwork(database, toId('Network', newUuid()))).toBeNull();
  });

  test.each(['a', '0', 'a-b', `a${'-'.repeat(61)}z`, 'xn--bcher-kva'])('slug %s', async (slug) => {
    expect(errorsOf(await create({ slug }))).not.toContainEqual(['INVALID', 'slug']);
  });

  test.each(['', '-a', 'a-', 'A', 'a_b', 'a.b', 'ä', 'a b', `a${'b'.repeat(63)}`, 'a\n'])(
    'not with slug %j',
    async (slug) => {
      expect(errorsOf(await create({ slug }))).toEqual([[slug === '' ? 'BLANK' : 'INVALID', 'slug']]);
    },
  );

  test('not with a slug that is taken, and then nothing is left of it', async () => {
    const { slug, id } = await created();
    expect(errorsOf(await create({ slug }))).toEqual([['SLUG_TAKEN', 'slug']]);
    expect(await eventsOf(id)).toHaveLength(1);
    const both = await Promise.all([create({ slug: 'at-the-same-time' }), create({ slug: 'at-the-same-time' })]);
    expect(both.filter((outcome) => outcome.ok).length).toBeLessThanOrEqual(1);
  });

  test.each([
    [{ name: ' ' }, [['BLANK', 'name']]],
    [{ name: 'x'.repeat(201) }, [['TOO_LONG', 'name']]],
    [{ name: 'a\u0007' }, [['INVALID', 'name']]],
    [{ plan: 'CUSTOM' }, [['BLANK', 'requestsPerMinute']]],
    [{ plan: 'CUSTOM', requestsPerMinute: 0 }, [['OUT_OF_RANGE', 'requestsPerMinute']]],
    [{ plan: 'CUSTOM', requestsPerMinute: 1, costPerMinute: 2_000_000_000 }, [['OUT_OF_RANGE', 'costPerMinute']]],
    [
      { plan: 'PREMIUM', requestsPerMinute: 5, costPerMinute: 5 },
      [
        ['INVALID', 'requestsPerMinute'],
        ['INVALID', 'costPerMinute'],
      ],
    ],
  ] as const)('not with %j', async (input, errors) => {
    expect(errorsOf(await create(input))).toEqual(errors);
  });
});

describe('a network is changed', () => {
  test('what is left out stays; the event holds what changed, before and after', async () => {
    const { id, slug } = await created();
    const custom = { plan: 'CUSTOM', requestsPerMinute: 7, costPerMinute: 9 } as const;
    const outcome = await updateNetwork(database, COMMAND_LINE, id, { ...custom, name: 'Renamed' });
    expect(outcome).toMatchObject({
      ok: true,
      network: { slug, name: 'Renamed', ...custom, networkRequestsPerMinute: null },
    });
    expect((await eventsOf(id))[1]).toEqual([
      'network.updated',
      {
        before: { name: 'A network', plan: 'STANDARD', requestsPerMinute: null, costPerMinute: null },
        after: { name: 'Renamed', plan: 'CUSTOM', requestsPerMinute: 7, costPerMinute: 9 },
      },
    ]);
  });

  test('a custom plan keeps its numbers, and loses them with the plan', async () => {
    const { id } = await created({ plan: 'CUSTOM', requestsPerMinute: 7, costPerMinute: 9 });
    const more = await updateNetwork(database, COMMAND_LINE, id, { requestsPerMinute: 8 });
    expect(more).toMatchObject({ network: { plan: 'CUSTOM', requestsPerMinute: 8, costPerMinute: 9 } });
    const standard = await updateNetwork(database, COMMAND_LINE, id, { plan: 'STANDARD' });
    expect(standard).toMatchObject({ network: STANDARD });
    expect(errorsOf(await updateNetwork(database, COMMAND_LINE, id, { requestsPerMinute: 8 }))).toEqual([
      ['INVALID', 'requestsPerMinute'],
    ]);
    expect(errorsOf(await updateNetwork(database, COMMAND_LINE, id, { plan: 'CUSTOM' }))).toEqual([
      ['BLANK', 'requestsPerMinute'],
    ]);
  });

  test('what changes nothing leaves no event and no new updatedAt', async () => {
    const network = await created();
    const outcome = await updateNetwork(database, COMMAND_LINE, network.id, { name: network.name });
    expect(outcome).toEqual({ ok: true, network });
    expect(await eventsOf(network.id)).toHaveLength(1);
  });

  test('not to a slug that is taken, nor where there is no network', async () => {
    const [one, other] = [await created(), await created()];
    expect(errorsOf(await updateNetwork(database, COMMAND_LINE, one.id, { slug: other.slug }))).toEqual([
      ['SLUG_TAKEN', 'slug'],
    ]);
    expect(errorsOf(await updateNetwork(database, COMMAND_LINE, newUuid(), { name: 'x' }))).toEqual([
      ['NOT_FOUND', 'network'],
    ]);
  });
});

test('a network is suspended and resumed, each idempotent, with an event for each change', async () => {
  const { id } = await created();
  const first = await suspendNetwork(database, COMMAND_LINE, id);
  expect(first).toMatchObject({ ok: true, network: { suspendedAt: expect.any(Date) } });
  expect(await suspendNetwork(database, COMMAND_LINE, id)).toEqual(first);
  for (let time = 0; time < 2; time += 1) {
    expect(await resumeNetwork(database, COMMAND_LINE, id)).toMatchObject({ ok: true, network: { suspendedAt: null } });
  }
  expect((await eventsOf(id)).map((event) => (event as unknown[])[0])).toEqual([
    'network.created',
    'network.suspended',
    'network.resumed',
  ]);
  expect(errorsOf(await suspendNetwork(database, COMMAND_LINE, newUuid()))).toEqual([['NOT_FOUND', 'network']]);
});

test('a network is deleted with all that is in it, members in bounded transactions, its audit trail stays', async () => {
  const { network, admin, apiKey } = await makeNetwork(database, { network: { plan: 'STANDARD' } });
  const other = await makeNetwork(database);
  await makeMembers(database, other.network.id, 1);
  await makeMembers(database, network.id, 5_001);
  await addToMonths(database.pool, [{ networkId: network.id, month: new Date(Date.UTC(2026, 0)), requests: 7 }], {
    counterId: newUuid(),
    sequence: 1,
  });
  const outcome = await deleteNetwork(database, COMMAND_LINE, network.id);
  expect(outcome).toMatchObject({ ok: true, members: 5_001 });
  const where = { networkId: network.id };
  const left = [
    await database.prisma.member.count({ where }),
    await database.prisma.admin.count({ where: { id: admin.id } }),
    await database.prisma.apiKey.count({ where: { id: apiKey.id } }),
    await database.prisma.secret.count({ where }),
    await database.prisma.networkMonth.count({ where }),
    await database.prisma.network.count({ where: { id: network.id } }),
  ];
  expect(left).toEqual([0, 0, 0, 0, 0, 0]);
  expect(await eventsOf(network.id)).toEqual([
    ['key.created', expect.anything()],
    ['network.suspended', expect.anything()],
    ['network.deleted', { members: 5_000, finished: false }],
    ['network.deleted', { members: 1, finished: false }],
    ['network.deleted', { before: { slug: network.slug, name: network.name, plan: 'STANDARD' }, finished: true }],
  ]);
  expect(await database.prisma.member.count({ where: { networkId: other.network.id } })).toBe(1);
  expect(await deleteNetwork(database, COMMAND_LINE, network.id)).toMatchObject({
    ok: false,
    errors: [{ code: 'NOT_FOUND' }],
  });
});

test('all networks are listed, each once', async () => {
  const { id } = await created();
  const ids: string[] = [];
  for await (const page of listNetworks(database)) ids.push(...page.map((network) => network.id));
  expect(ids).toContain(id);
  expect(new Set(ids).size).toBe(ids.length);
});
