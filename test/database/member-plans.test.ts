/**
 * How PostgreSQL goes about each filter and each order of `members`, in a large table of which the network is the greater
 * part, a small one, and nearly nothing: read off the plans of the very statements that the gateway sent. TEST_MEMBERS
 * says how many rows the table has, if not a million.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WALK_MAX_ROWS } from '../../src/database/keyset.ts';
import { COUNT_SLICE_ROWS } from '../../src/database/keyset-count.ts';
import type { Limited } from '../../src/database/pooled-client.ts';
import { makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { onEachStatement } from '../support/statements.ts';
import { useScratchGateway } from '../support/suite.ts';

const MEMBERS = Number(process.env['TEST_MEMBERS'] ?? 1_000_000);
const LOAD_TIMEOUT_MS = Math.max(240_000, MEMBERS);
/** In one statement, which has a time limit. */
const BATCH = 20_000;
/** Of the table: the networks of the test, and 100 that share what is left. */
const SHARES = { most: 0.7, some: 0.03, few: 0.0005 };
const OTHERS = 100;
/** For what is no gateway's statement. */
const UNLIMITED: Limited = { limit: 'unlimited' };

const suite = useScratchGateway({ STATEMENT_TIMEOUT_MS: '30000' });
const networks = {} as Record<keyof typeof SHARES, TestNetwork>;
/** Where the feed of each stood before there was anything in it. */
const begun = {} as Record<keyof typeof SHARES, string>;

interface Statement {
  readonly text: string;
  readonly values: unknown[];
}
const statements: Statement[] = [];
let stopRecording: (() => void) | null = null;

beforeAll(async () => {
  for (const share of Object.keys(SHARES) as (keyof typeof SHARES)[]) {
    networks[share] = await makeNetwork(suite.database);
    const { body } = await suite.call(networks[share].token, '{ memberChanges { position } }');
    begun[share] = body.data.memberChanges.position;
  }
  await fill();
  stopRecording = onEachStatement(({ text, values }) => {
    if (values !== undefined && text.includes('FROM members')) statements.push({ text, values });
  });
}, LOAD_TIMEOUT_MS);

afterAll(() => stopRecording?.());

/**
 * Ids, times and values that have nothing to do with one another, or with the network. As a restore does it: the indexes are
 * made and the triggers wake up once the rows are there, in a fraction of the time.
 */
async function fill(): Promise<void> {
  const { pool } = suite.database;
  await pool.query(
    `INSERT INTO networks (id, slug, name) SELECT gen_random_uuid(), 'other-' || n, 'Other' FROM generate_series(1, ${OTHERS}) n`,
  );
  const session = await pool.connect();
  // An index of a million rows takes longer than any statement of a gateway may.
  const run = (text: string) => session.query<{ name: string; definition: string }>({ text, ...UNLIMITED });
  await run(`SET statement_timeout = 0; SET maintenance_work_mem = '512MB'`);
  await run('ALTER TABLE members SET (autovacuum_enabled = off)');
  const { rows: indexes } = await run(
    `SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE tablename = 'members' AND indexname <> 'members_pkey'`,
  );
  for (const { name } of indexes) await run(`DROP INDEX ${name}`);
  await run('ALTER TABLE members DISABLE TRIGGER USER');
  for (let from = 1; from <= MEMBERS; from += BATCH) await insertFrom(from);
  for (const { definition } of indexes) await run(definition);
  await run('UPDATE member_feeds SET position = (SELECT max(changed_position) FROM members)');
  await run('ALTER TABLE members ENABLE TRIGGER USER');
  await run('SELECT member_counts_repair()');
  await run('VACUUM (ANALYZE) members');
  session.release(true);
}

