/** A page of 100 members, as a pull asks for it: six fields, each edge's cursor, and where to go on. */
import assert from 'node:assert/strict';
import { toId } from '../../../src/domain/id.ts';
import type { LoadRequest } from '../load.ts';
import type { Race } from '../rounds.ts';
import { ask, graphqlRequest, type Stage } from '../stage.ts';

const PAGE = 100;
/** So many pages, one behind the other, are asked for in turn. */
const PAGES = 20;
const AIM_OF_STOCK = 3;
const AIM_OF_POSTGRAPHILE = 1.5;
const AIM_OF_BARE = 0.6;
const QUERY = `query Pull($first: Int!, $after: String) {
  members(first: $first, after: $after) {
    edges { cursor node { id name role status location createdAt } }
    pageInfo { hasNextPage endCursor }
  }
}`;
/** The same in PostGraphile's words, under the same names but for the id. */
const POSTGRAPHILE_QUERY = `query Pull($network: UUID!, $first: Int!, $after: Cursor) {
  members: allMembers(condition: { networkId: $network }, first: $first, after: $after) {
    edges { cursor node { rowId name role status location createdAt } }
    pageInfo { hasNextPage endCursor }
  }
}`;

interface Answer {
  readonly members: {
    readonly edges: readonly { readonly cursor: string; readonly node: Fields }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
  };
}

type Fields = Readonly<Record<string, string | null>>;

/** The request for the page behind a cursor. */
type PageRequest = (after: string | null) => LoadRequest;

export async function page({ community, start, underLoad }: Stage): Promise<Race> {
  const [gateway, stock, bare] = [await start('gateway'), await start('stock'), await start('bare-pg')];
  const postgraphile = await start('postgraphile');
  const ours = await pull(gateway, viaGraphql(community.token));
  const theirs = await pull(stock, viaGraphql(null));
  const plain = await pull(bare, viaPath);
  const graphile = await pull(postgraphile, viaPostgraphile(community.networkId));
  assert.deepEqual(theirs.nodes, ours.nodes);
  assert.deepEqual(plain.nodes, ours.nodes);
  assert.deepEqual(graphile.nodes.map(asOurs), ours.nodes);
  return {
    title: `a page of ${PAGE} members`,
    unit: 'req/s',
    gateway: underLoad('Gatehouse', gateway, ours.requests),
    rivals: [
      { ...underLoad('the stock way, no token', stock, theirs.requests), aim: AIM_OF_STOCK },
      { ...underLoad('PostGraphile 5, no token', postgraphile, graphile.requests), aim: AIM_OF_POSTGRAPHILE },
      { ...underLoad('bare node:http + pg', bare, plain.requests), aim: AIM_OF_BARE },
    ],
  };
}

function viaGraphql(token: string | null): PageRequest {
  return (after) => graphqlRequest(token, QUERY, { first: PAGE, after });
}

function viaPostgraphile(network: string): PageRequest {
  return (after) => graphqlRequest(null, POSTGRAPHILE_QUERY, { network, first: PAGE, after });
}

/** PostGraphile's node as the gateway writes it: ids and times are spelt otherwise. */
function asOurs({ rowId, createdAt, ...same }: Fields): Fields {
  return { id: toId('Member', rowId ?? ''), ...same, createdAt: new Date(createdAt ?? '').toISOString() };
}

const viaPath: PageRequest = (after) => {
  const parameters = new URLSearchParams({ first: String(PAGE), ...(after === null ? {} : { after }) });
  return { method: 'GET', path: `/members?${parameters}`, headers: { accept: 'application/json' }, body: null };
};

/** Pulls the pages that will be asked for. Cursors are each server's own; all else must be equal. */
async function pull(url: string, requestFor: PageRequest) {
  const requests: LoadRequest[] = [];
  const nodes: Fields[] = [];
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
