/** A pull's page, and what a pull is held against: COPY of the same columns. */
import { ask, graphqlRequest, type Stage } from '../stage.ts';

/** Members a page: the largest there is. */
export const PAGE = 250;
const AIM = 0.02;
const QUERY = `query Pull($first: Int!, $after: String) {
  members(first: $first, after: $after) {
    nodes { id name role status location createdAt }
    pageInfo { hasNextPage endCursor }
  }
}`;

interface Answer {
  readonly members: {
    readonly nodes: readonly { readonly id: string }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
  };
}

export interface PulledPage {
  readonly nodes: Answer['members']['nodes'];
  /** Where the next page begins; null after the last one. */
  readonly next: string | null;
}

export async function pullPage({ community }: Stage, url: string, after: string | null): Promise<PulledPage> {
  const request = graphqlRequest(community.token, QUERY, { first: PAGE, after });
  const { nodes, pageInfo } = (await ask<Answer>(url, request)).members;
  return { nodes, next: pageInfo.hasNextPage ? pageInfo.endCursor : null };
}

export const COPY = { name: 'COPY … TO STDOUT', aim: AIM } as const;

/** How many rows it copied. */
export async function copyMembers({ community, database }: Stage): Promise<number> {
  const { rowCount } = await database.pool.query(
    `COPY (SELECT id, name, role, status, location, created_at FROM members
           WHERE network_id = '${community.networkId}' ORDER BY id) TO STDOUT`,
  );
  return rowCount ?? 0;
}
