// Nobody rises: every way by which a key could gain what it lacks, tried over HTTP from 127.0.0.1.
import { type GraphQLField, getNamedType, isInputObjectType } from 'graphql';
import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { ALL_SCOPES } from '../../src/domain/scope.ts';
import { digestOf } from '../../src/domain/token.ts';
import { declaredScopes } from '../../src/graphql/directives.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import type { CreateApiKeyInput } from '../../src/services/api-keys/create.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { rotateApiKey } from '../../src/services/api-keys/rotate.ts';
import { makeAdmin, makeKey, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const HOME = ['127.0.0.0/8'];
const DAY_MS = 86_400_000;
const at = (days: number) => new Date(Math.floor(Date.now() / 1_000) * 1_000 + days * DAY_MS);

/** A key that is weaker than one with all scopes, for ever, from everywhere and LIVE, in one respect each. */
const WEAKER: Readonly<Record<string, Partial<CreateApiKeyInput>>> = {
  scopes: { scopes: ['keys:write', 'keys:read', 'members:read'] },
  life: { expiresAt: at(30) },
  addresses: { allowedAddresses: HOME },
  environment: { environment: 'TEST' },
};

async function weak(own: TestNetwork, respect: string) {
  return makeKey(suite.database, own.network.id, { adminId: own.admin.id, ...WEAKER[respect] });
}

async function mutate(token: string, field: string, input: object) {
  const type = `${field.charAt(0).toUpperCase()}${field.slice(1)}Input`;
  const query = `mutation($input: ${type}!) { ${field}(input: $input) { apiKey { id } userErrors { code field } } }`;
  const reply = await suite.call(token, query, { variables: { input } });
  expect(reply.body.errors).toBeUndefined();
  return reply.body.data[field] as {
    apiKey: { id: string } | null;
    userErrors: { code: string; field: string[] }[];
  };
}

const at30 = () => at(30).toISOString();
/** What the same weak key may ask for: itself again. */
const EQUAL = { scopes: ['KEYS_WRITE', 'KEYS_READ', 'MEMBERS_READ'], expiresAt: at30(), allowedAddresses: HOME };
const WITHIN: Readonly<Record<string, object>> = { environment: { environment: 'TEST' } };
const BEYOND: Readonly<Record<string, readonly [input: object, code: string, field: string][]>> = {
  scopes: [
    [{ scopes: ['MEMBERS_EMAIL'] }, 'SCOPE_NOT_HELD', 'scopes'],
    [{ scopes: ['MEMBERS_READ', 'AUDIT_READ'] }, 'SCOPE_NOT_HELD', 'scopes'],
  ],
  life: [
    [{ expiresAt: null }, 'NOT_HELD', 'expiresAt'],
    [{ expiresAt: new Date(at(30).getTime() + 1_000).toISOString() }, 'NOT_HELD', 'expiresAt'],
  ],
  addresses: [
    [{ allowedAddresses: [] }, 'NOT_HELD', 'allowedAddresses'],
    [{ allowedAddresses: ['127.0.0.0/7'] }, 'NOT_HELD', 'allowedAddresses'],
    [{ allowedAddresses: [...HOME, '::1'] }, 'NOT_HELD', 'allowedAddresses'],
  ],
  environment: [[{ environment: 'LIVE' }, 'NOT_HELD', 'environment']],
};
const CASES = Object.entries(BEYOND).flatMap(([respect, cases]) => cases.map((one) => [respect, ...one] as const));

describe('a key that is weaker than others', () => {
  test.for(CASES)('in %s makes no key with %j', async ([respect, input, code, field]) => {
    const own = await makeNetwork(suite.database);
    const { token } = await weak(own, respect);
    const asked = { name: 'child', ...EQUAL, ...WITHIN[respect] };
    expect(await mutate(token, 'createApiKey', { ...asked, ...input })).toEqual({
      apiKey: null,
      userErrors: [{ code, field: ['input', field] }],
    });
    // Within what it holds, it makes one: that it was refused was for this alone.
    expect((await mutate(token, 'createApiKey', asked)).userErrors).toEqual([]);
  });

  test.for(Object.keys(WEAKER))('in %s sheds that by no input that leaves it out', async (respect) => {
    const own = await makeNetwork(suite.database);
    const { token } = await weak(own, respect);
    const { userErrors } = await mutate(token, 'createApiKey', { name: 'child', scopes: ['MEMBERS_READ'] });
    // What is left out of it are its life, its addresses and its environment.
    expect(userErrors.map(({ code }) => code)).toEqual(respect === 'scopes' ? [] : ['NOT_HELD']);
  });

  const UPDATES = CASES.filter(([respect]) => respect !== 'environment');
  test.for(UPDATES)('in %s does not widen itself to %j', async ([respect, input, code, field]) => {
    const own = await makeNetwork(suite.database);
    const { apiKey, token } = await weak(own, respect);
    const id = toId('ApiKey', apiKey.id);
    const refused = await mutate(token, 'updateApiKey', { id, ...input });
    expect(refused).toEqual({ apiKey: null, userErrors: [{ code, field: ['input', field] }] });
    // It may narrow itself, and rename.
    const narrower = { id, name: 'narrower', scopes: ['KEYS_WRITE', 'KEYS_READ'] };
    expect((await mutate(token, 'updateApiKey', narrower)).userErrors).toEqual([]);
  });

  test.for(UPDATES)('in %s does not widen its own child to %j', async ([respect, input, code, field]) => {
    const own = await makeNetwork(suite.database);
    const { token } = await weak(own, respect);
    const asked = { name: 'child', ...EQUAL, ...WITHIN[respect] };
    const { apiKey } = await mutate(token, 'createApiKey', asked);
    const refused = await mutate(token, 'updateApiKey', { id: apiKey?.id, ...input });
    expect(refused).toEqual({ apiKey: null, userErrors: [{ code, field: ['input', field] }] });
  });

  test.for(Object.keys(WEAKER))('in %s neither rotates nor edits a stronger one, be it its maker', async (respect) => {
    const own = await makeNetwork(suite.database);
    const { token } = await weak(own, respect);
    const id = toId('ApiKey', own.apiKey.id);
    const refusal = { apiKey: null, userErrors: [{ code: 'NOT_HELD', field: ['input', 'id'] }] };
    expect(await mutate(token, 'rotateApiKey', { id, overlapSeconds: 60 })).toEqual(refusal);
    expect(await mutate(token, 'updateApiKey', { id, name: 'mine' })).toEqual(refusal);
    expect(await mutate(token, 'updateApiKey', { id, scopes: ['KEYS_READ'] })).toEqual(refusal);
    expect((await suite.call(own.token, '{ me { id } }')).status).toBe(200);
  });

  test.for(Object.keys(WEAKER))('in %s rotates itself, and one that is no stronger', async (respect) => {
    const own = await makeNetwork(suite.database);
    const [self, equal] = [await weak(own, respect), await weak(own, respect)];
    for (const { apiKey } of [equal, self]) {
      const id = toId('ApiKey', apiKey.id);
      expect((await mutate(self.token, 'rotateApiKey', { id, overlapSeconds: 60 })).userErrors).toEqual([]);
    }
  });

  /** The ways to name keys in the input of a mutation. */
  const INPUTS: Readonly<Record<string, (id: string) => Record<string, unknown>>> = {
    updateApiKey: (id) => ({ id, note: 'mine' }),
    rotateApiKey: (id) => ({ id, overlapSeconds: 60 }),
    endApiKeyOverlap: (id) => ({ id }),
    revokeApiKey: (id) => ({ id }),
    revokeApiKeys: (id) => ({ ids: [id] }),
    deleteApiKey: (id) => ({ id }),
  };

  test('is tried with every mutation of the schema that names a key', () => {
    const mutations = Object.values(buildSchema().getMutationType()?.getFields() ?? {});
    const naming = mutations.filter((field) => declaredScopes(field)?.includes('keys:write') && namesThings(field));
    expect(naming.map(({ name }) => name).sort()).toEqual(Object.keys(INPUTS).sort());
  });

  /** All that is stored of a network's keys. */
  async function stateOf({ network }: TestNetwork): Promise<unknown> {
    const { prisma } = suite.database;
    const where = { networkId: network.id };
    return {
      keys: await prisma.apiKey.findMany({ where, orderBy: { id: 'asc' }, omit: { lastUsedAt: true } }),
      secrets: await prisma.secret.findMany({ where, orderBy: { digest: 'asc' }, omit: { lastUsedAt: true } }),
      events: await prisma.auditEvent.count({ where }),
    };
  }

  const ATTEMPTS = Object.keys(WEAKER).flatMap((respect) =>
    Object.keys(INPUTS).map((field) => [respect, field] as const),
  );
  test.for(ATTEMPTS)('in %s changes no stronger one by %s, whatever state that is in', async ([respect, field]) => {
    const own = await makeNetwork(suite.database);
    const { token } = await weak(own, respect);
    const make = () => makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    const [rotated, revoked] = [await make(), await make()];
    await rotateApiKey(suite.database, COMMAND_LINE, own.network.id, rotated.apiKey.id, 3_600);
    await revokeApiKey(suite.database, COMMAND_LINE, own.network.id, revoked.apiKey.id);
    const before = await stateOf(own);
    for (const { apiKey } of [own, rotated, revoked]) {
      const input = INPUTS[field]?.(toId('ApiKey', apiKey.id)) ?? {};
      expect(await codes(token, field, input)).toEqual(['NOT_HELD']);
    }
    expect(await stateOf(own)).toEqual(before);
    expect((await suite.call(rotated.token, '{ me { id } }')).status).toBe(200);
  });

  test('ends by a filter those that are not beyond it, and is told of no other', async () => {
    const own = await makeNetwork(suite.database);
    const { token } = await weak(own, 'scopes');
    const name = (text: string) => ({ adminId: own.admin.id, name: text });
    const strong = await makeKey(suite.database, own.network.id, name('batch strong'));
    const equal = await makeKey(suite.database, own.network.id, { ...name('batch equal'), ...WEAKER['scopes'] });
    const query =
      'mutation { revokeApiKeys(input: { filter: { name: "batch" } }) { results { apiKey { id } } revokedCount hasMore } }';
    const { body } = await suite.call(token, query);
    const results = [{ apiKey: { id: toId('ApiKey', equal.apiKey.id) } }];
    expect(body.data.revokeApiKeys).toEqual({ results, revokedCount: 1, hasMore: false });
    expect((await suite.call(strong.token, '{ me { id } }')).status).toBe(200);
  });

  test('ends no line that holds a stronger one, and nothing of it', async () => {
    const own = await makeNetwork(suite.database);
    const { token } = await weak(own, 'scopes');
    const maker = await weak(own, 'scopes');
    const made = await mutate(maker.token, 'createApiKey', { name: 'child', scopes: [] });
    // A stronger key has made more of it since.
    await mutate(own.token, 'updateApiKey', { id: made.apiKey?.id, scopes: ['AUDIT_READ'] });
    const id = toId('ApiKey', maker.apiKey.id);
    const before = await stateOf(own);
    expect(await mutate(token, 'revokeApiKey', { id, includeCreated: true })).toEqual({
      apiKey: null,
      userErrors: [{ code: 'NOT_HELD', field: ['input', 'includeCreated'] }],
    });
    expect(await stateOf(own)).toEqual(before);
    expect((await mutate(token, 'revokeApiKey', { id })).userErrors).toEqual([]);
  });

  test('is not told what a stronger key can do, or for whom it acts, without keys:read', async () => {
    const own = await makeNetwork(suite.database);
    const { token } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id, scopes: ['keys:write'] });
    const other = await makeAdmin(suite.database, own.network.id);
    const others = await makeKey(suite.database, own.network.id, { adminId: other.id, scopes: [] });
    const messages: string[] = [];
    for (const { apiKey } of [own, others]) {
      const query = `mutation { rotateApiKey(input: { id: "${toId('ApiKey', apiKey.id)}", overlapSeconds: 0 }) { userErrors { message } } }`;
      const { body } = await suite.call(token, query);
      messages.push(...body.data.rotateApiKey.userErrors.map(({ message }: { message: string }) => message));
    }
    const message = "This key is beyond the caller's token, which needs the scope keys:read to be told why";
    expect(messages).toEqual([message, message]);
  });

  test('ends itself all the same, with a token that ends before the key does', async () => {
    const { apiKey, token } = await makeNetwork(suite.database);
    const id = toId('ApiKey', apiKey.id);
    await mutate(token, 'rotateApiKey', { id, overlapSeconds: 600 });
    const { body } = await suite.call(token, 'mutation { revokeCurrentApiKey { apiKey { status } } }');
    expect(body.data.revokeCurrentApiKey.apiKey).toEqual({ status: 'REVOKED' });
  });

  async function codes(token: string, field: string, input: Record<string, unknown>): Promise<string[]> {
    const type = `${field.charAt(0).toUpperCase()}${field.slice(1)}Input`;
    const errors = 'ids' in input ? 'results { userErrors { code } }' : 'userErrors { code }';
    const query = `mutation($input: ${type}!) { ${field}(input: $input) { ${errors} } }`;
    const { body } = await suite.call(token, query, { variables: { input } });
    const payload = body.data[field];
    const found: { code: string }[] = [payload, ...(payload.results ?? [])].flatMap(
      ({ userErrors = [] }) => userErrors,
    );
    return found.map(({ code }) => code);
  }
});

