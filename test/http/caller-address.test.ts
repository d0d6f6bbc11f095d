// Whose request it is, as the audit trail has it. Tests connect from 127.0.0.1.
import { describe, expect, test } from 'vitest';
import { makeNetwork } from '../support/fixtures.ts';
import { post, send } from '../support/raw-http.ts';
import { type Suite, useGateway } from '../support/suite.ts';

const MAKE = 'mutation { createApiKey(input: { name: "made", scopes: [] }) { token } }';

async function recorded(suite: Suite, headers: Record<string, string>) {
  const { network, token } = await makeNetwork(suite.database);
  const reply = await send(suite.url, post(token, MAKE, headers));
  expect(reply.status).toBe(200);
  const where = { networkId: network.id, requestId: String(reply.headers['x-request-id']) };
  return suite.database.prisma.auditEvent.findFirstOrThrow({ where });
}

describe('without TRUST_PROXY', () => {
  const suite = useGateway();

  test('the caller is whoever connects, whatever they say of themselves', async () => {
    const forged = { 'x-forwarded-for': '203.0.113.7', forwarded: 'for=203.0.113.7', 'x-real-ip': '203.0.113.7' };
    expect(await recorded(suite, forged)).toMatchObject({ address: '127.0.0.1' });
  });

  test('an event says what the program calls itself, cut short, without what no line may hold', async () => {
    const { token } = await makeNetwork(suite.database);
    const event = await recorded(suite, { 'user-agent': `ci/1.0 (${token}; ops@example.test) ${'x'.repeat(1_000)}` });
    expect(event.userAgent).toMatch(/^ci\/1\.0 \(gk_\[redacted\]; \[redacted\]\) x+$/);
    expect(event.userAgent).toHaveLength(256);
    expect(await recorded(suite, {})).toMatchObject({ userAgent: null });
  });
});

describe('with TRUST_PROXY', () => {
  const suite = useGateway({ TRUST_PROXY: '127.0.0.0/8, 10.0.0.0/8, 2001:db8::/32' });

  test.for([
    ['nothing', {}, '127.0.0.1'],
    ['one proxy', { 'x-forwarded-for': '203.0.113.7' }, '203.0.113.7'],
    ['several proxies', { 'x-forwarded-for': '203.0.113.7, 10.1.2.3,2001:db8::7' }, '203.0.113.7'],
    [
      'what the caller made up to the left',
      { 'x-forwarded-for': '10.0.0.9, 198.51.100.1, 203.0.113.7, 10.1.2.3' },
      '203.0.113.7',
    ],
    ['trusted ones alone', { 'x-forwarded-for': '10.9.9.9, 10.1.2.3' }, '10.9.9.9'],
    ['what is no address', { 'x-forwarded-for': '203.0.113.7, unknown, 10.1.2.3' }, '10.1.2.3'],
    ['nothing but what is none', { 'x-forwarded-for': '"; DROP TABLE' }, '127.0.0.1'],
    ['an empty one', { 'x-forwarded-for': '' }, '127.0.0.1'],
    ['ports', { 'x-forwarded-for': '203.0.113.7:4711, [2001:db8::7]:80' }, '203.0.113.7'],
    ['an IPv4 address written as IPv6', { 'x-forwarded-for': '::ffff:203.0.113.7' }, '203.0.113.7'],
    ['an IPv6 address', { 'x-forwarded-for': '2001:DB9:0::7' }, '2001:db9::7'],
    ['other headers', { forwarded: 'for=203.0.113.7', 'x-real-ip': '203.0.113.7' }, '127.0.0.1'],
    ['more hops than there are proxies', { 'x-forwarded-for': `203.0.113.7${', 10.0.0.1'.repeat(500)}` }, '10.0.0.1'],
  ] as const)('the rightmost address that is no trusted proxy’s is the caller’s: %s', async ([, headers, address]) => {
    expect(await recorded(suite, headers)).toMatchObject({ address });
  });
});
