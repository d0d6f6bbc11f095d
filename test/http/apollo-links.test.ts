/**
 * Apollo's links for persisted queries, in their two versions: they send the hash of a query at first, and the query once they
 * are told that a hash is not supported. The terminating links send what they send to any server.
 */

import { createHash } from 'node:crypto';
import {
  ApolloLink as ApolloLink3,
  execute as execute3,
  gql as gql3,
  HttpLink as HttpLink3,
} from 'apollo-client-3/core/index.js';
import { BatchHttpLink as BatchHttpLink3 } from 'apollo-client-3/link/batch-http/index.js';
import { createPersistedQueryLink } from 'apollo-client-3/link/persisted-queries/index.js';
import { ApolloClient, gql, HttpLink, InMemoryCache } from 'apollo-client-4';
import { BatchHttpLink } from 'apollo-client-4/link/batch-http';
import { PersistedQueryLink } from 'apollo-client-4/link/persisted-queries';
import { describe, expect, test } from 'vitest';
import { makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const QUERY = 'query Who { me { role } }';
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

interface Sent {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
  readonly request: string;
}

/** A fetch that keeps what was sent and answered. */
function recorded(token: string): { readonly fetch: typeof fetch; readonly sent: Sent[] } {
  const sent: Sent[] = [];
  const recording = async (input: string | URL | Request, init: RequestInit = {}) => {
    const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${token}` };
    const response = await fetch(input, { ...init, headers });
    const text = await response.clone().text();
    const { status } = response;
    sent.push({ status, type: response.headers.get('content-type'), text, request: String(init.body ?? input) });
    return response;
  };
  return { fetch: recording, sent };
}

/** Each asks once, and again: then the link has learnt. */
const CLIENTS: Readonly<
  Record<string, (fetch: typeof globalThis.fetch, useGETForHashedQueries: boolean) => () => Promise<unknown>>
> = {
  'Apollo Client 3': (fetch, useGETForHashedQueries) => {
    const link = ApolloLink3.from([
      createPersistedQueryLink({ sha256, useGETForHashedQueries }),
      new HttpLink3({ uri: `${suite.url}/graphql`, fetch }),
    ]);
    return () =>
      new Promise((resolve, reject) => {
        execute3(link, { query: gql3(QUERY) }).subscribe({ next: ({ data }) => resolve(data), error: reject });
      });
  },
  'Apollo Client 4': (fetch, useGETForHashedQueries) => {
    const hashed = new PersistedQueryLink({ sha256, useGETForHashedQueries });
    const link = hashed.concat(new HttpLink({ uri: `${suite.url}/graphql`, fetch }));
    const client = new ApolloClient({ cache: new InMemoryCache(), link });
    return async () => (await client.query({ query: gql(QUERY), fetchPolicy: 'no-cache' })).data;
  },
};

describe.for(Object.keys(CLIENTS))('the link of %s', (name) => {
  test.for([
    ['by POST', false],
    ['by GET', true],
  ] as const)(
    'that sends a hash %s is told to send the query, does so, and sends hashes no more',
    async ([, byGet]) => {
      const { token } = await makeNetwork(suite.database);
      const { fetch, sent } = recorded(token);
      const ask = CLIENTS[name]?.(fetch, byGet);
      expect(await ask?.()).toMatchObject({ me: { role: 'OWNER' } });
      expect(sent.map(({ status }) => status)).toEqual([400, 200]);
      expect(sent[0]?.request).not.toContain('role');
      expect(sent[0]?.type).toBe('application/graphql-response+json; charset=utf-8');
      expect(JSON.parse(sent[0]?.text ?? '')).toMatchObject({
        errors: [
          {
            message: 'PersistedQueryNotSupported',
            extensions: {
              code: 'PERSISTED_QUERY_NOT_SUPPORTED',
              status: 400,
              requestId: expect.stringMatching(/^req_/),
            },
          },
        ],
      });
      expect(await ask?.()).toMatchObject({ me: { role: 'OWNER' } });
      expect(sent.map(({ status }) => status)).toEqual([400, 200, 200]);
    },
  );
});

describe('the link for batches', () => {
  test('of Apollo Client 3 gives each operation its own answer, the refusals too', async () => {
    const { token } = await makeNetwork(suite.database);
    const link = new BatchHttpLink3({ uri: `${suite.url}/graphql`, fetch: recorded(token).fetch, batchInterval: 5 });
    const ask = (query: string) =>
      new Promise<unknown>((resolve, reject) => {
        execute3(link, { query: gql3(query) }).subscribe({ next: resolve, error: reject });
      });
    const [good, bad] = await Promise.all([ask(QUERY), ask('query Member { member { id } }')]);
    expect(good).toMatchObject({ data: { me: { role: 'OWNER' } } });
    expect(bad).toMatchObject({ data: { member: null }, errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
  });

  test('of Apollo Client 4 gives each operation its own answer, the refusals too', async () => {
    const { token } = await makeNetwork(suite.database);
    const link = new BatchHttpLink({ uri: `${suite.url}/graphql`, fetch: recorded(token).fetch, batchInterval: 5 });
    const client = new ApolloClient({ cache: new InMemoryCache(), link });
    const ask = (query: string) => client.query({ query: gql(query), fetchPolicy: 'no-cache', errorPolicy: 'all' });
    const [good, bad] = await Promise.all([ask(QUERY), ask('query Member { member { id } }')]);
    expect(good.data).toMatchObject({ me: { role: 'OWNER' } });
    expect(bad.error).toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
  });
});

test.for([
  ['a hash of no form', { version: 1, sha256Hash: 7 }],
  ['no hash', { version: 1 }],
  ['a text', 'abc'],
] as const)('%s in place of a query is a request without a query', async ([, persistedQuery]) => {
  const { token } = await makeNetwork(suite.database);
  const response = await fetch(`${suite.url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ extensions: { persistedQuery } }),
  });
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({ errors: [{ message: '`query` is missing: send a GraphQL document' }] });
});
