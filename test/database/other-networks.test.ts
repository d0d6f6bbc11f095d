/**
 * What other networks hold makes no difference to a filter or lookup: for a value that is common there and one that is found
 * nowhere, the very statements that the gateway sent have the same text, the same plan and the same number of buffers
 * read, node by node. Otherwise the time of an answer would tell the one from the other.
 */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toId } from '../../src/domain/id.ts';
import { makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { escapeLiteral } from '../support/postgres.ts';
import { onEachStatement } from '../support/statements.ts';
import { useScratchGateway } from '../support/suite.ts';

const LOAD_TIMEOUT_MS = 240_000;
const TEST_TIMEOUT_MS = 120_000;
/** The large network has more rows than a walk reads, the other two together more than that. */
const ROWS = { elsewhere: 60_000, large: 30_000, small: 400 };
type Size = 'large' | 'small';

const suite = useScratchGateway({ STATEMENT_TIMEOUT_MS: '30000' });
const networks = {} as Record<keyof typeof ROWS, TestNetwork>;

interface Statement {
  readonly text: string;
  readonly values: unknown[];
}
const sent: Statement[] = [];
let stopRecording: (() => void) | null = null;
/** The tables of which a caller filters rows or names one. */
const LISTS = /\b(members|api_keys|admins|audit_events|authentication_failures|refused_attempts|usage_counts)\b/;

/** Stored rows, the gateway's own work in between (usage, retention, mailboxes), and how a token is verified. */
const NOT_ASKED_FOR = /\bINSERT\b|= ANY\(ARRAY\(SELECT|email_identity_of IS DISTINCT|FROM secrets s\n/;

beforeAll(async () => {
  for (const name of Object.keys(ROWS) as (keyof typeof ROWS)[]) networks[name] = await makeNetwork(suite.database);
  await fill();
  stopRecording = onEachStatement(({ text, values }) => {
    if (values !== undefined && LISTS.test(text) && !NOT_ASKED_FOR.test(text)) sent.push({ text, values });
  });
}, LOAD_TIMEOUT_MS);

afterAll(() => stopRecording?.());

/**
 * Whatever is COMMON, the network elsewhere has in every row, or in one where a value is unique; the others have nothing of
 * it, nor of what is found nowhere. Like a restore: triggers sleep meanwhile, and indexes are made in the end.
 */
async function fill(): Promise<void> {
  const session = await suite.database.pool.connect();
  await session.query('SET statement_timeout = 0');
  // Nobody else is to change what the planner knows, or tidy up the index, in between.
  await session.query('ALTER TABLE members SET (autovacuum_enabled = off)');
  const { rows: indexes } = await session.query<{ name: string; definition: string }>(
    `SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE tablename = 'members' AND indexname <> 'members_pkey'`,
  );
  for (const { name } of indexes) await session.query(`DROP INDEX ${name}`);
  await session.query('ALTER TABLE members DISABLE TRIGGER USER');
  for (const [name, rows] of Object.entries(ROWS) as [keyof typeof ROWS, number][]) {
    const common = name === 'elsewhere';
    await session.query(
      `INSERT INTO members (id, network_id, external_id, name, name_folded, email, email_folded, role, status, tags,
                            custom_fields, created_at, updated_at, last_active_at, changed_position, created_position)
       SELECT gen_random_uuid(), $1, $2 || n, name, lower(name), email, email, $3::member_role, $4::member_status,
              ARRAY[$5, 'shared'], jsonb_build_object($6::text, $7::text, 'rank', CASE WHEN $3 = 'OWNER' THEN 3 ELSE 4 END, 'on', $3 = 'OWNER'),
              at, at, at, 1, 1
       FROM (SELECT n, CASE WHEN n % 2 = 0 THEN initcap($8) || ' ' || n ELSE n || ' ' || initcap($8) END AS name,
                    $8 || n || '@' || $8 || '.test' AS email,
                    $9::timestamptz + interval '1 second' * n AS at FROM generate_series(1, ${rows}) n) AS made`,
      common
        ? [
            networks[name].network.id,
            'crm-',
            'OWNER',
            'SUSPENDED',
            'commontag',
            'plan',
            'commonplan',
            'commonname',
            COMMON_DAY,
          ]
        : [networks[name].network.id, 'own-', 'MEMBER', 'ACTIVE', 'owntag', 'team', 'ownteam', 'ourpeople', OWN_DAY],
    );
  }
  await session.query(
    `INSERT INTO members (id, network_id, name, name_folded, email, email_folded, email_identity, email_identity_of)
     SELECT gen_random_uuid(), $1, 'Ada', 'ada', 'ada@bücher1.test', 'ada@bücher1.test', $2, 'ada@bücher1.test'`,
    [networks.elsewhere.network.id, INTERNATIONAL.common],
  );
  for (const { definition } of indexes) await session.query(definition);
  await session.query('ALTER INDEX members_terms_idx ALTER COLUMN 1 SET STATISTICS 0');
  await session.query('ALTER TABLE members ENABLE TRIGGER USER');
  await otherLists(session);
  await session.query('VACUUM (FREEZE, ANALYZE)');
  session.release(true);
}

/** Both in ASCII, of one domain or its neighbour. */
const INTERNATIONAL = { common: 'ada@xn--bcher1-3ya.test', nowhere: 'ada@xn--bcher0-3ya.test' };
const COMMON_DAY = '2019-05-01T00:00:00Z';
const EMPTY_DAY = '2017-05-01T00:00:00Z';
const OWN_DAY = '2023-05-01T00:00:00Z';
/** Usage is not kept for long. */
const dayAgo = (days: number) => new Date((Math.floor(Date.now() / DAY_MS) - days) * DAY_MS).toISOString();
const DAY_MS = 86_400_000;
const [USED_DAY, IDLE_DAY] = [dayAgo(4), dayAgo(2)];
const RANGE = (day: string) => `{ from: "${day}", before: "${day.replace('-01T', '-03T')}" }`;

/** Keys, the audit trail, refusals and usage: few here, many elsewhere. */
async function otherLists(session: pg.PoolClient): Promise<void> {
  for (const [name, rows] of [
    ['elsewhere', 20_000],
    ['large', 300],
  ] as const) {
    const { network, admin, apiKey } = networks[name];
    const common = name === 'elsewhere';
    const [day, word] = common ? [COMMON_DAY, 'common'] : [OWN_DAY, 'ours'];
    await session.query(
      `INSERT INTO api_keys (id, network_id, admin_id, name, name_folded, redacted_token, scopes, environment, created_at,
                             created_by_kind, created_by_id, expires_at, last_used_at)
       SELECT gen_random_uuid(), $1, $2, $3 || n, $3 || n, 'gth', ARRAY[$4], 'LIVE', $5::timestamptz + n * interval '1 s',
              'KEY', $6, $5::timestamptz + interval '10 years', $5::timestamptz FROM generate_series(1, ${rows}) n`,
      [network.id, admin.id, word, common ? 'audit:read' : 'members:read', day, apiKey.id],
    );
    await session.query(
      `INSERT INTO audit_events (id, network_id, action, actor_kind, actor_id, admin_id, subject_type, subject_id, created_at)
       SELECT gen_random_uuid(), $1, $2, 'KEY', $3, $4, $5, $3, $6::timestamptz + n * interval '1 s'
       FROM generate_series(1, ${rows}) n`,
      [network.id, common ? 'key.deleted' : 'key.updated', apiKey.id, admin.id, common ? 'Network' : 'ApiKey', day],
    );
    for (const [table, column] of [
      ['authentication_failures', 'reason'],
      ['refused_attempts', 'action, code'],
    ] as const) {
      const texts = column.split(', ').map(() => `'X'`);
      await session.query(
        `INSERT INTO ${table} (id, network_id, key_id, ${column}, minute, count)
         SELECT gen_random_uuid(), $1, $2, ${texts.join(', ')}, $3::timestamptz + n * interval '1 minute', 1
         FROM generate_series(1, ${rows}) n`,
        [network.id, apiKey.id, day],
      );
    }
    await session.query(
      `INSERT INTO usage_counts (network_id, key_id, bucket, starts_at, requests, errors, limited, cost)
       SELECT $1, gen_random_uuid(), 'MINUTE', $2::timestamptz + n % 1200 * interval '1 minute', 1, 0, 0, 1 FROM generate_series(1, ${rows}) n`,
      [network.id, common ? USED_DAY : IDLE_DAY],
    );
  }
}

// ——— what a statement reads ———

interface Node {
  readonly 'Node Type': string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly Node[];
}

const EXPLAIN = 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF, COSTS OFF, FORMAT JSON)';

function readingOf(node: Node): object {
  const { Plans = [] } = node;
  return {
    type: node['Node Type'],
    index: node['Index Name'],
    rows: node['Actual Rows'] * node['Actual Loops'],
    buffers: node['Shared Hit Blocks'] + node['Shared Read Blocks'],
    nodes: Plans.map(readingOf),
  };
}

/** Planned with its values as the gateway does, and without them as a prepared statement may be. */
async function readingsOf({ text, values }: Statement): Promise<object[]> {
  const client = await suite.database.pool.connect();
  try {
    const readings: object[] = [];
    const literals = values.map(literalOf);
    await client.query('BEGIN');
    await client.query(`PREPARE explained AS ${text}`);
    await client.query('SET LOCAL plan_cache_mode = force_generic_plan');
    for (const explained of [
      { text: `${EXPLAIN} ${text}`, values },
      { text: `${EXPLAIN} EXECUTE explained(${literals})` },
    ]) {
      readings.push(await steadyReadingOf(client, explained));
    }
    return readings;
  } finally {
    await client.query('ROLLBACK');
    await client.query('DEALLOCATE ALL');
    client.release();
  }
}

/**
 * The same twice in a row: the first time may find pages out of memory, or set hint bits, and any time may look up in the
 * catalogue again what another session has changed there.
 */
async function steadyReadingOf(
  client: pg.PoolClient,
  explained: { text: string; values?: unknown[] },
): Promise<object> {
  let last = '';
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const { rows } = await client.query(explained);
    const reading = readingOf(rows[0]['QUERY PLAN'][0].Plan);
    const text = JSON.stringify(reading);
    if (text === last) return reading;
    last = text;
  }
  throw new Error(`no two readings in a row were the same: ${explained.text}`);
}

const ATTEMPTS = 20;

function literalOf(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (value instanceof Date) return escapeLiteral(value.toISOString());
  if (Array.isArray(value)) return escapeLiteral(`{${value.map((each) => JSON.stringify(each)).join(',')}}`);
  return escapeLiteral(String(value));
}

async function statementsOf(
  network: TestNetwork,
  document: string,
): Promise<{ data: unknown; statements: Statement[] }> {
  sent.length = 0;
  const { body } = await suite.call(network.token, document);
  expect(body.errors).toBeUndefined();
  return { data: body.data, statements: [...sent] };
}

/** `document`: with a value that others have, and with one that nobody has. */
async function expectAlike(network: TestNetwork, document: (value: 'common' | 'nowhere') => string): Promise<void> {
  const common = await statementsOf(network, document('common'));
  const nowhere = await statementsOf(network, document('nowhere'));
  expect(common.data).toEqual(nowhere.data);
  expect(common.statements).not.toEqual([]);
  expect(common.statements.map(({ text }) => text)).toEqual(nowhere.statements.map(({ text }) => text));
  for (const [index, statement] of common.statements.entries()) {
    const other = nowhere.statements[index] as Statement;
    expect(await readingsOf(statement), statement.text).toEqual(await readingsOf(other));
  }
}

const MEMBER_FILTERS = {
  role: { common: 'role: [OWNER]', nowhere: 'role: [ADMIN]' },
  status: { common: 'status: [SUSPENDED]', nowhere: 'status: [INVITED]' },
  tags: { common: 'tags: ["commontag"]', nowhere: 'tags: ["missingtg"]' },
  externalId: { common: 'externalId: ["crm-77"]', nowhere: 'externalId: ["crn-77"]' },
  email: { common: 'email: ["commonname77@commonname.test"]', nowhere: 'email: ["commonnamf77@commonname.test"]' },
  'email, its domain not in ASCII': {
    common: 'email: ["ada@bücher1.test"]',
    nowhere: 'email: ["ada@bücher0.test"]',
  },
  'a part of the name': { common: 'nameContains: "monnam"', nowhere: 'nameContains: "zxqwvk"' },
  'the whole name': { common: 'nameContains: "Commonname 78"', nowhere: 'nameContains: "Zxqwvkjpyt 78"' },
  'how the name begins': { common: 'nameContains: "co"', nowhere: 'nameContains: "zx"' },
  'the first letter of the name': { common: 'nameContains: "c"', nowhere: 'nameContains: "z"' },
  'a part of the address': { common: 'emailContains: "monname7"', nowhere: 'emailContains: "zxqwvkj7"' },
  'how the address begins': { common: 'emailContains: "co"', nowhere: 'emailContains: "zx"' },
  'a custom field with a text': {
    common: 'customFields: [{ name: "plan", equals: "commonplan" }]',
    nowhere: 'customFields: [{ name: "plan", equals: "missingpla" }]',
  },
  'a custom field with a number': {
    common: 'customFields: [{ name: "rank", equals: 3 }]',
    nowhere: 'customFields: [{ name: "rank", equals: 9 }]',
  },
  'a custom field with a boolean': {
    common: 'customFields: [{ name: "on", equals: true }]',
    nowhere: 'customFields: [{ name: "of", equals: true }]',
  },
  createdAt: { common: `createdAt: ${RANGE(COMMON_DAY)}`, nowhere: `createdAt: ${RANGE(EMPTY_DAY)}` },
  'createdAt, open on one side': {
    common: 'createdAt: { before: "2020-01-01T00:00:00Z" }',
    nowhere: 'createdAt: { before: "2018-01-01T00:00:00Z" }',
  },
  updatedAt: { common: `updatedAt: ${RANGE(COMMON_DAY)}`, nowhere: `updatedAt: ${RANGE(EMPTY_DAY)}` },
  lastActiveAt: { common: `lastActiveAt: ${RANGE(COMMON_DAY)}`, nowhere: `lastActiveAt: ${RANGE(EMPTY_DAY)}` },
  'several, all common': {
    common: `role: [OWNER], tags: ["commontag"], nameContains: "common", updatedAt: ${RANGE(COMMON_DAY)}`,
    nowhere: `role: [ADMIN], tags: ["missingtg"], nameContains: "zxqwvk", updatedAt: ${RANGE(EMPTY_DAY)}`,
  },
  'one of them with what many here have': {
    common: 'status: [ACTIVE], tags: ["shared"], emailContains: "monname"',
    nowhere: 'status: [ACTIVE], tags: ["shared"], emailContains: "zxqwvkj"',
  },
} as const;

const PAGES = {
  large: [
    ...['ID', 'CREATED_AT', 'UPDATED_AT', 'NAME', 'LAST_ACTIVE_AT'].map((field) => ['first', field, 'ASC']),
    ['last', 'ID', 'ASC'],
    ['first', 'CREATED_AT', 'DESC'],
  ],
  small: [
    ['first', 'ID', 'ASC'],
    ['last', 'NAME', 'DESC'],
  ],
};

describe.for(['large', 'small'] as Size[])('in a %s network, a filter of members reads the same for', (size) => {
  test.for(Object.entries(MEMBER_FILTERS))(
    '%s, in every order and from either end',
    { timeout: TEST_TIMEOUT_MS },
    async ([, filter]) => {
      for (const [page, field, direction] of PAGES[size]) {
        const orderBy = `orderBy: { field: ${field}, direction: ${direction} }`;
        await expectAlike(
          networks[size],
          (value) =>
            `{ members(${page}: 100, filter: { ${filter[value]} }, ${orderBy}) { nodes { id name customFields } pageInfo { hasNextPage } } }`,
        );
      }
    },
  );

  test.for(Object.entries(MEMBER_FILTERS))('%s when it is counted', { timeout: TEST_TIMEOUT_MS }, ([, filter]) =>
    expectAlike(networks[size], (value) => `{ members(first: 1, filter: { ${filter[value]} }) { totalCount } }`),
  );
});

/** The id of a row elsewhere, and one that nothing has. */
async function idsOf(type: Parameters<typeof toId>[0], table: string): Promise<{ common: string; nowhere: string }> {
  const { rows } = await suite.database.pool.query<{ id: string }>(
    `SELECT id FROM ${table} WHERE network_id = $1 ORDER BY id OFFSET 200 LIMIT 1`,
    [networks.elsewhere.network.id],
  );
  return { common: toId(type, rows[0]?.id ?? ''), nowhere: toId(type, nearlyThe(rows[0]?.id ?? '')) };
}

/** Its neighbour in the index, so that both are looked for on the same pages. */
function nearlyThe(uuid: string): string {
  return uuid.slice(0, -1) + (uuid.endsWith('0') ? '1' : '0');
}

describe('a lookup reads the same for', () => {
  test.for([
    ['Member', 'members'],
    ['ApiKey', 'api_keys'],
    ['AuditEvent', 'audit_events'],
  ] as const)('an id of another network and one that nothing has: %s', async ([type, table]) => {
    const ids = await idsOf(type, table);
    await expectAlike(networks.large, (value) => `{ node(id: "${ids[value]}") { __typename } }`);
    await expectAlike(
      networks.large,
      (value) => `{ nodes(ids: ["${ids[value]}", "${networks.large.apiKey.id}"]) { id } }`,
    );
  });

  test('an admin of another network', async () => {
    const common = networks.elsewhere.admin.id;
    const ids = { common: toId('Admin', common), nowhere: toId('Admin', nearlyThe(common)) };
    await expectAlike(networks.large, (value) => `{ node(id: "${ids[value]}") { __typename } }`);
  });

  test('another network itself, which is not looked for', async () => {
    const common = networks.elsewhere.network.id;
    for (const id of [common, nearlyThe(common)]) {
      const { data, statements } = await statementsOf(networks.large, `{ node(id: "${toId('Network', id)}") { id } }`);
      expect({ data, statements }).toEqual({ data: { node: null }, statements: [] });
    }
  });

  test('a member by id and by address', async () => {
    const ids = await idsOf('Member', 'members');
    await expectAlike(networks.large, (value) => `{ member(id: "${ids[value]}") { id } }`);
    const names = { common: 'commonname77', nowhere: 'commonnamf77' };
    await expectAlike(networks.large, (value) => `{ member(email: "${names[value]}@commonname.test") { id } }`);
    await expectAlike(networks.large, (value) => `{ member(email: "${INTERNATIONAL[value]}") { id } }`);
  });

  test('members that are to be changed or deleted', async () => {
    const ids = await idsOf('Member', 'members');
    const writes = [
      (value: 'common' | 'nowhere') =>
        `mutation { deleteMembers(input: { ids: ["${ids[value]}"] }) { deletedIds userErrors { code } } }`,
      (value: 'common' | 'nowhere') =>
        `mutation { updateMember(input: { id: "${ids[value]}", name: "X" }) { userErrors { code } } }`,
    ];
    for (const write of writes) await expectAlike(networks.large, write);
  });

  test('members that are to be stored, by externalId and address', async () => {
    const names = { common: 'commonname77', nowhere: 'commonnamf77' };
    await expectAlike(
      networks.large,
      (value) =>
        `mutation { upsertMembers(input: { members: [{ email: "${names[value]}@commonname.test",
           externalId: "${value === 'common' ? 'crm' : 'crn'}-77", name: "X" }] }) { userErrors { code } } }`,
    );
    // Without a name none of them is stored.
    await expectAlike(
      networks.large,
      (value) =>
        `mutation { upsertMembers(input: { members: [{ email: "${INTERNATIONAL[value]}" }] }) { userErrors { code } } }`,
    );
  });

  test('keys that are to be changed, revoked or deleted', async () => {
    const ids = await idsOf('ApiKey', 'api_keys');
    const writes = [
      (value: 'common' | 'nowhere') =>
        `mutation { updateApiKey(input: { id: "${ids[value]}", name: "X" }) { userErrors { code } } }`,
      (value: 'common' | 'nowhere') =>
        `mutation { revokeApiKeys(input: { ids: ["${ids[value]}"], includeCreated: true }) { revokedCount userErrors { code } } }`,
      (value: 'common' | 'nowhere') =>
        `mutation { deleteApiKey(input: { id: "${ids[value]}" }) { userErrors { code } } }`,
    ];
    for (const write of writes) await expectAlike(networks.large, write);
  });

  test('the name of a new key', () =>
    expectAlike(
      networks.large,
      (value) =>
        `mutation { createApiKey(input: { name: "${value}7", scopes: [MEMBERS_READ] }) { userErrors { code } } }`,
    ));
});

describe('a filter reads the same for', () => {
  test(
    'keys',
    async () => {
      const { admin, apiKey } = networks.elsewhere;
      const filters = [
        { common: 'scope: [AUDIT_READ]', nowhere: 'scope: [USAGE_READ]' },
        { common: 'environment: [LIVE], name: "mmon1"', nowhere: 'environment: [LIVE], name: "zxqw1"' },
        {
          common: `createdBy: ["${toId('Admin', admin.id)}"]`,
          nowhere: `createdBy: ["${toId('Admin', nearlyThe(admin.id))}"]`,
        },
        {
          common: `createdByKey: ["${toId('ApiKey', apiKey.id)}"]`,
          nowhere: `createdByKey: ["${toId('ApiKey', nearlyThe(apiKey.id))}"]`,
        },
        { common: 'unusedSince: "2020-01-01T00:00:00Z"', nowhere: 'unusedSince: "2018-01-01T00:00:00Z"' },
      ];
      for (const filter of filters) {
        await expectAlike(networks.large, (value) => `{ apiKeys(filter: { ${filter[value]} }) { nodes { name } } }`);
        await expectAlike(
          networks.large,
          (value) =>
            `mutation { revokeApiKeys(input: { filter: { ${filter[value]}, status: [ACTIVE] } }) { revokedCount userErrors { code } } }`,
        );
      }
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'audit events',
    async () => {
      const { admin, apiKey } = networks.elsewhere;
      const filters = [
        { common: 'action: ["key.deleted"]', nowhere: 'action: ["key.leaked"]' },
        { common: 'subjectType: [Network]', nowhere: 'subjectType: [Admin]' },
        {
          common: `subjectId: "${toId('ApiKey', apiKey.id)}"`,
          nowhere: `subjectId: "${toId('ApiKey', nearlyThe(apiKey.id))}"`,
        },
        {
          common: `actorId: "${toId('ApiKey', apiKey.id)}"`,
          nowhere: `actorId: "${toId('ApiKey', nearlyThe(apiKey.id))}"`,
        },
        {
          common: `actorId: "${toId('Admin', admin.id)}"`,
          nowhere: `actorId: "${toId('Admin', nearlyThe(admin.id))}"`,
        },
        {
          common: `since: "2019-05-01T00:00:00Z", until: "2019-05-03T00:00:00Z"`,
          nowhere: `since: "2017-05-01T00:00:00Z", until: "2017-05-03T00:00:00Z"`,
        },
      ];
      for (const filter of filters) {
        await expectAlike(networks.large, (value) => `{ auditEvents(filter: { ${filter[value]} }) { nodes { id } } }`);
      }
    },
    TEST_TIMEOUT_MS,
  );

  test.for(['authenticationFailures', 'refusedAttempts'])('%s', async (list) => {
    const { apiKey } = networks.elsewhere;
    const filters = [
      { common: `keyId: "${toId('ApiKey', apiKey.id)}"`, nowhere: `keyId: "${toId('ApiKey', nearlyThe(apiKey.id))}"` },
      {
        common: `since: "2019-05-01T00:00:00Z", until: "2019-05-03T00:00:00Z"`,
        nowhere: `since: "2017-05-01T00:00:00Z", until: "2017-05-03T00:00:00Z"`,
      },
    ];
    for (const filter of filters) {
      await expectAlike(networks.large, (value) => `{ ${list}(filter: { ${filter[value]} }) { nodes { minute } } }`);
    }
  });

  test('usage', async () => {
    const days = { common: USED_DAY, nowhere: dayAgo(3) };
    const hours = (day: string) => `since: "${day}", until: "${day.replace('T00', 'T20')}", bucket: MINUTE`;
    await expectAlike(networks.large, (value) => `{ network { usage(${hours(days[value])}) { requests } } }`);
    await expectAlike(
      networks.large,
      (value) => `{ apiKeys(first: 5) { nodes { usage(${hours(days[value])}) { requests } } } }`,
    );
  });
});
