import { describe, expect, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import { fillIdentities } from '../../src/services/members/fill-identities.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const QUERY = 'query($id: ID, $email: String) { member(id: $id, email: $email) { id name } }';

describe('member', () => {
  test.for([
    ['id', ['members:read'], (id: string) => ({ id })],
    ['e-mail address', ['members:email', 'members:read'], () => ({ email: 'Grace@Example.test' })],
    [
      'e-mail address, without regard to case',
      ['members:email', 'members:read'],
      () => ({ email: 'gRACE@eXAMPLE.TEST' }),
    ],
    [
      'e-mail address, without regard to Unicode composition',
      ['members:email', 'members:read'],
      () => ({ email: 'ｇrace@example.test' }),
    ],
    ['id, where the address is null', ['members:read'], (id: string) => ({ id, email: null })],
  ] as const)('is found by %s with the scopes %j', async ([, scopes, variables]) => {
    const { network, token } = await makeNetwork(suite.database, { scopes });
    const [, member] = await makeMembers(suite.database, network.id, 3, (index) =>
      index === 1 ? { email: 'Grace@Example.test' } : {},
    );
    const id = toId('Member', String(member?.id));
    const reply = await suite.call(token, QUERY, { variables: variables(id) });
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({ data: { member: { id, name: member?.name } } });
  });

  test.for([
    ['an id that was never given out', () => ({ id: toId('Member', newUuid()) })],
    ['what is no id', () => ({ id: 'mem_1' })],
    ['an empty id', () => ({ id: '' })],
    ['an id of another type', (uuid: string) => ({ id: toId('ApiKey', uuid) })],
    ['an id in capitals', (uuid: string) => ({ id: toId('Member', uuid).toUpperCase() })],
    ['an address that nobody has', () => ({ email: 'nobody@example.test' })],
    ['a part of an address', () => ({ email: '@example.test' })],
    ['a pattern', () => ({ email: '%' })],
    ['an address with a NUL in it', () => ({ email: 'a\u0000@example.test' })],
    ['an address that is no Unicode', () => ({ email: '\ud800' })],
  ] as const)('is null for %s', async ([, variables]) => {
    const { network, token } = await makeNetwork(suite.database);
    const [member] = await makeMembers(suite.database, network.id, 1);
    const reply = await suite.call(token, QUERY, { variables: variables(String(member?.id)) });
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({ data: { member: null } });
  });

  test.for([
    ['stored with its mailbox', '{ email: "Ada@Bücher.example", name: "Ada" }'],
    ['stored by the release before', null],
  ] as const)('is found by any spelling of its domain, %s', async ([, stored]) => {
    const { network, token } = await makeNetwork(suite.database);
    if (stored === null)
      await makeMembers(suite.database, network.id, 1, () => ({ email: 'Ada@Bücher.example', name: 'Ada' }));
    else await suite.call(token, `mutation { upsertMembers(input: { members: [${stored}] }) { userErrors { code } } }`);
    const spellings = [
      'ada@bücher.example',
      'ada@xn--bcher-kva.example',
      'ADA@XN--BCHER-KVA.EXAMPLE',
      'ada@bücher\u3002example',
    ];
    for (const email of spellings) {
      const found = await suite.call(token, QUERY, { variables: { email } });
      expect(found.body.data.member, email).toMatchObject({ name: 'Ada' });
      const listed = await suite.call(
        token,
        'query ($email: [String!]) { members(filter: { email: $email }) { totalCount nodes { name } } }',
        {
          variables: { email: [email, 'nobody@bücher.example'] },
        },
      );
      expect(listed.body.data.members, email).toEqual({ totalCount: 1, nodes: [{ name: 'Ada' }] });
    }
    const other = await suite.call(token, QUERY, { variables: { email: 'ada@bucher.example' } });
    expect(other.body.data.member).toBeNull();
  });

  test('of two that have one mailbox is the one whose address is spelled so; a filter finds both', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const emails = ['ada@bücher.example', 'ada@xn--bcher-kva.example'];
    await makeMembers(suite.database, network.id, 2, (index) => ({ email: emails[index] ?? '', name: `${index}` }));
    await fillIdentities(suite.database, new AbortController().signal, network.id);
    for (const [index, email] of emails.entries()) {
      const { body } = await suite.call(token, QUERY, { variables: { email } });
      expect(body.data.member.name).toBe(`${index}`);
      const { body: listed } = await suite.call(
        token,
        `{ members(filter: { email: ["${email}"] }) { nodes { name } } }`,
      );
      expect(listed.data.members.nodes).toEqual([{ name: '0' }, { name: '1' }]);
    }
  });

  test('of another network is not there, by id or by address', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const [member] = await makeMembers(suite.database, other.network.id, 1);
    for (const variables of [{ id: toId('Member', String(member?.id)) }, { email: member?.email }]) {
      expect((await suite.call(own.token, QUERY, { variables })).body).toEqual({ data: { member: null } });
      expect((await suite.call(other.token, QUERY, { variables })).body.data.member).not.toBeNull();
    }
  });

  test.for([
    ['neither', {}],
    ['both', { id: 'mem_1', email: 'a@example.test' }],
    ['two nulls', { id: null, email: null }],
  ] as const)('refuses %s of id and address', async ([, variables]) => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, QUERY, { variables });
    expect(reply.status).toBe(294); // GraphQL over HTTP: there is data, if only a null
    expect(reply.body).toEqual({
      data: { member: null },
      errors: [
        expect.objectContaining({
          message: 'Give either `id` or `email`',
          path: ['member'],
          extensions: expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'id' }),
        }),
      ],
    });
  });

  refusesAsAllDo(suite, {
    query: '{ member(email: "a@example.test") { name network { slug } } }',
    scopes: ['members:email', 'members:read', 'network:read'],
  });
});
