import { describe, expect, test } from 'vitest';
import { AUDIT_ACTIONS } from '../../src/domain/audit.ts';
import { toId } from '../../src/domain/id.ts';
import { ALL_SCOPES } from '../../src/domain/scope.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { createAdmin, removeAdmin } from '../../src/services/admins.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { importMembers } from '../../src/services/members/import.ts';
import { updateNetwork } from '../../src/services/networks.ts';
import { makeAdmin, makeKey, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN: 'gatehouse.test' });

const CREATE =
  'mutation($name: String!) { createApiKey(input: { name: $name, scopes: [MEMBERS_READ] }) { apiKey { id } } }';

/** A key made with a token: the key's id. */
async function create(token: string, name: string, headers: Record<string, string> = {}): Promise<string> {
  const { body } = await suite.call(token, CREATE, { variables: { name }, headers });
  return body.data.createApiKey.apiKey.id;
}

interface Event {
  readonly id: string;
  readonly action: string;
  readonly actorId: string | null;
  readonly subjectId: string | null;
  readonly createdAt: string;
}

async function events(token: string, filter: Record<string, unknown> = {}): Promise<Event[]> {
  const query = `query($filter: AuditEventFilter) {
    auditEvents(first: 250, filter: $filter) { nodes { id action actorId subjectId createdAt } } }`;
  const { body } = await suite.call(token, query, { variables: { filter } });
  expect(body.errors).toBeUndefined();
  return body.data.auditEvents.nodes;
}

describe('auditEvents', () => {
  test('say who changed what on what, from what to what, by which request, from where, and when', async () => {
    const own = await makeNetwork(suite.database);
    const headers = { 'user-agent': 'integrator/1.0' };
    const reply = await suite.call(own.token, CREATE, { variables: { name: 'made' }, headers });
    const madeId = reply.body.data.createApiKey.apiKey.id;
    const query = `{ auditEvents(first: 1) { nodes { id action actorKind actorId actor { id __typename } admin { email }
      subjectType subjectId subject { id ... on ApiKey { name } } before after details requestId address userAgent createdAt } } }`;
    const { body } = await suite.call(own.token, query);
    const after = { name: 'made', scopes: ['members:read'], environment: 'LIVE', expiresAt: null };
    expect(body.data.auditEvents.nodes).toEqual([
      {
        id: expect.stringMatching(/^evt_[0-9a-z]{26}$/),
        action: 'key.created',
        actorKind: 'KEY',
        actorId: toId('ApiKey', own.apiKey.id),
        actor: { id: toId('ApiKey', own.apiKey.id), __typename: 'ApiKey' },
        admin: { email: own.admin.email },
        subjectType: 'ApiKey',
        subjectId: madeId,
        subject: { id: madeId, name: 'made' },
        before: null,
        after: expect.objectContaining(after),
        details: { after: expect.objectContaining(after) },
        requestId: reply.headers.get('x-request-id'),
        address: '127.0.0.1',
        userAgent: 'integrator/1.0',
        createdAt: expect.stringMatching(/^\d{4}-/),
      },
    ]);
    const [{ id }] = body.data.auditEvents.nodes;
    const node = await suite.call(own.token, `{ node(id: "${id}") { id ... on AuditEvent { action } } }`);
    expect(node.body.data.node).toEqual({ id, action: 'key.created' });
  });

  test('of the operator have no actor, and name what was changed before and after', async () => {
    const own = await makeNetwork(suite.database);
    await updateNetwork(suite.database, COMMAND_LINE, own.network.id, { requestsPerMinute: 7, name: 'New name' });
    const query = `{ auditEvents(first: 1) { nodes { action actorKind actorId actor { id } admin { id } subjectType subjectId
      subject { ... on Network { plan } } before after requestId address userAgent } } }`;
    const { body } = await suite.call(own.token, query);
    expect(body.data.auditEvents.nodes).toEqual([
      {
        action: 'network.updated',
        ...{ actorKind: 'COMMAND_LINE', actorId: null, actor: null, admin: null },
        ...{ subjectType: 'Network', subjectId: toId('Network', own.network.id), subject: { plan: 'CUSTOM' } },
        before: { requestsPerMinute: own.network.requestsPerMinute, name: own.network.name },
        after: { requestsPerMinute: 7, name: 'New name' },
        ...{ requestId: null, address: null, userAgent: null },
      },
    ]);
  });

  test('of members name the fields that were changed, and hold no value of them', async () => {
    const own = await makeNetwork(suite.database);
    const importing = async (csv: string) => {
      const source = (async function* () {
        yield Buffer.from(csv);
      })();
      await importMembers(suite.database, COMMAND_LINE, own.network.id, { source, format: 'csv' });
    };
    await importing('externalId,email,name,tags,company\n1,old@example.test,Old Name,secret-tag,Secret Inc\n');
    await importing('externalId,email,name,tags,company\n1,new@example.test,New Name,other-tag,Other Inc\n');
    const { body } = await suite.call(own.token, '{ auditEvents(first: 2) { nodes { subjectId details } } }');
    const { nodes } = body.data.auditEvents;
    expect(nodes.map(({ details }: { details: { changedFields: string[] } }) => details.changedFields)).toEqual([
      ['customFields', 'email', 'name', 'tags'],
      [],
    ]);
    expect(JSON.stringify(nodes)).not.toMatch(/example\.test|Name|-tag|Inc|company/);
  });

  test('come the latest first, or the first first, page by page, each once', async () => {
    const own = await makeNetwork(suite.database);
    const names = ['one', 'two', 'three', 'four', 'five'];
    for (const name of names) await create(own.token, name);
    const pull = async (direction: string) => {
      const seen: string[] = [];
      let after: string | null = null;
      for (;;) {
        const query = `query($after: String) { auditEvents(first: 2, after: $after, orderBy: { direction: ${direction} },
          filter: { actorKind: [KEY] }) { nodes { after } pageInfo { hasNextPage endCursor } } }`;
        const { body } = await suite.call(own.token, query, { variables: { after } });
        seen.push(...body.data.auditEvents.nodes.map((node: { after: { name: string } }) => node.after.name));
        if (!body.data.auditEvents.pageInfo.hasNextPage) return seen;
        after = body.data.auditEvents.pageInfo.endCursor;
      }
    };
    expect(await pull('ASC')).toEqual(names);
    expect(await pull('DESC')).toEqual(names.toReversed());
  });

  test('outlive what they tell of: the ids stay, the object is null', async () => {
    const own = await makeNetwork(suite.database);
    const maker = await makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    const id = await create(maker.token, 'short-lived');
    await suite.database.prisma.apiKey.deleteMany({ where: { networkId: own.network.id, id: { not: own.apiKey.id } } });
    const query = '{ auditEvents(first: 1) { nodes { actorId actor { id } admin { id } subjectId subject { id } } } }';
    const { body } = await suite.call(own.token, query);
    expect(body.data.auditEvents.nodes).toEqual([
      {
        ...{ actorId: toId('ApiKey', maker.apiKey.id), actor: null, admin: { id: toId('Admin', own.admin.id) } },
        ...{ subjectId: id, subject: null },
      },
    ]);
  });

  test('show no object whose type the token may not see', async () => {
    const own = await makeNetwork(suite.database, { scopes: ['audit:read', 'keys:write'] });
    const id = await create(
      (await makeKey(suite.database, own.network.id, { adminId: own.admin.id, scopes: ALL_SCOPES })).token,
      'made',
    );
    const query =
      '{ auditEvents(first: 1) { nodes { actorId actor { id } subjectId subject { id ... on ApiKey { name } } } } }';
    const { body } = await suite.call(own.token, query);
    expect(body.data.auditEvents.nodes).toEqual([
      { actorId: expect.any(String), actor: null, subjectId: id, subject: null },
    ]);
    const admin = await suite.call(own.token, '{ auditEvents { nodes { admin { email } } } }');
    expect(admin.body.errors?.[0]?.extensions['missingScopes']).toEqual(['keys:read']);
  });
});

