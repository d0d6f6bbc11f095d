/** A cursor is good for the list that it came from and for no other, and can't be made up. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { type CallOptions, graphql, type Reply } from '../support/client.ts';
import { makeKey, makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway, TEST_SECRET } from '../support/gateway.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
const own: { network: TestNetwork; other: TestNetwork } = {} as never;

beforeAll(async () => {
  Object.assign(own, { network: await makeNetwork(suite.database), other: await makeNetwork(suite.database) });
  for (const { network } of [own.network, own.other]) await makeMembers(suite.database, network.id, 5);
});

const QUERY = `query($first: Int, $last: Int, $after: String, $before: String, $filter: MemberFilter, $orderBy: MemberOrder) {
  members(first: $first, last: $last, after: $after, before: $before, filter: $filter, orderBy: $orderBy) {
    edges { cursor node { id } }
  }
}`;

function ask(
  variables: CallOptions['variables'] = {},
  { token, url }: { token?: string; url?: string } = {},
): Promise<Reply> {
  return graphql(url ?? suite.url, token ?? own.network.token, QUERY, { variables });
}

async function cursorOf(
  variables: CallOptions['variables'] = {},
  where?: { token?: string; url?: string },
): Promise<string> {
  return (await ask(variables, where)).body.data.members.edges[1].cursor;
}

/** Refused as `after` and as `before`, in the same words, with no row. */
async function expectRefused(
  cursor: string,
  variables: CallOptions['variables'] = {},
  where?: { url: string },
): Promise<void> {
  for (const field of ['after', 'before']) {
    const reply = await ask({ ...variables, [field]: cursor }, where);
    expect({ status: reply.status, data: reply.body.data }).toEqual({ status: 294, data: null });
    expect(reply.body.errors).toEqual([
      expect.objectContaining({
        message: `\`${field}\` is no cursor of this list: it may be cut short, or come from another network, order or filter`,
        extensions: expect.objectContaining({ code: 'BAD_USER_INPUT', field }),
      }),
    ]);
  }
}

describe('is refused', () => {
  test('with any one of its bits turned', async () => {
    const cursor = Buffer.from(await cursorOf(), 'base64url');
    const property = fc.asyncProperty(fc.nat({ max: cursor.length * 8 - 1 }), async (bit) => {
      const turned = Buffer.from(cursor);
      turned.writeUInt8(turned.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      await expectRefused(turned.toString('base64url'));
    });
    await fc.assert(property, { numRuns: 40 });
  });

  test('cut short or drawn out by a character, anywhere', async () => {
    const cursor = await cursorOf();
    const property = fc.asyncProperty(fc.nat({ max: cursor.length - 1 }), async (at) => {
      await expectRefused(cursor.slice(0, at));
      await expectRefused(`${cursor.slice(0, at)}A${cursor.slice(at)}`);
    });
    await fc.assert(property, { numRuns: 20 });
  });

  test('whatever text it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 300, unit: 'binary' }), (text) => expectRefused(text)),
      { numRuns: 30 },
    );
  });

  test.for([
    ['padded', (cursor: string) => `${cursor}=`],
    ['with a blank', (cursor: string) => ` ${cursor}`],
    ['with a line break', (cursor: string) => `${cursor.slice(0, 8)}\n${cursor.slice(8)}`],
    ['written twice', (cursor: string) => cursor + cursor],
    ['over 8,192 characters', (cursor: string) => cursor.padEnd(8_193, 'A')],
    ['as Relay’s tutorials make theirs', () => Buffer.from('arrayconnection:1').toString('base64')],
    ['as Pothos makes its own', () => Buffer.from('GPC:J:["x"]').toString('base64')],
  ] as const)('%s', async ([, change]) => {
    await expectRefused(change(await cursorOf()));
  });

  test('signed by somebody who knows its form but not the secret', async () => {
    const bytes = Buffer.from(await cursorOf(), 'base64url');
    const signed = bytes.subarray(0, -16);
    for (const secret of ['', 'secret', TEST_SECRET]) {
      const mac = createHmac('sha256', secret).update(signed).digest().subarray(0, 16);
      await expectRefused(Buffer.concat([signed, mac]).toString('base64url'));
    }
  });

  test('of another network', async () => {
    await expectRefused(await cursorOf({}, { token: own.other.token }));
  });

  test('of another list of the same network', async () => {
    for (let made = 0; made < 2; made += 1) {
      await makeKey(suite.database, own.network.network.id, { adminId: own.network.admin.id });
    }
    const reply = await suite.call(own.network.token, '{ apiKeys { edges { cursor } } }');
    await expectRefused(reply.body.data.apiKeys.edges[0].cursor);
    const keys = await suite.call(
      own.network.token,
      'query($after: String) { apiKeys(after: $after) { nodes { id } } }',
      {
        variables: { after: await cursorOf() },
      },
    );
    expect(keys.body).toMatchObject({
      data: null,
      errors: [{ extensions: { code: 'BAD_USER_INPUT', field: 'after' } }],
    });
  });

  test.for([
    ['another order', {}, { orderBy: { field: 'NAME' } }],
    ['another order with as many values', { orderBy: { field: 'NAME' } }, { orderBy: { field: 'CREATED_AT' } }],
    [
      'another order whose column may be null',
      { orderBy: { field: 'LAST_ACTIVE_AT' } },
      { orderBy: { field: 'UPDATED_AT' } },
    ],
    [
      'an order whose column is not null',
      { orderBy: { field: 'CREATED_AT' } },
      { orderBy: { field: 'LAST_ACTIVE_AT' } },
    ],
    ['the other direction', {}, { orderBy: { direction: 'DESC' } }],
    [
      'the other direction, over nulls',
      { orderBy: { field: 'LAST_ACTIVE_AT' } },
      { orderBy: { field: 'LAST_ACTIVE_AT', direction: 'DESC' } },
    ],
    [
      'another range',
      { filter: { createdAt: { from: '2020-01-01T00:00:00Z' } } },
      { filter: { updatedAt: { from: '2020-01-01T00:00:00Z' } } },
    ],
    ['another text', { filter: { nameContains: 'mem' } }, { filter: { nameContains: 'memb' } }],
    ['a filter, without it', { filter: { role: ['MEMBER'] } }, {}],
    ['no filter, with one', {}, { filter: { role: ['MEMBER'] } }],
    ['another filter', { filter: { role: ['MEMBER'] } }, { filter: { status: ['ACTIVE'] } }],
    ['another value of the filter', { filter: { role: ['MEMBER'] } }, { filter: { role: ['MEMBER', 'OWNER'] } }],
  ] as const)('of %s', async ([, from, to]) => {
    await expectRefused(await cursorOf(from), to);
  });

  test('of a gateway with other secrets', async () => {
    const stranger = await startTestGateway({ GATEHOUSE_SECRETS: 'another secret of more than thirty-two characters' });
    try {
      await expectRefused(await cursorOf({}, { url: stranger.url }));
    } finally {
      await stranger.close();
    }
  });
});

