/** A request under an Idempotency-Key is done once, however often it is sent, and wherever it was cut off. */
import { describe, expect, inject, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { purgeIdempotentWrites } from '../../src/services/idempotency.ts';
import { IMPORT_LOCK } from '../../src/services/members/store-batch.ts';
import { graphql } from '../support/client.ts';
import { makeKey, makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway } from '../support/gateway.ts';
import { withClient } from '../support/postgres.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ DATABASE_POOL_SIZE: '10' });

const UPSERT = `mutation($email: String!) { upsertMembers(input: { members: [{ email: $email, name: "A" }, { email: "", name: "" }] }) {
  results { outcome id userErrors { code field } } } }`;
const CREATE = `mutation($name: String!) { createApiKey(input: { name: $name, scopes: [MEMBERS_READ] }) {
  apiKey { id name } token userErrors { code message field } } }`;

function send(own: Pick<TestNetwork, 'token'>, key: string, query: string, variables: object = {}, url = suite.url) {
  return graphql(url, own.token, query, { variables: { ...variables }, headers: { 'idempotency-key': key } });
}

const members = (own: TestNetwork) => suite.database.prisma.member.count({ where: { networkId: own.network.id } });
const keys = (own: TestNetwork) => suite.database.prisma.apiKey.count({ where: { networkId: own.network.id } });
const events = (own: TestNetwork) => suite.database.prisma.auditEvent.count({ where: { networkId: own.network.id } });

describe('sent again, a request', () => {
  test('is answered as it was, by whichever gateway, and changes nothing', async () => {
    const own = await makeNetwork(suite.database);
    const first = await send(own, 'a', UPSERT, { email: 'a@example.test' });
    expect(first.body.data.upsertMembers.results).toMatchObject([{ outcome: 'CREATED' }, { outcome: 'REJECTED' }]);
    const [made, recorded] = [await members(own), await events(own)];
    const other = await startTestGateway();
    try {
      for (const url of [suite.url, other.url]) {
        const again = await send(own, 'a', UPSERT, { email: 'a@example.test' }, url);
        expect([again.status, again.body]).toEqual([first.status, first.body]);
      }
    } finally {
      await other.close();
    }
    expect([await members(own), await events(own)]).toEqual([made, recorded]);
    // Without the name it is another request.
    const unnamed = await suite.call(own.token, UPSERT, { variables: { email: 'a@example.test' } });
    expect(unnamed.body.data.upsertMembers.results[0].outcome).toBe('UNCHANGED');
  });

  test('that made a key gives the key, never its token a second time', async () => {
    const own = await makeNetwork(suite.database);
    const first = await send(own, 'k', CREATE, { name: 'made' });
    const { apiKey, token } = first.body.data.createApiKey;
    expect(token).toMatch(/^gk_live_/);
    const again = await send(own, 'k', CREATE, { name: 'made' });
    expect(again.body.data.createApiKey).toEqual({
      apiKey,
      token: null,
      userErrors: [{ code: 'TOKEN_ALREADY_SHOWN', message: expect.stringContaining('shown then'), field: [] }],
    });
    const { rows } = await suite.database.pool.query(
      'SELECT w::text AS row FROM idempotent_writes w WHERE key_id = $1',
      [own.apiKey.id],
    );
    expect(rows).toHaveLength(1);
    expect(rows[0].row).not.toContain('gk_');
    expect(await keys(own)).toBe(2);
  });

  test('that was refused by what was typed is refused again, even where it would be good by now', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id, name: 'taken' });
    const first = await send(own, 'r', CREATE, { name: 'taken' });
    expect(first.body.data.createApiKey.userErrors).toMatchObject([{ code: 'NAME_TAKEN' }]);
    await suite.database.prisma.apiKey.update({ where: { id: apiKey.id }, data: { name: 'free' } });
    expect((await send(own, 'r', CREATE, { name: 'taken' })).body).toEqual(first.body);
  });

  test('that ended a key ends it once', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    const query =
      'mutation($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { id status revokedAt } userErrors { code } } }';
    const variables = { id: toId('ApiKey', apiKey.id) };
    const first = await send(own, 'e', query, variables);
    expect(first.body.data.revokeApiKey.apiKey.status).toBe('REVOKED');
    expect((await send(own, 'e', query, variables)).body).toEqual(first.body);
  });

  test('of several writes that was cut off goes on where it was cut off', async () => {
    const own = await makeNetwork(suite.database);
    const query = `mutation { one: createApiKey(input: { name: "one", scopes: [] }) { apiKey { name } token }
      two: createApiKey(input: { name: "two", scopes: [] }) { apiKey { name } token } }`;
    await send(own, 's', query);
    // As if the gateway had been killed between the two.
    await suite.database.pool.query('DELETE FROM idempotent_writes WHERE key_id = $1 AND ordinal = 1', [own.apiKey.id]);
    await suite.database.pool.query(`DELETE FROM api_keys WHERE network_id = $1 AND name = 'two'`, [own.network.id]);
    const again = await send(own, 's', query);
    expect(again.body.data).toEqual({
      one: { apiKey: { name: 'one' }, token: null },
      two: { apiKey: { name: 'two' }, token: expect.stringMatching(/^gk_live_/) },
    });
  });

  test('whose first try failed altogether is done then', async () => {
    const own = await makeNetwork(suite.database, { scopes: ['members:email', 'members:read'] });
    const forbidden = await send(own, 'f', UPSERT, { email: 'a@example.test' });
    expect(forbidden.status).toBe(403);
    await suite.database.prisma.apiKey.update({
      where: { id: own.apiKey.id },
      data: { scopes: ['members:email', 'members:write'] },
    });
    const again = await send(own, 'f', UPSERT, { email: 'a@example.test' });
    expect(again.body.data.upsertMembers.results[0].outcome).toBe('CREATED');
  });

  test('a day later is a new request, and the old one is forgotten', async () => {
    const own = await makeNetwork(suite.database);
    await send(own, 'd', UPSERT, { email: 'a@example.test' });
    const age = (interval: string) =>
      suite.database.pool.query('UPDATE idempotent_writes SET created_at = now() - $2::interval WHERE key_id = $1', [
        own.apiKey.id,
        interval,
      ]);
    await age('23 hours 59 minutes');
    expect((await send(own, 'd', UPSERT, { email: 'a@example.test' })).body.data.upsertMembers.results[0].outcome).toBe(
      'CREATED',
    );
    await age('24 hours');
    expect((await send(own, 'd', UPSERT, { email: 'b@example.test' })).body.data.upsertMembers.results[0].outcome).toBe(
      'CREATED',
    );
    await age('24 hours');
    expect(await purgeIdempotentWrites(suite.database, new AbortController().signal)).toBeGreaterThan(0);
    expect(await suite.database.prisma.idempotentWrite.count({ where: { keyId: own.apiKey.id } })).toBe(0);
  });
});

