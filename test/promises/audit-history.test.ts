// Over any sequence of changes, asked of two gateways and of the operator's command line, some of them in vain, the audit
// trail is the history that a plain model of the network has: nothing missing, nothing more, in order.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { toId, uuidOf } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { createAdmin, removeAdmin } from '../../src/services/admins.ts';
import { createApiKey } from '../../src/services/api-keys/create.ts';
import { deleteApiKey } from '../../src/services/api-keys/delete.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { rotateApiKey } from '../../src/services/api-keys/rotate.ts';
import * as networks from '../../src/services/networks.ts';
import { graphql } from '../support/client.ts';
import { makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

const RUNS = 20;
const STEPS_MAX = 40;
const TIMEOUT_MS = 180_000;

let database: Database;
let gateways: TestGateway[] = [];
beforeAll(async () => {
  database = await openTestDatabase();
  gateways = await Promise.all([startTestGateway(), startTestGateway()]);
});
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await database.close();
});

/** Numbers pick among what there is; names are few, so that they are taken now and then. */
const step = fc.oneof(
  fc.record({ do: fc.constant('create'), by: fc.nat(), at: fc.nat(1), name: fc.nat(5) }),
  fc.record({ do: fc.constant('revoke'), by: fc.nat(), at: fc.nat(1), key: fc.nat() }),
  fc.record({ do: fc.constant('note'), by: fc.nat(), at: fc.nat(1), key: fc.nat(), note: fc.nat(1) }),
  fc.record({ do: fc.constant('operator rotates'), key: fc.nat() }),
  fc.record({ do: fc.constant('operator deletes'), key: fc.nat() }),
  fc.record({ do: fc.constant('operator creates'), name: fc.nat(5), admin: fc.nat() }),
  fc.record({ do: fc.constant('operator revokes'), key: fc.nat() }),
  fc.record({ do: fc.constant('add admin'), email: fc.nat(3) }),
  fc.record({ do: fc.constant('remove admin'), admin: fc.nat() }),
  fc.record({ do: fc.constant('plan'), perMinute: fc.constantFrom(1_000_000, 2_000_000) }),
  fc.record({ do: fc.constant('suspend') }),
  fc.record({ do: fc.constant('resume') }),
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value & Record<string, unknown> : never;

interface Key {
  readonly id: string;
  token: string;
  note: string | null;
  readonly name: string;
  readonly adminId: string;
  revoked: boolean;
}

interface Admin {
  readonly id: string;
  readonly email: string;
  readonly role: 'OWNER' | 'ADMIN';
  removed: boolean;
}

type Entry = readonly [
  action: string,
  actorKind: string,
  actorId: string | null,
  adminId: string | null,
  subjectId: string,
];

/** The network as it should be, and what should be on record of it. */
class Model {
  readonly history: Entry[] = [];
  readonly keys: Key[] = [];
  readonly admins: Admin[] = [];
  perMinute = 1_000_000;
  suspended = false;
  readonly networkId: string;

  constructor(networkId: string) {
    this.networkId = networkId;
  }

  byOperator(action: string, subjectId: string): void {
    this.history.push([action, 'COMMAND_LINE', null, null, subjectId]);
  }

  byKey(key: Key, action: string, subjectId: string): void {
    this.history.push([action, 'KEY', key.id, key.adminId, subjectId]);
  }

  works(key: Key): boolean {
    return this.stands(key) && !this.suspended;
  }

  stands({ revoked, adminId }: Key): boolean {
    return !revoked && this.admins.some(({ id, removed }) => id === adminId && !removed);
  }

  isFree(name: string): boolean {
    return !this.keys.some((key) => key.name === name && !key.revoked);
  }
}

const pick = <Item>(items: readonly Item[], number: unknown): Item => {
  const item = items[Number(number) % items.length];
  if (item === undefined) throw new RangeError('nothing to pick from');
  return item;
};

const byId = (keys: readonly Key[]) => keys.toSorted((a, b) => (a.id < b.id ? -1 : 1));

/** Every action that is on record, so that none depends on chance. */
const EVERY = [
  { do: 'create', by: 0, at: 0, name: 0 },
  { do: 'note', by: 0, at: 1, key: 1, note: 0 },
  { do: 'operator rotates', key: 1 },
  { do: 'operator revokes', key: 1 },
  { do: 'operator deletes', key: 1 },
  { do: 'add admin', email: 0 },
  { do: 'remove admin', admin: 1 },
  { do: 'plan', perMinute: 2_000_000 },
  { do: 'suspend' },
  { do: 'resume' },
] as const;

const DO: Record<Step['do'], (model: Model, step: Step) => Promise<void>> = {
  async create(model, { by, at, name }) {
    const maker = pick(model.keys, by);
    const query = `mutation { createApiKey(input: { name: "key ${name}", scopes: [KEYS_READ, KEYS_WRITE] }) { token apiKey { id } } }`;
    const { body } = await graphql(pick(gateways, at).url, maker.token, query);
    const made = body.data?.createApiKey;
    expect(made?.apiKey != null).toBe(model.works(maker) && model.isFree(`key ${name}`));
    if (made?.apiKey == null) return;
    const id = uuidOf('ApiKey', made.apiKey.id) ?? '';
    model.keys.push({ id, token: made.token, name: `key ${name}`, adminId: maker.adminId, note: null, revoked: false });
    model.byKey(maker, 'key.created', id);
  },
  async revoke(model, { by, at, key }) {
    const [actor, victim] = [pick(model.keys, by), pick(model.keys, key)];
    const query = `mutation { revokeApiKey(input: { id: "${toId('ApiKey', victim.id)}" }) { apiKey { id } } }`;
    const { body } = await graphql(pick(gateways, at).url, actor.token, query);
    expect(body.data?.revokeApiKey?.apiKey != null).toBe(model.works(actor));
    if (!model.works(actor) || victim.revoked) return;
    victim.revoked = true;
    model.byKey(actor, 'key.revoked', victim.id);
  },
  async 'operator creates'(model, { name, admin }) {
    const { id: adminId, removed } = pick(model.admins, admin);
    const input = {
      name: `key ${name}`,
      scopes: ['keys:read', 'keys:write'],
      expiresAt: null,
      environment: 'LIVE',
      adminId,
    } as const;
    const made = await createApiKey(database, COMMAND_LINE, model.networkId, input);
    expect(made.ok).toBe(!removed && model.isFree(input.name));
    if (!made.ok) return;
    model.keys.push({ id: made.apiKey.id, token: made.token, name: input.name, adminId, note: null, revoked: false });
    model.byOperator('key.created', made.apiKey.id);
  },
  async note(model, { by, at, key, note }) {
    const [actor, changed] = [pick(model.keys, by), pick(model.keys, key)];
    const input = `{ id: "${toId('ApiKey', changed.id)}", note: "note ${note}" }`;
    const query = `mutation { updateApiKey(input: ${input}) { apiKey { id } } }`;
    const { body } = await graphql(pick(gateways, at).url, actor.token, query);
    const isChanged = model.works(actor) && model.stands(changed);
    expect(body.data?.updateApiKey?.apiKey != null).toBe(isChanged);
    if (!isChanged || changed.note === `note ${note}`) return;
    changed.note = `note ${note}`;
    model.byKey(actor, 'key.updated', changed.id);
  },
  async 'operator rotates'(model, { key: which }) {
    const key = pick(model.keys, which);
    const rotated = await rotateApiKey(database, COMMAND_LINE, model.networkId, key.id, 0);
    expect(rotated.ok).toBe(model.stands(key));
    if (!rotated.ok) return;
    key.token = rotated.token;
    model.byOperator('key.rotated', key.id);
  },
  async 'operator deletes'(model, { key: which }) {
    const key = pick(model.keys, which);
    // One is left, for the other steps.
    if (model.keys.length === 1) return;
    const { ok } = await deleteApiKey(database, COMMAND_LINE, model.networkId, key.id);
    expect(ok).toBe(key.revoked);
    if (!ok) return;
    model.keys.splice(model.keys.indexOf(key), 1);
    model.byOperator('key.deleted', key.id);
  },
  async 'operator revokes'(model, { key }) {
    const victim = pick(model.keys, key);
    await revokeApiKey(database, COMMAND_LINE, model.networkId, victim.id);
    if (!victim.revoked) model.byOperator('key.revoked', victim.id);
    victim.revoked = true;
  },
  async 'add admin'(model, { email }) {
    const address = `admin-${email}@example.test`;
    const made = await createAdmin(database, COMMAND_LINE, model.networkId, {
      email: address,
      name: 'A',
      role: 'ADMIN',
    });
    expect(made.ok).toBe(!model.admins.some((admin) => admin.email === address && !admin.removed));
    if (!made.ok) return;
    model.admins.push({ id: made.admin.id, email: address, role: 'ADMIN', removed: false });
    model.byOperator('admin.created', made.admin.id);
  },
  async 'remove admin'(model, { admin: which }) {
    const admin = pick(model.admins, which);
    const { ok } = await removeAdmin(database, COMMAND_LINE, model.networkId, admin.id);
    // The first one is the last owner.
    expect(ok).toBe(admin.role === 'ADMIN');
    if (!ok || admin.removed) return;
    admin.removed = true;
    // With the admin, each on record for itself.
    for (const key of byId(model.keys).filter(({ adminId, revoked }) => adminId === admin.id && !revoked)) {
      key.revoked = true;
      model.byOperator('key.revoked', key.id);
    }
    model.byOperator('admin.removed', admin.id);
  },
  async plan(model, { perMinute }) {
    await networks.updateNetwork(database, COMMAND_LINE, model.networkId, {
      requestsPerMinute: Number(perMinute),
    });
    if (perMinute !== model.perMinute) model.byOperator('network.updated', model.networkId);
    model.perMinute = Number(perMinute);
  },
  async suspend(model) {
    await networks.suspendNetwork(database, COMMAND_LINE, model.networkId);
    if (!model.suspended) model.byOperator('network.suspended', model.networkId);
    model.suspended = true;
  },
  async resume(model) {
    await networks.resumeNetwork(database, COMMAND_LINE, model.networkId);
    if (model.suspended) model.byOperator('network.resumed', model.networkId);
    model.suspended = false;
  },
};

/** The trail as the network's own key reads it, the oldest first. */
async function trail(token: string): Promise<Entry[]> {
  const query = `{ auditEvents(first: 250, orderBy: { direction: ASC }) {
    nodes { action actorKind actorId admin { id } subjectId } } }`;
  const { body } = await graphql(pick(gateways, 0).url, token, query);
  const uuid = (id: string | null) =>
    id === null ? null : (uuidOf('ApiKey', id) ?? uuidOf('Admin', id) ?? uuidOf('Network', id));
  return body.data.auditEvents.nodes.map(
    (event: {
      action: string;
      actorKind: string;
      actorId: string;
      admin: { id: string } | null;
      subjectId: string;
    }) => [event.action, event.actorKind, uuid(event.actorId), uuid(event.admin?.id ?? null), uuid(event.subjectId)],
  );
}

test(
  'the trail is the history',
  async () => {
    const all = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: STEPS_MAX }), async (steps) => {
        const own = await makeNetwork(database);
        const model = new Model(own.network.id);
        const { id, email, role } = own.admin;
        model.admins.push({ id, email, role, removed: false });
        // As makeNetwork has them: the one reads the trail in the end, the other is there to be used and revoked.
        model.byOperator('key.created', own.apiKey.id);
        await DO['operator creates'](model, { do: 'operator creates', name: 9, admin: 0 });
        for (const each of steps) await DO[each.do](model, each as Step);
        await DO.resume(model, { do: 'resume' });
        expect(await trail(own.token)).toEqual(model.history);
        for (const [action] of model.history) all.add(action);
      }),
      { numRuns: RUNS, examples: [[[...EVERY]]] },
    );
    expect([...all].sort()).toEqual([
      ...['admin.created', 'admin.removed', 'key.created', 'key.deleted', 'key.revoked', 'key.rotated', 'key.updated'],
      ...['network.resumed', 'network.suspended', 'network.updated'],
    ]);
  },
  TIMEOUT_MS,
);
