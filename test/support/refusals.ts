/**
 * The refusals that every operation shares, tried on one of them: each must be told from the others by its status,
 * code, message and challenge, show nothing, and change nothing.
 */
import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { ALL_SCOPES, type Scope } from '../../src/domain/scope.ts';
import { mintToken } from '../../src/domain/token.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { revokeApiKey } from '../../src/services/api-keys/revoke.ts';
import { expectCharged, expectUncharged } from './charges.ts';
import { type Reply, replyOfText } from './client.ts';
import { makeNetwork, type TestNetwork } from './fixtures.ts';
import { post, send } from './raw-http.ts';
import type { Suite } from './suite.ts';

export const BASE_DOMAIN = 'gatehouse.test';

export interface Operation {
  readonly query: string;
  readonly variables?: (own: TestNetwork) => Record<string, unknown>;
  /** All that the query needs, in the order of the alphabet: two at least, so that a refusal has several to name. */
  readonly scopes: readonly [Scope, Scope, ...Scope[]];
}

interface Unauthorized {
  readonly code: 'UNAUTHORIZED' | 'TOKEN_EXPIRED';
  readonly message: RegExp;
  readonly challenge: string;
  /** The Authorization header that is sent; null for none. */
  readonly header: (suite: Suite, own: TestNetwork) => Promise<string | null> | string | null;
}

const INVALID_TOKEN = 'Bearer error="invalid_token"';
const ISO = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;
const FORMAT = { code: 'UNAUTHORIZED', message: /^Invalid token format/, challenge: INVALID_TOKEN } as const;
const REVOKED = {
  code: 'TOKEN_EXPIRED',
  message: new RegExp(`^API token was revoked at ${ISO}$`),
  challenge: INVALID_TOKEN,
} as const;

const UNAUTHORIZED: Readonly<Record<string, Unauthorized>> = {
  'no Authorization header': {
    code: 'UNAUTHORIZED',
    message: /^Missing Authorization header/,
    challenge: 'Bearer',
    header: () => null,
  },
  'another scheme than Bearer': { ...FORMAT, header: (_suite, { token }) => `Basic ${token}` },
  'what has not the shape of a token': { ...FORMAT, header: () => 'Bearer sk_live_4242' },
  'a token with a wrong checksum': { ...FORMAT, header: (_suite, { token }) => `Bearer ${mistyped(token)}` },
  'a token that nobody was given': {
    code: 'UNAUTHORIZED',
    message: /^Invalid API token$/,
    challenge: INVALID_TOKEN,
    header: () => `Bearer ${mintToken('LIVE')}`,
  },
  'an expired token': {
    code: 'TOKEN_EXPIRED',
    message: new RegExp(`^API token expired at ${ISO}$`),
    challenge: INVALID_TOKEN,
    async header({ database }, { apiKey, token }) {
      await database.pool.query(`UPDATE api_keys SET expires_at = now() - interval '1 ms' WHERE id = $1`, [apiKey.id]);
      return `Bearer ${token}`;
    },
  },
  'a revoked token': {
    ...REVOKED,
    async header({ database }, { apiKey, token }) {
      await revokeApiKey(database, COMMAND_LINE, apiKey.networkId, apiKey.id);
      return `Bearer ${token}`;
    },
  },
  'a token whose admin was removed': {
    ...REVOKED,
    async header({ database }, { admin, token }) {
      await database.pool.query('UPDATE admins SET removed_at = now() WHERE id = $1', [admin.id]);
      return `Bearer ${token}`;
    },
  },
};