describe('sent again, a change of keys', () => {
  /** A key of the network that its own key may do everything with. */
  const another = (own: TestNetwork, name = newUuid()) =>
    makeKey(suite.database, own.network.id, { adminId: own.admin.id, name });
  const idOf = ({ apiKey }: { readonly apiKey: { readonly id: string } }) => toId('ApiKey', apiKey.id);
  const input = (field: string, more: string, wanted: string) =>
    `mutation($id: ID!) { ${field}(input: { id: $id ${more} }) { ${wanted} userErrors { code field } } }`;
  const KEY = 'apiKey { id name note status revokedAt previousToken { redactedToken expiresAt } }';

  test.for([
    ['updateApiKey', 'note: "first"', KEY],
    ['endApiKeyOverlap', '', KEY],
    ['revokeApiKey', '', `${KEY} revokedCount`],
    ['deleteApiKey', '', 'deletedId'],
  ] as const)('%s is answered as it was, and done once', async ([field, more, wanted]) => {
    const own = await makeNetwork(suite.database);
    const made = await another(own);
    const id = idOf(made);
    if (field === 'endApiKeyOverlap')
      await suite.call(own.token, `mutation { rotateApiKey(input: { id: "${id}", overlapSeconds: 600 }) { token } }`);
    if (field === 'deleteApiKey')
      await suite.call(own.token, `mutation { revokeApiKey(input: { id: "${id}" }) { revokedCount } }`);
    const before = await events(own);
    const first = await send(own, field, input(field, more, wanted), { id });
    expect(first.body.data[field].userErrors).toEqual([]);
    expect(await events(own)).toBe(before + 1);
    const again = await send(own, field, input(field, more, wanted), { id });
    expect([again.status, again.body]).toEqual([200, first.body]);
    expect(await events(own)).toBe(before + 1);
  });

  test('does not undo what came between', async () => {
    const own = await makeNetwork(suite.database);
    const variables = { id: idOf(await another(own)) };
    const query = input('updateApiKey', 'note: "first"', KEY);
    await send(own, 'u', query, variables);
    await suite.call(own.token, input('updateApiKey', 'note: "second"', KEY), { variables });
    const again = await send(own, 'u', query, variables);
    expect(again.body.data.updateApiKey).toMatchObject({ apiKey: { note: 'second' }, userErrors: [] });
  });

  test('of a key that has been deleted since says so', async () => {
    const own = await makeNetwork(suite.database);
    const made = await another(own);
    const variables = { id: idOf(made) };
    const query = input('updateApiKey', 'note: "first"', KEY);
    await send(own, 'g', query, variables);
    await suite.database.prisma.apiKey.delete({ where: { id: made.apiKey.id } });
    expect((await send(own, 'g', query, variables)).body.data.updateApiKey).toEqual({
      apiKey: null,
      userErrors: [{ code: 'NOT_FOUND', field: [] }],
    });
  });

  test('that rotated it gives the key, never its token a second time, and the token of the first goes on', async () => {
    const own = await makeNetwork(suite.database);
    const made = await another(own);
    const query = input('rotateApiKey', 'overlapSeconds: 60', 'apiKey { id redactedToken } token');
    const first = await send(own, 't', query, { id: idOf(made) });
    const { apiKey, token } = first.body.data.rotateApiKey;
    const again = await send(own, 't', query, { id: idOf(made) });
    expect(again.body.data.rotateApiKey).toEqual({
      apiKey,
      token: null,
      userErrors: [{ code: 'TOKEN_ALREADY_SHOWN', field: [] }],
    });
    for (const each of [token, made.token]) expect((await suite.call(each, '{ me { id } }')).status).toBe(200);
    const { rows } = await suite.database.pool.query('SELECT w::text AS row FROM idempotent_writes w');
    for (const { row } of rows) expect(row).not.toMatch(/gk_(live|test)_/);
  });

  test('that ended those which a filter found tells of them, and ends none that came later', async () => {
    const own = await makeNetwork(suite.database);
    for (const name of ['old 1', 'old 2']) await another(own, name);
    const query = `mutation { revokeApiKeys(input: { filter: { name: "old" } }) {
      results { apiKey { id status } userErrors { code } } revokedCount hasMore userErrors { code } } }`;
    const first = await send(own, 'b', query);
    expect(first.body.data.revokeApiKeys).toMatchObject({ revokedCount: 2, hasMore: false });
    const later = await another(own, 'old 3');
    expect((await send(own, 'b', query)).body).toEqual(first.body);
    expect((await suite.call(later.token, '{ me { id } }')).status).toBe(200);
  });

  test('that ended several with all that they made tells how many, and goes on where it was cut off', async () => {
    const own = await makeNetwork(suite.database);
    const root = await another(own);
    await makeLine(own, root.apiKey.id, 700);
    const query = `mutation($id: ID!) { revokeApiKeys(input: { ids: [$id], includeCreated: true }) {
      results { apiKey { status } userErrors { code } } revokedCount hasMore userErrors { code } } }`;
    const first = await send(own, 'm', query, { id: idOf(root) });
    expect(first.body.data.revokeApiKeys.revokedCount).toBe(701);
    expect((await send(own, 'm', query, { id: idOf(root) })).body).toEqual(first.body);
    // As if the gateway had been killed after the first transaction.
    const { pool } = suite.database;
    await pool.query(
      `UPDATE idempotent_writes SET outcome = jsonb_set(outcome, '{revokedCount}', '500') WHERE key_id = $1`,
      [own.apiKey.id],
    );
    await pool.query(
      `UPDATE api_keys SET revoked_at = NULL, revoked_by_kind = NULL, revoked_by_id = NULL WHERE id IN (
         SELECT id FROM api_keys WHERE network_id = $1 AND name LIKE 'made %' ORDER BY id DESC LIMIT 201)`,
      [own.network.id],
    );
    expect((await send(own, 'm', query, { id: idOf(root) })).body).toEqual(first.body);
    expect((await send(own, 'm', query, { id: idOf(root) })).body).toEqual(first.body);
    expect(await suite.database.prisma.apiKey.count({ where: { networkId: own.network.id, revokedAt: null } })).toBe(1);
  });

  test('that ended the caller’s own key is refused as all from it is', async () => {
    const own = await makeNetwork(suite.database);
    const query = 'mutation { revokeCurrentApiKey { apiKey { status } userErrors { code } } }';
    const first = await send(own, 'c', query);
    expect(first.body.data.revokeCurrentApiKey).toEqual({ apiKey: { status: 'REVOKED' }, userErrors: [] });
    const again = await send(own, 'c', query);
    expect([again.status, again.body.errors?.[0]?.extensions.code]).toEqual([401, 'TOKEN_EXPIRED']);
  });

  test('is no refused attempt for a token that was shown before', async () => {
    const own = await makeNetwork(suite.database);
    const gateway = await startTestGateway();
    try {
      for (let time = 0; time < 2; time += 1) await send(own, 'n', CREATE, { name: 'made' }, gateway.url);
      await send(own, 'taken', CREATE, { name: 'made' }, gateway.url);
    } finally {
      await gateway.close();
    }
    const refused = await suite.database.prisma.refusedAttempt.findMany({ where: { networkId: own.network.id } });
    expect(refused.map(({ action, code, count }) => [action, code, Number(count)])).toEqual([
      ['createApiKey', 'NAME_TAKEN', 1],
    ]);
  });

  /** Keys that the root made, without a token that anybody knows. */
  async function makeLine(own: TestNetwork, rootId: string, count: number): Promise<void> {
    await suite.database.prisma.apiKey.createMany({
      data: Array.from({ length: count }, (_, index) => ({
        id: newUuid(),
        networkId: own.network.id,
        adminId: own.admin.id,
        name: `made ${index}`,
        nameFolded: `made ${index}`,
        redactedToken: 'gk_live_…',
        scopes: [],
        environment: 'LIVE' as const,
        createdByKind: 'KEY' as const,
        createdById: rootId,
        ancestorIds: [rootId],
      })),
    });
  }
});

