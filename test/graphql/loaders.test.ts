/** Related objects are read together: one query a level, however many rows hang on it. */
import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { makeAdmin, makeKey, makeMembers, makeNetwork } from '../support/fixtures.ts';
import { recordStatements } from '../support/statements.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const statements = recordStatements();

/** The table that a statement begins to read, as SQL of ours and Prisma's have it; a lookup begins with what was given. */
function tableOf(statement: string): string {
  return /FROM (?!unnest\()(?:"public"\.)?"?(\w+)/.exec(statement)?.[1] ?? statement;
}

/**
 * Asks, and gives the statements that answering took. Three kinds are not among them: verification, once a request and
 * once more where its body comes late, what the gateway itself writes every few seconds (usage, months), and the settings
 * of a connection that is new.
 */
async function ask(token: string, query: string, variables: Record<string, unknown> = {}) {
  statements.length = 0;
  const reply = await suite.call(token, query, { variables });
  expect(reply.body.errors).toBeUndefined();
  const isVerification = (text: string) => text.includes('FROM secrets');
  expect(statements.some(isVerification)).toBe(true);
  const isOwn = (text: string) => text.includes('INSERT INTO') || text.includes('set_config');
  const reads = statements.filter((text) => !isVerification(text) && !isOwn(text));
  return { data: reply.body.data, reads: reads.map(tableOf) };
}

describe('besides the one of verification', () => {
  test('a page of members with their network takes two statements', async () => {
    const { network, token } = await makeNetwork(suite.database);
    await makeMembers(suite.database, network.id, 50);
    const { data, reads } = await ask(token, '{ members { nodes { id network { slug } } } }');
    expect(data.members.nodes).toHaveLength(50);
    expect(new Set(data.members.nodes.map((node: { network: { slug: string } }) => node.network.slug))).toEqual(
      new Set([network.slug]),
    );
    expect(reads).toEqual(['members', 'networks']);
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
    const { data, reads } = await ask(token, query);
    expect(reads.toSorted()).toEqual(['admins', 'api_keys', 'api_keys']);
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
    const { data, reads } = await ask(token, 'query($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids });
    expect(data.nodes).toEqual(ids.map((id) => ({ id })));
    expect(reads.toSorted()).toEqual(['admins', 'api_keys', 'members', 'networks']);
  });

  test('a page whose flags are not asked for takes one, and two where a flag must be looked up', async () => {
    const { network, token } = await makeNetwork(suite.database);
    await makeMembers(suite.database, network.id, 5);
    const first = await ask(token, '{ members(first: 2) { nodes { id } pageInfo { hasNextPage endCursor } } }');
    expect(first.reads).toEqual(['members']);
    const after = first.data.members.pageInfo.endCursor;
    const page = (flag: string) =>
      `query($after: String) { members(first: 2, after: $after) { nodes { id } ${flag} } }`;
    expect((await ask(token, page(''), { after })).reads).toEqual(['members']);
    expect((await ask(token, page('pageInfo { hasPreviousPage }'), { after })).reads).toEqual(['members', 'members']);
  });
});
