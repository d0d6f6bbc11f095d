import { describe, expect, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import type { Scope } from '../../src/domain/scope.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const QUERY = `query($id: ID!) { node(id: $id) {
  id __typename ... on Network { slug } ... on Member { name } ... on ApiKey { redactedToken } ... on Admin { role }
} }`;

/** A network of this test's, with the ids of one thing of each type. */
async function makeThings(scopes?: readonly Scope[]) {
  const own = await makeNetwork(suite.database, scopes === undefined ? {} : { scopes });
  const [member] = await makeMembers(suite.database, own.network.id, 1);
  const ids = {
    Network: toId('Network', own.network.id),
    Member: toId('Member', String(member?.id)),
    ApiKey: toId('ApiKey', own.apiKey.id),
    Admin: toId('Admin', own.admin.id),
  };
  const fields = {
    Network: { slug: own.network.slug },
    Member: { name: member?.name },
    ApiKey: { redactedToken: own.apiKey.redactedToken },
    Admin: { role: 'OWNER' },
  };
  return { ...own, ids, fields };
}

const TYPES = [
  ['Network', 'network:read'],
  ['Member', 'members:read'],
  ['ApiKey', 'keys:read'],
  ['Admin', 'keys:read'],
] as const;

describe('node', () => {
  test.for(TYPES)('finds a %s by its id with the scope %s', async ([type, scope]) => {
    const { fields, ids, token } = await makeThings([scope]);
    const reply = await suite.call(token, QUERY, { variables: { id: ids[type] } });
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({ data: { node: { id: ids[type], __typename: type, ...fields[type] } } });
  });

  test.for(TYPES)('is null for a %s without the scope %s', async ([type, scope]) => {
    const others = TYPES.map(([, other]) => other).filter((other) => other !== scope);
    const { ids, token } = await makeThings(others);
    const reply = await suite.call(token, QUERY, { variables: { id: ids[type] } });
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({ data: { node: null } });
  });

  test.for(TYPES)('is null for a %s of another network', async ([type]) => {
    const [own, other] = [await makeNetwork(suite.database), await makeThings()];
    const reply = await suite.call(own.token, QUERY, { variables: { id: other.ids[type] } });
    expect(reply.body).toEqual({ data: { node: null } });
  });

  test.for([
    ['an id that was never given out', () => toId('Member', newUuid())],
    ['the id of a type that is no node', (uuid: string) => toId('AuditEvent', uuid)],
    ['an id whose prefix is another type’s', (uuid: string) => toId('ApiKey', uuid)],
    ['an unknown prefix', (uuid: string) => toId('Member', uuid).replace('mem_', 'usr_')],
    ['a prefix that every object has', () => '__proto___00000000000000000000000000'],
    ['an empty id', () => ''],
    ['an id with blanks around it', (uuid: string) => ` ${toId('Member', uuid)} `],
    ['an id over 128 bits', () => `mem_8${'0'.repeat(25)}`],
    ['a NUL', () => '\u0000'],
  ] as const)('is null for %s', async ([, id]) => {
    const { network, token } = await makeNetwork(suite.database);
    const [member] = await makeMembers(suite.database, network.id, 1);
    const reply = await suite.call(token, QUERY, { variables: { id: id(String(member?.id)) } });
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({ data: { node: null } });
  });

  test.for([
    ['is missing', {}],
    ['is null', { id: null }],
    ['is a list', { id: [] }],
  ] as const)('refuses an id that %s, naming it', async ([, variables]) => {
    const { token } = await makeNetwork(suite.database);
    const reply = await suite.call(token, QUERY, { variables });
    expect(reply.status).toBe(422);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringContaining('"$id"'),
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  refusesAsAllDo(suite, {
    query: 'query($id: ID!) { node(id: $id) { ... on Member { email network { slug } } } }',
    variables: ({ network }) => ({ id: toId('Network', network.id) }),
    scopes: ['members:email', 'network:read'],
  });
});
