// The name of a key is free again once the key has expired, and never stands for two keys that work.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { uuidOf } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { makeKey, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ QUERY_MAX_COST: '2000' });
const CREATE =
  'mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } token userErrors { code } } }';
const RENAME =
  'mutation($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { id name } userErrors { code } } }';

interface Outcome {
  readonly id: string | null;
  readonly code: string | null;
}

async function create({ token }: TestNetwork, name: string): Promise<Outcome> {
  const { body } = await suite.call(token, CREATE, { variables: { input: { name, scopes: [] } } });
  const { apiKey, userErrors } = body.data.createApiKey;
  return { id: apiKey?.id ?? null, code: userErrors[0]?.code ?? null };
}

async function rename({ token }: TestNetwork, id: string, name: string): Promise<Outcome> {
  const { body } = await suite.call(token, RENAME, { variables: { input: { id, name } } });
  const { apiKey, userErrors } = body.data.updateApiKey;
  return { id: apiKey?.id ?? null, code: userErrors[0]?.code ?? null };
}

/** `after`: an interval of PostgreSQL, from now on. */
async function expire(keyId: string, after = '-1 second'): Promise<void> {
  await suite.database.pool.query('UPDATE api_keys SET expires_at = clock_timestamp() + $2::interval WHERE id = $1', [
    keyId,
    after,
  ]);
}

async function keyNamed(own: TestNetwork, name: string): Promise<string> {
  const { apiKey } = await makeKey(suite.database, own.network.id, { adminId: own.admin.id, name });
  return apiKey.id;
}

/** Keys of this name that work. */
async function living({ network }: TestNetwork, name: string): Promise<number> {
  const { rows } = await suite.database.pool.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM api_keys WHERE network_id = $1 AND name = $2 AND revoked_at IS NULL
       AND (expires_at IS NULL OR expires_at > clock_timestamp())`,
    [network.id, name],
  );
  return rows[0]?.count ?? 0;
}

describe('the name of a key that has expired', () => {
  test('goes to a new key, and the old one is shown by it still', async () => {
    const own = await makeNetwork(suite.database);
    const old = await keyNamed(own, 'CI');
    expect(await create(own, 'CI')).toEqual({ id: null, code: 'NAME_TAKEN' });
    await expire(old);
    const made = await create(own, 'CI');
    expect(made).toEqual({ id: expect.any(String), code: null });
    expect(await create(own, 'CI')).toEqual({ id: null, code: 'NAME_TAKEN' });
    const { body } = await suite.call(own.token, '{ apiKeys(filter: { name: "CI" }) { nodes { name status } } }');
    expect(body.data.apiKeys.nodes).toEqual([
      { name: 'CI', status: 'EXPIRED' },
      { name: 'CI', status: 'ACTIVE' },
    ]);
  });

  test('goes to a key that is renamed', async () => {
    const own = await makeNetwork(suite.database);
    await expire(await keyNamed(own, 'CI'));
    const { id } = await create(own, 'other');
    expect(await rename(own, id ?? '', 'CI')).toEqual({ id, code: null });
    expect(await create(own, 'CI')).toEqual({ id: null, code: 'NAME_TAKEN' });
  });

  test('goes from one to the next, each time that one has expired, or was revoked', async () => {
    const own = await makeNetwork(suite.database);
    for (let generation = 0; generation < 4; generation += 1) {
      const { id } = await create(own, 'CI');
      const uuid = uuidOf('ApiKey', id ?? '') ?? '';
      if (generation % 2 === 0) await expire(uuid);
      else await revokeApiKey(suite.database, COMMAND_LINE, own.network.id, uuid);
    }
    expect(await create(own, 'CI')).toEqual({ id: expect.any(String), code: null });
    expect(await living(own, 'CI')).toBe(1);
  });

  test('is another network’s own', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const [ours, theirs] = [await keyNamed(own, 'CI'), await keyNamed(other, 'CI')];
    await Promise.all([expire(ours), expire(theirs)]);
    await create(own, 'CI');
    const { rows } = await suite.database.pool.query(
      'SELECT id, name_released_at IS NOT NULL AS released FROM api_keys WHERE id = ANY($1::uuid[]) ORDER BY id',
      [[ours, theirs]],
    );
    expect(rows).toEqual([ours, theirs].sort().map((id) => ({ id, released: id === ours })));
  });

  test('goes to one of a hundred that ask for it at once, across the moment in which the key expires', async () => {
    const own = await makeNetwork(suite.database);
    await expire(await keyNamed(own, 'CI'), '500 milliseconds');
    const outcomes: Outcome[] = [];
    // Waves, until one of them has come after that moment.
    while (!outcomes.some(({ id }) => id !== null)) {
      outcomes.push(...(await Promise.all(Array.from({ length: 100 }, () => create(own, 'CI')))));
    }
    outcomes.push(...(await Promise.all(Array.from({ length: 100 }, () => create(own, 'CI')))));
    expect(outcomes.filter(({ id }) => id !== null)).toHaveLength(1);
    expect(new Set(outcomes.flatMap(({ code }) => code ?? []))).toEqual(new Set(['NAME_TAKEN']));
    expect(await living(own, 'CI')).toBe(1);
  });
});

describe('a gateway of the previous release', () => {
  /** Its statement, which knows nothing of names that were released. */
  const insert = ({ network, admin }: TestNetwork, name: string) =>
    suite.database.pool.query(
      `INSERT INTO api_keys (id, network_id, admin_id, name, name_folded, redacted_token, scopes, created_by_kind)
       VALUES ($1, $2, $3, $4, lower($4), 'gk_live_abcd…wxyz', '{}', 'COMMAND_LINE')`,
      [randomUUID(), network.id, admin.id, name],
    );

  test('makes keys, and never a second one of a name', async () => {
    const own = await makeNetwork(suite.database);
    await insert(own, 'CI');
    await expect(insert(own, 'CI')).rejects.toMatchObject({ code: '23505' });
    expect(await create(own, 'CI')).toEqual({ id: null, code: 'NAME_TAKEN' });
    await suite.database.pool.query(`UPDATE api_keys SET expires_at = now() WHERE network_id = $1 AND name = 'CI'`, [
      own.network.id,
    ]);
    // It takes an expired key for one that has its name; until a gateway of this release has given that to another.
    await expect(insert(own, 'CI')).rejects.toMatchObject({ code: '23505' });
    expect(await create(own, 'CI')).toEqual({ id: expect.any(String), code: null });
    await expect(insert(own, 'CI')).rejects.toMatchObject({ code: '23505' });
  });

  test('and one of this release that take a name at once: one of them gets it', async () => {
    const own = await makeNetwork(suite.database);
    await expire(await keyNamed(own, 'CI'));
    const theirs = () =>
      insert(own, 'CI').then(
        () => ({ id: 'theirs', code: null }),
        () => ({ id: null, code: 'NAME_TAKEN' }),
      );
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, at) => (at % 2 === 0 ? create(own, 'CI') : theirs())),
    );
    expect(outcomes.filter(({ id }) => id !== null)).toHaveLength(1);
    expect(await living(own, 'CI')).toBe(1);
  });
});
