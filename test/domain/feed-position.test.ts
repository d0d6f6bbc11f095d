import { describe, expect, test } from 'vitest';
import { type FeedPosition, fromCursorValues, judgePosition, toCursorValues } from '../../src/domain/feed-position.ts';

const at = (change: Partial<FeedPosition> = {}): FeedPosition => ({
  epoch: 'now',
  position: 10,
  memberId: null,
  since: 8,
  isCaughtUp: true,
  ...change,
});
const feed = {
  epoch: 'now',
  position: 20,
  floor: 5,
  history: [
    { epoch: 'before', position: 12 },
    { epoch: 'long before', position: 7 },
  ],
};

describe('a position of the present epoch', () => {
  test.for([
    ['is good between floor and counter', at(), 'good'],
    ['is good at the counter', at({ position: 20 }), 'good'],
    ['is good at the floor, where all of it was told', at({ position: 5 }), 'good'],
    [
      'is forgotten at the floor, where some of it was not',
      at({ position: 5, memberId: 'm', isCaughtUp: false }),
      'forgotten',
    ],
    ['is forgotten below the floor', at({ position: 4 }), 'forgotten'],
    ['is lost beyond the counter', at({ position: 21 }), 'lost'],
    ['is good within a page', at({ memberId: 'm', isCaughtUp: false }), 'good'],
  ] as const)('%s', ([, position, verdict]) => {
    expect(judgePosition(position, feed)).toBe(verdict);
  });
});

describe('where the data were restored or moved, a position', () => {
  test.for([
    ['from before goes on, up to where the counter was', at({ epoch: 'before', position: 12 }), 'good'],
    ['from before is lost beyond it', at({ epoch: 'before', position: 13 }), 'lost'],
    ['from before is lost where the client had not caught up', at({ epoch: 'before', isCaughtUp: false }), 'lost'],
    ['from before that goes on up to its own end', at({ epoch: 'long before', position: 7 }), 'good'],
    ['from before that is lost beyond its own end', at({ epoch: 'long before', position: 8 }), 'lost'],
    ['of an epoch that this database never had is lost', at({ epoch: 'elsewhere' }), 'lost'],
  ] as const)('%s', ([, position, verdict]) => {
    expect(judgePosition(position, feed)).toBe(verdict);
  });
});

test('a position comes back from a cursor’s values as it was', () => {
  for (const position of [at(), at({ memberId: 'm', isCaughtUp: false })]) {
    expect(fromCursorValues(toCursorValues(position))).toEqual(position);
  }
});
