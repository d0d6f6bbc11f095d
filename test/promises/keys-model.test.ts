// Random lives of keys, from two gateways at once, against a plain model: which tokens work, what the trail says.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { toId, uuidOf } from '../../src/domain/id.ts';
import { graphql } from '../support/client.ts';
import { makeNetwork, openTestDatabase, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

const RUNS = 20;
const STEPS_MAX = 14;
const HOUR_SECONDS = 3_600;

let database: Database;
let gateways: readonly TestGateway[] = [];
beforeAll(async () => {
  database = await openTestDatabase();
  const settings = { TRUST_PROXY: '127.0.0.0/8' };
  gateways = await Promise.all([startTestGateway(settings), startTestGateway(settings)]);
});
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await database.close();
});

let reports = 0;
/** Each report from an address of its own, as a proxy tells it: one may send 20 a minute. */
function newAddress(): string {
  reports += 1;
  return `10.${(reports >> 16) & 255}.${(reports >> 8) & 255}.${reports & 255}`;
}

/** A key as the model has it. */
interface ModelKey {
  readonly id: string;
  /** The key that made it; null for the network's first. */
  readonly maker: string | null;
  current: string;
  previous: string | null;
  status: 'ACTIVE' | 'REVOKED' | 'DELETED';
  scopes: readonly string[];
}

class Model {
  readonly keys = new Map<string, ModelKey>();
  readonly ended = new Set<string>();
  /** Action and subject of what is on record, in no order: some of it happened at once. */
  readonly events: string[] = [];

  add(key: Omit<ModelKey, 'previous' | 'status'>): void {
    this.keys.set(key.id, { ...key, previous: null, status: 'ACTIVE' });
    this.note('key.created', key.id);
  }

  note(action: string, id: string): void {
    this.events.push(`${action} ${id}`);
  }

  end(token: string | null): void {
    if (token !== null) this.ended.add(token);
  }

  rotate(key: ModelKey, token: string, hasOverlap: boolean): void {
    this.end(key.previous);
    key.previous = hasOverlap ? key.current : null;
    if (!hasOverlap) this.end(key.current);
    key.current = token;
    this.note('key.rotated', key.id);
  }

  endOverlap(key: ModelKey): void {
    if (key.previous === null) return;
    this.end(key.previous);
    key.previous = null;
    this.note('key.overlap_ended', key.id);
  }

  revoke(key: ModelKey): void {
    if (key.status !== 'ACTIVE') return;
    key.status = 'REVOKED';
    this.end(key.current);
    this.end(key.previous);
    this.note('key.revoked', key.id);
  }

  /** A key and all that descends from it, deleted ones in between included. */
  line(key: ModelKey): ModelKey[] {
    const made = [...this.keys.values()].filter(({ maker }) => maker === key.id);
    return [key, ...made.flatMap((child) => this.line(child))];
  }

  working(): Map<string, ModelKey> {
    const active = [...this.keys.values()].filter(({ status }) => status === 'ACTIVE');
    return new Map(
      active.flatMap((key) => [key.current, key.previous].flatMap((token) => (token ? [[token, key]] : []))),
    );
  }
}

type Verb =
  | 'create'
  | 'update'
  | 'rotate'
  | 'rotateAtOnce'
  | 'endOverlap'
  | 'revoke'
  | 'revokeLine'
  | 'delete'
  | 'leak';

interface Step {
  readonly verb: Verb;
  /** Which of the keys there are then, on which gateway, and with which choice of scopes. */
  readonly key: number;
  readonly gateway: 0 | 1;
  readonly scope: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  verb: fc.constantFrom<Verb>(
    ...(['create', 'create', 'update', 'rotate', 'rotateAtOnce', 'endOverlap'] as const),
    ...(['revoke', 'revokeLine', 'delete', 'leak'] as const),
  ),
  key: fc.nat(20),
  gateway: fc.constantFrom(0 as const, 1 as const),
  scope: fc.nat(2),
});
const SCOPES = [['KEYS_WRITE', 'KEYS_READ'], ['KEYS_WRITE', 'KEYS_READ', 'MEMBERS_READ'], ['KEYS_WRITE']] as const;
/** Each round's steps run at once; no two of them concern one line of keys, so that the model knows the outcome. */
const rounds = fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { minLength: 3, maxLength: STEPS_MAX });

