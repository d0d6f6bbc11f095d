import { describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { purgeDeletions } from '../../src/services/members/purge-deletions.ts';
import { makeMembers, makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { startTestGateway } from '../support/gateway.ts';
import { BASE_DOMAIN, refusesAsAllDo } from '../support/refusals.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway({ BASE_DOMAIN });
const QUERY = `query($after: String, $first: Int) {
  memberChanges(after: $after, first: $first) { changes { kind id externalId changedAt member { id name } } position hasMore }
}`;

interface Page {
  readonly changes: {
    kind: string;
    id: string;
    externalId: string | null;
    changedAt: string;
    member: { id: string; name: string } | null;
  }[];
  readonly position: string;
  readonly hasMore: boolean;
}

function ask({ token }: TestNetwork, variables: Record<string, unknown>) {
  return suite.call(token, QUERY, { variables });
}

async function changes(own: TestNetwork, after?: string, first = 250): Promise<Page> {
  const reply = await ask(own, { after, first });
  expect(reply.body.errors).toBeUndefined();
  return reply.body.data.memberChanges;
}

const told = (page: Page) => page.changes.map(({ kind, id }) => [kind, id]);
const change = (sql: string, ...values: unknown[]) => suite.database.pool.query(sql, values);

describe('memberChanges', () => {
  test('begins with a position and no changes, and from there tells what was created, changed and deleted', async () => {
    const own = await makeNetwork(suite.database);
    const [kept, gone] = await makeMembers(suite.database, own.network.id, 2, (index) => ({
      externalId: `crm-${index}`,
    }));
    const begun = await changes(own);
    expect(begun).toEqual({ changes: [], position: expect.any(String), hasMore: false });
    await change(`UPDATE members SET name = 'Changed' WHERE id = $1`, kept?.id);
    await change('DELETE FROM members WHERE id = $1', gone?.id);
    const [, added] = await makeMembers(suite.database, own.network.id, 1, () => ({ name: 'Added' }));
    const page = await changes(own, begun.position);
    const ids = [kept, gone, added].map((member) => toId('Member', String(member?.id)));
    expect(page).toEqual({
      changes: [
        {
          kind: 'UPDATED',
          id: ids[0],
          externalId: 'crm-0',
          changedAt: expect.any(String),
          member: { id: ids[0], name: 'Changed' },
        },
        { kind: 'DELETED', id: ids[1], externalId: 'crm-1', changedAt: expect.any(String), member: null },
        {
          kind: 'CREATED',
          id: ids[2],
          externalId: null,
          changedAt: expect.any(String),
          member: { id: ids[2], name: 'Added' },
        },
      ],
      position: expect.any(String),
      hasMore: false,
    });
    expect(await changes(own, page.position)).toMatchObject({ changes: [], hasMore: false });
  });

  test.each(['time_zone', 'permalink'])('tells of a member of whom nothing but %s has changed', async (column) => {
    const own = await makeNetwork(suite.database);
    const [member] = await makeMembers(suite.database, own.network.id, 1);
    const begun = await changes(own);
    await change(`UPDATE members SET ${column} = 'x' WHERE id = $1`, member?.id);
    expect(told(await changes(own, begun.position))).toEqual([['UPDATED', toId('Member', String(member?.id))]]);
  });

  test('tells of a member once, by its latest change, and as created where it came after the position', async () => {
    const own = await makeNetwork(suite.database);
    const begun = await changes(own);
    const [member] = await makeMembers(suite.database, own.network.id, 1);
    for (const name of ['a', 'b']) await change('UPDATE members SET name = $2 WHERE id = $1', member?.id, name);
    const page = await changes(own, begun.position);
    expect(told(page)).toEqual([['CREATED', toId('Member', String(member?.id))]]);
    expect(page.changes[0]?.member?.name).toBe('b');
    await change('UPDATE members SET name = $2 WHERE id = $1', member?.id, 'c');
    expect(told(await changes(own, page.position))).toEqual([['UPDATED', toId('Member', String(member?.id))]]);
  });

  test('pages through the many changes of one transaction, none missed and none twice', async () => {
    const own = await makeNetwork(suite.database);
    const begun = await changes(own);
    await makeMembers(suite.database, own.network.id, 20);
    await change(`DELETE FROM members WHERE network_id = $1 AND name IN ('Member 3', 'Member 4')`, own.network.id);
    await change('UPDATE members SET name = name || $2 WHERE network_id = $1', own.network.id, '!');
    const ids: string[] = [];
    let page = begun;
    do {
      page = await changes(own, page.position, 3);
      ids.push(...page.changes.map(({ kind, id }) => `${kind} ${id}`));
    } while (page.hasMore);
    expect(new Set(ids).size).toBe(20);
    expect(ids.filter((id) => id.startsWith('CREATED'))).toHaveLength(18);
  });

  test('an update that changes nothing, and a transaction that is rolled back, are no changes', async () => {
    const own = await makeNetwork(suite.database);
    const [member] = await makeMembers(suite.database, own.network.id, 1);
    const begun = await changes(own);
    await change('UPDATE members SET name = name WHERE id = $1', member?.id);
    const rolledBack = suite.database.prisma.$transaction(async (prisma) => {
      await prisma.member.update({ where: { id: String(member?.id) }, data: { name: 'never' } });
      throw new Error('back');
    });
    await expect(rolledBack).rejects.toThrow('back');
    expect(told(await changes(own, begun.position))).toEqual([]);
  });

  test('what a savepoint undoes gives its position back', async () => {
    const own = await makeNetwork(suite.database);
    const [member] = await makeMembers(suite.database, own.network.id, 1);
    const begun = await changes(own);
    const client = await suite.database.pool.connect();
    try {
      for (const sql of ['BEGIN', 'SAVEPOINT s']) await client.query(sql);
      await client.query(`UPDATE members SET name = 'never' WHERE id = $1`, [member?.id]);
      await client.query('ROLLBACK TO s');
      await client.query(`UPDATE members SET name = 'real' WHERE id = $1`, [member?.id]);
      await client.query('COMMIT');
    } finally {
      client.release();
    }
    const page = await changes(own, begun.position);
    expect(page.changes.map((each) => each.member?.name)).toEqual(['real']);
  });

  test('a deletion is forgotten after its time, and a position from before it is told to start over', async () => {
    const own = await makeNetwork(suite.database);
    const made = await makeMembers(suite.database, own.network.id, 3);
    const begun = await changes(own);
    await change('DELETE FROM members WHERE id = $1', made[0]?.id);
    const between = await changes(own, begun.position);
    await change('DELETE FROM members WHERE id = $1', made[1]?.id);
    await change(
      `UPDATE member_deletions SET deleted_at = now() - interval '31 days' WHERE member_id = $1`,
      made[0]?.id,
    );
    // Few in each of several networks: one run forgets them all.
    const others = [await makeNetwork(suite.database), await makeNetwork(suite.database)].map(
      ({ network }) => network.id,
    );
    for (const id of others) await makeMembers(suite.database, id, 1);
    await change('DELETE FROM members WHERE network_id = ANY($1)', others);
    const older = `UPDATE member_deletions SET deleted_at = now() - interval '40 days' WHERE network_id = ANY($1)`;
    await change(older, others);
    await purgeDeletions(suite.database, 30, new AbortController().signal);
    expect((await change('SELECT FROM member_deletions WHERE network_id = ANY($1)', others)).rowCount).toBe(0);
    const reply = await ask(own, { after: begun.position });
    expect({ status: reply.status, data: reply.body.data }).toEqual({ status: 410, data: undefined });
    expect(reply.body.errors?.[0]).toMatchObject({
      message: 'Position expired: deletions since then are no longer kept. Start over with a full pull',
      extensions: { code: 'POSITION_EXPIRED', field: 'after', reason: 'forgotten' },
    });
    expect(told(await changes(own, between.position))).toEqual([['DELETED', toId('Member', String(made[1]?.id))]]);
  });

  test('a deleted network leaves nothing of its feed', async () => {
    const own = await makeNetwork(suite.database);
    await makeMembers(suite.database, own.network.id, 3);
    await change('DELETE FROM members WHERE network_id = $1 AND name = $2', own.network.id, 'Member 0');
    await change('DELETE FROM networks WHERE id = $1', own.network.id);
    const { rows } = await change(
      'SELECT network_id FROM member_deletions WHERE network_id = $1 UNION ALL SELECT network_id FROM member_feeds WHERE network_id = $1',
      own.network.id,
    );
    expect(rows).toEqual([]);
  });
});

describe('written by SQL of an operator’s own', () => {
  test('a member that is deleted and put back in one transaction is there, and told of once', async () => {
    const own = await makeNetwork(suite.database);
    const [member] = await makeMembers(suite.database, own.network.id, 1);
    const begun = await changes(own);
    const session = await suite.database.pool.connect();
    try {
      await session.query('BEGIN');
      await session.query('CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM members WHERE id = $1', [member?.id]);
      await session.query('DELETE FROM members WHERE id = $1', [member?.id]);
      await session.query('INSERT INTO members SELECT * FROM kept');
      await session.query('COMMIT');
      const page = await changes(own, begun.position, 1);
      expect(page).toMatchObject({ changes: [{ kind: 'CREATED', member: { name: member?.name } }], hasMore: false });

      await session.query('BEGIN');
      await session.query('CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM members WHERE id = $1', [member?.id]);
      await session.query('DELETE FROM members WHERE id = $1', [member?.id]);
      await session.query('INSERT INTO members SELECT * FROM kept');
      await session.query('DELETE FROM members WHERE id = $1', [member?.id]);
      await session.query('COMMIT');
      expect(await changes(own, page.position, 1)).toMatchObject({ changes: [{ kind: 'DELETED' }], hasMore: false });
    } finally {
      session.release();
    }
  });

  test('a change says when it was, though the statement did not', async () => {
    const own = await makeNetwork(suite.database);
    const [member] = await makeMembers(suite.database, own.network.id, 1, () => ({
      updatedAt: new Date('2020-01-01'),
    }));
    const begun = await changes(own);
    const before = await suite.database.pool.query<{ now: Date }>('SELECT now() AS now');
    await change(`UPDATE members SET name = 'Changed' WHERE id = $1`, member?.id);
    const [told] = (await changes(own, begun.position)).changes;
    expect(Date.parse(String(told?.changedAt))).toBeGreaterThanOrEqual(Number(before.rows[0]?.now));
  });

  test('a member is moved to no other network, whose feed could not tell the first one', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const [member] = await makeMembers(suite.database, own.network.id, 1);
    const moved = change('UPDATE members SET network_id = $2 WHERE id = $1', member?.id, other.network.id);
    await expect(moved).rejects.toThrow('a member stays in its network');
  });

  test('a member keeps its id, and the table is not emptied at one stroke: neither could be told', async () => {
    const own = await makeNetwork(suite.database);
    const [member] = await makeMembers(suite.database, own.network.id, 1);
    const renumbered = change('UPDATE members SET id = gen_random_uuid() WHERE id = $1', member?.id);
    await expect(renumbered).rejects.toThrow('a member keeps its id');
    for (const statement of ['TRUNCATE members', 'TRUNCATE members CASCADE']) {
      await expect(change(statement)).rejects.toThrow('members are deleted, not truncated');
    }
  });

  test('no trigger of the feed sleeps in a session that replays changes', async () => {
    const { rows } = await change(
      `SELECT tgname FROM pg_trigger WHERE tgrelid = 'members'::regclass AND NOT tgisinternal AND tgenabled <> 'A'`,
    );
    expect(rows).toEqual([]);
  });

  test.for(['infinity', '-infinity'])('a time of %s has no place in an order', async (time) => {
    const own = await makeNetwork(suite.database);
    const [member] = await makeMembers(suite.database, own.network.id, 1);
    const forever = change('UPDATE members SET last_active_at = $2 WHERE id = $1', member?.id, time);
    await expect(forever).rejects.toThrow('members_finite_times_check');
  });
});

describe('where the counter was put back, as by a volume that was restored under the database', () => {
  interface Feed {
    readonly position: string;
    readonly epoch: string;
    readonly place: string;
    readonly history: unknown;
  }

  async function feedOf(own: TestNetwork): Promise<Feed | undefined> {
    const sql = 'SELECT position, epoch, place, history FROM member_feeds WHERE network_id = $1';
    return (await change(sql, own.network.id)).rows[0] as Feed | undefined;
  }

  /** The members of before were none. */
  async function putBack(own: TestNetwork, feed: Feed | undefined): Promise<void> {
    await change('DELETE FROM members WHERE network_id = $1', own.network.id);
    await change('DELETE FROM member_deletions WHERE network_id = $1', own.network.id);
    const sql = 'UPDATE member_feeds SET position = $2, epoch = $3, place = $4, history = $5 WHERE network_id = $1';
    await change(sql, own.network.id, feed?.position, feed?.epoch, feed?.place, JSON.stringify(feed?.history));
  }

  const codeOf = async (own: TestNetwork, after: string) => (await ask(own, { after })).body.errors?.[0]?.extensions;

  test('the first who comes from beyond it ends the epoch: later ones start over too, once it has come as far', async () => {
    const own = await makeNetwork(suite.database);
    const begun = await changes(own);
    const atBackup = (await changes(own, begun.position)).position;
    const kept = await feedOf(own);
    await makeMembers(suite.database, own.network.id, 1);
    const [first, second] = [await changes(own, atBackup), await changes(own, atBackup)];
    await putBack(own, kept);
    expect(await codeOf(own, first.position)).toMatchObject({ code: 'POSITION_EXPIRED', reason: 'lost' });
    await makeMembers(suite.database, own.network.id, 3);
    expect(await codeOf(own, second.position)).toMatchObject({ code: 'POSITION_EXPIRED', reason: 'lost' });
    // Who had heard of nothing that was lost goes on.
    expect((await changes(own, atBackup)).changes).toHaveLength(3);
  });
});

describe('where the data were moved, and nothing was written there yet', () => {
  /** As a standby that took over: the place that is kept is not this one. */
  const move = (own: TestNetwork) =>
    change(`UPDATE member_feeds SET place = 'elsewhere' WHERE network_id = $1`, own.network.id);

  test('a fresh client can begin, and goes on once something is written', async () => {
    const own = await makeNetwork(suite.database);
    await makeMembers(suite.database, own.network.id, 2);
    await move(own);
    const begun = await changes(own);
    const next = await changes(own, begun.position);
    expect(next).toMatchObject({ changes: [], hasMore: false });
    const added = (await makeMembers(suite.database, own.network.id, 1)).at(-1);
    for (const position of [begun.position, next.position]) {
      expect(told(await changes(own, position))).toEqual([['CREATED', toId('Member', String(added?.id))]]);
    }
  });

  test('who had caught up goes on, page by page; who had not starts over', async () => {
    const own = await makeNetwork(suite.database);
    const begun = await changes(own);
    const caughtUp = await changes(own, begun.position);
    const members = await makeMembers(suite.database, own.network.id, 5);
    await move(own);
    expect((await ask(own, { after: begun.position })).body.errors?.[0]?.extensions.code).toBe('POSITION_EXPIRED');
    const found: unknown[] = [];
    for (let page = caughtUp; ; ) {
      page = await changes(own, page.position, 2);
      found.push(...told(page));
      if (!page.hasMore) break;
    }
    expect(found).toEqual(members.map(({ id }) => ['CREATED', toId('Member', id)]));
  });
});

describe('a position is refused', () => {
  async function expectNoPosition(own: TestNetwork, after: string) {
    const reply = await ask(own, { after });
    expect({ status: reply.status, data: reply.body.data }).toEqual({ status: 294, data: null });
    expect(reply.body.errors?.[0]).toMatchObject({
      message: '`after` is no position of this feed: it may be cut short, or come from another network',
      extensions: { code: 'BAD_USER_INPUT', field: 'after' },
    });
  }

  test('of another network, cut short, with a bit turned, or made up', async () => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    const { position } = await changes(own);
    const turned = Buffer.from(position, 'base64url');
    turned.writeUInt8(turned.readUInt8(9) ^ 1, 9);
    const bad = [
      (await changes(other)).position,
      position.slice(0, -1),
      turned.toString('base64url'),
      '',
      '12',
      `${position} `,
    ];
    for (const after of bad) await expectNoPosition(own, after);
  });

  test('that is a cursor of members; and a position is no cursor', async () => {
    const own = await makeNetwork(suite.database);
    await makeMembers(suite.database, own.network.id, 1);
    const { body } = await suite.call(own.token, '{ members { edges { cursor } } }');
    await expectNoPosition(own, body.data.members.edges[0].cursor);
    const query = 'query($after: String) { members(after: $after) { nodes { id } } }';
    const reply = await suite.call(own.token, query, { variables: { after: (await changes(own)).position } });
    expect(reply.body).toMatchObject({
      data: null,
      errors: [{ extensions: { code: 'BAD_USER_INPUT', field: 'after' } }],
    });
  });

  test('of a secret that was dropped', async () => {
    const own = await makeNetwork(suite.database);
    const { position } = await changes(own);
    const stranger = await startTestGateway({ GATEHOUSE_SECRETS: 'another secret of more than thirty-two characters' });
    try {
      const reply = await fetch(`${stranger.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${own.token}` },
        body: JSON.stringify({ query: QUERY, variables: { after: position } }),
      });
      expect(await reply.json()).toMatchObject({
        errors: [{ extensions: { code: 'BAD_USER_INPUT', field: 'after' } }],
      });
    } finally {
      await stranger.close();
    }
  });

  test.for([0, 251, -1])('with `first` of %i', async (first) => {
    const own = await makeNetwork(suite.database);
    const reply = await ask(own, { after: (await changes(own)).position, first });
    expect(reply.body.errors?.[0]).toMatchObject({ extensions: { code: 'BAD_USER_INPUT', field: 'first' } });
  });
});

refusesAsAllDo(suite, {
  query: '{ memberChanges { changes { member { email } } position } }',
  scopes: ['members:email', 'members:read'],
});
