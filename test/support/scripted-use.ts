/**
 * One use of a gateway from the first table to the last answer, as a transcript: on any two databases the same, whatever
 * they are set to.
 */
import { type Database, openDatabase } from '../../src/database/database.ts';
import type { Prisma } from '../../src/database/generated/client.ts';
import { sweep } from '../../src/services/retention.ts';
import { exportText, importText, jsonLines } from '../services/members.ts';
import { graphql } from './client.ts';
import { makeAdmin, makeKey, makeMembers, makeNetwork, STANDARD } from './fixtures.ts';
import { startTestGateway, type TestGateway } from './gateway.ts';

const DAYS = 3_650;
const PAST = new Date('2026-03-01T22:30:00.123Z');
const FUTURE = new Date('2034-12-11T10:09:08.007Z');
/** Local times that are read differently by day and month, by zone and by century. */
const TIMES = ['2024-02-03T04:05:06.789Z', '2026-11-01T05:30:00.001Z', '1999-12-31T23:59:59.999Z'];

const RETENTION = { usageMinutesDays: 7, usageHoursDays: 400, refusalsDays: 90, auditDays: 1, deletionsDays: 30 };

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the answer's shape is what a test looks into
  readonly data: any;
  readonly message: readonly string[] | undefined;
}

type Ask = (token: string, query: string, variables?: Record<string, unknown>) => Promise<Answer>;

/** Without ids, tokens and the times of the run. */
export interface Transcript {
  readonly refusals: readonly Answer[];
  readonly answers: readonly Answer[];
  readonly exports: readonly string[];
  readonly keys: readonly Answer[];
  readonly feed: unknown;
  readonly quota: readonly Answer[];
  /** Of the audit events, after a sweep by a retention of one day. */
  readonly promisedDays: readonly { readonly action: string; readonly days: number; readonly count: number }[];
  readonly usage: unknown;
  /** What the gateway logged as errors. */
  readonly bugs: unknown;
}

/** `url`: a database without tables, or with all of them. */
export async function scriptedUse(url: string): Promise<Transcript> {
  const options = { dataDir: '', poolSize: 3, statementTimeoutMs: 30_000, auditRetentionDays: DAYS };
  const database = await openDatabase({ url, ...options });
  try {
    const gateway = await startTestGateway({ DATABASE_URL: url, AUDIT_RETENTION_DAYS: String(DAYS) });
    const transcript = await use(database, gateway).finally(() => gateway.close());
    // What the gateway counted was written as it closed.
    const { rows: usage } = await database.pool.query(
      'SELECT bucket, sum(requests)::int AS requests FROM usage_counts GROUP BY bucket ORDER BY bucket',
    );
    return { ...transcript, usage };
  } finally {
    await database.close();
  }
}

async function use(database: Database, { url, log }: TestGateway): Promise<Omit<Transcript, 'usage'>> {
  const ask: Ask = async (token, query, variables) => {
    const { status, body } = await graphql(url, token, query, variables === undefined ? {} : { variables });
    return { status, data: body.data, message: body.errors?.map(({ message }) => message) };
  };
  return {
    refusals: await refusals(database, ask),
    ...(await members(database, ask)),
    keys: await keys(database, ask),
    feed: await feed(database, ask),
    quota: await quota(database, ask),
    promisedDays: await promisedDays(database),
    bugs: log.filter(({ level }) => level === 'error' || level === 'fatal'),
  };
}

async function refusals(database: Database, ask: Ask): Promise<Answer[]> {
  const { network, admin, token } = await makeNetwork(database);
  const make = (expiresAt: Date | null = null, adminId = admin.id) =>
    makeKey(database, network.id, { adminId, expiresAt });
  const [revoked, expired, later, removed, previous] = [
    await make(),
    await make(PAST),
    await make(FUTURE),
    await make(null, (await makeAdmin(database, network.id)).id),
    await make(),
  ];
  const suspended = await makeNetwork(database, { network: { suspendedAt: PAST } });
  const data: Prisma.ApiKeyUpdateInput = { revokedAt: PAST, revokedByKind: 'COMMAND_LINE' };
  await database.prisma.apiKey.update({ where: { id: revoked.apiKey.id }, data });
  await database.prisma.admin.update({ where: { id: removed.apiKey.adminId }, data: { removedAt: PAST } });
  await database.prisma.secret.updateMany({ where: { keyId: previous.apiKey.id }, data: { expiresAt: PAST } });
  const tokens = [token, later.token, revoked.token, expired.token, removed.token, previous.token, suspended.token];
  return Promise.all(tokens.map((each) => ask(each, '{ me { scopes apiKey { status expiresAt revokedAt } } }')));
}