class World {
  readonly model = new Model();
  readonly own: TestNetwork;
  #names = 0;

  constructor(own: TestNetwork) {
    this.own = own;
  }

  url(gateway: number): string {
    return gateways[gateway]?.url ?? '';
  }

  async ask(gateway: number, token: string, field: string, input: object, wanted: string) {
    const type = `${field.charAt(0).toUpperCase()}${field.slice(1)}Input`;
    const query = `mutation($input: ${type}!) { ${field}(input: $input) { ${wanted} userErrors { code } } }`;
    const { body } = await graphql(this.url(gateway), token, query, { variables: { input } });
    if (body.errors !== undefined) throw new Error(JSON.stringify(body.errors));
    return body.data[field];
  }

  /** What a step does to a key: with the operator's own token, which can do everything. */
  async take(step: Step, key: ModelKey): Promise<void> {
    const verbs: Record<Verb, () => Promise<void>> = {
      create: () => this.create(step.gateway, key),
      update: () => this.update(step, key),
      rotate: () => this.rotate(step.gateway, key, HOUR_SECONDS),
      rotateAtOnce: () => this.rotate(step.gateway, key, 0),
      endOverlap: () => this.endOverlap(step.gateway, key),
      revoke: () => this.revoke(step.gateway, key, false),
      revokeLine: () => this.revoke(step.gateway, key, true),
      delete: () => this.delete(step.gateway, key),
      leak: () => this.leak(step.gateway, key),
    };
    await verbs[step.verb]();
  }

  async update({ gateway, scope }: Step, key: ModelKey): Promise<void> {
    const scopes = SCOPES[scope] ?? [];
    const input = { id: key.id, scopes };
    const { userErrors } = await this.ask(gateway, this.own.token, 'updateApiKey', input, 'apiKey { id }');
    expect(userErrors.length === 0).toBe(key.status === 'ACTIVE');
    if (key.status !== 'ACTIVE') return;
    if (JSON.stringify(scopes) !== JSON.stringify(key.scopes)) this.model.note('key.updated', key.id);
    key.scopes = scopes;
  }

  async rotate(gateway: number, key: ModelKey, overlapSeconds: number): Promise<void> {
    const input = { id: key.id, overlapSeconds };
    const { token } = await this.ask(gateway, this.own.token, 'rotateApiKey', input, 'token');
    expect(token !== null).toBe(key.status === 'ACTIVE');
    if (key.status === 'ACTIVE') this.model.rotate(key, token, overlapSeconds > 0);
  }

  async endOverlap(gateway: number, key: ModelKey): Promise<void> {
    await this.ask(gateway, this.own.token, 'endApiKeyOverlap', { id: key.id }, 'apiKey { id }');
    // Of a key that was revoked, a previous secret that has time left is ended all the same.
    if (key.status !== 'DELETED') this.model.endOverlap(key);
  }

  async revoke(gateway: number, key: ModelKey, includeCreated: boolean): Promise<void> {
    await this.ask(gateway, this.own.token, 'revokeApiKey', { id: key.id, includeCreated }, 'apiKey { id }');
    // What is gone names no line.
    const revoked = includeCreated && key.status !== 'DELETED' ? this.model.line(key) : [key];
    for (const each of revoked) this.model.revoke(each);
  }

  async delete(gateway: number, key: ModelKey): Promise<void> {
    const { deletedId } = await this.ask(gateway, this.own.token, 'deleteApiKey', { id: key.id }, 'deletedId');
    expect(deletedId).toBe(key.status === 'REVOKED' ? key.id : null);
    if (key.status !== 'REVOKED') return;
    key.status = 'DELETED';
    this.model.note('key.deleted', key.id);
  }

