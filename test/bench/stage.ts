/** What a measurement prepares itself with, and what it makes: a race of the gateway against others. */
import type { Community } from './community.ts';
import type { ServerName } from './server-process.ts';

export interface Stage {
  readonly community: Community;
  /** Starts a server, or finds it started by another measurement; resolves to its address. */
  start(name: ServerName): Promise<string>;
}

/** Prepares a race. Throws where a server does not answer as it should. */
export type Measurement = (stage: Stage) => Promise<Race>;

export interface Race {
  readonly title: string;
  readonly gateway: Contestant;
  readonly rivals: readonly Rival[];
}

/** A server and what it is asked. */
export interface Contestant {
  readonly name: string;
  readonly url: string;
  readonly requests: readonly BenchRequest[];
}

export interface Rival extends Contestant {
  /** The least that the gateway's requests a second should be, as a part of this one's. */
  readonly aim: number;
}

export interface BenchRequest {
  readonly method: 'GET' | 'POST';
  /** With its query string. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** A GraphQL request as a client sends it. */
export function graphqlRequest(
  token: string | null,
  query: string,
  variables?: Readonly<Record<string, unknown>>,
): BenchRequest {
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
export async function ask<Data>(url: string, { method, path, headers, body }: BenchRequest): Promise<Data> {
  const response = await fetch(url + path, { method, headers, body });
  const answer = (await response.json()) as { readonly data?: Data; readonly errors?: unknown };
  if (answer.data == null || answer.errors !== undefined) throw new Error(`${url} answered ${JSON.stringify(answer)}`);
  return answer.data;
}