test('a token that lives on from a rotation gets no token that outlives it: a thief’s does not last', async () => {
  const { apiKey, token } = await makeNetwork(suite.database);
  const id = toId('ApiKey', apiKey.id);
  expect((await mutate(token, 'rotateApiKey', { id, overlapSeconds: 600 })).userErrors).toEqual([]);
  // The token that was sent is the previous one now.
  const rotated = await mutate(token, 'rotateApiKey', { id, overlapSeconds: 600 });
  expect(rotated.userErrors).toEqual([{ code: 'NOT_HELD', field: ['input', 'id'] }]);
  const made = await mutate(token, 'createApiKey', { name: 'child', scopes: [] });
  expect(made.userErrors).toEqual([{ code: 'NOT_HELD', field: ['input', 'expiresAt'] }]);
  const later = new Date(Date.now() + 700_000).toISOString();
  const longer = await mutate(token, 'createApiKey', { name: 'child', scopes: [], expiresAt: later });
  expect(longer.userErrors).toEqual([{ code: 'NOT_HELD', field: ['input', 'expiresAt'] }]);
  const sooner = new Date(Date.now() + 300_000).toISOString();
  const shorter = await mutate(token, 'createApiKey', { name: 'child', scopes: [], expiresAt: sooner });
  expect(shorter.userErrors).toEqual([]);
});

