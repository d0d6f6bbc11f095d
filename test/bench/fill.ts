/**
 * Fills the table of members by the million: the server makes the rows itself (INSERT … SELECT generate_series), so that
 * none goes over the wire, and the indexes that hold nothing to a promise are taken off meanwhile and made anew behind
 * it. The triggers stay: each transaction gets its position in its network's feed, as those of an import would.
 */
import pg from 'pg';
import { fold } from '../../src/domain/text.ts';
import { CYCLES, START_MS, STEP_MS } from './people.ts';

/** Of a statement, each a transaction. */
const CHUNK = 50_000;
const STATEMENT_TIMEOUT_MS = 180_000;

/**
 * Ids are UUIDv7 of moments that rise, whoever the member is of, so that the rows and ids of the networks lie among each
 * other; what is random in them is a digest, so that every run has the same.
 */
const INSERT = `
INSERT INTO members (id, network_id, external_id, name, name_folded, email, email_folded, role, status, avatar_url,
                     location, tags, custom_fields, created_at, updated_at, last_active_at)
SELECT (lpad(to_hex($4 + n * $5), 12, '0') || '7' || substr(digest, 1, 3) || '8' || substr(digest, 4, 15))::uuid,
       network, 'crm-' || n, ($6::text[])[1 + n % 7] || ' ' || n, ($7::text[])[1 + n % 7] || ' ' || n,
       email, email, upper(($8::text[])[1 + n % 7])::member_role, upper(($9::text[])[1 + n % 6])::member_status,
       'https://avatars.example/' || n || '.png', ($10::text[])[1 + n % 7],
       CASE WHEN n % 3 = 0 THEN '{mentor,newsletter}'::text[] ELSE '{}' END,
       jsonb_build_object('company', 'Company ' || n % 100), at, at, at
FROM unnest($1::uuid[]) AS network CROSS JOIN generate_series($2::bigint, $3::bigint) AS n,
     LATERAL (SELECT md5(n || network::text) AS digest, 'member' || n || '@' || network || '.example' AS email,
                     to_timestamp(($4 + n * $5) / 1000.0) AS at) AS made
ORDER BY network, n`;

/** So many members in each of some networks. */
export interface Fill {
  readonly networkIds: readonly string[];
  readonly members: number;
}

export async function fillMembers(url: string, fills: readonly Fill[]): Promise<void> {
  const client = new pg.Client({ connectionString: url, statement_timeout: STATEMENT_TIMEOUT_MS });
  await client.connect();
  try {
    await client.query("SET maintenance_work_mem = '512MB'; SET synchronous_commit = off; SET work_mem = '64MB'");
    const indexes = await takeIndexesOff(client);
    for (const statement of statementsOf(fills)) await client.query(INSERT, statement);
    for (const definition of indexes) await client.query(definition);
    // Without figures the planner would sort the whole table (TRAPS: Prisma); VACUUM, so that none runs amid a round.
    await client.query('VACUUM ANALYZE');
  } finally {
    await client.end();
  }
}

/** The indexes that no constraint stands on; resolves to what makes them anew. */
async function takeIndexesOff(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string; definition: string }>(
    `SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
     FROM pg_index WHERE indrelid = 'members'::regclass AND NOT indisunique`,
  );
  for (const { name } of rows) await client.query(`DROP INDEX ${name}`);
  return rows.map(({ definition }) => definition);
}

/** A share of each fill in turn, so that the networks' rows lie among each other. */
function* statementsOf(fills: readonly Fill[]): Generator<unknown[]> {
  const rows = fills.map(({ networkIds, members }) => networkIds.length * members);
  const turns = Math.ceil(Math.max(...rows) / CHUNK);
  const most = Math.max(...fills.map(({ members }) => members));
  for (let turn = 0; turn < turns; turn += 1) {
    for (const { networkIds, members } of fills) {
      const [from, to] = [turn, turn + 1].map((part) => Math.round((members * part) / turns));
      if (from === to || to === undefined || networkIds.length === 0) continue;
      const { name, role, status, location } = CYCLES;
      // All fill the same time, few or many: so no page has more of the others between its rows than another.
      const stepMs = Math.floor((STEP_MS * most) / members);
      yield [networkIds, from, to - 1, START_MS, stepMs, name, name.map(fold), role, status, location];
    }
  }
}
