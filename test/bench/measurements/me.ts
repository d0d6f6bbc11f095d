/** `me`, with a token: what it costs to know the caller, against a bare Yoga that asks nobody and reads nothing. */
import assert from 'node:assert/strict';
import { toId } from '../../../src/domain/id.ts';
import type { Race } from '../rounds.ts';
import { ask, graphqlRequest, type Stage } from '../stage.ts';

const ME = '{ me { id name email networkId role scopes plan } }';
const PING = '{ ping }';
const AIM = 0.8;

export async function me({ community, start, underLoad }: Stage): Promise<Race> {
  const [gateway, yoga] = [await start('gateway'), await start('bare-yoga')];
  const [whoAmI, ping] = [graphqlRequest(community.token, ME), graphqlRequest(null, PING)];
  const answer = await ask<{ me: { networkId: string } }>(gateway, whoAmI);
  assert.equal(answer.me.networkId, toId('Network', community.networkId));
  assert.deepEqual(await ask(yoga, ping), { ping: 'pong' });
  return {
    title: 'me',
    unit: 'req/s',
    gateway: underLoad('Gatehouse', gateway, [whoAmI]),
    rivals: [{ ...underLoad('bare Yoga: ping, no token', yoga, [ping]), aim: AIM }],
  };
}
