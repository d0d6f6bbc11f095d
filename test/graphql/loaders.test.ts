/** Related objects are read together: one query a level, however many rows hang on it. */
import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { makeAdmin, makeKey, makeMembers, makeNetwork } from '../support/fixtures.ts';
import { recordStatements } from '../support/statements.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const statements = recordStatements();

/** Asks, and gives how many statements that took. A body that comes late is verified again: that counts once. */
async function count(token: string, query: string, variables: Record<string, unknown> = {}) {
  statements.length = 0;
  const reply = await suite.call(token, query, { variables });
  expect(reply.body.errors).toBeUndefined();
  const verifications = statements.filter((text) => text.includes('FROM secrets')).length;
  expect(verifications).toBeGreaterThan(0);
  return { data: reply.body.data, statements: statements.length - verifications + 1 };
}

describe('besides the one of verification', () => {
  test('a page of members with their network takes two statements', async () => {
    const { network, token } = await makeNetwork(suite.database);
    await makeMembers(suite.database, network.id, 50);
    const { data, statements: made } = await count(token, '{ members { nodes { id network { slug } } } }');
    expect(data.members.nodes).toHaveLength(50);
    expect(new Set(data.members.nodes.map((node: { network: { slug: string } }) => node.network.slug))).toEqual(
      new Set([network.slug]),
    );
    expect(made).toBe(3);
  });

  test('a page of keys with their makers, and the keys they were made with, takes three', async () => {
    const { admin, network, token } = await makeNetwork(suite.database);
    const admins = await Promise.all([
      admin,
      ...Array.from({ length: 4 }, () => makeAdmin(suite.database, network.id)),
    ]);
    const makers = await Promise.all(admins.map(({ id }) => makeKey(suite.database, network.id, { adminId: id })));
    for (const [index, maker] of [...makers, ...makers].entries()) {
      await suite.call(
        maker.token,
        `mutation { createApiKey(input: { name: "made ${index}", scopes: [] }) { token } }`,
      );
    }
    const query = '{ apiKeys { nodes { name createdBy { id } createdByKey { id createdBy { id } } } } }';
    const { data, statements: made } = await count(token, query);
    expect(made).toBe(4);
    const nodes: { name: string; createdBy: { id: string }; createdByKey: { id: string } | null }[] =
      data.apiKeys.nodes;
    expect(nodes).toHaveLength(16);
    for (const [index, maker] of [...makers, ...makers].entries()) {
      const key = nodes.find(({ name }) => name === `made ${index}`);
      const createdBy = { id: toId('Admin', maker.apiKey.adminId) };
      expect(key).toMatchObject({ createdBy, createdByKey: { id: toId('ApiKey', maker.apiKey.id), createdBy } });
    }
  });

  test('250 nodes of four types take one a type', async () => {
    const { admin, apiKey, network, token } = await makeNetwork(suite.database);
    const members = await makeMembers(suite.database, network.id, 247);
    const ids = [
      ...members.map(({ id }) => toId('Member', id)),
      toId('Admin', admin.id),
      toId('ApiKey', apiKey.id),
      toId('Network', network.id),
    ];
    const { data, statements: made } = await count(token, 'query($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids });
    expect(data.nodes).toEqual(ids.map((id) => ({ id })));
    expect(made).toBe(5);
  });

  test('a page whose flags are not asked for takes one, and two where a flag must be looked up', async () => {
    const { network, token } = await makeNetwork(suite.database);
    await makeMembers(suite.database, network.id, 5);
    const first = await count(token, '{ members(first: 2) { nodes { id } pageInfo { hasNextPage endCursor } } }');
    expect(first.statements).toBe(2);
    const after = first.data.members.pageInfo.endCursor;
    const page = (flag: string) =>
      `query($after: String) { members(first: 2, after: $after) { nodes { id } ${flag} } }`;
    expect((await count(token, page(''), { after })).statements).toBe(2);
    expect((await count(token, page('pageInfo { hasPreviousPage }'), { after })).statements).toBe(3);
  });
});
