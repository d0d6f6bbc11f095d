import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });

describe('members', () => {
  test('gives every field of a member, as it is stored', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const time = '2021-02-03T04:05:06.789Z';
    const [member] = await makeMembers(suite.database, network.id, 1, () => ({
      externalId: 'crm-17',
      name: 'Ada Lovelace 👩🏽‍💻',
      email: 'Ada@Example.test',
      role: 'MODERATOR',
      status: 'INVITED',
      avatarUrl: 'https://example.test/a.png',
      location: 'London',
      timeZone: 'Europe/London',
      permalink: 'https://example.test/u/ada',
      tags: ['mathematics', 'engines'],
      customFields: { pronouns: 'she/her', badges: [1, null, { gold: true }] },
      createdAt: time,
      updatedAt: time,
      lastActiveAt: time,
    }));
    const reply = await suite.call(
      token,
      `{ members { nodes {
        id externalId name email role status avatarUrl location tags timeZone permalink customFields createdAt updatedAt lastActiveAt network { slug }
      } } }`,
    );
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({
      data: {
        members: {
          nodes: [
            {
              id: toId('Member', String(member?.id)),
              externalId: 'crm-17',
              name: 'Ada Lovelace 👩🏽‍💻',
              email: 'Ada@Example.test',
              role: 'MODERATOR',
              status: 'INVITED',
              avatarUrl: 'https://example.test/a.png',
              location: 'London',
              timeZone: 'Europe/London',
              permalink: 'https://example.test/u/ada',
              tags: ['mathematics', 'engines'],
              customFields: { pronouns: 'she/her', badges: [1, null, { gold: true }] },
              createdAt: time,
              updatedAt: time,
              lastActiveAt: time,
              network: { slug: network.slug },
            },
          ],
        },
      },
    });
  });

  test('is a page of 50 by id where nothing else is asked for', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const members = await makeMembers(suite.database, network.id, 51);
    const reply = await suite.call(token, '{ members { nodes { id } pageInfo { hasNextPage hasPreviousPage } } }');
    expect(reply.body.data.members).toEqual({
      nodes: members.slice(0, 50).map(({ id }) => ({ id: toId('Member', id) })),
      pageInfo: { hasNextPage: true, hasPreviousPage: false },
    });
  });

  test('of a network without any is an empty page', async () => {
    const { token } = await makeNetwork(suite.database);
    const page = 'edges { cursor } nodes { id } pageInfo { startCursor endCursor hasNextPage hasPreviousPage }';
    const reply = await suite.call(token, `{ members { ${page} } }`);
    const pageInfo = { startCursor: null, endCursor: null, hasNextPage: false, hasPreviousPage: false };
    expect(reply.body).toEqual({ data: { members: { edges: [], nodes: [], pageInfo } } });
  });

  test.for([
    ['role', { role: ['OWNER', 'MODERATOR'] }, [1, 3]],
    ['status', { status: ['SUSPENDED'] }, [0, 3]],
    ['address, without regard to case', { email: ['ZWEI@example.test', 'nobody@example.test'] }, [2]],
    ['all that are given at once', { role: ['MODERATOR'], status: ['SUSPENDED'], email: ['drei@example.test'] }, [3]],
    ['a value given twice, once', { role: ['OWNER', 'OWNER'] }, [1]],
    ['no value at all', { role: [] }, []],
    ['null, which is no filter', { role: null, status: null, email: null }, [0, 1, 2, 3]],
    ['an address that none can have', { email: ['\u0000', '\ud800'] }, []],
  ] as const)('filters by %s', async ([, filter, expected]) => {
    const { network, token } = await makeNetwork(suite.database);
    const names = ['null', 'eins', 'Zwei', 'drei'];
    const members = await makeMembers(suite.database, network.id, 4, (index) => ({
      email: `${names[index]}@Example.test`,
      role: (['MEMBER', 'OWNER', 'ADMIN', 'MODERATOR'] as const)[index] ?? 'MEMBER',
      status: index % 3 === 0 ? 'SUSPENDED' : 'ACTIVE',
    }));
    const query = 'query($filter: MemberFilter) { members(filter: $filter) { nodes { id } } }';
    const reply = await suite.call(token, query, { variables: { filter } });
    const ids = members
      .filter((_, index) => (expected as readonly number[]).includes(index))
      .map(({ id }) => toId('Member', id));
    expect(reply.body.data.members.nodes.map(({ id }: { id: string }) => id)).toEqual(ids);
  });

  test.for([
    ['first', { first: 0 }, '`first` must be from 1 to 250, not 0', 'first'],
    ['first', { first: 251 }, '`first` must be from 1 to 250, not 251', 'first'],
    ['last', { last: -1 }, '`last` must be from 1 to 250, not -1', 'last'],
    ['after', { after: 'nonsense' }, '`after` is no cursor of this list', 'after'],
    ['before', { before: '' }, '`before` is no cursor of this list', 'before'],
    [
      'filter.role',
      { filter: { role: Array(101).fill('OWNER') } },
      '`filter.role` takes at most 100 values, not 101',
      'filter.role',
    ],
    [
      'filter.status',
      { filter: { status: Array(101).fill('ACTIVE') } },
      '`filter.status` takes at most 100 values',
      'filter.status',
    ],
    [
      'filter.email',
      { filter: { email: Array(101).fill('a@b.test') } },
      '`filter.email` takes at most 100 values',
      'filter.email',
    ],
  ] as const)('refuses a wrong %s, %o, naming it', async ([, args, message, field]) => {
    const reply = await ask(await makeNetwork(suite.database), args);
    expect(reply.status).toBe(294);
    expect(reply.body.data).toBeNull();
    expect(reply.body.errors).toHaveLength(1);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining(message),
      path: ['members'],
      extensions: { code: 'BAD_USER_INPUT', field },
    });
  });

  test.for([
    ['first', { first: 'ten' }],
    ['first', { first: 2 ** 31 }],
    ['filter', { filter: { role: ['KING'] } }],
    ['filter', { filter: { name: 'x' } }],
    ['orderBy', { orderBy: { field: 'EMAIL' } }],
    ['orderBy', { orderBy: { direction: 'UP' } }],
    ['orderBy', { orderBy: { field: null } }],
  ] as const)('refuses a %s of the wrong type, %o, before anything runs', async ([name, args]) => {
    const reply = await ask(await makeNetwork(suite.database), args);
    expect(reply.status).toBe(422);
    expect(reply.body).not.toHaveProperty('data');
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining(`$${name}`),
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  refusesAsAllDo(suite, {
    query: '{ members(filter: { email: ["a@example.test"] }) { nodes { id network { slug } } } }',
    scopes: ['members:email', 'members:read', 'network:read'],
  });
});

function ask({ token }: TestNetwork, variables: Record<string, unknown>) {
  const query = `query($first: Int, $after: String, $last: Int, $before: String, $filter: MemberFilter, $orderBy: MemberOrder) {
    members(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy) { nodes { id } }
  }`;
  return suite.call(token, query, { variables });
}
