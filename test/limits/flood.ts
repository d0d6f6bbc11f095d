/** Very many requests at once over a bounded number of connections, as many busy clients have. */
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { expect } from 'vitest';
import { post, type RawReply, send } from '../support/raw-http.ts';

/** To all gateways together: so many requests are under way at once. */
export const CONNECTIONS = 1_024;

export const ME = '{ me { id } }';

export interface Flood {
  /** How many answers had each status. */
  readonly statuses: Readonly<Record<number, number>>;
  readonly replies: readonly RawReply[];
}

export interface Target {
  readonly url: string;
  readonly token: string;
}

/** Sends `count` requests to the targets in turn, as fast as the connections carry them. */
export async function flood(
  targets: readonly Target[],
  count: number,
  query = ME,
  connections = CONNECTIONS,
): Promise<Flood> {
  const urls = [...new Set(targets.map(({ url }) => url))];
  const maxSockets = Math.ceil(connections / urls.length);
  const agents = new Map(urls.map((url) => [url, new Agent({ keepAlive: true, maxSockets })]));
  try {
    const replies = await Promise.all(
      Array.from({ length: count }, (_, index) => {
        const target = targets[index % targets.length];
        const agent = agents.get(target?.url ?? '');
        if (target === undefined || agent === undefined) throw new Error('nobody to send to');
        return send(target.url, { ...post(target.token, query), agent });
      }),
    );
    return { statuses: countBy(replies.map(({ status }) => status)), replies };
  } finally {
    for (const agent of agents.values()) agent.destroy();
  }
}

/** Long enough for an answer that waits for nothing. */
const AT_ONCE_MS = 5_000;

/** The status of a request whose body never comes. Rejects where its refusal waits for that. */
export async function refusedUnread(url: string, token: string): Promise<number> {
  const { headers } = post(token, ME);
  const { hostname, port } = new URL(url);
  const signal = AbortSignal.timeout(AT_ONCE_MS);
  const unread = request({ hostname, port, method: 'POST', path: '/graphql', headers, signal });
  unread.setHeader('content-length', '100');
  unread.flushHeaders();
  const [response] = await once(unread, 'response');
  unread.on('error', () => undefined); // its end is of no interest
  unread.destroy();
  return response.statusCode;
}

export function countBy(values: readonly number[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

/** The limit that a 429 says was reached. Each must be whole: the code, the figures, a time to come back. */
export function limitOf({ status, headers, text }: RawReply): string {
  const { errors } = JSON.parse(text);
  const { code, limit, retryAfterSeconds } = errors[0].extensions;
  expect({ status, code }).toEqual({ status: 429, code: 'RATE_LIMITED' });
  expect(errors[0].message).toMatch(/^Rate limit exceeded/);
  expect(headers['content-type']).toMatch(/json/);
  expect(limit).toEqual({
    name: expect.any(String),
    scope: expect.stringMatching(/^(?:key|network)$/),
    max: expect.any(Number),
    windowSeconds: 60,
    remaining: expect.any(Number),
    resetAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  });
  expect(headers['retry-after']).toBe(String(retryAfterSeconds));
  expect(retryAfterSeconds).toBeGreaterThanOrEqual(1);
  expect(retryAfterSeconds).toBeLessThanOrEqual(61);
  return `${limit.name} of the ${limit.scope}: ${limit.max}`;
}

/** The limits that all refusals of a flood name. */
export function limitsOf({ replies }: Flood): string[] {
  return [...new Set(replies.filter(({ status }) => status !== 200).map(limitOf))];
}
