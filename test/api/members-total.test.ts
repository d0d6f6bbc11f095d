/** `totalCount`: at hand without a filter, counted in slices with one, and priced by what there is to count. */
import { describe, expect, test } from 'vitest';
import { COUNT_SLICE_ROWS } from '../../src/database/keyset-count.ts';
import { ALL_SCOPES } from '../../src/domain/scope.ts';
import { principalOf } from '../support/context.ts';
import { answerOf, makeExecutors } from '../support/executors.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { recordStatements } from '../support/statements.ts';
import { useGateway } from '../support/suite.ts';

const suite = useGateway();
/** What one count of the large network costs does not fit in here. */
const tight = useGateway({ QUERY_MAX_COST: '10' });
const statements = recordStatements();
const { compiled, interpreted, bugs } = makeExecutors();

/** Three slices, the last of them short; a point for 2,000 of them. */
const MEMBERS = 2 * COUNT_SLICE_ROWS + 2_000;
const COUNTING_POINTS = Math.ceil(MEMBERS / 2_000);
const FILL_TIMEOUT_MS = 120_000;

/** Every seventh is suspended, every tenth has joined on 2020-01-02 and the others a day before. */
async function makeLarge() {
  const made = await makeNetwork(suite.database);
  await suite.database.pool.query(
    `INSERT INTO members (id, network_id, name, name_folded, email, email_folded, external_id, status, created_at, last_active_at)
     SELECT gen_random_uuid(), $1, 'n', 'n', n || '@example.test', n || '@example.test', 'e' || n,
            (CASE WHEN n % 7 = 0 THEN 'SUSPENDED' ELSE 'ACTIVE' END)::member_status,
            CASE WHEN n % 10 = 0 THEN '2020-01-02' ELSE '2020-01-01' END::timestamptz,
            CASE WHEN n % 2 = 0 THEN '2021-01-01Z'::timestamptz END
     FROM generate_series(1, $2::int) n`,
    [made.network.id, MEMBERS],
  );
  return made;
}
let large: ReturnType<typeof makeLarge> | null = null;
const largeNetwork = () => (large ??= makeLarge());