describe('auditEvents can be filtered', () => {
  /** Two admins, a key of each, changes by each and by the operator. */
  async function makeTrail(own: TestNetwork) {
    const ada = own.apiKey;
    const { admin: bob } = await createBob(own);
    const scopes = ['keys:read', 'keys:write', 'members:read'];
    const bobs = await makeKey(suite.database, own.network.id, { adminId: bob.id, scopes });
    const second = await makeKey(suite.database, own.network.id, { adminId: bob.id, scopes });
    const [byAda, byBob, bySecond] = [
      await create(own.token, 'by ada'),
      await create(bobs.token, 'by bob'),
      await create(second.token, 'by bob’s second'),
    ];
    await revokeApiKey(suite.database, COMMAND_LINE, own.network.id, second.apiKey.id);
    return { ada, bob, bobs: bobs.apiKey, second: second.apiKey, byAda, byBob, bySecond };
  }

  async function createBob({ network }: TestNetwork) {
    const input = { email: 'bob@example.test', name: 'Bob', role: 'ADMIN' } as const;
    const made = await createAdmin(suite.database, COMMAND_LINE, network.id, input);
    if (!made.ok) throw new Error(made.errors[0].message);
    return made;
  }

  const subjects = (found: readonly Event[]) => found.map(({ subjectId }) => subjectId);

  test('by a key: what was done with it', async () => {
    const own = await makeNetwork(suite.database);
    const { bobs, byBob } = await makeTrail(own);
    expect(subjects(await events(own.token, { actorId: toId('ApiKey', bobs.id) }))).toEqual([byBob]);
  });

  test('by an admin: what was done by all keys that acted for the admin, deleted ones too', async () => {
    const own = await makeNetwork(suite.database);
    const { bob, bobs, second, byBob, bySecond } = await makeTrail(own);
    const actorId = toId('Admin', bob.id);
    expect(subjects(await events(own.token, { actorId }))).toEqual([bySecond, byBob]);
    await suite.database.prisma.apiKey.deleteMany({ where: { id: { in: [bobs.id, second.id] } } });
    await removeAdmin(suite.database, COMMAND_LINE, own.network.id, bob.id);
    expect(subjects(await events(own.token, { actorId }))).toEqual([bySecond, byBob]);
  });

  test('by what it was done to, by action, by kind of actor, and by all of it together', async () => {
    const own = await makeNetwork(suite.database);
    const { second, bob } = await makeTrail(own);
    const subjectId = toId('ApiKey', second.id);
    const actions = async (filter: object) => (await events(own.token, { ...filter })).map(({ action }) => action);
    expect(await actions({ subjectId })).toEqual(['key.revoked', 'key.created']);
    expect(await actions({ subjectId, action: ['key.revoked', 'admin.created'] })).toEqual(['key.revoked']);
    expect(await actions({ subjectType: ['Admin'] })).toEqual(['admin.created']);
    expect(await actions({ subjectId: toId('Admin', bob.id) })).toEqual(['admin.created']);
    expect(await actions({ actorKind: ['KEY'] })).toEqual(['key.created', 'key.created', 'key.created']);
    expect(await actions({ actorKind: ['COMMAND_LINE'], action: ['key.created'] })).toHaveLength(3);
    expect(await actions({ subjectId, actorKind: ['KEY'] })).toEqual([]);
    expect(await actions({ action: Object.keys(AUDIT_ACTIONS) })).toHaveLength(8);
  });

  test('by time: from a moment on, and before one', async () => {
    const own = await makeNetwork(suite.database);
    await makeTrail(own);
    const all = await events(own.token);
    const [middle] = all.slice(3);
    const since = await events(own.token, { since: middle?.createdAt });
    const until = await events(own.token, { until: middle?.createdAt });
    expect([...since, ...until]).toEqual(all);
    expect(since).toContainEqual(middle);
  });

  test.for([
    [{ action: ['key.eaten'] }, 'action', /^`action` takes network\.created, /],
    [{ actorId: 'nobody' }, 'actorId', /^`actorId` must be an id of ApiKey, Admin$/],
    [{ actorId: toId('Member', '01a20a8d-4f15-72f7-b26a-40e1a73bf29a') }, 'actorId', /must be an id of/],
    [{ subjectId: 'key_' }, 'subjectId', /^`subjectId` must be an id of Network, Admin, ApiKey, Member$/],
  ] as const)('and what cannot be found is refused: %j', async ([filter, field, message]) => {
    const own = await makeNetwork(suite.database);
    const query = 'query($filter: AuditEventFilter) { auditEvents(filter: $filter) { nodes { id } } }';
    const { body } = await suite.call(own.token, query, { variables: { filter } });
    expect(body.errors?.[0]).toMatchObject({
      message: expect.stringMatching(message),
      extensions: { code: 'BAD_USER_INPUT', field },
    });
  });

  test('a cursor is good for its own filter and order alone', async () => {
    const own = await makeNetwork(suite.database);
    await makeTrail(own);
    const { body } = await suite.call(own.token, '{ auditEvents(first: 1) { pageInfo { endCursor } } }');
    const after = body.data.auditEvents.pageInfo.endCursor;
    for (const args of ['filter: { actorKind: [KEY] }', 'orderBy: { direction: ASC }']) {
      const query = `query($after: String) { auditEvents(after: $after, ${args}) { nodes { id } } }`;
      const reply = await suite.call(own.token, query, { variables: { after } });
      expect(reply.body.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'after' });
    }
  });
});

