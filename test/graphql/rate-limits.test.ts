/**
 * graphql-rate-limit behind its wall. By itself it lets in any number of concurrent calls, counts what it refuses, keeps
 * all it has seen, and lets fields of the same name share: none of that may show. The charge before execution is left
 * out where a test says so, so that the rule stands alone.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { graphql as execute, GraphQLInt, GraphQLObjectType, GraphQLSchema } from 'graphql';
import { beforeEach, describe, expect, test } from 'vitest';
import { GatehouseError } from '../../src/domain/errors.ts';
import { ALL_SCOPES } from '../../src/domain/scope.ts';
import type { Context } from '../../src/graphql/context.ts';
import { AUTHENTICATED, declare, rateLimit } from '../../src/graphql/directives.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { shieldRoots } from '../../src/graphql/scopes.ts';
import { contextOf, makeContext, principalOf } from '../support/context.ts';
import { makeKey, makeNetwork } from '../support/fixtures.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

/** How often each field's resolver ran. */
const runs = new Map<string, number>();
beforeEach(() => runs.clear());

const counted = (name: string, max: number) => ({
  type: GraphQLInt,
  extensions: declare(AUTHENTICATED, rateLimit(max)),
  resolve: () => {
    runs.set(name, (runs.get(name) ?? 0) + 1);
    return 1;
  },
});
const bugs: unknown[] = [];
/** Fields of one name on two types, and one more of each. */
const schema = shieldRoots(
  new GraphQLSchema({
    query: new GraphQLObjectType({
      name: 'Query',
      fields: { touch: counted('Query.touch', 10), zero: counted('Query.zero', 1) },
    }),
    mutation: new GraphQLObjectType({
      name: 'Mutation',
      fields: { touch: counted('Mutation.touch', 10), other: counted('Mutation.other', 10) },
    }),
  }),
  (bug) => bugs.push(bug),
);

/** Without what stands before execution: shield and the rule are all there is. */
async function call(contextValue: Context, source: string) {
  const result = await execute({ schema, source, contextValue });
  return (result.errors ?? []).map(({ originalError }) => originalError);
}

/** A context of a key on the plan whose numbers are given. */
function onPlan(requestsPerMinute: number): Promise<Context> {
  return makeContext(suite.database, new Set(ALL_SCOPES), { requestsPerMinute });
}

