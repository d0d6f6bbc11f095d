// Who is refused without any work, for how long, and with what figures.
import { expect, test } from 'vitest';
import type { Decision, LimitState } from '../../src/domain/limit.ts';
import { Refused } from '../../src/limits/refused.ts';

const caller = {
  keyId: 'key',
  numbers: { requestsPerMinute: 3, networkRequestsPerMinute: 30, costPerMinute: 300 },
  monthly: { quota: 1_000, enforced: true, used: 1_000, start: new Date(0) },
};

function refusal(name: string, retryMs: number): Decision {
  const state: LimitState = { name, scope: 'key', max: 3, windowSeconds: 60, remaining: 0, resetMs: 50_000 };
  return { granted: false, limits: [state], over: state, retryMs };
}

function refusedAt(nowMs = 0) {
  const clock = { nowMs };
  return { clock, refused: new Refused(() => clock.nowMs) };
}

test.for(['requests', 'network-requests', 'month'])('over %s, until it has room, every request', (name) => {
  const { clock, refused } = refusedAt();
  expect(refused.find(caller)).toBeNull();
  refused.remember(caller, refusal(name, 40_000));
  clock.nowMs = 39_999;
  expect(refused.find(caller)).toMatchObject({ retryMs: 1, over: { name, remaining: 0, resetMs: 10_001 } });
  expect(refused.find({ ...caller, keyId: 'another' })).toBeNull();
  clock.nowMs = 40_000;
  expect(refused.find(caller)).toBeNull();
});

test('a refusal that outlasts its windows says that these are empty', () => {
  const { clock, refused } = refusedAt();
  refused.remember(caller, refusal('month', 86_400_000));
  clock.nowMs = 50_000;
  expect(refused.find(caller)?.limits).toMatchObject([{ remaining: 3, resetMs: 0 }]);
});

test.for([
  ['requests', { numbers: { ...caller.numbers, requestsPerMinute: 4 } }],
  ['the network’s requests', { numbers: { ...caller.numbers, networkRequestsPerMinute: 31 } }],
  ['points', { numbers: { ...caller.numbers, costPerMinute: 301 } }],
  ['the quota', { monthly: { ...caller.monthly, quota: 1_001 } }],
  ['whether it is enforced', { monthly: { ...caller.monthly, enforced: false } }],
] as const)('is forgotten when %s is changed', ([, change]) => {
  const { refused } = refusedAt();
  refused.remember(caller, refusal('month', 86_400_000));
  expect(refused.find({ ...caller, ...change })).toBeNull();
});

test('of refusals that nobody is charged for, a minute’s requests are looked at; the last says how long the others wait', () => {
  const { clock, refused } = refusedAt();
  for (const expected of [7_000, 7_000, 59_000]) {
    expect(refused.find(caller)).toBeNull();
    const told = refused.remember(caller, refusal('cost', 7_000));
    expect(told).toMatchObject({ retryMs: expected, over: { name: 'cost' } });
    clock.nowMs += 1_000;
  }
  // The first is 61 seconds old then.
  expect(refused.find(caller)).toMatchObject({ retryMs: 58_000, over: { name: 'refused-requests', max: 3 } });
  clock.nowMs = 61_000;
  expect(refused.find(caller)).toBeNull();
  refused.remember(caller, refusal('createApiKey', 500));
  expect(refused.find(caller)).toMatchObject({ retryMs: 1_000 });
});

test('remembers ten thousand keys at the most', () => {
  const { refused } = refusedAt();
  const of = (index: number) => ({ ...caller, keyId: String(index) });
  for (let index = 0; index < 10_001; index += 1) refused.remember(of(index), refusal('requests', 1_000));
  expect([refused.find(of(0)), refused.find(of(1))]).toMatchObject([null, { retryMs: 1_000 }]);
  // And so with those that are counted: the first is counted anew.
  for (let round = 0; round < 3; round += 1)
    for (let index = 0; index < 10_001; index += 1) refused.remember(of(index), refusal('cost', 1_000));
  expect(refused.find(of(1))?.over?.name).not.toBe('refused-requests');
});
