import { serverAudits } from 'graphql-http';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
let token = '';
beforeAll(async () => {
  token = (await makeNetwork(suite.database)).token;
});

const audits = serverAudits({
  url: () => `${suite.url}/graphql`,
  fetchFn: (url: string, init: RequestInit = {}) =>
    fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } }),
});

describe('GraphQL over HTTP, as graphql-http audits it', () => {
  test('has all of its audits', () => {
    expect(audits.length).toBeGreaterThanOrEqual(60);
  });

  test.for(audits.map((audit) => [audit.id, audit.name, audit] as const))('%s %s', async ([, , audit]) => {
    const result = await audit.fn();
    const reason = 'reason' in result ? result.reason : '';
    expect({ status: result.status, reason }).toEqual({ status: 'ok', reason: '' });
  });
});
