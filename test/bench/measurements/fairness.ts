/**
 * How long a quiet network waits while one key of another network does its plan's worst: ten queries of 951 points over
 * large custom fields at a time, and forty filters that match nobody. The quiet network asks one question after another.
 */
import assert from 'node:assert/strict';
import { makeKey, makeNetwork } from '../community.ts';
import { fillMembers } from '../fill.ts';
import { type LoadRequest, startLoad } from '../load.ts';
import { type Figure, median, type Race } from '../rounds.ts';
import { graphqlRequest, type Stage } from '../stage.ts';

const MEMBERS = 20_000;
/** An answer of 15 pages then stays below ANSWER_MAX_BYTES. */
const CUSTOM_FIELDS_BYTES = 3_500;
const PAGES_CONNECTIONS = 10;
const FILTERS_CONNECTIONS = 40;
/** A turn is longer than those of the other measurements: one of the queries takes as long as such a turn. */
const TURN_FACTOR = 4;
const SLOWEST_AIM_MS = 500;

const QUIET = '{ me { id networkId } members(first: 50) { nodes { id name } } }';

/** 15 root fields of 250 members each: 951 points. */
const PAGES = `{ ${Array.from(
  { length: 15 },
  (_, index) => `p${index}: members(first: 250) { nodes { id customFields } }`,
).join(' ')} }`;

const FILTERS = `query Heavy($filter: MemberFilter) {
  members(first: 250, filter: $filter, orderBy: { field: NAME, direction: DESC }) { nodes { id name } }
}`;

/** Made of digests, so that they take some room however PostgreSQL packs them. */
const LARGE_FIELDS = `
UPDATE members SET custom_fields = jsonb_build_object('notes', repeat(md5(id::text), $2 / 32), 'n', 1)
WHERE network_id = $1`;

export async function fairness({ database, community, environment, start }: Stage): Promise<Race> {
  const url = await start('gateway');
  const greedyId = await makeNetwork(database, 'bench-greedy');
  const greedy = await makeKey(database, greedyId);
  await fillMembers(environment['DATABASE_URL'] ?? '', [{ networkIds: [greedyId], members: MEMBERS }]);
  await database.pool.query(LARGE_FIELDS, [greedyId, CUSTOM_FIELDS_BYTES]);
  const quiet = graphqlRequest(community.token, QUIET);
  const answers = { alone: newTally(), pages: newTally(), filters: newTally() };
  const pages = [graphqlRequest(greedy, PAGES)];
  const filters = ['nowhere', 'nobody', 'nothing'].map((text, index) =>
    graphqlRequest(greedy, FILTERS, {
      filter: { nameContains: text, customFields: [{ name: 'n', equals: index + 2 }] },
    }),
  );
  const load = (requests: readonly LoadRequest[], connections: number) => async (ms: number) => {
    const process = startLoad();
    try {
      await process.run(url, requests, ms, connections);
    } finally {
      process.stop();
    }
  };
  const contestant = (name: string, answered: Tally, besides: (ms: number) => Promise<unknown>) => ({
    name,
    rate: async (ms: number) => {
      const over = besides(ms * TURN_FACTOR);
      const rate = await askUntil(url, quiet, ms * TURN_FACTOR, answered);
      await over;
      return rate;
    },
  });
  assert.equal((await timed(url, quiet)).ok, true);
  return {
    title: 'a quiet network beside a greedy key',
    unit: 'req/s',
    gateway: contestant('beside ten queries of 951 points', answers.pages, load(pages, PAGES_CONNECTIONS)),
    rivals: [
      { ...contestant('beside forty filters', answers.filters, load(filters, FILTERS_CONNECTIONS)), aim: null },
      { ...contestant('alone', answers.alone, async () => undefined), aim: null },
    ],
    figures: async () => [
      ...figuresOf('alone', answers.alone),
      ...figuresOf('beside ten queries of 951 points', answers.pages),
      ...figuresOf('beside forty filters', answers.filters),
    ],
  };
}

interface Tally {
  readonly ms: number[];
  failed: number;
}

function newTally(): Tally {
  return { ms: [], failed: 0 };
}

function figuresOf(name: string, { ms, failed }: Tally): Figure[] {
  return [
    { name: `slowest answer, ms, ${name}`, value: Math.max(...ms), aim: SLOWEST_AIM_MS },
    { name: `median answer, ms, ${name}`, value: median(ms), aim: SLOWEST_AIM_MS },
    { name: `refused answers, ${name}`, value: failed, aim: 0 },
  ];
}

async function askUntil(url: string, request: LoadRequest, ms: number, tally: Tally): Promise<number> {
  const startedMs = performance.now();
  let answered = 0;
  while (performance.now() - startedMs < ms) {
    const answer = await timed(url, request);
    tally.ms.push(answer.ms);
    if (!answer.ok) tally.failed += 1;
    answered += 1;
  }
  return answered / ((performance.now() - startedMs) / 1_000);
}

async function timed(url: string, { method, path, headers, body }: LoadRequest): Promise<{ ms: number; ok: boolean }> {
  const startedMs = performance.now();
  const response = await fetch(url + path, { method, headers, body });
  const { errors } = (await response.json()) as { readonly errors?: unknown };
  return { ms: performance.now() - startedMs, ok: errors === undefined };
}
