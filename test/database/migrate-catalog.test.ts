/** The migrations, applied to an empty database, make what prisma/schema.prisma says, and nothing else unlisted. */
import { readFile } from 'node:fs/promises';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { diffDatamodels } from '../../src/database/migrate/diff.ts';
import { migrate } from '../../src/database/migrate/migrate.ts';
import { withPool } from '../support/postgres.ts';
import { openScratchServer, SCRATCH_HOOK_TIMEOUT_MS, type ScratchServer } from './scratch-database.ts';

// What the migrations add by hand, because schema.prisma cannot say it, and why.

const BYTEWISE = 'collation C: order and uniqueness do not depend on the locale of the server or its version';
const NEVER_NULL = 'not null: a list is never null in Prisma, whose generator leaves the column nullable';

const COLLATIONS = new Map([
  ['networks.slug', BYTEWISE],
  ['admins.email_folded', BYTEWISE],
  ['api_keys.name', BYTEWISE],
  ['api_keys.name_folded', BYTEWISE],
  ['members.name_folded', BYTEWISE],
  ['members.email_folded', BYTEWISE],
  ['members.email_identity', BYTEWISE],
  ['members.email_identity_of', BYTEWISE],
  ['members.external_id', BYTEWISE],
  ['authentication_failures.reason', BYTEWISE],
  ['refused_attempts.action', BYTEWISE],
  ['refused_attempts.code', BYTEWISE],
  ['members.tags', BYTEWISE],
]);

const NOT_NULLS = new Map([
  ['api_keys.scopes', NEVER_NULL],
  ['api_keys.allowed_addresses', NEVER_NULL],
  ['api_keys.ancestor_ids', NEVER_NULL],
  ['members.tags', NEVER_NULL],
]);

const CHECKS = new Map([
  ['networks.networks_requests_per_minute_check', 'a limit of a custom plan is above zero'],
  ['networks.networks_network_requests_per_minute_check', 'a limit of a custom plan is above zero'],
  ['networks.networks_cost_per_minute_check', 'a limit of a custom plan is above zero'],
  ['networks.networks_max_key_life_seconds_check', 'a life has a length'],
  ['api_keys.api_keys_revoked_check', 'what is revoked says by whom'],
  ['secrets.secrets_digest_check', 'a digest is a SHA-256, never a token that slipped through'],
  ['members.members_custom_fields_check', 'custom fields are an object'],
  ['audit_events.audit_events_details_check', 'details are an object'],
  ['members.members_finite_times_check', 'a time has a place in an order'],
  ['member_feeds.member_feeds_history_check', 'ended epochs are a list'],
]);

const INDEXES_BY_HAND = new Map([
  ['members_email_identity_key', 'an expression: the mailbox while it is that of the address, else the address'],
  ['members_email_pending_idx', 'partial by what this language cannot say: the mailbox is not worked out yet'],
  ['members_last_active_idx', 'an expression: null counts as before any time'],
  ['members_terms_idx', 'an expression: what a member has, as terms of its network'],
]);