test.for([
  ['its life', `expires_at = now() + interval '1 hour'`, 'expiresAt'],
  ['its addresses', `allowed_addresses = '{127.0.0.0/8}'`, 'allowedAddresses'],
  ['its environment', `environment = 'TEST'`, 'environment'],
  ['its scopes', `scopes = '{keys:write,keys:read}'`, 'scopes'],
] as const)(
  'what counts is what the caller holds inside the write: %s, narrowed since it was let in',
  async ([, change, field]) => {
    const own = await makeNetwork(suite.database);
    const lock = await hold(suite.database.pool, 'SELECT pg_advisory_xact_lock($1::bigint)', [
      digestOf(own.token).readBigInt64BE(0),
    ]);
    const making = mutate(own.token, 'createApiKey', { name: 'child', scopes: ['MEMBERS_READ'] });
    await lock.untilAwaited();
    await lock.run(`UPDATE api_keys SET ${change} WHERE id = $1`, [own.apiKey.id]);
    await lock.release();
    const { userErrors } = await making;
    expect(userErrors.map((error) => error.field)).toEqual([['input', field]]);
  },
);

test('a key that acts for an ADMIN rotates and edits no key with a scope that its role lacks', async () => {
  const own = await makeNetwork(suite.database);
  const admin = await makeAdmin(suite.database, own.network.id, 'ADMIN');
  const scopes = ALL_SCOPES.filter((scope) => scope !== 'audit:read');
  const { token } = await makeKey(suite.database, own.network.id, { adminId: admin.id, scopes });
  const id = toId('ApiKey', own.apiKey.id);
  const refusal = [{ code: 'NOT_HELD', field: ['input', 'id'] }];
  expect((await mutate(token, 'rotateApiKey', { id, overlapSeconds: 0 })).userErrors).toEqual(refusal);
  expect((await mutate(token, 'updateApiKey', { id, note: 'x' })).userErrors).toEqual(refusal);
});

