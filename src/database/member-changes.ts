/** A page of a network's feed and the state of the feed, in one statement: so of one moment. */
import type pg from 'pg';
import type { FeedState } from '../domain/feed-position.ts';
import { orNull, readCount, readText, UnreadableValueError } from '../domain/unreadable.ts';
import type { Member } from './generated/client.ts';
import { prepare, run } from './prepared.ts';
import { MEMBERS } from './tables.ts';

export interface ChangesPage {
  /** After this position and member. */
  readonly position: number;
  readonly memberId: string | null;
  readonly limit: number;
  /** The properties of a member that are wanted. */
  readonly wanted: ReadonlySet<string>;
}

/** A member's last change: the member as it is, or what is left of it. */
export interface ChangedMember {
  readonly position: number;
  readonly id: string;
  readonly externalId: string | null;
  /** Null: it was deleted. */
  readonly createdPosition: number | null;
  readonly changedAt: Date;
  /** Only what was wanted of it is there. */
  readonly member: Member;
}

export interface FeedPage {
  readonly feed: FeedState;
  readonly changes: readonly ChangedMember[];
}

/** Null where there is no such network. */
export async function memberChanges(pool: pg.Pool, networkId: string, page: ChangesPage): Promise<FeedPage | null> {
  const values = [networkId, page.position, page.memberId ?? ALL_TOLD, page.limit];
  const rows = await run<Row>(pool, prepare(statement(page.wanted)), values);
  const [first] = rows;
  if (first === undefined) return null;
  return {
    feed: feedOf(first),
    changes: rows.flatMap((row) => (row.changed === null ? [] : [changeOf(row, row.changed)])),
  };
}

export async function feedState(pool: pg.Pool, networkId: string): Promise<FeedState | null> {
  const [row] = await run<FeedRow>(pool, prepare(`SELECT ${FEED} FROM ${FEEDS} WHERE network_id = $1`), [networkId]);
  return row === undefined ? null : feedOf(row);
}

/** No member's id comes after it. */
const ALL_TOLD = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

const FEED = `public.member_feed_epoch(feed, here) AS feed_epoch, public.member_feed_history(feed, here) AS feed_history,
  feed.position AS feed_position, feed.floor AS feed_floor`;
const FEEDS = 'member_feeds AS feed CROSS JOIN LATERAL public.member_feed_place() AS here';

interface FeedRow extends pg.QueryResultRow {
  readonly feed_epoch: string;
  readonly feed_position: string;
  readonly feed_floor: string;
  readonly feed_history: unknown;
}

interface Row extends FeedRow, Member {
  /** The position of the change; null where there is none to tell of. */
  readonly changed: string | null;
  readonly created: string | null;
  readonly changed_at: Date;
}

function statement(wanted: ReadonlySet<string>): string {
  const columns = Object.entries(MEMBERS.columns).filter(
    ([name]) => wanted.has(name) && !['id', 'externalId'].includes(name),
  );
  const after = (position: string, id: string) => `
    (network_id, ${position}, ${id}) > ($1, $2::bigint, $3::uuid) AND (network_id, network_id) <= ($1, $1)
    ORDER BY network_id, ${position}, ${id} LIMIT $4`;
  return `
SELECT ${FEED}, c.* FROM ${FEEDS} LEFT JOIN LATERAL (
  SELECT * FROM (
    (SELECT changed_position AS changed, id, external_id AS "externalId", created_position AS created,
            updated_at AS changed_at${columns.map(([name, column]) => `, ${column} AS "${name}"`).join('')}
     FROM members WHERE ${after('changed_position', 'id')})
    UNION ALL
    (SELECT position, member_id, external_id, NULL, deleted_at${columns.map(() => ', NULL').join('')}
     FROM member_deletions AS gone
     WHERE NOT EXISTS (SELECT FROM members WHERE id = gone.member_id AND network_id = $1)
       AND ${after('position', 'member_id')})
  ) AS told ORDER BY changed, id LIMIT $4
) AS c ON true WHERE feed.network_id = $1 ORDER BY c.changed, c.id`;
}

function feedOf(row: FeedRow): FeedState {
  return {
    epoch: row.feed_epoch,
    position: readCount(row.feed_position, 'member_feeds.position'),
    floor: readCount(row.feed_floor, 'member_feeds.floor'),
    history: historyOf(row.feed_history),
  };
}

const HISTORY = 'member_feeds.history';

function historyOf(stored: unknown): FeedState['history'] {
  if (!Array.isArray(stored)) throw new UnreadableValueError(HISTORY);
  return stored.map((entry: Readonly<Record<string, unknown>>) => ({
    epoch: readText(entry['epoch'], HISTORY),
    position: readCount(entry['position'], HISTORY),
  }));
}

function changeOf(row: Row, changed: string): ChangedMember {
  return {
    position: readCount(changed, 'members.changed_position'),
    id: row.id,
    externalId: row.externalId,
    createdPosition: orNull(readCount, row.created, 'members.created_position'),
    changedAt: row.changed_at,
    member: row,
  };
}
