/** Requests without pause on several gateways under one token, and the moment at which its old state ends among them. */
import type { Database } from '../../src/database/database.ts';
import { toId } from '../../src/domain/id.ts';
import { graphql, type Reply } from '../support/client.ts';

const READERS_A_GATEWAY = 1;
const WRITERS_A_GATEWAY = 2;
/** How many requests each of them still sends once the old state has ended. */
const REQUESTS_AFTER = 2;
/** The old state ends at a random moment of the traffic. */
const RUN_UP_MAX_MS = 20;

const READ = '{ me { role scopes plan } }';
const WRITE =
  'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } token userErrors { code } } }';

export interface Sent {
  readonly gateway: number;
  readonly kind: 'read' | 'write';
  readonly startedAt: number;
  readonly reply: Reply;
}

export interface Case {
  readonly database: Database;
  readonly urls: readonly string[];
  /** The key that reads, and that makes other keys. */
  readonly token: string;
  readonly keyId: string;
  /** In GraphQL's form: what the keys that are made ask for. */
  readonly scopes?: readonly string[];
  /** Ends the old state. What comes after its return is what the test is about. */
  readonly end: () => Promise<unknown>;
  /** Whether a reply honours the state that has ended. Any success does, unless said otherwise. */
  readonly honoursOld?: (sent: Sent) => boolean;
}

export interface Outcome {
  /** Requests that began after the end had returned and were let in under the old state. Must be none. */
  readonly late: readonly Sent[];
  /** Keys that were not in the database when the end had returned, and were later. Must be none. */
  readonly appeared: readonly string[];
  /** Keys whose tokens were handed out and that were not there when the end had returned. Must be none. */
  readonly acknowledgedLate: readonly string[];
  /** Replies of each gateway under the old state: proof that there was something to end. */
  readonly before: readonly number[];
  /** Replies of requests that began after the end had returned. */
  readonly after: readonly Sent[];
  readonly made: number;
}

export function isSuccess({ reply }: Sent): boolean {
  return reply.body.data != null && reply.body.errors === undefined;
}

export async function endUnderTraffic(given: Case): Promise<Outcome> {
  const { database, urls, keyId, end, honoursOld = isSuccess } = given;
  const state = { endedAt: Number.POSITIVE_INFINITY };
  const sent: Sent[] = [];
  const workers = urls.flatMap((_, gateway) => [
    ...Array.from({ length: READERS_A_GATEWAY }, () => work(given, gateway, 'read', state, sent)),
    ...Array.from({ length: WRITERS_A_GATEWAY }, () => work(given, gateway, 'write', state, sent)),
  ]);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * RUN_UP_MAX_MS));
  try {
    await end();
  } finally {
    state.endedAt = performance.now();
  }
  const atReturn = await keysMadeBy(database, keyId);
  await Promise.all(workers);
  const later = await keysMadeBy(database, keyId);
  const after = sent.filter(({ startedAt }) => startedAt >= state.endedAt);
  const acknowledged = sent.flatMap(({ reply }) => reply.body.data?.createApiKey?.apiKey?.id ?? []);
  const there = new Set(atReturn.map((id) => toId('ApiKey', id)));
  return {
    late: after.filter(honoursOld),
    appeared: later.map((id) => toId('ApiKey', id)).filter((id) => !there.has(id)),
    acknowledgedLate: acknowledged.filter((id) => !there.has(id)),
    before: urls.map((_, gateway) => sent.filter((one) => one.gateway === gateway && honoursOld(one)).length),
    after,
    made: atReturn.length,
  };
}

let names = 0;

async function work(
  { urls, token, scopes = ['MEMBERS_READ'] }: Case,
  gateway: number,
  kind: Sent['kind'],
  state: { readonly endedAt: number },
  sent: Sent[],
): Promise<void> {
  const url = urls[gateway] ?? '';
  for (let after = 0; after < REQUESTS_AFTER; ) {
    const startedAt = performance.now();
    if (startedAt >= state.endedAt) after += 1;
    names += 1;
    const reply =
      kind === 'read'
        ? await graphql(url, token, READ)
        : await graphql(url, token, WRITE, { variables: { input: { name: `made ${names}`, scopes } } });
    sent.push({ gateway, kind, startedAt, reply });
  }
}

/** Newest last, whatever became of them. */
export async function keysMadeBy({ pool }: Database, keyId: string): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(
    'SELECT id FROM api_keys WHERE created_by_id = $1::uuid ORDER BY id',
    [keyId],
  );
  return rows.map(({ id }) => id);
}