/** Each batch at a position of its own. */
async function insertFrom(from: number): Promise<void> {
  const shares = Object.entries(SHARES).map(
    ([share, part]) => [networks[share as keyof typeof SHARES].network.id, part] as const,
  );
  const cases = shares.map(
    ([id], index) =>
      `WHEN r < ${shares.slice(0, index + 1).reduce((sum, [, each]) => sum + each, 0)} THEN '${id}'::uuid`,
  );
  await suite.database.pool.query(`
    INSERT INTO members (id, network_id, external_id, name, name_folded, email, email_folded, role, status, tags, custom_fields,
                         created_at, updated_at, last_active_at, changed_position, created_position)
    SELECT gen_random_uuid(), CASE ${cases.join(' ')} ELSE others[1 + n % ${OTHERS}] END, 'crm-' || n, name, lower(name),
           'm' || n || '@example.test', 'm' || n || '@example.test',
           (CASE WHEN n % 1000 = 1 THEN 'OWNER' WHEN n % 50 = 1 THEN 'MODERATOR' ELSE 'MEMBER' END)::member_role,
           (CASE WHEN n % 10 = 1 THEN 'INVITED' WHEN n % 500 = 2 THEN 'SUSPENDED' ELSE 'ACTIVE' END)::member_status,
           ARRAY['half' || n % 2, 'rare' || n % 5000], jsonb_build_object('level', n % 5, 'number', n % 20000),
           now() - interval '1 minute' * (n::bigint * 7919 % ${MEMBERS}), now() - interval '1 minute' * (n::bigint * 104729 % ${MEMBERS}),
           CASE WHEN n % 3 = 0 THEN NULL ELSE now() - interval '1 minute' * (n::bigint * 1299709 % ${MEMBERS}) END,
           ${1 + (from - 1) / BATCH}, ${1 + (from - 1) / BATCH}
    FROM (SELECT n, random() AS r, initcap(substr(md5(n::text), 1, 6)) || ' ' || initcap(substr(md5((n % 5000)::text), 1, 8)) AS name
          FROM generate_series(${from}, ${from + BATCH - 1}) n) AS made,
         (SELECT array_agg(id) AS others FROM networks WHERE slug LIKE 'other-%') AS o`);
}

interface Plan {
  readonly 'Node Type': string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly Plan[];
}

/** What one statement read. */
interface Reading {
  readonly kind: 'walk' | 'gather' | 'straight' | 'count' | 'measure';
  readonly nodes: readonly string[];
  readonly indexes: readonly string[];
  /** Rows that were fetched, whether they matched or not. */
  readonly rowsRead: number;
  /** Of what was found, those that a sort began with; the rest may have been left aside there. */
  readonly rowsSorted: number;
  readonly rowsFound: number;
}

function readings(share: keyof typeof SHARES, args: string, after?: string): Promise<Reading[]> {
  const page = `{ members(first: 100, ${args} ${after ? `after: "${after}"` : ''}) { nodes { id name role } } }`;
  return readingsOf(share, page.replace(', )', ')'));
}

