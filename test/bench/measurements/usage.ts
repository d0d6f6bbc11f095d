/**
 * What it costs to count: the gateway against itself with counting off, and how often it writes. With counting off it still
 * writes when keys were last used, and those flushes are among the writes.
 */
import assert from 'node:assert/strict';
import { toId } from '../../../src/domain/id.ts';
import type { Figure, Race } from '../rounds.ts';
import { ask, graphqlRequest, type Stage } from '../stage.ts';

const ME = '{ me { id networkId } }';
const AIM = 0.97;
/** Flushes for each 10,000 requests. */
const FLUSHES_AIM = 5;

interface Counted {
  readonly requests: number;
  readonly flushes: number;
}

export async function usage({ community, database, start, underLoad }: Stage): Promise<Race> {
  const [counting, silent] = [await start('gateway'), await start('gateway-uncounted')];
  const whoAmI = graphqlRequest(community.token, ME);
  for (const url of [counting, silent]) {
    const answer = await ask<{ me: { networkId: string } }>(url, whoAmI);
    assert.equal(answer.me.networkId, toId('Network', community.networkId));
  }
  const read = async (): Promise<Counted> => {
    const { rows } = await database.pool.query<Counted>(
      `SELECT (SELECT coalesce(sum(requests), 0)::int FROM usage_counts WHERE bucket = 'DAY') AS requests,
              (SELECT coalesce(sum(sequence), 0)::int FROM usage_flushes) AS flushes`,
    );
    return rows[0] ?? { requests: 0, flushes: 0 };
  };
  const before = await read();
  return {
    title: 'usage counted',
    unit: 'req/s',
    gateway: underLoad('Gatehouse', counting, [whoAmI]),
    rivals: [{ ...underLoad('the same, keeping last uses alone', silent, [whoAmI]), aim: AIM }],
    async figures(): Promise<readonly Figure[]> {
      const after = await read();
      const requests = after.requests - before.requests;
      const perTenThousand = ((after.flushes - before.flushes) / requests) * 10_000;
      return [{ name: 'writes per 10,000 requests', value: perTenThousand, aim: FLUSHES_AIM }];
    },
  };
}
