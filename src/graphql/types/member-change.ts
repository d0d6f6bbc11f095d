/** The feed of changes: what became of the network's members since a position. */
import type { ChangedMember } from '../../database/network-reads.ts';
import type { CursorSeal } from '../../domain/cursor.ts';
import { badInput, GatehouseError } from '../../domain/errors.ts';
import {
  type FeedPosition,
  type FeedState,
  type FeedVerdict,
  fromCursorValues,
  judgePosition,
  toCursorValues,
} from '../../domain/feed-position.ts';
import { toId } from '../../domain/id.ts';
import { builder } from '../builder.ts';
import { PAGE_DEFAULT, PAGE_MAX, pageCount } from '../connection.ts';
import type { Context } from '../context.ts';
import { cost, declare, listSize, requiresScopes } from '../directives.ts';
import { fieldsBelow } from '../selection.ts';
import { MemberRef } from './member.ts';

/** Points: what a member of a page of `members` costs, the member itself included. */
const CHANGE_POINTS = 0.25;

const MemberChangeKind = builder.enumType('MemberChangeKind', {
  description: 'What became of a member. Put CREATED and UPDATED alike into your copy by their ids.',
  values: {
    CREATED: { description: 'It was not there when you began, or had last been told everything.' },
    UPDATED: { description: 'It was there, and is different now.' },
    DELETED: { description: 'It is gone; it may have come after the position, too.' },
  },
});

interface Change extends ChangedMember {
  readonly kind: 'CREATED' | 'UPDATED' | 'DELETED';
}

const MemberChangeRef = builder.objectRef<Change>('MemberChange').implement({
  description: "A member's latest change. Earlier ones since the position are in it.",
  extensions: declare(requiresScopes('members:read'), cost(CHANGE_POINTS)),
  fields: (t) => ({
    kind: t.expose('kind', { type: MemberChangeKind, description: 'What became of it.' }),
    id: t.id({ description: '`mem_…`', resolve: ({ id }) => toId('Member', id) }),
    externalId: t.exposeString('externalId', {
      nullable: true,
      description: 'The externalId that it has, or had last.',
    }),
    changedAt: t.expose('changedAt', {
      type: 'DateTime',
      description: "When it was changed, by the database's clock.",
    }),
    member: t.field({
      type: MemberRef,
      nullable: true,
      description: 'The member as it is now; null where it is gone.',
      extensions: cost(0),
      resolve: ({ kind, member }) => (kind === 'DELETED' ? null : member),
    }),
  }),
});

interface Changes {
  readonly changes: readonly Change[];
  readonly position: string;
  readonly hasMore: boolean;
}

const MemberChangesRef = builder.objectRef<Changes>('MemberChanges').implement({
  description: 'A page of the feed of changes, in the order in which they were committed; each member once.',
  fields: (t) => ({
    changes: t.field({
      type: [MemberChangeRef],
      description: 'In the order in which they were committed.',
      resolve: ({ changes }) => [...changes],
    }),
    position: t.exposeString('position', {
      description: 'Give it as `after` to go on from here: at once, or any time.',
    }),
    hasMore: t.exposeBoolean('hasMore', { description: 'Whether more changes are there already.' }),
  }),
});

builder.queryField('memberChanges', (t) =>
  t.field({
    type: MemberChangesRef,
    description:
      'What became of members since a position. To hold a copy that misses nothing: ask without `after` for the ' +
      'present position, pull all members by id, then ask for the changes after that position, and go on from there. ' +
      'A position that is too old, or from before a backup was restored, is refused with `POSITION_EXPIRED`: start over.',
    extensions: declare(
      requiresScopes('members:read'),
      listSize({ assumedSize: PAGE_DEFAULT, slicingArguments: ['first'], sizedFields: ['changes'] }),
    ),
    args: {
      after: t.arg.string({ description: 'A position. Absent: no changes, and the present position.' }),
      first: t.arg.int({ description: `How many changes at the most: 1 to ${PAGE_MAX}, ${PAGE_DEFAULT} when absent.` }),
    },
    resolve: (_root, { after, first }, context, info) => {
      const limit = pageCount(first, 'first') ?? PAGE_DEFAULT;
      return typeof after === 'string' ? changesAfter(context, after, limit, fieldsBelow(info)) : begin(context);
    },
  }),
);

async function begin({ reads, cursors }: Context): Promise<Changes> {
  const { epoch, position } = found(await reads.feedState());
  // What a pull will read from now on is later than this position: nobody is caught up by it alone.
  const at = { epoch, position, memberId: null, since: position, isCaughtUp: false };
  return { changes: [], position: sealOf(reads.networkId, cursors).seal(toCursorValues(at)), hasMore: false };
}

async function changesAfter(
  { reads, cursors, services }: Context,
  after: string,
  limit: number,
  wanted: ReadonlySet<string>,
): Promise<Changes> {
  const seal = sealOf(reads.networkId, cursors);
  const at = open(seal, after);
  const page = found(await reads.memberChanges({ ...at, limit: limit + 1, wanted }));
  // Only the database's counter gives positions out: one above it, in its own epoch, means that it has been put back.
  if (at.epoch === page.feed.epoch && at.position > page.feed.position) {
    await services.endFeedEpoch(at.epoch, at.position);
  }
  refuse(judgePosition(at, page.feed));
  const changes = page.changes.slice(0, limit).map((change): Change => ({ ...change, kind: kindOf(change, at) }));
  const hasMore = page.changes.length > limit;
  return {
    changes,
    position: seal.seal(toCursorValues(reached(page.feed, at, hasMore ? changes.at(-1) : undefined))),
    hasMore,
  };
}

/** Behind the last change that was told; all that there is, where no more is left. */
function reached({ epoch, position }: FeedState, { since }: FeedPosition, last: Change | undefined): FeedPosition {
  if (last === undefined) return { epoch, position, memberId: null, since: position, isCaughtUp: true };
  return { epoch, position: last.position, memberId: last.id, since, isCaughtUp: false };
}

function kindOf({ createdPosition }: ChangedMember, { since }: FeedPosition): Change['kind'] {
  if (createdPosition === null) return 'DELETED';
  return createdPosition > since ? 'CREATED' : 'UPDATED';
}

function sealOf(networkId: string, cursors: Context['cursors']): CursorSeal {
  return cursors.forList(JSON.stringify([networkId, 'memberChanges']));
}

function open(seal: CursorSeal, after: string): FeedPosition {
  const values = seal.open(after);
  if (values !== null) return fromCursorValues(values);
  throw badInput('`after` is no position of this feed: it may be cut short, or come from another network', 'after');
}

const EXPIRED: Readonly<Record<Exclude<FeedVerdict, 'good'>, string>> = {
  forgotten: 'deletions since then are no longer kept',
  lost: 'the data were restored or moved, and changes up to it may be lost',
};

function refuse(verdict: FeedVerdict): void {
  if (verdict === 'good') return;
  throw new GatehouseError('POSITION_EXPIRED', `Position expired: ${EXPIRED[verdict]}. Start over with a full pull`, {
    extensions: { field: 'after', reason: verdict },
  });
}

/** A caller's network has a feed, unless it was deleted this moment. */
function found<Value>(value: Value | null): Value {
  if (value === null) throw new GatehouseError('NOT_FOUND', 'Not Found: the network is gone');
  return value;
}
