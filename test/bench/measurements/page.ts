/** A page of 100 members, as a pull asks for it: six fields, each edge's cursor, and where to go on. */
import assert from 'node:assert/strict';
import type { LoadRequest } from '../load.ts';
import type { Race } from '../rounds.ts';
import { ask, graphqlRequest, type Stage } from '../stage.ts';

const PAGE = 100;
/** So many pages, one behind the other, are asked for in turn. */
const PAGES = 20;
const AIM_OF_STOCK = 2;
const AIM_OF_BARE = 0.35;
const QUERY = `query Pull($first: Int!, $after: String) {
  members(first: $first, after: $after) {
    edges { cursor node { id name role status location createdAt } }
    pageInfo { hasNextPage endCursor }
  }
}`;

interface Answer {
  readonly members: {
    readonly edges: readonly { readonly cursor: string; readonly node: Readonly<Record<string, string | null>> }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
  };
}

/** The request for the page behind a cursor. */
type PageRequest = (after: string | null) => LoadRequest;

export async function page({ community, start, underLoad }: Stage): Promise<Race> {
  const [gateway, stock, bare] = [await start('gateway'), await start('stock'), await start('bare-pg')];
  const ours = await pull(gateway, viaGraphql(community.token));
  const theirs = await pull(stock, viaGraphql(null));
  const plain = await pull(bare, viaPath);
  assert.deepEqual(theirs.nodes, ours.nodes);
  assert.deepEqual(plain.nodes, ours.nodes);
  return {
    title: `a page of ${PAGE} members`,
    unit: 'req/s',
    gateway: underLoad('Gatehouse', gateway, ours.requests),
    rivals: [
      { ...underLoad('the stock way, no token', stock, theirs.requests), aim: AIM_OF_STOCK },
      { ...underLoad('bare node:http + pg', bare, plain.requests), aim: AIM_OF_BARE },
    ],
  };
}

function viaGraphql(token: string | null): PageRequest {
  return (after) => graphqlRequest(token, QUERY, { first: PAGE, after });
}

const viaPath: PageRequest = (after) => {
  const parameters = new URLSearchParams({ first: String(PAGE), ...(after === null ? {} : { after }) });
  return { method: 'GET', path: `/members?${parameters}`, headers: { accept: 'application/json' }, body: null };
};

/** Pulls the pages that will be asked for. Cursors are each server's own; all else must be equal. */
async function pull(url: string, requestFor: PageRequest) {
  const requests: LoadRequest[] = [];
  const nodes: unknown[] = [];
  let after: string | null = null;
  for (let count = 0; count < PAGES; count += 1) {
    const request = requestFor(after);
    const { members }: Answer = await ask<Answer>(url, request);
    const cursors = members.edges.map((edge) => edge.cursor);
    assert.equal(new Set(cursors).size, PAGE);
    assert.deepEqual(members.pageInfo, { hasNextPage: true, endCursor: cursors.at(-1) });
    requests.push(request);
    nodes.push(...members.edges.map((edge) => edge.node));
    after = members.pageInfo.endCursor;
  }
  return { requests, nodes };
}
