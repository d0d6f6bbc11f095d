import { describe, expect, test } from 'vitest';
import { graphql } from '../support/client.ts';
import { useGateway } from '../support/suite.ts';
import { gatehouse, gatehouseJson, makeNetworkByCommand } from './command-line.ts';

const suite = useGateway();

async function makeAdmin(
  network: string,
  email: string,
  ...more: string[]
): Promise<{ id: string; email: string; role: string }> {
  const args = ['admin', 'create', '--network', network, '--email', email, '--name', 'Ada', ...more];
  return (await gatehouseJson(args)) as { id: string; email: string; role: string };
}

interface MadeKey {
  readonly id: string;
  readonly token: string;
}

async function makeKey(network: string, name: string, ...more: string[]): Promise<MadeKey> {
  const args = ['key', 'create', '--network', network, '--name', name, '--scope', 'members:read', ...more];
  return (await gatehouseJson(args)) as MadeKey;
}

/** The HTTP status that a running gateway gives the token. */
async function statusOf(token: string): Promise<number> {
  return (await graphql(suite.url, token, '{ me { id } }')).status;
}

describe('admin', () => {
  test('create prints id, address and role; the first is an owner', async () => {
    const network = await makeNetworkByCommand();
    const ada = await makeAdmin(network, 'Ada@acme.test');
    expect(ada).toEqual({ id: expect.stringMatching(/^adm_/), email: 'Ada@acme.test', role: 'OWNER' });
    expect(await makeAdmin(network, 'bob@acme.test')).toMatchObject({ role: 'ADMIN' });
    expect(await makeAdmin(network, 'eve@acme.test', '--role', 'Owner')).toMatchObject({ role: 'OWNER' });
    const list = (await gatehouseJson(['admin', 'list', '--network', network])) as { email: string }[];
    expect(list.map((admin) => admin.email)).toEqual(['Ada@acme.test', 'bob@acme.test', 'eve@acme.test']);
    const args = ['admin', 'create', '--network', network, '--email', 'ADA@ACME.TEST', '--name', 'x'];
    expect(await gatehouseJson(args, { code: 1 })).toMatchObject({
      errors: [{ code: 'EMAIL_TAKEN', field: ['email'] }],
    });
  });

  test('remove ends the keys that act for the admin, on a running gateway; the last owner needs --force', async () => {
    const network = await makeNetworkByCommand();
    await makeAdmin(network, 'ada@acme.test');
    await makeAdmin(network, 'bob@acme.test');
    const [adas, bobs] = [await makeKey(network, 'a'), await makeKey(network, 'b', '--admin', 'BOB@acme.test')];
    expect([await statusOf(adas.token), await statusOf(bobs.token)]).toEqual([200, 200]);
    const removed = await gatehouseJson(['admin', 'remove', '--network', network, 'bob@acme.test']);
    expect(removed).toMatchObject({ email: 'bob@acme.test', removedAt: expect.any(String) });
    expect([await statusOf(adas.token), await statusOf(bobs.token)]).toEqual([200, 401]);
    const last = ['admin', 'remove', '--network', network, '--email', 'ada@acme.test'];
    expect(await gatehouseJson(last, { code: 1 })).toMatchObject({ errors: [{ code: 'LAST_OWNER' }] });
    expect(await gatehouseJson([...last, '--force'])).toMatchObject({ email: 'ada@acme.test' });
    expect(await statusOf(adas.token)).toBe(401);
    expect(await gatehouse(last)).toMatchObject({ code: 1 });
  });
});