const countsOfMembers = () => statements.filter((text) => /count\(/.test(text) && /FROM members/.test(text));

describe('without a filter', () => {
  test.for(['', 'filter: null', 'filter: {}', 'filter: { status: null }'])(
    '(%s) no member is counted',
    async (filter) => {
      const { network, token } = await makeNetwork(suite.database);
      await makeMembers(suite.database, network.id, 7);
      statements.length = 0;
      const { body, cost } = await suite.call(token, `{ members(first: 1, ${filter}) { totalCount } }`);
      expect(body).toEqual({ data: { members: { totalCount: 7 } } });
      expect(cost).toMatchObject({ requested: 3, actual: 3 });
      expect(statements.filter((text) => text.includes('FROM member_counts'))).toHaveLength(1);
      expect(countsOfMembers()).toEqual([]);
    },
  );

  test('it is what the latest change has left', async () => {
    const { network, token } = await makeNetwork(suite.database);
    const ask = async () => (await suite.call(token, '{ members { totalCount } }')).body.data.members.totalCount;
    expect(await ask()).toBe(0);
    const [member] = await makeMembers(suite.database, network.id, 2);
    expect(await ask()).toBe(2);
    await suite.database.prisma.member.delete({ where: { id: String(member?.id) } });
    expect(await ask()).toBe(1);
  });
});

describe('with a filter', { timeout: FILL_TIMEOUT_MS }, () => {
  const SUSPENDED = Math.floor(MEMBERS / 7);

  test('members that an index finds are counted in one statement, and they alone are paid for', async () => {
    const { token } = await largeNetwork();
    statements.length = 0;
    const query = '{ members(first: 1, filter: { status: [SUSPENDED] }) { totalCount } }';
    const { body, cost } = await suite.call(token, query);
    expect(body).toEqual({ data: { members: { totalCount: SUSPENDED } } });
    expect(cost).toMatchObject({ requested: 3 + COUNTING_POINTS, actual: Math.ceil(2.25 + SUSPENDED / 2_000) });
    expect(countsOfMembers()).toHaveLength(1);
  });

  test('more members than a slice has are counted in slices, each a statement, and every row is paid for', async () => {
    const { token } = await largeNetwork();
    statements.length = 0;
    const query = '{ members(first: 1, filter: { status: [ACTIVE] }) { totalCount } }';
    const { body, cost } = await suite.call(token, query);
    expect(body).toEqual({ data: { members: { totalCount: MEMBERS - SUSPENDED } } });
    expect(cost).toMatchObject({ requested: 3 + COUNTING_POINTS, actual: 3 + COUNTING_POINTS });
    expect(countsOfMembers()).toHaveLength(1 + Math.ceil(MEMBERS / COUNT_SLICE_ROWS));
    for (const text of countsOfMembers()) expect(text).toContain('LIMIT');
  });

  test.for([
    ['a time range, which is counted alone', 'createdAt: { from: "2020-01-02T00:00:00Z" }', MEMBERS / 10, MEMBERS / 10],
    [
      'both ends of one',
      'createdAt: { from: "2020-01-02T00:00:00Z", before: "2020-01-03T00:00:00Z" }',
      MEMBERS / 10,
      MEMBERS / 10,
    ],
    [
      'a range that is not begun, with those that were never active left out',
      'lastActiveAt: { before: "2022-01-01T00:00:00Z" }',
      MEMBERS / 2,
      MEMBERS,
    ],
    ['ids, which are found', 'externalId: ["e1", "e2", "none"]', 2, 2],
    [
      'two conditions',
      'status: [SUSPENDED], createdAt: { from: "2020-01-02T00:00:00Z" }',
      Math.floor(MEMBERS / 70),
      Math.floor(MEMBERS / 70),
    ],
    ['values that nobody has', 'tags: []', 0, 0],
  ] as const)('of %s', async ([, filter, total, rows]) => {
    const { token } = await largeNetwork();
    const { body, cost } = await suite.call(token, `{ members(first: 1, filter: { ${filter} }) { totalCount } }`);
    expect(body).toEqual({ data: { members: { totalCount: total } } });
    expect(cost).toMatchObject({ requested: 3 + COUNTING_POINTS, actual: Math.ceil(2.25 + rows / 2_000) });
  });

  test('on any page of the list, whose cursors do not change the total', async () => {
    const { token } = await largeNetwork();
    const query = `query($after: String) { members(first: 2, after: $after, filter: { status: [SUSPENDED] }, orderBy: { field: NAME }) {
      totalCount pageInfo { endCursor } } }`;
    const first = await suite.call(token, query);
    const { endCursor: after, ...rest } = first.body.data.members.pageInfo;
    expect(rest).toEqual({});
    const second = await suite.call(token, query, { variables: { after } });
    expect([first, second].map(({ body }) => body.data.members.totalCount)).toEqual([SUSPENDED, SUSPENDED]);
  });

  test('a list is counted once, however often it is asked for; each is priced, and what was not counted given back', async () => {
    const { token } = await largeNetwork();
    statements.length = 0;
    const alias = (name: string, status: string) =>
      `${name}: members(first: 1, filter: { status: [${status}] }) { totalCount }`;
    const aliases = ['a', 'b', 'c', 'd'].map((name) => alias(name, 'SUSPENDED'));
    const { body, cost } = await suite.call(token, `{ ${aliases.join(' ')} ${alias('e', 'ACTIVE')} }`);
    expect(body.data.a).toEqual({ totalCount: SUSPENDED });
    expect(body.data.d).toEqual(body.data.a);
    expect(body.data.e).toEqual({ totalCount: MEMBERS - SUSPENDED });
    expect(cost?.requested).toBe(Math.ceil(5 * 2.25) + 5 * COUNTING_POINTS);
    expect(cost?.actual).toBe(Math.ceil(5 * 2.25 + (SUSPENDED + MEMBERS) / 2_000));
    expect(countsOfMembers()).toHaveLength(2 + Math.ceil(MEMBERS / COUNT_SLICE_ROWS));
  });

  test('that costs more than a request may is refused before anything is counted, with figures and what to do', async () => {
    const { token } = await largeNetwork();
    statements.length = 0;
    const query = '{ members(first: 1, filter: { status: [ACTIVE] }) { totalCount } }';
    const { status, body, cost } = await tight.call(token, query);
    expect(status).toBe(400);
    expect(body.data).toBeUndefined();
    expect(body.errors?.[0]).toMatchObject({
      message: expect.stringMatching(
        /^Query costs 14 points: at most 10 are let in at once\. Of these, 11 are for `totalCount` .* among 22000 rows: leave/,
      ),
      extensions: { code: 'QUERY_TOO_EXPENSIVE', limit: { name: 'cost', max: 10, actual: 14 } },
    });
    expect(cost).toMatchObject({ requested: 14, actual: 0 });
    expect(countsOfMembers()).toEqual([]);
    expect((await tight.call(token, '{ members(first: 1) { totalCount } }')).body.data.members.totalCount).toBe(
      MEMBERS,
    );
  });

  test('another network’s members are neither counted nor paid for', async () => {
    await largeNetwork();
    const { network, token } = await makeNetwork(suite.database);
    await makeMembers(suite.database, network.id, 3, () => ({ status: 'SUSPENDED' }));
    const { body, cost } = await suite.call(
      token,
      '{ members(first: 1, filter: { status: [SUSPENDED] }) { totalCount } }',
    );
    expect(body.data.members.totalCount).toBe(3);
    expect(cost).toMatchObject({ requested: 4, actual: 3 });
  });

  test('compiled and interpreted, it answers and costs the same', async () => {
    const made = await largeNetwork();
    const principal = principalOf(made, new Set(ALL_SCOPES));
    const query = `query($status: [MemberStatus!]) {
      all: members(first: 1) { totalCount }
      some: members(first: 1, filter: { status: $status }) { totalCount }
    }`;
    const asked = { query, variables: { status: ['SUSPENDED'] } };
    const answers: string[] = [];
    for (const server of [compiled, interpreted])
      answers.push(await answerOf(server, suite.database, principal, asked));
    expect(answers[0]).toContain(`\\"totalCount\\":${SUSPENDED}`);
    expect(answers[0]).toContain(`\\"requested\\":${Math.ceil(2 * 2.25) + COUNTING_POINTS}`);
    expect(answers[1]).toBe(answers[0]);
    expect(bugs).toEqual([]);
  });
});