describe('each mutation that the schema has', () => {
  const KEY_INPUT = (field: string, more: string) =>
    `mutation($id: ID!) { ${field}(input: { id: $id ${more} }) { apiKey { id } userErrors { code } } }`;
  const ids = (field: string, wanted: string) =>
    `mutation($id: ID!) { ${field}(input: { ids: [$id] }) { ${wanted} userErrors { code } } }`;

  /** A document for each, with a key or a member as `$id`. */
  const DOCUMENTS: Readonly<Record<string, readonly ['key' | 'member', string]>> = {
    createApiKey: ['key', 'mutation { createApiKey(input: { name: "new", scopes: [] }) { apiKey { id } } }'],
    updateApiKey: ['key', KEY_INPUT('updateApiKey', 'note: "x"')],
    rotateApiKey: ['key', KEY_INPUT('rotateApiKey', 'overlapSeconds: 60').replace('userErrors { code }', '')],
    endApiKeyOverlap: ['key', KEY_INPUT('endApiKeyOverlap', '')],
    revokeApiKey: ['key', KEY_INPUT('revokeApiKey', '')],
    revokeApiKeys: ['key', ids('revokeApiKeys', 'revokedCount')],
    revokeCurrentApiKey: ['key', 'mutation { revokeCurrentApiKey { apiKey { id } } }'],
    deleteApiKey: ['key', 'mutation($id: ID!) { deleteApiKey(input: { id: $id }) { deletedId userErrors { code } } }'],
    upsertMembers: [
      'member',
      `mutation { upsertMembers(input: { members: [{ externalId: "e", email: "n@example.test", name: "N" }] }) {
        results { outcome id } } }`,
    ],
    updateMember: [
      'member',
      'mutation($id: ID!) { updateMember(input: { id: $id, name: "New" }) { member { id } userErrors { code } } }',
    ],
    deleteMembers: ['member', ids('deleteMembers', 'deletedIds')],
  };

  test('is in this list', () => {
    const mutations = buildSchema().getMutationType()?.getFields() ?? {};
    expect(Object.keys(DOCUMENTS).sort()).toEqual(Object.keys(mutations).sort());
  });

  test.for(Object.entries(DOCUMENTS))('%s is done once, and answered as it was', async ([field, [of, query]]) => {
    const own = await makeNetwork(suite.database);
    const { apiKey } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    const [member] = await makeMembers(suite.database, own.network.id, 1);
    const id = of === 'key' ? toId('ApiKey', apiKey.id) : toId('Member', String(member?.id));
    if (field === 'deleteApiKey') await suite.call(own.token, KEY_INPUT('revokeApiKey', ''), { variables: { id } });
    if (field === 'endApiKeyOverlap')
      await suite.call(own.token, KEY_INPUT('rotateApiKey', 'overlapSeconds: 60'), { variables: { id } });
    const variables = query.includes('$id') ? { id } : {};
    const before = await events(own);
    const first = await send(own, field, query, variables);
    expect(first.body.errors).toBeUndefined();
    expect(await events(own)).toBe(before + 1);
    const again = await send(own, field, query, variables);
    // Its own token has ended: nothing is answered to it any more.
    if (field === 'revokeCurrentApiKey') expect(again.status).toBe(401);
    else expect([again.status, again.body]).toEqual([200, first.body]);
    expect(await events(own)).toBe(before + 1);
  });
});