const OTHERS_BY_HAND = new Map([
  ['extension btree_gin', 'of an index that has been dropped; kept, for somebody else may have come to use it'],
  ['extension pg_trgm', 'the same'],
  ['function member_value_terms', 'the terms of a role, a status or tags'],
  ['function member_text_terms', 'the terms of a part of a name or address'],
  ['function member_field_terms', 'the terms of custom fields'],
  ['function member_terms', 'all that the index of the filters knows of a member'],
  ['function member_feed_place', 'which database this is, so that a restored one is known'],
  ['function member_feed_epoch', 'the epoch that follows in another place'],
  ['function member_feed_history', 'the epochs that ended'],
  ['function member_feed_position', 'the counter of a network’s feed, raised once a transaction'],
  ['function member_feeds_restored', 'ends every epoch, for an operator who has put files back'],
  ['function member_feed_put_back', 'ends an epoch whose counter has been put back'],
  ['function member_count_begins', 'a counter of members begins with what there is, whoever makes it'],
  ['function member_count_changed', 'the counter of a network’s members, which its writes change'],
  ['function members_counted', 'the members that an INSERT has added'],
  ['function member_counts_repair', 'counts anew, for an operator whose restore went past the triggers'],
  ['trigger member_counts_begin', 'a counter of members begins with what there is, whoever makes it'],
  ['trigger members_counted', 'no insert goes past the counter; deletes are counted where the feed is told of them'],
  ['function members_emptied', 'refuses what the feed could not tell of'],
  ['function member_written', 'the place of a change in the feed'],
  ['function members_deleted', 'the deletions that the feed tells of'],
  ['function network_feed_begins', 'every network has a feed'],
  ['trigger members_deleted', 'no write goes past the feed'],
  ['trigger members_emptied', 'no write goes past the feed'],
  ['trigger members_inserted', 'no write goes past the feed'],
  ['trigger members_updated', 'no write goes past the feed'],
  ['trigger networks_feed', 'every network has a feed, whoever made it'],
  ['function keep_audit_events', 'refuses to change the audit trail, and to delete of it before its time'],
  ['trigger audit_events_keep_rows', 'for each event that somebody would change or delete'],
  ['trigger audit_events_keep_table', 'for whoever would empty the table'],
]);

interface Column {
  readonly type: string;
  readonly notNull: boolean;
  readonly default: string | null;
  readonly collation: string | null;
}

interface Catalog {
  readonly columns: Record<string, Column>;
  /** `collated`: the text columns in it, and by which collation. */
  readonly indexes: Record<string, { readonly definition: string; readonly collated: Record<string, string> }>;
  readonly constraints: Record<string, string>;
  readonly enums: Record<string, string[]>;
  /** Anything else: views, sequences, functions, triggers, domains. */
  readonly others: string[];
}

let server: ScratchServer;
let migrated: Catalog;
let modelled: Catalog;

beforeAll(async () => {
  server = await openScratchServer();
  const [byFolder, byModel] = [await server.createDatabase(), await server.createDatabase()];
  await migrate(byFolder);
  const datamodel = await readFile(new URL('../../prisma/schema.prisma', import.meta.url), 'utf8');
  migrated = await withPool({ ...byFolder, max: 1 }, readCatalog);
  modelled = await withPool({ ...byModel, max: 1 }, async (pool) => {
    await pool.query(await diffDatamodels(null, datamodel));
    return readCatalog(pool);
  });
}, SCRATCH_HOOK_TIMEOUT_MS);

afterAll(() => server?.close(), SCRATCH_HOOK_TIMEOUT_MS);

test('the columns are those of the datamodel, but for the listed collations and not nulls', () => {
  const expected = Object.entries(modelled.columns).map(([name, column]) => [
    name,
    {
      ...column,
      collation: COLLATIONS.has(name) ? 'C' : column.collation,
      notNull: NOT_NULLS.has(name) || column.notNull,
    },
  ]);
  expect(migrated.columns).toEqual(Object.fromEntries(expected));
});

test('the constraints are those of the datamodel, and the listed checks', () => {
  const checks = Object.keys(migrated.constraints).filter((name) => !(name in modelled.constraints));
  expect(checks.sort()).toEqual([...CHECKS.keys()].sort());
  expect(checks.every((name) => migrated.constraints[name]?.startsWith('CHECK'))).toBe(true);
  expect(migrated.constraints).toMatchObject(modelled.constraints);
});

test('the indexes, partial ones among them, are those of the datamodel, and the listed ones', () => {
  const definitions = (catalog: Catalog) =>
    Object.fromEntries(Object.entries(catalog.indexes).map(([name, index]) => [name, index.definition]));
  const byHand = Object.keys(migrated.indexes).filter((name) => !(name in modelled.indexes));
  expect(byHand.sort()).toEqual([...INDEXES_BY_HAND.keys()].sort());
  expect(definitions(migrated)).toMatchObject(definitions(modelled));
  expect(Object.values(definitions(migrated)).filter((definition) => definition.includes(' WHERE '))).not.toEqual([]);
});

