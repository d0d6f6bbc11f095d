/** A network's monthly quota: counted by all gateways together, shown, warned of, and refused past it where that is set. */
import { describe, expect, test } from 'vitest';
import type { Network } from '../../src/database/generated/client.ts';
import { toId } from '../../src/domain/id.ts';
import { monthAt } from '../../src/domain/month.ts';
import { refusedUnread } from '../limits/flood.ts';
import { graphql } from '../support/client.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { startTestGateway } from '../support/gateway.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

const MONTH = '{ network { monthlyQuota { limit used remaining enforced resetAt } } }';

function makeQuota(monthlyQuota: number, monthlyQuotaEnforced: boolean) {
  return makeNetwork(suite.database, { network: { plan: 'PREMIUM', monthlyQuota, monthlyQuotaEnforced } });
}

async function storedRequests({ id }: Network): Promise<number> {
  const row = await suite.database.prisma.networkMonth.findFirst({ where: { networkId: id } });
  return Number(row?.requests ?? 0);
}

function warnings({ id }: Network, log: readonly Record<string, unknown>[]) {
  const of = log.filter(({ networkId, percent }) => networkId === toId('Network', id) && percent !== undefined);
  return of.map(({ percent }) => percent);
}

describe('a monthly quota', () => {
  test('that is enforced lets in exactly as many requests, and no more until the month ends', async () => {
    const { token } = await makeQuota(25, true);
    const statuses = await Promise.all(
      Array.from({ length: 60 }, async () => (await suite.call(token, '{ me { id } }')).status),
    );
    expect(statuses.filter((status) => status === 200)).toHaveLength(25);
    const reply = await suite.call(token, '{ me { id } }');
    const end = monthAt(new Date()).end;
    expect(reply.status).toBe(429);
    expect(reply.body.errors?.[0]).toMatchObject({
      message: expect.stringMatching(
        /^Rate limit exceeded: 25 requests in a month for all keys of this network together/,
      ),
      extensions: { code: 'RATE_LIMITED', limit: { name: 'month', scope: 'network', max: 25, remaining: 0 } },
    });
    const seconds = (end.getTime() - Date.now()) / 1_000;
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThanOrEqual(Math.floor(seconds));
    expect(Number(reply.headers.get('retry-after'))).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
    expect(reply.headers.get('ratelimit')).toContain('"month";r=0;t=');
    expect(await refusedUnread(suite.url, token)).toBe(429);
  });

  test('that is not enforced refuses nothing, and shows how far it is past', async () => {
    const { token, network } = await makeQuota(10, false);
    for (let sent = 0; sent < 15; sent += 1) expect((await suite.call(token, '{ me { id } }')).status).toBe(200);
    await expect.poll(() => storedRequests(network), { timeout: 10_000 }).toBe(15);
    const reply = await suite.call(token, MONTH);
    expect(reply.body.data.network.monthlyQuota).toEqual({
      limit: 10,
      used: 15,
      remaining: 0,
      enforced: false,
      resetAt: monthAt(new Date()).end.toISOString(),
    });
  });

  test('is shown as it stands, this request counted', async () => {
    const { token } = await makeQuota(10, true);
    await suite.call(token, MONTH);
    const reply = await suite.call(token, MONTH);
    expect(reply.body.data.network.monthlyQuota).toMatchObject({ limit: 10, enforced: true });
    expect(reply.headers.get('ratelimit-policy')).toMatch(/"month";q=10;w=2\d{6}$/);
  });

  test('is counted by two gateways together, and warned of once at 80 % and once at 100 %', async () => {
    const { token, network } = await makeQuota(20, true);
    const other = await startTestGateway();
    try {
      const urls = [suite.url, other.url];
      for (let sent = 0; sent < 15; sent += 1) await graphql(urls[sent % 2] ?? '', token, '{ me { id } }');
      await expect.poll(() => storedRequests(network), { timeout: 10_000 }).toBe(15);
      expect(warnings(network, [...suite.gateway.log, ...other.log])).toEqual([]);
      for (let sent = 0; sent < 2; sent += 1) await graphql(urls[sent] ?? '', token, '{ me { id } }');
      await expect.poll(() => storedRequests(network), { timeout: 10_000 }).toBe(17);
      expect(warnings(network, [...suite.gateway.log, ...other.log])).toEqual([80]);
      for (let sent = 0; sent < 3; sent += 1) await graphql(urls[0] ?? '', token, '{ me { id } }');
      await expect.poll(() => storedRequests(network), { timeout: 10_000 }).toBe(20);
      expect(warnings(network, [...suite.gateway.log, ...other.log])).toEqual([80, 100]);
      for (const url of urls) expect((await graphql(url, token, '{ me { id } }')).status).toBe(429);
    } finally {
      await other.close();
    }
    expect(await storedRequests(network)).toBe(20);
  });

  test('is stored by a gateway that stops, to the last request', async () => {
    const { token, network } = await makeQuota(1_000, true);
    const other = await startTestGateway();
    for (let sent = 0; sent < 7; sent += 1) await graphql(other.url, token, '{ me { id } }');
    await other.close();
    expect(await storedRequests(network)).toBe(7);
  });

  test('counts requests that were refused for another reason, but none that a limit refused, and no refused token', async () => {
    const { token, network } = await makeNetwork(suite.database, {
      scopes: [],
      network: { plan: 'CUSTOM', requestsPerMinute: 3, monthlyQuota: 100 },
    });
    await suite.call(token, '{ network { id } }');
    await suite.call(token, '{ nonsense }');
    await suite.call(`${token.slice(0, -1)}x`, '{ me { id } }');
    for (let sent = 0; sent < 5; sent += 1) await suite.call(token, '{ me { id } }');
    await expect.poll(() => storedRequests(network), { timeout: 10_000 }).toBe(3);
  });

  test('counts at the next request when it is changed', async () => {
    const { token, network } = await makeQuota(1, true);
    await suite.call(token, '{ me { id } }');
    expect((await suite.call(token, '{ me { id } }')).status).toBe(429);
    await suite.database.prisma.network.update({ where: { id: network.id }, data: { monthlyQuota: 3 } });
    expect((await suite.call(token, '{ me { id } }')).status).toBe(200);
    await suite.database.prisma.network.update({ where: { id: network.id }, data: { monthlyQuota: null } });
    for (let sent = 0; sent < 5; sent += 1) expect((await suite.call(token, '{ me { id } }')).status).toBe(200);
  });

  test('of a network that is deleted meanwhile takes nothing down with it', async () => {
    const [gone, stays] = [await makeQuota(100, true), await makeQuota(100, true)];
    await suite.call(gone.token, '{ me { id } }');
    await suite.call(stays.token, '{ me { id } }');
    await suite.database.prisma.network.delete({ where: { id: gone.network.id } });
    await expect.poll(() => storedRequests(stays.network), { timeout: 10_000 }).toBe(1);
  });
});