describe('in a batch', () => {
  const batch = async (own: TestNetwork, name: string, operations: readonly object[]) => {
    const reply = await fetch(`${suite.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${own.token}`,
        'idempotency-key': name,
      },
      body: JSON.stringify(operations),
    });
    const answers = (await reply.json()) as { data?: Record<string, never>; errors?: unknown }[];
    replayed = reply.headers.get('idempotent-replayed');
    return answers.map(({ data, errors }) => ({ data, errors }));
  };
  /** What the last one's header says. */
  let replayed: string | null = null;
  const create = (name: string) => ({ query: CREATE, variables: { name } });
  const upsert = { query: UPSERT, variables: { email: 'a@example.test' } };

  test('each operation is done once, also where one before it was not let in the first time', async () => {
    const own = await makeNetwork(suite.database);
    const first = await batch(own, 'x', [upsert, create('one'), create('two')]);
    expect(replayed).toBeNull();
    const again = await batch(own, 'x', [upsert, create('one'), create('two')]);
    expect(replayed).toBe('true');
    expect(again[0]).toEqual(first[0]);
    for (const index of [1, 2]) {
      expect(first[index]?.data?.['createApiKey']).toMatchObject({ token: expect.stringMatching(/^gk_live_/) });
      expect(again[index]?.data?.['createApiKey']).toMatchObject({
        token: null,
        userErrors: [{ code: 'TOKEN_ALREADY_SHOWN' }],
      });
    }
    expect(await keys(own)).toBe(3);
    // As if the first had been over a limit then, and is not now: the others stay what they were.
    await suite.database.pool.query('DELETE FROM idempotent_writes WHERE key_id = $1 AND operation = 0', [
      own.apiKey.id,
    ]);
    const later = await batch(own, 'x', [upsert, create('one'), create('two')]);
    expect(replayed).toBeNull();
    expect(later[0]?.data?.['upsertMembers']).toMatchObject({ results: [{ outcome: 'UNCHANGED' }, {}] });
    expect(later.slice(1)).toEqual(again.slice(1));
  });

  test('of other operations, or by itself, the name is refused', async () => {
    const own = await makeNetwork(suite.database);
    await batch(own, 'y', [create('one')]);
    const other = await batch(own, 'y', [create('one'), create('two')]);
    for (const { errors } of other) expect(errors).toMatchObject([{ extensions: { code: 'IDEMPOTENCY_KEY_REUSED' } }]);
    const alone = await send(own, 'y', CREATE, { name: 'one' });
    expect([alone.status, alone.body.errors?.[0]?.extensions.code]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED']);
    expect(await keys(own)).toBe(2);
  });
});

