/** A bug shows its request id and nothing else; the log has all of it. Provoked for real: a column that is gone. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { useScratchGateway } from '../support/suite.ts';

const environment = process.env['NODE_ENV'];

describe.for(['development', 'production'])('with NODE_ENV=%s', (name) => {
  beforeAll(() => {
    process.env['NODE_ENV'] = name;
  });
  afterAll(() => {
    if (environment === undefined) Reflect.deleteProperty(process.env, 'NODE_ENV');
    else process.env['NODE_ENV'] = environment;
  });
  const suite = useScratchGateway();

  test.for([
    ['where nothing is left to show', '{ members { nodes { location } } }', { data: null }, ['members']],
    [
      'beside an answer',
      '{ me { name } member(email: "ada@example.test") { id } }',
      { data: { member: null } },
      ['member'],
    ],
  ] as const)('shows only the request id %s', async ([, query, data, path]) => {
    const { network, token } = await makeNetwork(suite.database);
    const reply = await broken('members', 'location', () => suite.call(token, query));
    const requestId = reply.headers.get('x-request-id');
    expect(reply.status).toBe(294);
    expect(reply.body).toMatchObject(data);
    expect(reply.body.errors).toEqual([
      {
        message: `Internal server error: the operator can find it by ${requestId}`,
        path,
        locations: [{ line: 1, column: expect.any(Number) }],
        extensions: { code: 'INTERNAL_SERVER_ERROR', status: 500, requestId },
      },
    ]);
    expect(JSON.stringify(reply.body)).not.toMatch(/location"|absent|column.*exist|prisma|select|\.ts|node_modules/i);

    const logged = suite.gateway.log.filter((line) => line['requestId'] === requestId);
    expect(logged.map(({ level, msg }) => [level, msg])).toEqual([
      ['error', 'a bug'],
      ['info', 'request'],
    ]);
    const bug = logged[0]?.['error'] as { message: string; stack: string; type: string; code?: string };
    expect(bug.type).not.toBe('GraphQLError');
    expect(`${bug.code} ${bug.message}`).toMatch(/42703|P2022/);
    expect(bug.message).toMatch(/location/);
    expect(bug.stack).toMatch(/node_modules|src/);
    expect(logged[1]).toMatchObject({
      networkId: toId('Network', network.id),
      code: 'INTERNAL_SERVER_ERROR',
      status: 294,
    });
    // What the caller sent is not in it.
    expect(JSON.stringify(logged)).not.toContain('ada@example.test');
  });

  test('in verification is a bug all the same', async () => {
    const { token } = await makeNetwork(suite.database);
    const reply = await broken('admins', 'removed_at', () => suite.call(token, '{ me { id } }'));
    const requestId = reply.headers.get('x-request-id');
    expect(reply.status).toBe(500);
    expect(reply.body).toEqual({
      errors: [
        {
          message: `Internal server error: the operator can find it by ${requestId}`,
          extensions: { code: 'INTERNAL_SERVER_ERROR', status: 500, requestId },
        },
      ],
    });
    expect(JSON.stringify(suite.gateway.log.filter((line) => line['requestId'] === requestId))).toContain('removed_at');
  });

  test('in a write leaves nothing behind', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const create = 'mutation { createApiKey(input: { name: "lost", scopes: [] }) { token } }';
    const reply = await broken('audit_events', 'details', () => suite.call(token, create));
    expect(reply.status).toBe(294);
    expect(reply.body.errors?.[0]?.extensions.code).toBe('INTERNAL_SERVER_ERROR');
    expect(JSON.stringify(reply.body)).not.toMatch(/details"|absent|gk_live_/);
    expect(await suite.database.prisma.apiKey.count({ where: { networkId: network.id, name: 'lost' } })).toBe(0);
  });

  /** While a column has another name. */
  async function broken<Result>(table: string, column: string, work: () => Promise<Result>): Promise<Result> {
    await suite.database.pool.query(`ALTER TABLE ${table} RENAME COLUMN ${column} TO absent`);
    try {
      return await work();
    } finally {
      await suite.database.pool.query(`ALTER TABLE ${table} RENAME COLUMN absent TO ${column}`);
    }
  }
});
