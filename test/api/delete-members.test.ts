import { describe, expect, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import { makeKey, makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

// Longer lists than usual, so that the mutation's own bound is met.
const suite = useGateway({ BASE_DOMAIN, QUERY_MAX_LIST_ITEMS: '2000' });
const QUERY = 'mutation($ids: [ID!]!) { deleteMembers(input: { ids: $ids }) { deletedIds userErrors { code field } } }';

async function remove({ token }: TestNetwork, ids: readonly string[]) {
  const reply = await suite.call(token, QUERY, { variables: { ids } });
  expect(reply.body.errors).toBeUndefined();
  return reply.body.data.deleteMembers;
}

describe('deleteMembers', () => {
  test('deletes what is there, once, leaves out what is not, and another network’s alone', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const mine = await makeMembers(suite.database, own.network.id, 3);
    const [theirs] = await makeMembers(suite.database, other.network.id, 1);
    const ids = mine.map(({ id }) => toId('Member', id));
    const asked = [ids[1], ids[0], ids[0], toId('Member', String(theirs?.id)), toId('Member', newUuid()), 'nonsense'];
    expect(await remove(own, asked as string[])).toEqual({ deletedIds: [ids[0], ids[1]], userErrors: [] });
    const left = await suite.database.prisma.member.findMany({
      where: { networkId: { in: [own.network.id, other.network.id] } },
      select: { id: true },
    });
    expect(left.map(({ id }) => id).sort()).toEqual([mine[2]?.id, theirs?.id].sort());
    const events = await suite.database.prisma.auditEvent.findMany({
      where: { networkId: own.network.id, subjectType: 'Member' },
    });
    expect(events).toMatchObject([{ action: 'members.deleted', details: { deleted: 2 }, actorId: own.apiKey.id }]);
    expect(await remove(own, ids)).toEqual({ deletedIds: [ids[2]], userErrors: [] });
  });

  test('takes 1,000 at a time, and refuses 1,001', async () => {
    const own = await makeNetwork(suite.database);
    const ids = (await makeMembers(suite.database, own.network.id, 1_001)).map(({ id }) => toId('Member', id));
    expect(await remove(own, ids)).toEqual({
      deletedIds: [],
      userErrors: [{ code: 'TOO_LONG', field: ['input', 'ids'] }],
    });
    expect((await remove(own, ids.slice(1))).deletedIds).toEqual(ids.slice(1));
  });

  test('is refused to a TEST key', async () => {
    const own = await makeNetwork(suite.database);
    const [member] = await makeMembers(suite.database, own.network.id, 1);
    const { token } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id, environment: 'TEST' });
    const reply = await suite.call(token, QUERY, { variables: { ids: [toId('Member', String(member?.id))] } });
    expect([reply.status, reply.body.errors?.[0]?.extensions.code]).toEqual([403, 'FORBIDDEN']);
    expect(await suite.database.prisma.member.count({ where: { networkId: own.network.id } })).toBe(1);
  });

  refusesAsAllDo(suite, {
    query:
      'mutation { createApiKey(input: { name: "x", scopes: [] }) { token } deleteMembers(input: { ids: [] }) { deletedIds } }',
    scopes: ['keys:write', 'members:write'],
  });
});