describe('the rule alone', () => {
  test.for([
    ['STANDARD, 100 requests a minute', 100, 10],
    ['PREMIUM, 300', 300, 30],
    ['CUSTOM, in proportion: 250', 250, 25],
    ['CUSTOM, rounded down: 119', 119, 11],
    ['CUSTOM, and one at least: 1', 1, 1],
  ] as const)('%s: of 1,000 uses at once exactly so many run', async ([, requestsPerMinute, max]) => {
    const context = await onPlan(requestsPerMinute);
    const outcomes = await Promise.all(Array.from({ length: 1_000 }, () => call(context, 'mutation { touch }')));
    expect(runs.get('Mutation.touch')).toBe(max);
    const refusals = outcomes.flat();
    expect(refusals).toHaveLength(1_000 - max);
    for (const refusal of refusals) expectRefusal(refusal, max);
    expect(bugs).toEqual([]);
  });

  test('one after the other: the tenth runs, the eleventh is told when to come again', async () => {
    const context = await onPlan(100);
    for (let use = 1; use <= 10; use += 1) expect(await call(context, 'mutation { touch }')).toEqual([]);
    for (let use = 11; use <= 30; use += 1) expectRefusal((await call(context, 'mutation { touch }'))[0], 10);
    expect(runs.get('Mutation.touch')).toBe(10);
  });

  test('a limit of one lets in one', async () => {
    const context = await onPlan(100);
    await Promise.all(Array.from({ length: 50 }, () => call(context, '{ zero }')));
    expect(runs.get('Query.zero')).toBe(1);
  });

  test('aliases are uses', async () => {
    const context = await onPlan(100);
    const aliases = Array.from({ length: 12 }, (_, index) => `a${index}: touch`).join(' ');
    const refusals = await call(context, `mutation { ${aliases} }`);
    expect(runs.get('Mutation.touch')).toBe(10);
    expect(refusals).toHaveLength(2);
    for (const refusal of refusals) expectRefusal(refusal, 10);
  });

  test('fields of the same name on other types, and other fields, have limits of their own', async () => {
    const context = await onPlan(100);
    const ask = (source: string) => Promise.all(Array.from({ length: 40 }, () => call(context, source)));
    await Promise.all([ask('{ touch }'), ask('mutation { touch }'), ask('mutation { other }')]);
    expect(Object.fromEntries(runs)).toEqual({ 'Query.touch': 10, 'Mutation.touch': 10, 'Mutation.other': 10 });
  });

  test('a caller who may not use the field is refused for that, and uses nothing', async () => {
    const real = shieldRoots(buildSchema(), (bug) => bugs.push(bug));
    const contextValue = await makeContext(suite.database, new Set(), { requestsPerMinute: 100 });
    const source = 'mutation { createApiKey(input: { name: "x", scopes: [] }) { token } }';
    for (let use = 0; use < 15; use += 1) {
      const result = await execute({ schema: real, source, contextValue });
      expect(result.errors?.[0]?.originalError).toMatchObject({ code: 'FORBIDDEN' });
    }
  });

  test('keeps nothing of 20,000 calls of 200 requests', async () => {
    const made = await makeNetwork(suite.database, { network: { plan: 'STANDARD' } });
    const principal = principalOf(made, new Set(ALL_SCOPES));
    const contexts = Array.from({ length: 200 }, () => contextOf(suite.database, principal));
    const held = contexts.map((context) => new WeakRef(context));
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(contexts.flatMap((context) => Array.from({ length: 10 }, () => call(context, '{ touch }'))));
    }
    contexts.length = 0;
    // What a turn of the event loop holds is let go of with it.
    await new Promise((resolve) => setTimeout(resolve, 10));
    collectGarbage();
    expect(held.filter((context) => context.deref() !== undefined)).toEqual([]);
  });
});

function expectRefusal(refusal: unknown, max: number): void {
  expect(refusal).toBeInstanceOf(GatehouseError);
  const { code, message, details } = refusal as GatehouseError;
  expect(code).toBe('RATE_LIMITED');
  expect(message).toMatch(new RegExp(`^Rate limit exceeded: ${max} uses of \\w+ in any 60 seconds for this key`));
  const retryAfter = Number(details.headers?.['retry-after']);
  expect(retryAfter).toBeGreaterThanOrEqual(1);
  expect(retryAfter).toBeLessThanOrEqual(61);
  expect(details.extensions).toMatchObject({
    limit: { scope: 'key', max, windowSeconds: 60, remaining: 0, resetAt: expect.any(String) },
    retryAfterSeconds: retryAfter,
  });
}

