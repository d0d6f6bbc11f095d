/**
 * Positions in a network's feed of changes: how far a client has come, and whether the feed can take it on from there.
 *
 * Promise 3 across a restored backup. A network's counter goes on from where the backup left it, so the same number can
 * mean two things: hence epochs. An epoch ends, on the counter that the database had kept, when the data turn up in
 * another place; the next one is told by the two, before anything is written there. What a client at or below that count had heard of is in the database still, so it goes on; one above it
 * heard of changes that are lost, and starts over. But the feed tells of a member's latest change alone, and a full pull
 * reads later states than the position it began with: only a client that had caught up is at its position in every
 * respect. One that had not starts over as soon as the epoch has ended.
 */
import type { CursorValues } from './cursor.ts';

export interface FeedPosition {
  /** A UUID. */
  readonly epoch: string;
  readonly position: number;
  /** The member up to whom the changes of this position were told, a UUID; null: all of them. */
  readonly memberId: string | null;
  /** Where the client began, or last was told everything: what was created later is new to it. */
  readonly since: number;
  /** Whether the client had been told everything when it was given this. */
  readonly isCaughtUp: boolean;
}

/** A network's feed as it stands. */
export interface FeedState {
  readonly epoch: string;
  readonly position: number;
  /** Deletions up to here may have been forgotten. */
  readonly floor: number;
  /** Epochs that ended, and on which count. */
  readonly history: readonly { readonly epoch: string; readonly position: number }[];
}

export type FeedVerdict = 'good' | 'forgotten' | 'lost';

/** `forgotten`: deletions after it are no longer known. `lost`: it tells of changes that the database has not. */
export function judgePosition(at: FeedPosition, feed: FeedState): FeedVerdict {
  const end = endOf(at, feed);
  if (end === null || at.position > end) return 'lost';
  const isBelowFloor = at.position < feed.floor || (at.position === feed.floor && at.memberId !== null);
  return isBelowFloor ? 'forgotten' : 'good';
}

/** The last count that this client may be at; null: none. */
function endOf(at: FeedPosition, feed: FeedState): number | null {
  if (at.epoch === feed.epoch) return feed.position;
  const ended = feed.history.find(({ epoch }) => epoch === at.epoch);
  return ended !== undefined && at.isCaughtUp ? ended.position : null;
}

export function toCursorValues({ epoch, position, memberId, since, isCaughtUp }: FeedPosition): CursorValues {
  return [epoch, position, memberId, since, isCaughtUp ? 1 : 0];
}

/** Of values that were signed, so they are what toCursorValues gave. */
export function fromCursorValues([epoch, position, memberId, since, isCaughtUp]: CursorValues): FeedPosition {
  return {
    epoch: String(epoch),
    position: Number(position),
    memberId: typeof memberId === 'string' ? memberId : null,
    since: Number(since),
    isCaughtUp: isCaughtUp === 1,
  };
}
