// Promise 1, moment by moment: a write is held at a chosen point while its key is revoked.
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { toId } from '../../src/domain/id.ts';
import { graphql, type Reply } from '../support/client.ts';
import { makeKey, makeNetwork, openTestDatabase, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { hold, type Lock } from '../support/lock.ts';
import { keysMadeBy } from './traffic.ts';

const STATEMENT_TIMEOUT_MS = 4_000;
/** Long enough for anything that does not wait. */
const SOON_MS = 300;
const CREATE = `mutation ($name: String!) {
  createApiKey(input: { name: $name, scopes: [] }) { apiKey { id } token userErrors { code } } }`;
const REVOKE = 'mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { status } userErrors { code } } }';

let database: Database;
let near: TestGateway;
let far: TestGateway;
let held: Lock | undefined;
beforeAll(async () => {
  database = await openTestDatabase();
  const settings = { STATEMENT_TIMEOUT_MS: String(STATEMENT_TIMEOUT_MS) };
  [near, far] = await Promise.all([startTestGateway(settings), startTestGateway(settings)]);
});
afterEach(async () => {
  await held?.run('ROLLBACK');
  await held?.release();
  held = undefined;
});
afterAll(async () => {
  await Promise.all([near.close(), far.close()]);
  await database.close();
});

/** A transaction of somebody else's that makes whoever creates a key of this name wait, inside its own. */
async function holdName({ network, admin }: TestNetwork, name: string): Promise<Lock> {
  held = await hold(
    database.pool,
    `INSERT INTO api_keys (id, network_id, admin_id, name, name_folded, redacted_token, scopes, created_by_kind)
     VALUES (gen_random_uuid(), $1, $2, $3, $3, '', '{}', 'COMMAND_LINE')`,
    [network.id, admin.id, name],
  );
  return held;
}

async function isPending(work: Promise<unknown>): Promise<boolean> {
  const late = new Promise<'pending'>((resolve) => setTimeout(resolve, SOON_MS, 'pending'));
  return (await Promise.race([work, late])) === 'pending';
}

function revoke(url: string, token: string, keyId: string): Promise<Reply> {
  return graphql(url, token, REVOKE, { variables: { id: toId('ApiKey', keyId) } });
}

const REVOKED = { data: { revokeApiKey: { apiKey: { status: 'REVOKED' }, userErrors: [] } } };

test('a write that was checked already commits before the revocation returns, and the key is refused meanwhile', async () => {
  const made = await makeNetwork(database);
  const stolen = await makeKey(database, made.network.id, { adminId: made.admin.id });
  const lock = await holdName(made, 'held');
  const writing = graphql(far.url, stolen.token, CREATE, { variables: { name: 'held' } });
  await lock.untilAwaited();

  const revoking = revoke(near.url, made.token, stolen.apiKey.id);
  const answer = async () => {
    const { status, body } = await graphql(far.url, stolen.token, '{ me { id } }');
    return [status, body.errors?.[0]?.extensions.code];
  };
  await expect.poll(answer).toEqual([401, 'TOKEN_EXPIRED']);
  expect(await isPending(revoking)).toBe(true);

  await lock.run('ROLLBACK');
  const revoked = await revoking;
  const atReturn = await keysMadeBy(database, stolen.apiKey.id);
  expect(revoked.body).toEqual(REVOKED);
  const { data } = (await writing).body;
  expect(atReturn.map((id) => toId('ApiKey', id))).toEqual([data.createApiKey.apiKey.id]);
});

test('a write that cannot go on is ended in time, and the revocation with it', async () => {
  const made = await makeNetwork(database);
  const stolen = await makeKey(database, made.network.id, { adminId: made.admin.id });
  const lock = await holdName(made, 'held');
  const writing = graphql(far.url, stolen.token, CREATE, { variables: { name: 'held' } });
  await lock.untilAwaited();
  const begunAt = performance.now();
  const { body } = await revoke(near.url, made.token, stolen.apiKey.id);
  expect(body).toEqual(REVOKED);
  expect(performance.now() - begunAt).toBeLessThan(STATEMENT_TIMEOUT_MS + 3_000);
  expect((await writing).body.errors?.[0]?.extensions.code).toBe('TIMEOUT');
  expect(await keysMadeBy(database, stolen.apiKey.id)).toEqual([]);
});

test('a write that was let in before the revocation and begins after it is refused', async () => {
  const made = await makeNetwork(database);
  const stolen = await makeKey(database, made.network.id, { adminId: made.admin.id });
  const writing = openWrite(far.url, stolen.token, { query: CREATE, variables: { name: 'late' } });
  // Once its headers are there the caller is judged; the rest of the body is still to come.
  await new Promise((resolve) => setTimeout(resolve, SOON_MS));
  expect((await revoke(near.url, made.token, stolen.apiKey.id)).body).toEqual(REVOKED);
  const { requestId, body } = await writing.finish();
  expect(body.errors[0].extensions.code).toBe('TOKEN_EXPIRED');
  expect(await keysMadeBy(database, stolen.apiKey.id)).toEqual([]);
  // The log names the key of a request that was let in: it was the transaction that refused it.
  const line = far.log.find((entry) => entry['requestId'] === requestId);
  expect(line).toMatchObject({ keyId: toId('ApiKey', stolen.apiKey.id), code: 'TOKEN_EXPIRED' });
});

/** A request whose last byte is held back. */
function openWrite(url: string, token: string, payload: object) {
  const text = Buffer.from(JSON.stringify(payload));
  const sending = request(`${url}/graphql`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
      'content-length': text.length,
    },
  });
  const answered = once(sending, 'response') as Promise<[IncomingMessage]>;
  sending.write(text.subarray(0, -1));
  return {
    async finish() {
      sending.end(text.subarray(-1));
      const [response] = await answered;
      return { requestId: response.headers['x-request-id'], body: JSON.parse(await readText(response)) };
    },
  };
}

test('two keys that revoke each other at once are both answered, and whoever was told so is refused from then on', async () => {
  const { network, admin } = await makeNetwork(database);
  for (let round = 0; round < 20; round += 1) {
    const keys = await Promise.all([
      makeKey(database, network.id, { adminId: admin.id }),
      makeKey(database, network.id, { adminId: admin.id }),
    ]);
    const [one, other] = keys;
    const begunAt = performance.now();
    const replies = await Promise.all([
      revoke(near.url, one.token, other.apiKey.id),
      revoke(far.url, other.token, one.apiKey.id),
    ]);
    expect(performance.now() - begunAt).toBeLessThan(3_000);
    const told = replies.map(({ body }) => body.data?.revokeApiKey?.apiKey?.status === 'REVOKED');
    expect(told).toContain(true);
    for (const [index, victim] of [other, one].entries()) {
      const { body } = await graphql(far.url, victim.token, '{ me { id } }');
      if (told[index]) expect(body.errors?.[0]?.extensions.code).toBe('TOKEN_EXPIRED');
      else expect(replies[index]?.body.errors?.[0]?.extensions.code).toBe('TOKEN_EXPIRED');
    }
  }
});

test('a key can revoke itself: it is told so, and refused from then on', async () => {
  const { apiKey, token } = await makeNetwork(database);
  expect((await revoke(near.url, token, apiKey.id)).body).toEqual(REVOKED);
  for (const { url } of [near, far]) {
    const { body } = await graphql(url, token, '{ me { id } }');
    expect(body.errors?.[0]?.extensions.code).toBe('TOKEN_EXPIRED');
  }
});
