/** A page deep in the list against the first: where a place is a value, the depth costs nothing. */
import assert from 'node:assert/strict';
import type { LoadRequest } from '../load.ts';
import type { Race } from '../rounds.ts';
import { ask, graphqlRequest, type Stage } from '../stage.ts';

const PAGE = 100;
/** A deep page costs a tenth more at most. */
const AIM = 0.91;
const QUERY = `query Deep($first: Int!, $after: String) {
  members(first: $first, after: $after) {
    edges { cursor node { id name role status location createdAt } }
    pageInfo { endCursor }
  }
}`;
/** From the list's end: the place before the last page, without the way there. */
const END = 'query End($last: Int!) { members(last: $last) { pageInfo { startCursor } } }';

interface Answer {
  readonly members: {
    readonly edges: readonly unknown[];
    readonly pageInfo: { readonly startCursor?: string; readonly endCursor?: string };
  };
}

export async function depth({ community, start, underLoad }: Stage): Promise<Race> {
  const url = await start('gateway');
  const requestFor = (after: string | null): LoadRequest =>
    graphqlRequest(community.token, QUERY, { first: PAGE, after });
  const end = await ask<Answer>(url, graphqlRequest(community.token, END, { last: PAGE + 1 }));
  const deep = requestFor(end.members.pageInfo.startCursor ?? null);
  const first = requestFor(null);
  const ends: unknown[] = [];
  for (const request of [first, deep]) {
    const { members } = await ask<Answer>(url, request);
    assert.equal(members.edges.length, PAGE);
    ends.push(members.pageInfo.endCursor);
  }
  assert.notEqual(ends[0], ends[1]);
  return {
    title: `page ${(community.members / PAGE).toLocaleString('en')} of ${PAGE} members`,
    unit: 'req/s',
    gateway: underLoad('Gatehouse, deep', url, [deep]),
    rivals: [{ ...underLoad('Gatehouse, page 1', url, [first]), aim: AIM }],
  };
}
