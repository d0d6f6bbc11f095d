/** `me`, with a token: what it costs to know the caller, against a bare Yoga that asks nobody and reads nothing. */
import assert from 'node:assert/strict';
import { toId } from '../../../src/domain/id.ts';
import { ask, graphqlRequest, type Race, type Stage } from '../stage.ts';

const ME = '{ me { id name email networkId role scopes plan } }';
const PING = '{ ping }';

export async function me({ community, start }: Stage): Promise<Race> {
  const gateway = {
    name: 'gatehouse, me',
    url: await start('gateway'),
    requests: [graphqlRequest(community.token, ME)],
  };
  const yoga = { name: 'bare Yoga, ping', url: await start('bare-yoga'), requests: [graphqlRequest(null, PING)] };
  const answer = await ask<{ me: { networkId: string } }>(gateway.url, graphqlRequest(community.token, ME));
  assert.equal(answer.me.networkId, toId('Network', community.networkId));
  assert.deepEqual(await ask(yoga.url, graphqlRequest(null, PING)), { ping: 'pong' });
  return { title: 'me', gateway, rivals: [{ ...yoga, aim: 0.8 }] };
}