/** Registers the tests. The suite's gateway must run with BASE_DOMAIN. */
export function refusesAsAllDo(suite: Suite, operation: Operation): void {
  describe('answers 401 to', () => {
    test.for(Object.entries(UNAUTHORIZED))('%s', async ([, { code, message, challenge, header }]) => {
      const own = await makeNetwork(suite.database);
      const authorization = await header(suite, own);
      const before = await state(suite, own);
      const headers = authorization === null ? {} : { authorization };
      const reply = await suite.call(null, operation.query, { variables: operation.variables?.(own) ?? {}, headers });
      expectRefusal(reply, { status: 401, code, message, challenge });
      expectUncharged(reply);
      expect(await state(suite, own)).toEqual(before);
    });
  });

  describe('answers 403', () => {
    const cases: [string, readonly Scope[]][] = operation.scopes.map((scope) => [
      `without ${scope}, naming it`,
      [scope],
    ]);
    cases.push(['without any scope, naming each that is missing', operation.scopes]);
    test.for(cases)('%s', async ([, missing]) => {
      const own = await makeNetwork(suite.database, { scopes: ALL_SCOPES.filter((scope) => !missing.includes(scope)) });
      const before = await state(suite, own);
      const reply = await suite.call(own.token, operation.query, { variables: operation.variables?.(own) ?? {} });
      expectRefusal(reply, {
        status: 403,
        code: 'FORBIDDEN',
        message: new RegExp(`^Forbidden: this token lacks the scopes? ${missing.join(', ')}$`),
        challenge: `Bearer error="insufficient_scope", scope="${missing.join(' ')}"`,
      });
      expect(reply.body.errors?.[0]?.extensions['missingScopes']).toEqual(missing);
      expectCharged(reply, NO_POINTS);
      expect(await state(suite, own)).toEqual(before);
    });

    test('when the network is suspended', async () => {
      const own = await makeNetwork(suite.database, { network: { suspendedAt: new Date() } });
      const before = await state(suite, own);
      const reply = await suite.call(own.token, operation.query, { variables: operation.variables?.(own) ?? {} });
      expectRefusal(reply, {
        status: 403,
        code: 'FORBIDDEN',
        message: /^Forbidden: this network is suspended$/,
        challenge: 'Bearer error="insufficient_scope"',
      });
      // Its token is not valid as long as that lasts.
      expectUncharged(reply);
      expect(await state(suite, own)).toEqual(before);
    });
  });

  describe('names a network by its address', () => {
    const ANOTHER = { status: 403, code: 'FORBIDDEN', message: /^Forbidden: this token belongs to another network$/ };
    const NONE = { status: 404, code: 'NOT_FOUND', message: /^Not Found: there is no such network$/ };

    test.for([
      [
        '403 for another by the path’s id',
        ANOTHER,
        (other: TestNetwork) => ({ path: toId('Network', other.network.id) }),
      ],
      ['403 for another by the path’s slug', ANOTHER, (other: TestNetwork) => ({ path: other.network.slug })],
      ['403 for another by the host', ANOTHER, (other: TestNetwork) => ({ host: other.network.slug })],
      ['404 for none by the path', NONE, () => ({ path: 'there-is-none' })],
      ['404 for none by the host', NONE, () => ({ host: 'there-is-none' })],
    ] as const)('%s', async ([, expected, address]) => {
      const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
      const before = [await state(suite, own), await state(suite, other)];
      const { path, host } = { path: null, host: null, ...address(other) };
      const { status, headers, text } = await send(suite.url, {
        ...post(own.token, operation.query, host === null ? {} : { host: `${host}.${BASE_DOMAIN}` }),
        body: JSON.stringify({ query: operation.query, variables: operation.variables?.(own) }),
        ...(path === null ? {} : { path: `/networks/${path}/graphql` }),
      });
      const reply = replyOfText(status, new Headers(headers as Record<string, string>), text);
      const challenge = expected.status === 403 ? 'Bearer error="insufficient_scope"' : null;
      expectRefusal(reply, { ...expected, challenge });
      expectCharged(reply, NO_POINTS);
      expect([await state(suite, own), await state(suite, other)]).toEqual(before);
    });
  });
}

/** A refusal of a valid token costs one request and no points. */
const NO_POINTS = { requested: 0, actual: 0 } as const;

interface Expected {
  readonly status: number;
  readonly code: string;
  readonly message: RegExp;
  /** The WWW-Authenticate header; null for none. */
  readonly challenge: string | null;
}

/** A refusal before execution, whole: nothing else is in the answer. */
export function expectRefusal({ status, headers, body }: Reply, expected: Expected): void {
  const requestId = headers.get('x-request-id');
  expect(requestId).toMatch(/^req_[0-9a-f]{32}$/);
  const { code, message } = expected;
  expect({ status, challenge: headers.get('www-authenticate'), body }).toEqual({
    status: expected.status,
    challenge: expected.challenge,
    body: {
      errors: [
        {
          message: expect.stringMatching(message),
          extensions: expect.objectContaining({ code, status: expected.status, requestId }),
        },
      ],
    },
  });
  expect(headers.get('content-type')).toBe('application/graphql-response+json; charset=utf-8');
  expect(headers.get('cache-control')).toBe('no-store');
}

/** A token with one character of its checksum changed. */
export function mistyped(token: string): string {
  return token.slice(0, -1) + (token.endsWith('0') ? '1' : '0');
}

/** What a write would have changed. */
async function state({ database }: Suite, { network }: TestNetwork): Promise<unknown> {
  const { rows } = await database.pool.query(
    `SELECT (SELECT count(*) FROM api_keys WHERE network_id = $1) AS keys,
            (SELECT count(*) FROM api_keys WHERE network_id = $1 AND revoked_at IS NULL) AS active,
            (SELECT count(*) FROM audit_events WHERE network_id = $1) AS events`,
    [network.id],
  );
  return rows;
}