describe('through the gateway', () => {
  const create = (index: number) =>
    `createApiKey(input: { name: "made ${index}", scopes: [] }) { userErrors { code } }`;
  const aliases = (from: number, count: number) =>
    `mutation { ${Array.from({ length: count }, (_, index) => `a${index}: ${create(from + index)}`).join(' ')} }`;
  const made = (networkId: string) =>
    suite.database.prisma.apiKey.count({ where: { networkId, name: { startsWith: 'made ' } } });

  test.for([
    ['STANDARD', 10],
    ['PREMIUM', 30],
  ] as const)('createApiKey on %s: exactly %i of 60 at once', async ([plan, max]) => {
    const { network, token } = await makeNetwork(suite.database, { network: { plan } });
    const replies = await Promise.all(
      Array.from({ length: 60 }, (_, index) => suite.call(token, `mutation { ${create(index)} }`)),
    );
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(max);
    expect(await made(network.id)).toBe(max);
    for (const { status, headers, body, cost } of replies.filter((reply) => reply.status !== 200)) {
      expect([status, cost?.actual]).toEqual([429, 0]);
      expect(body).toEqual({
        errors: [
          {
            message: expect.stringMatching(
              new RegExp(
                `^Rate limit exceeded: ${max} uses of createApiKey in any 60 seconds for this key; try again in`,
              ),
            ),
            extensions: {
              code: 'RATE_LIMITED',
              status: 429,
              requestId: headers.get('x-request-id'),
              limit: {
                name: 'createApiKey',
                scope: 'key',
                max,
                windowSeconds: 60,
                remaining: 0,
                resetAt: expect.any(String),
              },
              retryAfterSeconds: Number(headers.get('retry-after')),
            },
          },
        ],
      });
    }
  });

  test('aliases are counted before anything runs: twelve of ten can never be let in, run none and use nothing', async () => {
    const { network, token } = await makeNetwork(suite.database, { network: { plan: 'STANDARD' } });
    const refused = await suite.call(token, aliases(0, 12));
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([400, null]);
    expect(refused.body.errors?.[0]).toMatchObject({
      message: 'Query uses createApiKey 12 times: at most 10 are let in at once',
      extensions: { code: 'QUERY_TOO_EXPENSIVE', limit: { name: 'createApiKey', max: 10, actual: 12 } },
    });
    expect(await made(network.id)).toBe(0);
    expect(refused.headers.get('ratelimit')).toMatch(/"requests";r=99;.*"cost";r=10000;/);
    const letIn = await suite.call(token, aliases(0, 10));
    expect([letIn.status, letIn.body.errors, await made(network.id)]).toEqual([200, undefined, 10]);
    const after = await suite.call(token, aliases(10, 1));
    expect([after.status, Number(after.headers.get('retry-after')) <= 61]).toEqual([429, true]);
  });

  test('fragments and skipped parts: what would run is what counts', async () => {
    const { network, token } = await makeNetwork(suite.database, { network: { plan: 'STANDARD' } });
    const query = `mutation($no: Boolean!) { ...A ...A b: ${create(1)} c: ${create(2)} @include(if: $no) }
      fragment A on Mutation { a: ${create(0)} }`.replaceAll(
      '{ userErrors { code } } @include(if: $no)',
      '@include(if: $no) { userErrors { code } }',
    );
    const reply = await suite.call(token, query, { variables: { no: false } });
    expect(reply.body.errors).toBeUndefined();
    expect(await made(network.id)).toBe(2);
    expect(reply.headers.get('ratelimit')).toMatch(/"createApiKey";r=8;/);
  });

  test('one key’s uses are no other’s, of its own network or another', async () => {
    const [own, other] = [
      await makeNetwork(suite.database, { network: { plan: 'STANDARD' } }),
      await makeNetwork(suite.database, { network: { plan: 'STANDARD' } }),
    ];
    const second = await makeKey(suite.database, own.network.id, { adminId: own.admin.id });
    for (const token of [own.token, second.token, other.token]) {
      const statuses: number[] = [];
      for (const [index, count] of [10, 1].entries()) {
        statuses.push(
          (await suite.call(token, aliases((index + 1) * (token === second.token ? 100 : 1), count))).status,
        );
      }
      expect(statuses).toEqual([200, 429]);
    }
  });

  test('a change of plan counts at the next use', async () => {
    const { network, token } = await makeNetwork(suite.database, { network: { plan: 'STANDARD' } });
    expect((await suite.call(token, aliases(0, 10))).status).toBe(200);
    expect((await suite.call(token, aliases(10, 1))).status).toBe(429);
    await suite.database.prisma.network.update({ where: { id: network.id }, data: { plan: 'PREMIUM' } });
    expect((await suite.call(token, aliases(10, 20))).status).toBe(200);
    expect((await suite.call(token, aliases(30, 1))).status).toBe(429);
  });
});