async function readingsOf(share: keyof typeof SHARES, document: string): Promise<Reading[]> {
  statements.length = 0;
  const reply = await suite.call(networks[share].token, document);
  expect(reply.body.errors).toBeUndefined();
  const sent = [...statements];
  const explained: Reading[] = [];
  for (const { text, values } of sent) {
    const { rows } = await suite.database.pool.query({ text: `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values });
    explained.push(readingOf(text, rows[0]['QUERY PLAN'][0].Plan));
  }
  return explained;
}

function readingOf(text: string, plan: Plan): Reading {
  const all: Plan[] = [plan];
  for (const node of all) all.push(...(node.Plans ?? []));
  const scans = all.filter(
    (node) => /Scan$/.test(node['Node Type']) && !['Subquery Scan', 'Bitmap Index Scan'].includes(node['Node Type']),
  );
  const read = (node: Plan) =>
    (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)) *
    node['Actual Loops'];
  return {
    kind: text.includes('AS walked')
      ? 'walk'
      : text.includes('AS gathered')
        ? 'gather'
        : text.includes('AS counted')
          ? 'measure'
          : text.includes('count(*)')
            ? 'count'
            : 'straight',
    nodes: all.map((node) => node['Node Type']),
    indexes: all.flatMap((node) => node['Index Name'] ?? []),
    rowsRead: scans.reduce((sum, node) => sum + read(node), 0),
    rowsSorted: all.find((node) => node['Node Type'] === 'Sort')?.Plans?.[0]?.['Actual Rows'] ?? 0,
    rowsFound: plan['Actual Rows'],
  };
}

/** Rows in the list's own order, up to a bound, until the page is full. */
function expectWalk(share: keyof typeof SHARES, walk: Reading): void {
  expect(walk.rowsRead).toBeLessThanOrEqual(WALK_MAX_ROWS);
  // Of a network as small as that, any way is as good.
  if (share === 'few') return;
  expect(walk.indexes).toEqual([ORDER_INDEXES.ID]);
  expect(walk.nodes).not.toContain('Sort');
}

const ORDER_INDEXES = {
  ID: 'members_network_id_id_idx',
  CREATED_AT: 'members_network_id_created_at_id_idx',
  UPDATED_AT: 'members_network_id_updated_at_id_idx',
  NAME: 'members_network_id_name_folded_id_idx',
  LAST_ACTIVE_AT: 'members_last_active_idx',
};

describe.for(Object.keys(SHARES) as (keyof typeof SHARES)[])('where the network is %s of the table', (share) => {
  test.for(Object.entries(ORDER_INDEXES))(
    'the order by %s reads the rows of its page off its index, first and last page alike',
    async ([order, index]) => {
      for (const direction of ['ASC', 'DESC']) {
        const orderBy = `orderBy: { field: ${order}, direction: ${direction} }`;
        // The far end: a cursor of the same list, taken from behind.
        const far = await suite.call(
          networks[share].token,
          `{ members(last: 50, ${orderBy}) { pageInfo { startCursor } } }`,
        );
        for (const after of [undefined, far.body.data.members.pageInfo.startCursor]) {
          const [reading, ...others] = await readings(share, orderBy, after);
          expect(others).toEqual([]);
          expect(reading).toMatchObject({ kind: 'straight', indexes: [index] });
          expect(reading?.nodes).not.toContain('Sort');
          expect(reading?.rowsRead).toBeLessThanOrEqual(101);
        }
      }
    },
  );

  test.for([
    ['a role of few', 'role: [OWNER]', ['members_terms_idx']],
    ['roles of many', 'role: [MEMBER, MODERATOR]', []],
    ['a status of few', 'status: [SUSPENDED]', ['members_terms_idx']],
    ['a status of many', 'status: [ACTIVE]', []],
    ['a tag of few', 'tags: ["rare7", "rare8"]', ['members_terms_idx']],
    ['a tag of many', 'tags: ["half1"]', []],
    ['a tag of none', 'tags: ["none"]', ['members_terms_idx']],
    ['externalIds', 'externalId: ["crm-1", "crm-77", "none"]', ['members_network_id_external_id_key']],
    ['addresses', 'email: ["m1@example.test", "m77@example.test", "none"]', ['members_email_identity_key']],
    ['text in few names', 'nameContains: "abcd"', ['members_terms_idx']],
    ['text in no name', 'nameContains: "zzzz"', ['members_terms_idx']],
    ['how a name begins', 'nameContains: "ab"', ['members_terms_idx']],
    ['text in few addresses', 'emailContains: "m777@"', ['members_terms_idx']],
    ['a custom field of few', 'customFields: [{ name: "number", equals: 7 }]', ['members_terms_idx']],
    ['a custom field of many', 'customFields: [{ name: "level", equals: 1 }]', []],
    ['when few joined', 'createdAt: { from: "FROM" }', ['members_network_id_created_at_id_idx']],
    ['when many joined', 'createdAt: { before: "FROM" }', []],
    ['when few were changed', 'updatedAt: { from: "FROM" }', ['members_network_id_updated_at_id_idx']],
    ['when few were active', 'lastActiveAt: { from: "FROM" }', ['members_last_active_idx']],
  ] as const)('the filter by %s is served by an index', async ([, filter, indexes]) => {
    const from = new Date(Date.now() - 7_200_000).toISOString();
    const read = await readings(share, `filter: { ${filter.replace('FROM', from)} }`);
    for (const { nodes } of read) expect(nodes).not.toContain('Seq Scan');
    const walk = read.find(({ kind }) => kind === 'walk');
    if (walk !== undefined) expectWalk(share, walk);
    const gather = read.find(({ kind }) => kind === 'gather');
    if (gather === undefined) {
      // The walk has filled the page by itself, or something straighter than both was there to do it.
      expect(read.map(({ kind, rowsFound }) => [kind, kind === 'straight' || rowsFound])).toEqual([
        walk === undefined ? ['straight', true] : ['walk', 101],
      ]);
    }
    if (share !== 'most' || gather === undefined) return;
    // Of the table's greater part it reads what matches, give or take what trigrams cannot tell.
    expect(gather.indexes).not.toEqual([]);
    expect(indexes).toEqual(expect.arrayContaining([...gather.indexes]));
    expect(gather.rowsRead).toBeLessThanOrEqual(2 * Math.max(gather.rowsSorted, gather.rowsFound) + 1_000);
  });

  test('a filter of many is filled by the walk alone, a small part of the network read', async () => {
    const read = await readings(share, 'filter: { tags: ["half1"] }');
    if (share === 'few') {
      const rowsRead = read.reduce((sum, reading) => sum + reading.rowsRead, 0);
      expect(rowsRead).toBeLessThan(4 * SHARES.few * MEMBERS);
      return;
    }
    expect(read.map(({ kind }) => kind)).toEqual(['walk']);
    expect(read[0]?.rowsRead).toBeLessThan(1_000);
  });
});

describe.for(Object.keys(SHARES) as (keyof typeof SHARES)[])('the feed of %s of the table', (share) => {
  test('reads the changes of its page off its index, the first and the last alike', async () => {
    const { body } = await suite.call(networks[share].token, '{ memberChanges { position } }');
    const last: string = body.data.memberChanges.position;
    for (const after of [begun[share], last]) {
      const [reading, ...others] = await readingsOf(
        share,
        `{ memberChanges(after: "${after}", first: 100) { changes { kind id member { name } } position } }`,
      );
      expect(others).toEqual([]);
      expect(reading?.indexes).toContain('members_network_id_changed_position_id_idx');
      // Where nothing is left to tell, the feed's own row comes alone.
      if (after === last) expect(reading?.rowsFound).toBe(1);
      else expect(reading?.rowsFound).toBeGreaterThan(1);
      // Besides the page: the feed's own row, and which database this is.
      expect(reading?.rowsRead).toBeLessThanOrEqual(101 + 2);
    }
  });
});

/** Every statement of a count of this filter, as it was read. */
async function countReadings(share: keyof typeof SHARES, filter: string): Promise<Reading[]> {
  const read = await readingsOf(share, `{ members(first: 1, filter: { ${filter} }) { totalCount } }`);
  return read.filter(({ kind }) => kind === 'count' || kind === 'measure');
}

describe.for(Object.keys(SHARES) as (keyof typeof SHARES)[])('a count in %s of the table', (share) => {
  test('reads no other network, and each statement of it no more than a slice, whatever the filter', async () => {
    const from = new Date(Date.now() - 7_200_000).toISOString();
    const half = new Date(Date.now() - MEMBERS * 30_000).toISOString();
    const filters = [
      'tags: ["half1"]',
      'role: [OWNER]',
      'nameContains: "abcd"',
      `createdAt: { before: "${from}" }`,
      `createdAt: { from: "${half}" }`,
      `updatedAt: { from: "${half}", before: "${from}" }`,
      `lastActiveAt: { before: "${half}" }, tags: ["half1"]`,
    ];
    for (const filter of filters) {
      const read = await countReadings(share, filter);
      const rowsRead = read.reduce((sum, reading) => sum + reading.rowsRead, 0);
      // The fixture's networks have about their share: which row is whose is chance. One statement more finds out that an
      // index finds too many to count at once, and one measures a range where there is something else to go by.
      expect(rowsRead, filter).toBeLessThan(1.2 * SHARES[share] * MEMBERS + 4 * COUNT_SLICE_ROWS);
      // That one checks a page's rows again where there are more pages than it can keep in mind.
      const slices = read.filter(({ nodes }) => !nodes.includes('Bitmap Heap Scan'));
      for (const { kind, rowsRead: rows } of slices) {
        expect(rows, filter).toBeLessThanOrEqual(kind === 'measure' ? WALK_MAX_ROWS + 1 : COUNT_SLICE_ROWS);
      }
    }
  });
});