test('no index depends on a locale: each text column in one sorts by its bytes', () => {
  const collated = Object.values(migrated.indexes).flatMap((index) => Object.entries(index.collated));
  // Of an expression these are not listed: tags stand in an index as numbers, and mailboxes have the column's collation.
  const sorted = [...COLLATIONS.keys()].filter((column) => !/^members\.(tags|email_identity)/.test(column));
  expect(new Set(collated.map(([column]) => column))).toEqual(new Set(sorted));
  expect(new Set(collated.map(([, collation]) => collation))).toEqual(new Set(['C']));
});

test('the enums are those of the datamodel, their values in order', () => {
  expect(migrated.enums).toEqual(modelled.enums);
  expect(migrated.enums['plan']).toEqual(['STANDARD', 'PREMIUM', 'CUSTOM']);
});

test('there is nothing else but the listed functions and triggers', () => {
  expect(modelled.others).toEqual([]);
  expect(migrated.others.sort()).toEqual([...OTHERS_BY_HAND.keys()].sort());
});

const OURS = `relnamespace = 'public'::regnamespace AND relname NOT LIKE '\\_prisma\\_%'`;

const COLUMNS = `
  SELECT relname || '.' || attname AS name, json_build_object(
    'type', concat(format_type(atttypid, atttypmod), attidentity, attgenerated),
    'notNull', attnotnull,
    'default', pg_get_expr(adbin, adrelid),
    'collation', collname
  ) AS value
  FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  LEFT JOIN pg_collation ON pg_collation.oid = attcollation
  WHERE ${OURS} AND relkind = 'r' AND attnum > 0 AND NOT attisdropped`;

const INDEXES = `
  SELECT relname AS name, json_build_object(
    'definition', pg_get_indexdef(indexrelid),
    'collated', (
      SELECT coalesce(json_object_agg(concat(indrelid::regclass, '.', attname), collname), '{}')
      FROM unnest(indkey::int2[], indcollation::oid[]) AS part (number, collated_by)
      JOIN pg_attribute ON attrelid = indrelid AND attnum = part.number
      JOIN pg_collation ON pg_collation.oid = part.collated_by
    )
  ) AS value
  FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
  WHERE ${OURS} AND indisvalid`;

// Not-null constraints, which PostgreSQL 18 lists here, are compared as the columns' own.
const CONSTRAINTS = `
  SELECT relname || '.' || conname AS name, pg_get_constraintdef(pg_constraint.oid) AS value
  FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
  WHERE ${OURS} AND contype <> 'n'`;

const ENUMS = `
  SELECT typname AS name, json_agg(enumlabel ORDER BY enumsortorder) AS value
  FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid GROUP BY typname`;

const OTHERS = `
  SELECT concat(relkind, ' ', relname) AS name FROM pg_class WHERE ${OURS} AND relkind NOT IN ('r', 'i')
  UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
  UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT 'policy ' || polname FROM pg_policy
  UNION ALL SELECT 'domain ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'd'
  UNION ALL SELECT 'schema ' || nspname FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('public', 'information_schema')
  UNION ALL SELECT 'extension ' || extname FROM pg_extension WHERE extname <> 'plpgsql'`;

async function readCatalog(pool: pg.Pool): Promise<Catalog> {
  const read = async <Value>(sql: string): Promise<Record<string, Value>> => {
    const { rows } = await pool.query<{ name: string; value: Value }>(sql);
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
  };
  return {
    columns: await read(COLUMNS),
    indexes: await read(INDEXES),
    constraints: await read(CONSTRAINTS),
    enums: await read(ENUMS),
    others: Object.keys(await read(OTHERS)),
  };
}