describe('an Idempotency-Key', () => {
  test.for([
    ['other variables', UPSERT, { email: 'b@example.test' }],
    ['another document', CREATE, { name: 'x' }],
  ] as const)('sent with %s is refused with 422, and nothing is done', async ([, query, variables]) => {
    const own = await makeNetwork(suite.database);
    await send(own, 'a', UPSERT, { email: 'a@example.test' });
    const before = await events(own);
    const reply = await send(own, 'a', query, variables);
    expect([reply.status, reply.body.errors?.[0]?.extensions.code]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED']);
    expect(await events(own)).toBe(before);
  });

  test('is an API key’s own', async () => {
    const own = await makeNetwork(suite.database);
    const other = await makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    await send(own, 'a', UPSERT, { email: 'a@example.test' });
    const reply = await send(other, 'a', UPSERT, { email: 'a@example.test' });
    expect(reply.body.data.upsertMembers.results[0].outcome).toBe('UNCHANGED');
  });

  test('does not mind how its request’s JSON is written, nor its own quotes', async () => {
    const own = await makeNetwork(suite.database);
    const email = 'a@example.test';
    const bodies = [
      { headers: '"a"', text: JSON.stringify({ query: UPSERT, variables: { email } }) },
      {
        headers: 'a',
        text: `{ "variables": {"email": ${JSON.stringify(email)}},\n "query": ${JSON.stringify(UPSERT)} }`,
      },
    ];
    const answers: unknown[] = [];
    for (const { headers, text } of bodies) {
      const reply = await fetch(`${suite.url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${own.token}`,
          'idempotency-key': headers,
        },
        body: text,
      });
      const { data, errors } = (await reply.json()) as { readonly data: unknown; readonly errors?: unknown };
      answers.push({ data, errors });
    }
    expect(answers[1]).toEqual(answers[0]);
  });

  test.for(['', 'é', 'a'.repeat(256)])('of a wrong form is refused: %s', async (key) => {
    const own = await makeNetwork(suite.database);
    const headers = { 'idempotency-key': Buffer.from(key).toString('latin1') };
    const reply = await suite.call(own.token, UPSERT, { variables: { email: 'a@example.test' }, headers });
    expect([reply.status, reply.body.errors?.[0]?.extensions.code]).toEqual([422, 'BAD_USER_INPUT']);
    expect(await members(own)).toBe(0);
  });

  test('changes nothing about a query', async () => {
    const own = await makeNetwork(suite.database);
    for (const query of ['{ network { slug } }', '{ network { name } }'])
      expect((await send(own, 'q', query)).status).toBe(200);
  });
});

