/** What the windows cost `me`, and how much cheaper a refusal is than an answer. */
import assert from 'node:assert/strict';
import { makeKeyOver } from '../community.ts';
import type { Race } from '../rounds.ts';
import { ask, graphqlRequest, type Stage } from '../stage.ts';

const ME = '{ me { id name email networkId role scopes plan } }';
const MEMORY_AIM = 0.95;
const REDIS_AIM = 0.8;
const REFUSED_AIM = 3;

export async function memoryWindows({ community, start, underLoad }: Stage): Promise<Race> {
  const [gateway, without] = [await start('gateway'), await start('without-windows')];
  const whoAmI = graphqlRequest(community.token, ME);
  await ask(without, whoAmI);
  return {
    title: 'me, its windows in memory',
    unit: 'req/s',
    gateway: underLoad('Gatehouse', gateway, [whoAmI]),
    rivals: [{ ...underLoad('without windows', without, [whoAmI]), aim: MEMORY_AIM }],
  };
}

export async function redisWindows({ community, start, underLoad, redisUrl }: Stage): Promise<Race | null> {
  if (redisUrl === null) return null;
  const [gateway, without] = [await start('gateway-on-redis'), await start('without-windows')];
  const whoAmI = graphqlRequest(community.token, ME);
  const ready = (await (await fetch(`${gateway}/readyz`)).json()) as { readonly checks: { readonly limiter: string } };
  assert.equal(ready.checks.limiter, 'ok');
  return {
    title: 'me, its windows in Redis',
    unit: 'req/s',
    gateway: underLoad('Gatehouse', gateway, [whoAmI]),
    rivals: [{ ...underLoad('without windows', without, [whoAmI]), aim: REDIS_AIM }],
  };
}

export async function refusals({ database, community, start, underLoad }: Stage): Promise<Race> {
  const gateway = await start('gateway');
  const served = graphqlRequest(community.token, ME);
  const refused = { ...graphqlRequest(await makeKeyOver(database), ME), isRefused: true };
  return {
    title: 'refusals of a key over its limit',
    unit: 'req/s',
    gateway: underLoad('Gatehouse, refusing', gateway, [refused]),
    rivals: [{ ...underLoad('Gatehouse, answering me', gateway, [served]), aim: REFUSED_AIM }],
  };
}