async function members(database: Database, ask: Ask): Promise<Pick<Transcript, 'answers' | 'exports'>> {
  const { network, token } = await makeNetwork(database);
  await makeMembers(database, network.id, TIMES.length, (index) => ({
    name: `Member ${index} \\ 'quoted' "É"`,
    email: `member-${index}@example.test`,
    createdAt: new Date(TIMES[index] ?? ''),
    lastActiveAt: new Date(TIMES[index] ?? ''),
    tags: ['a,b', 'NULL', "it's \\"],
    customFields: { score: 0.1 + 0.2, text: '\\n' },
  }));
  const row = { email: 'imported@example.test', name: 'Imported', createdAt: '2025-06-07T08:09:10.011Z', score: 1e-7 };
  await importText(database, network.id, 'jsonl', jsonLines(row));
  const list = `query($filter: MemberFilter, $orderBy: MemberOrder) { members(first: 10, filter: $filter, orderBy: $orderBy) {
    totalCount nodes { name email createdAt lastActiveAt tags customFields } } }`;
  const lists = [
    {},
    { orderBy: { field: 'CREATED_AT', direction: 'DESC' } },
    { orderBy: { field: 'LAST_ACTIVE_AT', direction: 'ASC' } },
    { filter: { createdAt: { from: '2025-01-01T00:00:00Z' } } },
    { filter: { nameContains: 'member', tags: ["it's \\\\"] } },
  ];
  return {
    answers: await Promise.all(lists.map((variables) => ask(token, list, variables))),
    exports: [await exportText(database, network.id, 'jsonl'), await exportText(database, network.id, 'csv')],
  };
}

async function keys(database: Database, ask: Ask): Promise<Answer[]> {
  const { network, admin } = await makeNetwork(database);
  const { token } = await makeKey(database, network.id, { adminId: admin.id, expiresAt: FUTURE });
  const create = `mutation($name: String!, $expiresAt: DateTime) {
    createApiKey(input: { name: $name, scopes: [MEMBERS_READ], expiresAt: $expiresAt }) {
      apiKey { id name status expiresAt } token userErrors { code } } }`;
  const before = new Date(FUTURE.getTime() - 1);
  const made = await ask(token, create, { name: 'within', expiresAt: before.toISOString() });
  const { id } = made.data.createApiKey.apiKey;
  const revoke = 'mutation($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { status } userErrors { code } } }';
  const answers = [
    await ask(token, create, { name: 'within', expiresAt: before.toISOString() }),
    await ask(token, create, { name: 'longer', expiresAt: new Date(FUTURE.getTime() + 1).toISOString() }),
    await ask(token, create, { name: 'for ever' }),
    await ask(token, revoke, { id }),
    await ask(made.data.createApiKey.token, '{ me { name } }'),
    await ask(token, '{ apiKeys(first: 10, filter: { status: [REVOKED] }) { nodes { name expiresAt } } }'),
  ];
  const isNow = /was revoked at \S+/;
  return answers.map((answer) => ({
    ...answer,
    message: answer.message?.map((text) => text.replace(isNow, 'revoked')),
  }));
}

async function feed(database: Database, ask: Ask): Promise<unknown> {
  const { network, token } = await makeNetwork(database);
  const query =
    'query($after: String) { memberChanges(after: $after) { changes { kind member { name } } position hasMore } }';
  const begun = await ask(token, query);
  const [kept, gone] = await makeMembers(database, network.id, 2);
  await database.prisma.member.update({ where: { id: kept?.id ?? '' }, data: { location: 'Aarhus' } });
  await database.prisma.member.delete({ where: { id: gone?.id ?? '' } });
  const after = await ask(token, query, { after: begun.data.memberChanges.position });
  const { rows } = await database.pool.query(
    'SELECT position::int, floor::int FROM member_feeds WHERE network_id = $1',
    [network.id],
  );
  return [after.status, after.data.memberChanges.changes, rows];
}

/** Of a network whose month has room, and of one whose month is full. */
async function quota(database: Database, ask: Ask): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const requests of [0, 5]) {
    const network = { ...STANDARD, monthlyQuota: 5, monthlyQuotaEnforced: true };
    const { network: made, token } = await makeNetwork(database, { network });
    await database.pool.query(
      `INSERT INTO network_months (network_id, month, requests) VALUES ($1, date_trunc('month', now(), 'UTC'), $2)`,
      [made.id, requests],
    );
    // The message says how long to wait.
    answers.push({ ...(await ask(token, '{ me { name } }')), message: undefined });
  }
  return answers;
}

async function promisedDays(database: Database): Promise<Transcript['promisedDays']> {
  await sweep(database, RETENTION, new AbortController().signal);
  const { rows } = await database.pool.query(
    `SELECT action, round(extract(epoch FROM keep_until - created_at) / 86400)::int AS days, count(*)::int
     FROM audit_events GROUP BY 1, 2 ORDER BY 1, 2`,
  );
  return rows;
}
