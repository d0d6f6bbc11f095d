import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { makeKey, makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { BASE_DOMAIN, expectRefusal, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

// Longer lists than usual, so that the mutation's own bound is met.
const suite = useGateway({ BASE_DOMAIN, QUERY_MAX_LIST_ITEMS: '2000' });
const QUERY = `mutation($members: [UpsertMember!]!) { upsertMembers(input: { members: $members }) {
  results { outcome id member { id name email externalId role status avatarUrl location tags timeZone permalink customFields createdAt lastActiveAt }
    userErrors { code message field } }
  userErrors { code message field }
} }`;

async function upsert({ token }: Pick<TestNetwork, 'token'>, members: readonly object[]) {
  const reply = await suite.call(token, QUERY, { variables: { members } });
  expect(reply.body.errors).toBeUndefined();
  return reply.body.data.upsertMembers;
}

const outcomes = (payload: { results: { outcome: string }[] }) => payload.results.map(({ outcome }) => outcome);

function events(own: TestNetwork) {
  return suite.database.prisma.auditEvent.findMany({
    where: { networkId: own.network.id, action: { startsWith: 'member' } },
    orderBy: { id: 'asc' },
  });
}

describe('upsertMembers', () => {
  test('creates a member with every field, and changes it by externalId', async () => {
    const own = await makeNetwork(suite.database);
    const whole = {
      externalId: 'crm-1',
      email: 'Ada@Example.test',
      name: 'Ada',
      role: 'MODERATOR',
      status: 'INVITED',
      avatarUrl: 'https://example.test/a.png',
      location: 'London',
      tags: ['a', 'b'],
      timeZone: 'Europe/London',
      permalink: 'https://example.test/u/ada',
      customFields: { level: 1, list: [1, { a: null }] },
      createdAt: '2020-01-01T00:00:00.000Z',
      lastActiveAt: '2026-01-01T08:00:00.000Z',
    };
    const made = await upsert(own, [whole]);
    expect(made).toMatchObject({ results: [{ outcome: 'CREATED', member: whole, userErrors: [] }], userErrors: [] });
    const changed = await upsert(own, [
      {
        externalId: 'crm-1',
        email: 'ada@example.test',
        name: 'Ada L.',
        tags: [],
        location: null,
        timeZone: null,
        customFields: { level: null, x: true },
      },
    ]);
    expect(changed.results[0]).toMatchObject({
      outcome: 'UPDATED',
      id: made.results[0].id,
      member: {
        ...whole,
        email: 'ada@example.test',
        name: 'Ada L.',
        tags: [],
        location: null,
        timeZone: null,
        customFields: { list: [1, { a: null }], x: true },
      },
    });
  });

  test('has a result for each, in their order: what is at fault is rejected, the rest is done', async () => {
    const own = await makeNetwork(suite.database);
    await makeMembers(suite.database, own.network.id, 2, (index) => ({
      email: `${index}@example.test`,
      externalId: `e${index}`,
      name: 'Same',
    }));
    const payload = await upsert(own, [
      { email: '0@EXAMPLE.test', name: 'Changed' },
      { email: '1@example.test', name: 'Same' },
      { email: 'no address', name: '' },
      { email: 'new@example.test', name: 'New' },
      { email: '1@example.test', name: 'Same', externalId: 'e0' },
      { email: 'x@example.test', name: 'X', customFields: { email: 'y' } },
      { email: 'x@example.test', name: 'X', customFields: ['no object'] },
      { email: '1@example.test', name: 'Same', externalId: ' ' },
      { email: 'x@example.test', name: 'X', customFields: { huge: 2 ** 60 } },
    ]);
    expect(outcomes(payload)).toEqual([
      'UPDATED',
      'UNCHANGED',
      'REJECTED',
      'CREATED',
      'REJECTED',
      'REJECTED',
      'REJECTED',
      'REJECTED',
      'REJECTED',
    ]);
    const errors = payload.results.map(({ userErrors }: { userErrors: object[] }) => userErrors);
    expect(errors[2]).toEqual([
      { code: 'INVALID', message: 'email: must be an e-mail address', field: ['input', 'members', '2', 'email'] },
      { code: 'INVALID', message: expect.stringContaining('name: '), field: ['input', 'members', '2', 'name'] },
    ]);
    expect(errors[4]).toEqual([
      {
        code: 'MEMBER_CONFLICT',
        message: 'externalId and email: belong to two different members',
        field: ['input', 'members', '4'],
      },
    ]);
    expect(errors[5]).toMatchObject([{ code: 'INVALID', field: ['input', 'members', '5', 'customFields'] }]);
    expect(errors[6]).toMatchObject([{ code: 'INVALID', message: 'customFields: must be an object' }]);
    const blank = 'externalId: must not be blank; null erases it';
    expect(errors[7]).toEqual([{ code: 'INVALID', message: blank, field: ['input', 'members', '7', 'externalId'] }]);
    expect(errors[8]).toMatchObject([{ field: ['input', 'members', '8', 'customFields', 'huge'] }]);
    expect(payload.results[2]).toMatchObject({ id: null, member: null });
  });

  test('needs no address and no name for a member that its externalId names, nor the scope for addresses', async () => {
    const own = await makeNetwork(suite.database);
    await upsert(own, [{ externalId: 'crm-1', email: 'ada@example.test', name: 'Ada', tags: ['a'] }]);
    const { token } = await makeKey(suite.database, own.network.id, {
      adminId: own.admin.id,
      scopes: ['members:read', 'members:write'],
    });
    const query = `mutation($members: [UpsertMember!]!) { upsertMembers(input: { members: $members }) {
      results { outcome member { name tags } userErrors { code message field } } } }`;
    const members = [
      { externalId: 'crm-1', tags: ['b'] },
      { externalId: 'crm-1', name: 'Ada L.' },
      { externalId: 'crm-2', name: 'New' },
      { name: 'Nobody' },
      { externalId: 'crm-1', name: null },
    ];
    const reply = await suite.call(token, query, { variables: { members } });
    expect(reply.body.errors).toBeUndefined();
    const { results } = reply.body.data.upsertMembers;
    expect(outcomes({ results })).toEqual(['UPDATED', 'UPDATED', 'REJECTED', 'REJECTED', 'REJECTED']);
    expect(results[0].member).toEqual({ name: 'Ada L.', tags: ['b'] });
    const errors = results.slice(2).map(({ userErrors }: { userErrors: object[] }) => userErrors[0]);
    expect(errors).toEqual([
      { code: 'INVALID', message: 'email: is required of a new member', field: ['input', 'members', '2'] },
      {
        code: 'INVALID',
        message: 'externalId: is required, or an email',
        field: ['input', 'members', '3', 'externalId'],
      },
      { code: 'INVALID', message: 'name: is required', field: ['input', 'members', '4', 'name'] },
    ]);
  });

  test('is on record as one event with counts and the names of fields, no value among them', async () => {
    const own = await makeNetwork(suite.database);
    await upsert(own, [
      { email: 'a@example.test', name: 'A' },
      { email: 'b@example.test', name: 'B' },
    ]);
    await upsert(own, [
      { email: 'a@example.test', name: 'Secret name', customFields: { secret: 'x' } },
      { email: 'b@example.test', name: 'B' },
      { email: '', name: '' },
    ]);
    await upsert(own, [{ email: 'b@example.test', name: 'B' }]);
    const found = await events(own);
    expect(found.map(({ action, actorId, subjectId }) => [action, actorId, subjectId])).toEqual(
      Array(2).fill(['members.upserted', own.apiKey.id, null]),
    );
    expect(found.map(({ details }) => details)).toEqual([
      { created: 2, updated: 0, unchanged: 0, rejected: 0, changedFields: [] },
      { created: 0, updated: 1, unchanged: 1, rejected: 1, changedFields: ['customFields', 'name'] },
    ]);
  });

  test('takes 1,000 members at a time, and refuses 1,001', async () => {
    const own = await makeNetwork(suite.database);
    const members = Array.from({ length: 1_001 }, (_, index) => ({
      email: `${index}@example.test`,
      name: `N ${index}`,
    }));
    const query = `mutation($members: [UpsertMember!]!) { upsertMembers(input: { members: $members }) {
      results { outcome } userErrors { code field } } }`;
    const refusedReply = await suite.call(own.token, query, { variables: { members } });
    expect(refusedReply.body.data.upsertMembers).toEqual({
      results: [],
      userErrors: [{ code: 'TOO_LONG', field: ['input', 'members'] }],
    });
    const reply = await suite.call(own.token, query, { variables: { members: members.slice(1) } });
    expect(new Set(outcomes(reply.body.data.upsertMembers))).toEqual(new Set(['CREATED']));
    expect(await suite.database.prisma.member.count({ where: { networkId: own.network.id } })).toBe(1_000);
  });

  test('lets two members exchange what is unique to each', async () => {
    const own = await makeNetwork(suite.database);
    await upsert(own, [
      { externalId: 'a', email: 'a@example.test', name: 'A' },
      { externalId: 'b', email: 'b@example.test', name: 'B' },
    ]);
    const payload = await upsert(own, [
      { externalId: 'a', email: 'c@example.test', name: 'A' },
      { externalId: 'b', email: 'a@example.test', name: 'B' },
    ]);
    expect(outcomes(payload)).toEqual(['UPDATED', 'UPDATED']);
  });

  test('of the same members by many callers at once makes each once', async () => {
    const own = await makeNetwork(suite.database);
    const members = Array.from({ length: 20 }, (_, index) => ({ email: `${index}@example.test`, name: `N ${index}` }));
    const payloads = await Promise.all(
      Array.from({ length: 6 }, (_, turn) => upsert(own, turn % 2 === 0 ? members : members.toReversed())),
    );
    expect(payloads.flatMap(outcomes).filter((outcome) => outcome === 'CREATED')).toHaveLength(20);
  });

  test('is refused to a TEST key', async () => {
    const own = await makeNetwork(suite.database);
    const { token } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id, environment: 'TEST' });
    const reply = await suite.call(token, QUERY, { variables: { members: [{ email: 'a@example.test', name: 'A' }] } });
    expect(reply.status).toBe(403);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: 'Forbidden: a TEST key reads members and writes none',
      extensions: { code: 'FORBIDDEN' },
    });
    expect(await suite.database.prisma.member.count({ where: { networkId: own.network.id } })).toBe(0);
  });

  test('never touches another network’s member of the same address or externalId', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const [theirs] = await makeMembers(suite.database, other.network.id, 1, () => ({
      email: 'a@example.test',
      externalId: 'e',
    }));
    const payload = await upsert(own, [{ email: 'a@example.test', externalId: 'e', name: 'Mine' }]);
    expect(outcomes(payload)).toEqual(['CREATED']);
    expect(payload.results[0].id).not.toBe(toId('Member', String(theirs?.id)));
    expect(await suite.database.prisma.member.findUnique({ where: { id: String(theirs?.id) } })).toEqual(theirs);
  });

  test.for([
    ['a role that there is not', [{ email: 'a@b.test', name: 'A', role: 'KING' }]],
    ['null for members', null],
  ] as const)('refuses %s before anything runs', async ([, members]) => {
    const own = await makeNetwork(suite.database);
    const reply = await suite.call(own.token, QUERY, { variables: { members } });
    expect(reply.status).toBe(422);
    expect(reply.body).not.toHaveProperty('data');
  });

  refusesAsAllDo(suite, {
    query:
      'mutation { upsertMembers(input: { members: [{ email: "a@example.test", name: "A" }] }) { results { outcome } } }',
    scopes: ['members:email', 'members:write'],
  });
});

test('refuses the network that is gone like any other', async () => {
  const own = await makeNetwork(suite.database);
  await suite.database.prisma.network.delete({ where: { id: own.network.id } });
  const reply = await suite.call(own.token, QUERY, { variables: { members: [] } });
  expectRefusal(reply, {
    status: 401,
    code: 'UNAUTHORIZED',
    message: /^Invalid API token$/,
    challenge: 'Bearer error="invalid_token"',
  });
});