test('of the same request sent many times at once one is done, and the others are told so or wait their turn', async () => {
  const own = await makeNetwork(suite.database);
  const name = newUuid();
  const replies = await Promise.all(Array.from({ length: 12 }, () => send(own, 'once', CREATE, { name })));
  const tokens = replies.filter(({ body }) => typeof body.data?.createApiKey?.token === 'string');
  expect(tokens).toHaveLength(1);
  for (const { status, body } of replies) {
    const told = body.data?.createApiKey?.userErrors?.map(({ code }: { code: string }) => code) ?? [];
    if (status === 200) expect([[], ['TOKEN_ALREADY_SHOWN']]).toContainEqual(told);
    else expect([status, body.errors?.[0]?.extensions.code]).toEqual([409, 'IDEMPOTENCY_KEY_IN_USE']);
  }
  expect(await keys(own)).toBe(2);
});

test('while the first is under way the second is refused with 409 and may come again', async () => {
  const own = await makeNetwork(suite.database);
  await withClient(inject('databaseUrl'), async (client) => {
    // Whoever writes members of this network waits for its turn.
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock($1::int, hashtext($2))', [IMPORT_LOCK, own.network.id]);
    const first = send(own, 'slow', UPSERT, { email: 'a@example.test' });
    const waiting = `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
      AND classid = $1 AND objid = ((hashtext($2)::bigint + 4294967296) % 4294967296)::oid`;
    const countWaiting = async () => (await suite.database.pool.query(waiting, [IMPORT_LOCK, own.network.id])).rowCount;
    await expect.poll(countWaiting).toBe(1);
    const second = await send(own, 'slow', UPSERT, { email: 'a@example.test' });
    expect([second.status, second.body.errors?.[0]?.extensions.code]).toEqual([409, 'IDEMPOTENCY_KEY_IN_USE']);
    expect(second.headers.get('retry-after')).toBe('1');
    await client.query('COMMIT');
    expect((await first).body.data.upsertMembers.results[0].outcome).toBe('CREATED');
  });
});
