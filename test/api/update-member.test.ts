import { describe, expect, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import { makeKey, makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const QUERY = `mutation($input: UpdateMemberInput!) { updateMember(input: $input) {
  member { id name email externalId role location tags timeZone permalink customFields lastActiveAt } userErrors { code message field }
} }`;

async function setUp() {
  const own = await makeNetwork(suite.database);
  const members = await makeMembers(suite.database, own.network.id, 2, (index) => ({
    name: `Member ${index}`,
    email: `M${index}@example.test`,
    externalId: `e${index}`,
    location: 'Here',
    tags: ['a'],
    customFields: { kept: 1, erased: 2 },
  }));
  return { own, ids: members.map(({ id }) => toId('Member', id)) as [string, string], members };
}

async function update({ token }: TestNetwork, input: object) {
  const reply = await suite.call(token, QUERY, { variables: { input } });
  expect(reply.body.errors).toBeUndefined();
  return reply.body.data.updateMember;
}

describe('updateMember', () => {
  test('changes what is given and leaves the rest', async () => {
    const { own, ids } = await setUp();
    const payload = await update(own, {
      id: ids[0],
      name: 'New',
      location: null,
      lastActiveAt: '2026-01-01T09:00:00+01:00',
      customFields: { erased: null, added: true },
    });
    expect(payload).toEqual({
      member: {
        id: ids[0],
        name: 'New',
        email: 'M0@example.test',
        externalId: 'e0',
        role: 'MEMBER',
        location: null,
        tags: ['a'],
        timeZone: null,
        permalink: null,
        customFields: { kept: 1, added: true },
        lastActiveAt: '2026-01-01T08:00:00.000Z',
      },
      userErrors: [],
    });
  });

  test('sets the time zone and the permalink, and erases them; faults name the field', async () => {
    const { own, ids } = await setUp();
    const whole = { timeZone: 'Europe/Oslo', permalink: 'https://example.test/u/0' };
    expect((await update(own, { id: ids[0], ...whole })).member).toMatchObject(whole);
    expect((await update(own, { id: ids[0], name: 'New' })).member).toMatchObject(whole);
    const faulty = await update(own, { id: ids[0], timeZone: 'Oslo', permalink: '/u/0' });
    expect(faulty.userErrors).toEqual([
      {
        code: 'INVALID',
        message: 'timeZone: must be the IANA name of a time zone, such as Europe/Berlin or UTC',
        field: ['input', 'timeZone'],
      },
      { code: 'INVALID', message: 'permalink: must be an http or https URL', field: ['input', 'permalink'] },
    ]);
    const erased = { timeZone: null, permalink: null };
    expect((await update(own, { id: ids[0], ...erased })).member).toMatchObject(erased);
  });

  test('sets when a member was last active, and erases it', async () => {
    const { own, ids } = await setUp();
    const set = await update(own, { id: ids[0], lastActiveAt: '2026-01-01T08:00:00Z' });
    expect(set.member.lastActiveAt).toBe('2026-01-01T08:00:00.000Z');
    expect((await update(own, { id: ids[0], name: 'New' })).member.lastActiveAt).toBe('2026-01-01T08:00:00.000Z');
    expect((await update(own, { id: ids[0], lastActiveAt: null })).member.lastActiveAt).toBeNull();
    const late = await update(own, { id: ids[0], lastActiveAt: '2999-01-01T00:00:00Z' });
    expect(late).toEqual({
      member: null,
      userErrors: [
        {
          code: 'INVALID',
          message: 'lastActiveAt: must be between the year 1000 and tomorrow',
          field: ['input', 'lastActiveAt'],
        },
      ],
    });
  });

  test('looks at what is given alone: a member from before a rule can be changed still', async () => {
    const { own, ids, members } = await setUp();
    const stored = 'UPDATE members SET name = $2, email = $3 WHERE id = $1';
    await suite.database.pool.query(stored, [members[0]?.id, ' a name with a\ttab', 'no address']);
    const payload = await update(own, { id: ids[0], role: 'OWNER' });
    expect(payload).toMatchObject({
      member: { role: 'OWNER', name: ' a name with a\ttab', email: 'no address' },
      userErrors: [],
    });
    const where = { networkId: own.network.id, action: 'member.updated' };
    expect(await suite.database.prisma.auditEvent.findMany({ where })).toMatchObject([
      { details: { changedFields: ['role'] } },
    ]);
  });

  test('shows the member as it is after each of several changes in one request', async () => {
    const { own, ids } = await setUp();
    const query = `mutation($id: ID!) {
      first: updateMember(input: { id: $id, name: "1" }) { member { name } }
      second: updateMember(input: { id: $id, name: "2" }) { member { name } }
    }`;
    const reply = await suite.call(own.token, query, { variables: { id: ids[0] } });
    expect(reply.body.data).toEqual({ first: { member: { name: '1' } }, second: { member: { name: '2' } } });
  });

  test('is on record with the names of the fields, and not at all where nothing changed', async () => {
    const { own, ids, members } = await setUp();
    await update(own, { id: ids[0], name: 'New', tags: ['a'] });
    await update(own, { id: ids[0], name: 'New' });
    const found = await suite.database.prisma.auditEvent.findMany({
      where: { networkId: own.network.id, subjectType: 'Member' },
    });
    expect(found).toMatchObject([
      {
        action: 'member.updated',
        subjectId: members[0]?.id,
        details: { changedFields: ['name'] },
        actorId: own.apiKey.id,
      },
    ]);
  });

  test.for([
    ['an address of another member', { email: 'm1@EXAMPLE.test' }, 'EMAIL_TAKEN', ['input', 'email']],
    ['an externalId of another member', { externalId: 'e1' }, 'EXTERNAL_ID_TAKEN', ['input', 'externalId']],
    ['an address that is none', { email: 'nowhere' }, 'INVALID', ['input', 'email']],
    ['no name', { name: null }, 'INVALID', ['input', 'name']],
    ['custom fields that are no object', { customFields: 'x' }, 'INVALID', ['input', 'customFields']],
    ['a time in the far future', { createdAt: '2999-01-01T00:00:00Z' }, 'INVALID', ['input', 'createdAt']],
  ] as const)('refuses %s, naming the field, and changes nothing', async ([, input, code, field]) => {
    const { own, ids, members } = await setUp();
    const payload = await update(own, { id: ids[0], location: 'There', ...input });
    expect(payload).toMatchObject({ member: null, userErrors: [{ code, field }] });
    expect(await suite.database.prisma.member.findUnique({ where: { id: String(members[0]?.id) } })).toEqual(
      members[0],
    );
  });

  test.for<[string, () => Promise<string>]>([
    ['what is no id', async () => 'nonsense'],
    ['a member that never was', async () => toId('Member', newUuid())],
    ['another type’s id', async () => toId('ApiKey', newUuid())],
    ['another network’s member', async () => (await setUp()).ids[0]],
  ])('knows nothing of %s', async ([, make]) => {
    const { own } = await setUp();
    expect(await update(own, { id: await make(), name: 'x' })).toEqual({
      member: null,
      userErrors: [{ code: 'NOT_FOUND', message: 'There is no such member', field: ['input', 'id'] }],
    });
  });

  test('is refused to a TEST key', async () => {
    const { own, ids } = await setUp();
    const { token } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id, environment: 'TEST' });
    const reply = await suite.call(token, QUERY, { variables: { input: { id: ids[0], name: 'x' } } });
    expect([reply.status, reply.body.errors?.[0]?.extensions.code]).toEqual([403, 'FORBIDDEN']);
  });

  refusesAsAllDo(suite, {
    query: 'mutation { updateMember(input: { id: "mem_x", email: "a@example.test" }) { userErrors { code } } }',
    scopes: ['members:email', 'members:write'],
  });
});
