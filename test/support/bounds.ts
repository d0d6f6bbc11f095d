/** Documents and variables at a bound and over it, sent in every way that there is. */
import { expect } from 'vitest';
import { type Reply, replyOf } from './client.ts';
import { makeNetwork } from './fixtures.ts';
import type { Suite } from './suite.ts';

export interface Asked {
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** The extension that a refusal has. */
export interface LimitFigures {
  readonly name: string;
  readonly max: number;
  readonly actual?: number;
}

const GRAPHQL = 'application/graphql-response+json';
/** A longer address than this is none that the gateway's headers have room for. */
const URL_MAX_CHARACTERS = 12_000;

/** By POST, again from the cache, to those who read only JSON, and by GET where it fits into an address. */
async function inEveryWay(suite: Suite, { query, variables }: Asked): Promise<Reply[]> {
  const { token } = await makeNetwork(suite.database);
  const body = JSON.stringify({ query, variables });
  const headers = (accept: string) => ({ authorization: `Bearer ${token}`, accept });
  const post = (accept: string) =>
    fetch(`${suite.url}/graphql`, {
      method: 'POST',
      headers: { ...headers(accept), 'content-type': 'application/json' },
      body,
    });
  const search = new URLSearchParams({
    query,
    ...(variables === undefined ? {} : { variables: JSON.stringify(variables) }),
  });
  const get = () => fetch(`${suite.url}/graphql?${search}`, { headers: headers(GRAPHQL) });
  const ways = [() => post(GRAPHQL), () => post(GRAPHQL), () => post('application/json')];
  if (search.toString().length < URL_MAX_CHARACTERS) ways.push(get);
  const replies: Reply[] = [];
  for (const way of ways) replies.push(await replyOf(await way()));
  return replies;
}

export async function expectLetIn(suite: Suite, asked: Asked): Promise<void> {
  for (const { status, body } of await inEveryWay(suite, asked)) {
    expect({ status, errors: body.errors }).toEqual({ status: 200, errors: undefined });
  }
}

/** `requested`: the points that it would have cost, where they were counted. It is charged none. */
export async function expectTooExpensive(
  suite: Suite,
  asked: Asked,
  message: string,
  limit: LimitFigures,
  requested = 0,
): Promise<void> {
  for (const { status, headers, body, cost } of await inEveryWay(suite, asked)) {
    const requestId = headers.get('x-request-id');
    expect({ status, body, cost }).toEqual({
      status: 400,
      body: {
        errors: [{ message, extensions: { code: 'QUERY_TOO_EXPENSIVE', status: 400, requestId, limit } }],
      },
      cost: expect.objectContaining({ requested, actual: 0 }),
    });
  }
}
