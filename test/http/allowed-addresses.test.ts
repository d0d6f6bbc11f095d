// From where a key may be used: asked at each request, and again inside each write.
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/domain/token.ts';
import { makeKey, makeNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ TRUST_PROXY: '127.0.0.1' });

async function keyFor(allowedAddresses: readonly string[]) {
  const own = await makeNetwork(suite.database);
  return { own, ...(await makeKey(suite.database, own.network.id, { adminId: own.admin.id, allowedAddresses })) };
}

async function from(address: string, token: string, query = '{ me { id } }') {
  return suite.call(token, query, { headers: { 'x-forwarded-for': address } });
}

describe('a key’s addresses', () => {
  test.for([
    [
      ['203.0.113.0/24'],
      ['203.0.113.0', '203.0.113.255', '::ffff:203.0.113.7'],
      ['203.0.112.255', '::1', '2001:db8::1'],
    ],
    [['2001:db8::/32'], ['2001:db8::1', '2001:db8:ffff::'], ['2001:db9::', '203.0.113.7']],
    [
      ['192.0.2.1', '198.51.100.0/31'],
      ['192.0.2.1', '198.51.100.1'],
      ['192.0.2.2', '198.51.100.2'],
    ],
    [[], ['192.0.2.1', '2001:db8::1'], []],
    [['0.0.0.0/0'], ['192.0.2.1'], ['2001:db8::1']],
  ] as const)('%j let in %j and not %j', async ([allowed, inside, outside]) => {
    const { token } = await keyFor(allowed);
    for (const address of inside) expect((await from(address, token)).status, address).toBe(200);
    for (const address of outside) {
      const { status, body, headers } = await from(address, token);
      expect(status, address).toBe(403);
      expect(body.errors?.[0]).toMatchObject({
        message: expect.stringMatching(/^Forbidden: this token may not be used from /),
        extensions: { code: 'FORBIDDEN' },
      });
      expect(headers.get('www-authenticate')).toBe('Bearer error="insufficient_scope"');
    }
  });

  test('that nobody can read any more let nobody in: the request is a bug, and not a success', async () => {
    const { apiKey, token } = await keyFor([]);
    await suite.database.pool.query(`UPDATE api_keys SET allowed_addresses = '{garbage}' WHERE id = $1`, [apiKey.id]);
    expect((await from('192.0.2.1', token)).status).toBe(500);
  });

  test('hold for a token that was let in and whose write begins after they changed', async () => {
    const { apiKey, token } = await keyFor([]);
    const lock = await hold(suite.database.pool, 'SELECT pg_advisory_xact_lock($1::bigint)', [
      digestOf(token).readBigInt64BE(0),
    ]);
    const writing = from('192.0.2.1', token, 'mutation { createApiKey(input: { name: "x", scopes: [] }) { token } }');
    await lock.untilAwaited();
    await lock.run(`UPDATE api_keys SET allowed_addresses = '{203.0.113.0/24}' WHERE id = $1`, [apiKey.id]);
    await lock.release();
    expect((await writing).body.errors?.[0]).toMatchObject({
      message: 'Forbidden: this token may not be used from 192.0.2.1',
      extensions: { code: 'FORBIDDEN' },
    });
  });

  test('say nothing of a token that has ended: that comes first', async () => {
    const { own, token, apiKey } = await keyFor(['203.0.113.7']);
    await suite.database.pool.query('UPDATE api_keys SET expires_at = now() WHERE id = $1', [apiKey.id]);
    expect((await from('192.0.2.1', token)).body.errors?.[0]?.extensions.code).toBe('TOKEN_EXPIRED');
    expect((await from('192.0.2.1', own.token)).status).toBe(200);
  });
});