describe('is taken', () => {
  test('whatever counts and other cursors it is sent with', async () => {
    const [after, before] = [await cursorOf(), (await ask()).body.data.members.edges[4].cursor];
    const reply = await ask({ after, before, first: 2, last: 1 });
    expect(reply.body.data.members.edges).toHaveLength(1);
  });

  test('however the same filter and order are spelled', async () => {
    const after = await cursorOf({ filter: { role: ['OWNER', 'MEMBER'], status: null }, orderBy: null });
    const reply = await ask({
      after,
      filter: { role: ['MEMBER', 'OWNER', 'MEMBER'] },
      orderBy: { field: 'ID', direction: 'ASC' },
    });
    expect(reply.body.data.members.edges).toHaveLength(3);
  });

  test('by every gateway that has its secret, current or previous, and no longer once it is dropped', async () => {
    const [newer, newest] = [
      'a newer secret of more than thirty-two letters',
      'the newest secret of more than thirty-two',
    ];
    const old = await cursorOf();
    for (const [secrets, isTaken] of [
      [`${newer},${TEST_SECRET}`, true],
      [`${newest},${newer},${TEST_SECRET}`, true],
      [newer, false],
    ] as const) {
      const gateway = await startTestGateway({ GATEHOUSE_SECRETS: secrets });
      try {
        if (!isTaken) await expectRefused(old, {}, gateway);
        else expect((await ask({ after: old }, gateway)).body.data.members.edges).toHaveLength(3);
        // What it hands out is signed with the first of its secrets, which the old gateway does not know.
        await expectRefused(await cursorOf({}, gateway));
      } finally {
        await gateway.close();
      }
    }
  });

  test('at the end of the longest names there can be', async () => {
    const { admin, network, token } = await makeNetwork(suite.database);
    // 18 letters in compatibility form, 33 bytes, each.
    const key = (name: string) => makeKey(suite.database, network.id, { adminId: admin.id, name });
    const made = [await key(`${'\uFDFA'.repeat(99)}a`), await key(`${'\uFDFA'.repeat(99)}b`)];
    const query =
      'query($after: String) { apiKeys(orderBy: { field: NAME }, after: $after) { edges { cursor node { id } } } }';
    const first = await suite.call(token, query, {});
    const after = first.body.data.apiKeys.edges[1].cursor;
    const next = await suite.call(token, query, { variables: { after } });
    expect(next.body.data?.apiKeys.edges.map(({ node }: { node: { id: string } }) => node.id)).toEqual([
      toId('ApiKey', made[1]?.apiKey.id ?? ''),
    ]);
  });
});