  /** With the key itself, where it works. */
  async create(gateway: number, key: ModelKey): Promise<void> {
    this.#names += 1;
    const input = { name: `made ${this.#names}`, scopes: ['KEYS_WRITE'] };
    if (key.status !== 'ACTIVE') return;
    const { token } = await this.ask(gateway, key.current, 'createApiKey', input, 'token');
    // Its maker may lack keys:read, which `apiKey` of the payload needs.
    const { body } = await graphql(this.url(gateway), token, '{ me { apiKey { id } } }');
    this.model.add({ id: body.data.me.apiKey.id, maker: key.id, current: token, scopes: ['KEYS_WRITE'] });
  }

  /** The previous token where there is one, else the current. */
  async leak(gateway: number, key: ModelKey): Promise<void> {
    const token = key.previous ?? key.current;
    const status = await this.report(gateway, [token]);
    expect(status).toBe(202);
    if (key.status !== 'ACTIVE') return;
    this.model.note('key.leaked', key.id);
    this.model.end(token);
    if (key.previous === null) key.status = 'REVOKED';
    else key.previous = null;
  }

  async report(gateway: number, tokens: readonly string[]): Promise<number> {
    const { status } = await fetch(`${this.url(gateway)}/leaked-tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': newAddress() },
      body: JSON.stringify({ tokens }),
    });
    return status;
  }

  async check(): Promise<void> {
    const working = this.model.working();
    for (const [token, key] of working) {
      for (const gateway of gateways.keys()) {
        const { body } = await graphql(this.url(gateway), token, '{ me { scopes apiKey { id } } }');
        expect(body.data?.me).toEqual({ scopes: expect.arrayContaining([...key.scopes]), apiKey: { id: key.id } });
        expect(body.data.me.scopes).toHaveLength(key.scopes.length);
      }
    }
    for (const token of this.model.ended) {
      expect(working.has(token)).toBe(false);
      for (const gateway of gateways.keys()) {
        expect((await graphql(this.url(gateway), token, '{ me { id } }')).status).toBe(401);
      }
    }
  }

  async checkTrail(): Promise<void> {
    const ids = [...this.model.keys.keys()].flatMap((id) => uuidOf('ApiKey', id) ?? []);
    const where = { networkId: this.own.network.id, subjectId: { in: ids } };
    const events = await database.prisma.auditEvent.findMany({ where });
    const found = events.map(({ action, subjectId }) => `${action} ${toId('ApiKey', subjectId ?? '')}`);
    expect(found.sort()).toEqual([...this.model.events].sort());
  }
}

/** One step for each line of keys at the most. */
function apart(model: Model, steps: readonly Step[], roots: readonly string[]): [Step, ModelKey][] {
  const taken = new Set<string>();
  return steps.flatMap((one): [Step, ModelKey][] => {
    const keys = [...model.keys.values()];
    const key = keys[one.key % keys.length];
    if (key === undefined) return [];
    const root = roots.find((id) => model.line(model.keys.get(id) ?? key).includes(key)) ?? '';
    if (taken.has(root)) return [];
    taken.add(root);
    return [[one, key]];
  });
}

test('exactly those tokens work that a plain model says, and the trail is the model’s history', async () => {
  await fc.assert(
    fc.asyncProperty(rounds, async (all) => {
      const world = new World(await makeNetwork(database));
      const roots: string[] = [];
      for (const name of ['one', 'two', 'three']) {
        const input = { name, scopes: SCOPES[0] };
        const made = await world.ask(0, world.own.token, 'createApiKey', input, 'token apiKey { id }');
        world.model.add({ id: made.apiKey.id, maker: null, current: made.token, scopes: SCOPES[0] });
        roots.push(made.apiKey.id);
      }
      for (const steps of all) {
        await Promise.all(apart(world.model, steps, roots).map(([one, key]) => world.take(one, key)));
      }
      await world.check();
      await world.checkTrail();
    }),
    // A life is told whole: a shorter one of the same kind says little, and takes long to find.
    { numRuns: RUNS, endOnFailure: true },
  );
}, 120_000);

/** What meets on one key. Whoever comes second finds it changed, or ended, or gone. */
const storm = fc.array(
  fc.record({
    verb: fc.constantFrom('rotate', 'rotateAtOnce', 'endOverlap', 'update', 'revoke', 'delete', 'leak'),
    gateway: fc.constantFrom(0, 1),
  }),
  { minLength: 2, maxLength: 10 },
);
type Meeting = typeof storm extends fc.Arbitrary<readonly (infer One)[]> ? One : never;

class Storm extends World {
  readonly tokens: string[];
  readonly id: string;
  #rotations = 0;

  constructor(own: TestNetwork, { id, token }: { readonly id: string; readonly token: string }) {
    super(own);
    this.id = id;
    this.tokens = [token];
  }

  async meet({ verb, gateway }: Meeting): Promise<void> {
    const ask = (field: string, more: object, wanted: string) =>
      this.ask(gateway, this.own.token, field, { id: this.id, ...more }, wanted);
    if (verb === 'rotate' || verb === 'rotateAtOnce') {
      const { token } = await ask('rotateApiKey', { overlapSeconds: verb === 'rotate' ? HOUR_SECONDS : 0 }, 'token');
      if (token === null) return;
      this.#rotations += 1;
      this.tokens.push(token);
      return;
    }
    if (verb === 'endOverlap') await ask('endApiKeyOverlap', {}, 'apiKey { id }');
    if (verb === 'update') await ask('updateApiKey', { note: 'met' }, 'apiKey { id }');
    if (verb === 'revoke') await ask('revokeApiKey', {}, 'apiKey { id }');
    if (verb === 'delete') await ask('deleteApiKey', {}, 'deletedId');
    if (verb === 'leak') expect(await this.report(gateway, this.tokens)).toBe(202);
  }

  /** Of one key at the most two tokens work, everywhere the same; of one that was ended, none; of any other, its newest. */
  async settled(steps: readonly Meeting[]): Promise<void> {
    const works = async (token: string) => {
      const statuses = gateways.map(async ({ url }) => (await graphql(url, token, '{ me { id } }')).status === 200);
      const [here, there] = await Promise.all(statuses);
      expect(here).toBe(there);
      return here === true;
    };
    const working = (await Promise.all(this.tokens.map(works))).filter((does) => does).length;
    const where = { networkId: this.own.network.id, subjectId: uuidOf('ApiKey', this.id) };
    const actions = (await database.prisma.auditEvent.findMany({ where })).map(({ action }) => action);
    const count = (action: string) => actions.filter((each) => each === action).length;
    const mayEnd = steps.some(({ verb }) => verb === 'revoke' || verb === 'leak');
    const mustEnd = steps.some(({ verb }) => verb === 'revoke');
    expect(working).toBeGreaterThanOrEqual(mayEnd ? 0 : 1);
    expect(working).toBeLessThanOrEqual(mustEnd ? 0 : 2);
    expect([count('key.created'), count('key.rotated')]).toEqual([1, this.#rotations]);
    expect(count('key.revoked')).toBeLessThanOrEqual(1);
    expect(count('key.deleted')).toBeLessThanOrEqual(1);
  }
}

test('whatever meets on one key, from two gateways at once, leaves no token alive that has ended, and breaks nothing', async () => {
  await fc.assert(
    fc.asyncProperty(storm, async (steps) => {
      const own = await makeNetwork(database);
      const world = new World(own);
      const input = { name: 'met', scopes: SCOPES[0] };
      const made = await world.ask(0, own.token, 'createApiKey', input, 'token apiKey { id }');
      const met = new Storm(own, { id: made.apiKey.id, token: made.token });
      // `ask` throws where an answer has errors: what comes too late is a user error.
      await Promise.all(steps.map((one) => met.meet(one)));
      await met.settled(steps);
    }),
    { numRuns: 2 * RUNS, endOnFailure: true },
  );
  const bugs = gateways.flatMap(({ log }) => log.filter(({ level }) => level === 'error'));
  expect(bugs).toEqual([]);
}, 120_000);