describe('the trail of another network', () => {
  test('is in no answer, by id, actor, subject or cursor', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const made = await create(other.token, 'theirs');
    const [theirs] = await events(other.token);
    for (const filter of [
      {},
      { actorId: toId('ApiKey', other.apiKey.id) },
      { actorId: toId('Admin', other.admin.id) },
      { subjectId: made },
    ]) {
      expect((await events(own.token, filter)).map(({ id }) => id)).not.toContain(theirs?.id);
    }
    const { body } = await suite.call(own.token, 'query($id: ID!) { node(id: $id) { id } }', {
      variables: { id: theirs?.id },
    });
    expect(body.data).toEqual({ node: null });
  });
});

test('an admin who is no owner has no key that reads the trail', async () => {
  const own = await makeNetwork(suite.database);
  const admin = await makeAdmin(suite.database, own.network.id, 'ADMIN');
  const scopes = ALL_SCOPES.filter((scope) => scope !== 'audit:read');
  const { token } = await makeKey(suite.database, own.network.id, { adminId: admin.id, scopes });
  const { status, body } = await suite.call(token, '{ auditEvents { nodes { id } } }');
  expect([status, body.errors?.[0]?.extensions['missingScopes']]).toEqual([403, ['audit:read']]);
});

refusesAsAllDo(suite, {
  query: '{ auditEvents { nodes { id } } network { slug } }',
  scopes: ['audit:read', 'network:read'],
});