describe('key', () => {
  test('create prints the token once, and it works on a running gateway', async () => {
    const network = await makeNetworkByCommand();
    const { id: owner } = await makeAdmin(network, 'ada@acme.test');
    const more = ['--scope', 'members:email,keys:read', '--expires-in', '90d'];
    const key = await makeKey(network, 'CI', ...more);
    expect(key).toEqual({
      id: expect.stringMatching(/^key_/),
      name: 'CI',
      token: expect.stringMatching(/^gk_live_[0-9A-Za-z]{49}$/),
      scopes: ['members:read', 'members:email', 'keys:read'],
      expiresAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
    const days = (Date.parse((key as unknown as { expiresAt: string }).expiresAt) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(89.9);
    expect(days).toBeLessThanOrEqual(90);
    const reply = await graphql(suite.url, key.token, '{ me { id } }');
    expect(reply.body).toEqual({ data: { me: { id: owner } } });
    expect((await gatehouse(['key', 'list', '--network', network, '--json'])).stdout).not.toContain(key.token);
  });

  test('for people the token alone is on standard output', async () => {
    const network = await makeNetworkByCommand();
    await makeAdmin(network, 'ada@acme.test');
    const args = [
      'key',
      'create',
      '--network',
      network,
      '--name',
      'x',
      '--scope',
      'members:read',
      '--environment',
      'test',
    ];
    const answer = await gatehouse(args);
    expect(answer.stdout).toMatch(/^gk_test_[0-9A-Za-z]{49}\n$/);
    expect(answer.stderr).toMatch(/^Key x \(key_\w+\) acts for ada@acme.test until it is revoked\./);
  });

  test('a network without an admin gets no key; nor does an admin who is not there', async () => {
    const network = await makeNetworkByCommand();
    const args = ['key', 'create', '--network', network, '--name', 'x', '--scope', 'members:read'];
    expect(await gatehouseJson(args, { code: 1 })).toMatchObject({ errors: [{ code: 'NOT_FOUND', field: ['admin'] }] });
    expect(await gatehouseJson([...args, '--admin', 'x@x'], { code: 1 })).toMatchObject({
      errors: [{ code: 'NOT_FOUND' }],
    });
  });

  test('it acts for the first owner, where there is none for the first admin', async () => {
    const network = await makeNetworkByCommand();
    const admin = await makeAdmin(network, 'a@acme.test', '--role', 'admin');
    await makeKey(network, '1');
    const owner = await makeAdmin(network, 'o@acme.test');
    await makeKey(network, '2');
    const keys = (await gatehouseJson(['key', 'list', '--network', network])) as { adminId: string }[];
    expect(keys.map((key) => key.adminId)).toEqual([admin.id, owner.id]);
    // What an admin may not do, a key for one cannot either.
    const args = [
      'key',
      'create',
      '--network',
      network,
      '--name',
      '3',
      '--scope',
      'audit:read',
      '--admin',
      'a@acme.test',
    ];
    expect(await gatehouseJson(args, { code: 1 })).toMatchObject({
      errors: [{ code: 'SCOPE_NOT_HELD', field: ['scopes'] }],
    });
  });

  test('expiry lies ahead, within bounds, as a time or from now', async () => {
    const network = await makeNetworkByCommand();
    await makeAdmin(network, 'ada@acme.test');
    expect(await makeKey(network, '1', '--expires-at', '2030-01-01T00:00:00+01:00')).toMatchObject({
      expiresAt: '2029-12-31T23:00:00.000Z',
    });
    expect(await makeKey(network, '2')).toMatchObject({ expiresAt: null });
    const args = ['key', 'create', '--network', network, '--name', 'x', '--scope', 'members:read'];
    for (const expiry of [
      ['--expires-at', '2020-01-01'],
      ['--expires-in', '999999999w'],
    ]) {
      expect(await gatehouseJson([...args, ...expiry], { code: 1 })).toMatchObject({
        errors: [{ code: 'OUT_OF_RANGE' }],
      });
    }
  });

  test('revoke ends it at once, on a running gateway; list says so', async () => {
    const network = await makeNetworkByCommand();
    await makeAdmin(network, 'ada@acme.test');
    const { id, token } = await makeKey(network, 'CI');
    expect(await statusOf(token)).toBe(200);
    expect(await gatehouseJson(['key', 'revoke', '--network', network, id])).toMatchObject({ id, status: 'REVOKED' });
    expect(await statusOf(token)).toBe(401);
    const table = (await gatehouse(['key', 'list', '--network', network])).stdout;
    expect(table).toMatch(/^ID +NAME +TOKEN +STATUS +SCOPES +EXPIRES +LAST USED\n/);
    expect(table).toMatch(/CI +gk_live_\S+ +REVOKED +members:read/);
    const other = await makeNetworkByCommand();
    expect(await gatehouse(['key', 'revoke', '--network', other, id])).toMatchObject({ code: 1 });
    expect(await gatehouse(['key', 'revoke', '--network', network, 'key_nonsense'])).toMatchObject({ code: 1 });
  });
});
