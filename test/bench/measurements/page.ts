/** A page of 100 members, as a pull asks for it: six fields, each edge's cursor, and where to go on. */
import assert from 'node:assert/strict';
import { ask, type BenchRequest, graphqlRequest, type Race, type Stage } from '../stage.ts';

const PAGE = 100;
/** So many pages, one after the other, are asked for in turn. */
const PAGES = 20;
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
type PageRequest = (after: string | null) => BenchRequest;

export async function page({ community, start }: Stage): Promise<Race> {
  const viaGraphql =
    (token: string | null): PageRequest =>
    (after) =>
      graphqlRequest(token, QUERY, { first: PAGE, after });
  const viaPath: PageRequest = (after) => {
    const parameters = new URLSearchParams({ first: String(PAGE), ...(after === null ? {} : { after }) });
    return { method: 'GET', path: `/members?${parameters}`, headers: { accept: 'application/json' }, body: null };
  };
  const gateway = await pull('gatehouse', await start('gateway'), viaGraphql(community.token));
  const stock = await pull('the stock way', await start('stock'), viaGraphql(null));
  const bare = await pull('bare node:http + pg', await start('bare-pg'), viaPath);
  assert.deepEqual(stock.nodes, gateway.nodes);
  assert.deepEqual(bare.nodes, gateway.nodes);
  return {
    title: `a page of ${PAGE} members`,
    gateway: gateway.contestant,
    rivals: [
      { ...stock.contestant, aim: 2 },
      { ...bare.contestant, aim: 0.35 },
    ],
  };
}

/** Pulls the pages that will be asked for. Cursors are each server's own; all else must be equal. */
async function pull(name: string, url: string, requestFor: PageRequest) {
  const requests: BenchRequest[] = [];
  const nodes: unknown[] = [];
  let after: string | null = null;
  for (let count = 0; count < PAGES; count += 1) {
    const request = requestFor(after);
    const { members }: Answer = await ask<Answer>(url, request);
    assert.equal(members.edges.length, PAGE);
    assert.deepEqual(members.pageInfo, { hasNextPage: true, endCursor: members.edges.at(-1)?.cursor });
    assert.equal(new Set(members.edges.map((edge) => edge.cursor)).size, PAGE);
    requests.push(request);
    nodes.push(...members.edges.map((edge) => edge.node));
    after = members.pageInfo.endCursor;
  }
  return { contestant: { name, url, requests }, nodes };
}