describe('a token lets its holder act in the name of its admin', () => {
  const SCOPES = ['keys:write', 'keys:read', 'members:read'] as const;
  const rotate =
    'mutation($id: ID!) { rotateApiKey(input: { id: $id, overlapSeconds: 600 }) { token userErrors { code field message } } }';

  async function rotated(token: string, keyId: string) {
    const { body } = await suite.call(token, rotate, { variables: { id: toId('ApiKey', keyId) } });
    return body.data.rotateApiKey as { token: string | null; userErrors: { code: string; message: string }[] };
  }

  async function key(own: TestNetwork, adminId = own.admin.id) {
    return makeKey(suite.database, own.network.id, { adminId, scopes: SCOPES });
  }

  async function revokeLine(own: TestNetwork, id: string): Promise<void> {
    const { userErrors } = await mutate(own.token, 'revokeApiKey', { id: toId('ApiKey', id), includeCreated: true });
    expect(userErrors).toEqual([]);
  }

  const statusOf = async (token: string | null) => (await suite.call(token, '{ me { id } }')).status;

  test.for(['ADMIN', 'OWNER'] as const)('so none is given to another admin’s key, an %s’s', async (role) => {
    const own = await makeNetwork(suite.database);
    const other = await makeAdmin(suite.database, own.network.id, role);
    const [taker, victim] = [await key(own, other.id), await key(own)];
    const { token, userErrors } = await rotated(taker.token, victim.apiKey.id);
    expect([token, userErrors]).toEqual([
      null,
      [{ code: 'NOT_HELD', field: ['input', 'id'], message: expect.stringContaining('acts for another admin') }],
    ]);
    expect(await statusOf(victim.token)).toBe(200);
    // Nor the other way round. It may still be edited and ended.
    expect((await rotated(own.token, taker.apiKey.id)).userErrors).toMatchObject([{ code: 'NOT_HELD' }]);
    const id = toId('ApiKey', taker.apiKey.id);
    expect((await mutate(own.token, 'updateApiKey', { id, note: 'seen' })).userErrors).toEqual([]);
    expect((await mutate(own.token, 'revokeApiKey', { id })).userErrors).toEqual([]);
  });

  test('the operator may give one of any key', async () => {
    const own = await makeNetwork(suite.database);
    const { apiKey } = await key(own);
    const outcome = await rotateApiKey(suite.database, COMMAND_LINE, own.network.id, apiKey.id, 0);
    expect(await statusOf(outcome.ok ? outcome.token : null)).toBe(200);
  });

  test('what a key was given by a rotation ends with it, and with what that made', async () => {
    const own = await makeNetwork(suite.database);
    const [taker, victim, kept] = [await key(own), await key(own), await key(own)];
    const taken = await rotated(taker.token, victim.apiKey.id);
    const made = await suite.call(
      taken.token,
      `mutation { createApiKey(input: { name: "made", scopes: [] }) { token } }`,
    );
    await revokeLine(own, taker.apiKey.id);
    const tokens = [taker.token, victim.token, taken.token, made.body.data.createApiKey.token, kept.token];
    expect(await Promise.all(tokens.map(statusOf))).toEqual([401, 401, 401, 401, 200]);
  });

  test('also where it went through keys that are gone', async () => {
    const own = await makeNetwork(suite.database);
    const [taker, first, second, third] = [await key(own), await key(own), await key(own), await key(own)];
    const taken = await rotated(taker.token, first.apiKey.id);
    const passed = await rotated(taken.token ?? '', second.apiKey.id);
    const last = await rotated(passed.token ?? '', third.apiKey.id);
    const made = await suite.call(
      passed.token,
      `mutation { createApiKey(input: { name: "made", scopes: [] }) { token } }`,
    );
    for (const { apiKey } of [first, second]) {
      const id = toId('ApiKey', apiKey.id);
      await mutate(own.token, 'revokeApiKey', { id });
      await suite.call(own.token, `mutation { deleteApiKey(input: { id: "${id}" }) { deletedId } }`);
    }
    expect(await Promise.all([last.token, made.body.data.createApiKey.token].map(statusOf))).toEqual([200, 200]);
    await revokeLine(own, taker.apiKey.id);
    expect(await Promise.all([last.token, made.body.data.createApiKey.token].map(statusOf))).toEqual([401, 401]);
  });

  test('not where its key has been given another since, nor where a key rotated itself', async () => {
    const own = await makeNetwork(suite.database);
    const [taker, victim, self] = [await key(own), await key(own), await key(own)];
    await rotated(taker.token, victim.apiKey.id);
    const next = await rotateApiKey(suite.database, COMMAND_LINE, own.network.id, victim.apiKey.id, 0);
    const own2 = await rotated(self.token, self.apiKey.id);
    await revokeLine(own, taker.apiKey.id);
    expect(await Promise.all([next.ok ? next.token : null, own2.token].map(statusOf))).toEqual([200, 200]);
  });

  test('but still while the token lives on for an overlap', async () => {
    const own = await makeNetwork(suite.database);
    const [taker, victim] = [await key(own), await key(own)];
    const taken = await rotated(taker.token, victim.apiKey.id);
    await rotateApiKey(suite.database, COMMAND_LINE, own.network.id, victim.apiKey.id, 600);
    await revokeLine(own, taker.apiKey.id);
    expect(await statusOf(taken.token)).toBe(401);
  });
});

