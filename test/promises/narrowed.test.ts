// A key whose scope is taken away after its request was let in: no write of it that begins later goes by the old scope.
import { expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { digestOf } from '../../src/domain/token.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { rotateApiKey } from '../../src/services/api-keys/rotate.ts';
import { makeKey, makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

/** What a write is made on. */
interface Own extends TestNetwork {
  /** A living key with two tokens. */
  readonly other: string;
  readonly ended: { readonly id: string; readonly token: string };
  readonly member: string;
}

async function makeOwn(): Promise<Own> {
  const own = await makeNetwork(suite.database);
  const { database } = suite;
  const [other, ended] = [
    await makeKey(database, own.network.id, { adminId: own.admin.id }),
    await makeKey(database, own.network.id, { adminId: own.admin.id }),
  ];
  await rotateApiKey(database, COMMAND_LINE, own.network.id, other.apiKey.id, 3_600);
  await revokeApiKey(database, COMMAND_LINE, own.network.id, ended.apiKey.id);
  const [member] = await makeMembers(database, own.network.id, 1);
  return {
    ...own,
    other: toId('ApiKey', other.apiKey.id),
    ended: { id: toId('ApiKey', ended.apiKey.id), token: ended.token },
    member: toId('Member', member?.id ?? ''),
  };
}

const KEYS = 'keys:write';
const MEMBERS = 'members:write';
const VERBS: Readonly<Record<string, readonly [scope: string, ask: (own: Own) => string]>> = {
  createApiKey: [KEYS, () => 'createApiKey(input: { name: "late", scopes: [] }) { token }'],
  updateApiKey: [KEYS, ({ other }) => `updateApiKey(input: { id: "${other}", note: "late" }) { apiKey { id } }`],
  rotateApiKey: [KEYS, ({ other }) => `rotateApiKey(input: { id: "${other}", overlapSeconds: 0 }) { token }`],
  endApiKeyOverlap: [KEYS, ({ other }) => `endApiKeyOverlap(input: { id: "${other}" }) { apiKey { id } }`],
  revokeApiKey: [KEYS, ({ other }) => `revokeApiKey(input: { id: "${other}" }) { apiKey { id } }`],
  revokeApiKeys: [KEYS, ({ other }) => `revokeApiKeys(input: { ids: ["${other}"] }) { revokedCount }`],
  // Of one that lives: whether it may be deleted is not for everybody to know.
  deleteApiKey: [KEYS, ({ other }) => `deleteApiKey(input: { id: "${other}" }) { userErrors { code } }`],
  upsertMembers: [
    MEMBERS,
    () =>
      'upsertMembers(input: { members: [{ email: "late@example.test", name: "Late" }] }) { results { userErrors { code } } }',
  ],
  updateMember: [MEMBERS, ({ member }) => `updateMember(input: { id: "${member}", name: "Late" }) { member { id } }`],
  deleteMembers: [MEMBERS, ({ member }) => `deleteMembers(input: { ids: ["${member}"] }) { deletedIds }`],
};

test('every mutation that needs a scope is here', async () => {
  const { token } = await makeNetwork(suite.database);
  const reply = await suite.call(token, '{ __schema { mutationType { fields { name } } } }');
  const names = reply.body.data.__schema.mutationType.fields.map(({ name }: { name: string }) => name);
  expect(names.filter((name: string) => name !== 'revokeCurrentApiKey').sort()).toEqual(Object.keys(VERBS).sort());
});

/** Of the network's keys, secrets, members and events: how they are, without when they were used. */
async function stateOf({ network }: Own): Promise<unknown> {
  const { prisma } = suite.database;
  const where = { networkId: network.id };
  return {
    keys: await prisma.apiKey.findMany({ where, orderBy: { id: 'asc' }, omit: { scopes: true } }),
    secrets: await prisma.secret.findMany({ where, orderBy: { digest: 'asc' } }),
    members: await prisma.member.findMany({ where, orderBy: { id: 'asc' } }),
    events: await prisma.auditEvent.count({ where }),
  };
}

async function narrow(own: Own, lock: Awaited<ReturnType<typeof hold>>, scope: string): Promise<void> {
  await lock.run('UPDATE api_keys SET scopes = array_remove(scopes, $2) WHERE id = $1', [own.apiKey.id, scope]);
}

function refusal(scope: string) {
  return [
    expect.objectContaining({
      message: `Forbidden: this token lacks the scope ${scope}`,
      extensions: expect.objectContaining({ code: 'FORBIDDEN', missingScopes: [scope] }),
    }),
  ];
}

test.for(Object.entries(VERBS))('%s is refused, and nothing has changed', async ([, [scope, ask]]) => {
  const own = await makeOwn();
  const before = await stateOf(own);
  // Held where its write begins, long after the request's own check.
  const lock = await hold(suite.database.pool, 'SELECT pg_advisory_xact_lock($1::bigint)', [
    digestOf(own.token).readBigInt64BE(0),
  ]);
  const reply = suite.call(own.token, `mutation { ${ask(own)} }`);
  await lock.untilAwaited();
  await narrow(own, lock, scope);
  await lock.release();
  expect((await reply).body.errors).toEqual(refusal(scope));
  expect(await stateOf(own)).toEqual(before);
});

test('deleteApiKey is refused between its check and the deletion, too', async () => {
  const own = await makeOwn();
  const before = await stateOf(own);
  // Between the two it waits for the writes under the secrets that it is about to delete.
  const lock = await hold(suite.database.pool, 'SELECT pg_advisory_xact_lock_shared($1::bigint)', [
    digestOf(own.ended.token).readBigInt64BE(0),
  ]);
  const reply = suite.call(own.token, `mutation { deleteApiKey(input: { id: "${own.ended.id}" }) { deletedId } }`);
  await lock.untilAwaited();
  await narrow(own, lock, KEYS);
  await lock.release();
  expect((await reply).body.errors).toEqual(refusal(KEYS));
  expect(await stateOf(own)).toEqual(before);
});
