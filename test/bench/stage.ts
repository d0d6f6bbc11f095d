/** What a measurement prepares itself with: the rows, the servers, and a load to put on them. */
import type { Database } from '../../src/database/database.ts';
import type { Community } from './community.ts';
import type { LoadRequest } from './load.ts';
import type { Contestant, Race } from './rounds.ts';
import type { ServerName } from './server-process.ts';

export interface Stage {
  /** Aborted when the run is to end: by the operator, or because its time is up. */
  readonly signal: AbortSignal;
  /** As the servers have them. */
  readonly environment: Readonly<Record<string, string>>;
  /** The database of all servers, for what a measurement makes or checks by itself. */
  readonly database: Database;
  readonly community: Community;
  /** Null where there is no Redis to measure with. */
  readonly redisUrl: string | null;
  /** Starts a server, or finds it started by another measurement; resolves to its address. */
  start(server: ServerName): Promise<string>;
  /** The most memory that a server has had so far, in MB; null where the system does not say. */
  peakMb(server: ServerName): Promise<number | null>;
  /** A contestant whose rate is its good answers a second to these requests, under the load of all connections. */
  underLoad(name: string, url: string, requests: readonly LoadRequest[]): Contestant;
}

/** Prepares a race; null where something that it needs is not here. Throws where a server does not answer as it should. */
export type Measurement = (stage: Stage) => Promise<Race | null>;

/** A GraphQL request as a client sends it. */
export function graphqlRequest(
  token: string | null,
  query: string,
  variables?: Readonly<Record<string, unknown>>,
): LoadRequest {
  return {
    method: 'POST',
    path: '/graphql',
    headers: {
      accept: 'application/json',
      'content-type': 'application/json',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query, variables }),
  };
}

/** The answer's `data`. Throws where there is none, or an error beside it. */
export async function ask<Data>(url: string, { method, path, headers, body }: LoadRequest): Promise<Data> {
  const response = await fetch(url + path, { method, headers, body });
  const answer = (await response.json()) as { readonly data?: Data; readonly errors?: unknown };
  if (answer.data == null || answer.errors !== undefined) throw new Error(`${url} answered ${JSON.stringify(answer)}`);
  return answer.data;
}