test('an owner’s key gives an ADMIN’s key no scope that its role would swallow', async () => {
  const own = await makeNetwork(suite.database);
  const admin = await makeAdmin(suite.database, own.network.id, 'ADMIN');
  const { apiKey } = await makeKey(suite.database, own.network.id, { adminId: admin.id, scopes: [] });
  const input = { id: toId('ApiKey', apiKey.id), scopes: ['AUDIT_READ'] };
  expect((await mutate(own.token, 'updateApiKey', input)).userErrors).toEqual([
    { code: 'SCOPE_NOT_HELD', field: ['input', 'scopes'] },
  ]);
});

test('several excesses come back together with the other faults, each at its field', async () => {
  const own = await makeNetwork(suite.database);
  const { token } = await makeKey(suite.database, own.network.id, {
    adminId: own.admin.id,
    scopes: ['keys:write', 'keys:read'],
    expiresAt: at(30),
    allowedAddresses: HOME,
    environment: 'TEST',
  });
  const { userErrors } = await mutate(token, 'createApiKey', { name: '', note: 'a\u0007', scopes: ['AUDIT_READ'] });
  expect(userErrors.map(({ code, field }) => `${code} ${field[1]}`)).toEqual([
    'BLANK name',
    'INVALID note',
    'SCOPE_NOT_HELD scopes',
    'NOT_HELD expiresAt',
    'NOT_HELD allowedAddresses',
    'NOT_HELD environment',
  ]);
});

/** Whether the input of a mutation has a field that takes ids. */
function namesThings({ args }: GraphQLField<unknown, unknown>): boolean {
  return args.some(({ type }) => {
    const named = getNamedType(type);
    const fields = isInputObjectType(named) ? Object.values(named.getFields()) : [];
    return fields.some((field) => getNamedType(field.type).name === 'ID');
  });
}
