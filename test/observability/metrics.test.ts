/** What Prometheus is told, on a port of its own. */
import { describe, expect, test } from 'vitest';
import { makeNetwork } from '../support/fixtures.ts';
import type { TestGateway } from '../support/gateway.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ METRICS_PORT: '0' });
const without = useGateway();

function addressOf({ log }: TestGateway): string | undefined {
  return log.find(({ msg }) => msg === 'metrics')?.['url'] as string | undefined;
}

async function metricsOf(gateway: TestGateway): Promise<string> {
  const response = await fetch(addressOf(gateway) ?? '');
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  return response.text();
}

describe('GET /metrics', () => {
  test('counts what limits refuse, by their names', async () => {
    const { token } = await makeNetwork(suite.database, { network: { plan: 'CUSTOM', requestsPerMinute: 2 } });
    for (let sent = 0; sent < 5; sent += 1) await suite.call(token, '{ me { id } }');
    const { token: poor } = await makeNetwork(suite.database, {
      network: { plan: 'CUSTOM', requestsPerMinute: 100, costPerMinute: 15 },
    });
    for (let sent = 0; sent < 3; sent += 1) await suite.call(poor, '{ __schema { queryType { name } } }');
    const text = await metricsOf(suite.gateway);
    expect(text).toContain('gatehouse_limited_requests_total{limit="requests"} 3');
    expect(text).toContain('gatehouse_limited_requests_total{limit="cost"} 2');
    expect(text).toContain('gatehouse_limiter_degraded 0');
    expect(text).toContain('gatehouse_limiter_gateways 1');
    expect(text).toContain('gatehouse_limiter_outages_total 0');
  });

  test('counts the tokens that are not let in, by the reason', async () => {
    const { token } = await makeNetwork(suite.database, { scopes: [] });
    await suite.call(null, '{ me { id } }');
    await suite.call(`${token}x`, '{ me { id } }');
    await suite.call(token, '{ me { id } }');
    const text = await metricsOf(suite.gateway);
    expect(text).toContain('gatehouse_refused_tokens_total{reason="missing"} 1');
    expect(text).toContain('gatehouse_refused_tokens_total{reason="malformed"} 1');
    expect(text).not.toContain('reason="valid"');
  });

  test('holds no token, id of a network or key, or address', async () => {
    const { token, network, apiKey, admin } = await makeNetwork(suite.database);
    await suite.call(token, '{ me { id } }');
    const text = await metricsOf(suite.gateway);
    for (const secret of [token, network.id, network.slug, apiKey.id, admin.email]) expect(text).not.toContain(secret);
  });

  test('is there on the loopback address alone, and nowhere on the port of the API', async () => {
    expect(new URL(addressOf(suite.gateway) ?? '').hostname).toBe('127.0.0.1');
    expect((await fetch(`${suite.url}/metrics`)).status).toBe(404);
  });

  test('is all that its port has', async () => {
    const { origin } = new URL(addressOf(suite.gateway) ?? '');
    for (const path of ['/', '/graphql', '/readyz', '/metrics/x'])
      expect((await fetch(origin + path)).status).toBe(404);
    expect((await fetch(`${origin}/metrics`, { method: 'POST' })).status).toBe(404);
  });

  test('is not there where no port is set', () => {
    expect(without.gateway.log.some(({ msg }) => msg === 'metrics')).toBe(false);
  });
});
