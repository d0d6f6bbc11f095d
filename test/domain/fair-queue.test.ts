/** Who goes next, by order and counts. */
import { describe, expect, test } from 'vitest';
import { type Caller, FairQueue } from '../../src/domain/fair-queue.ts';

interface Item {
  readonly caller: Caller;
  readonly name: string;
}

function item(networkId: string, keyId: string, name = `${networkId}${keyId}`): Item {
  return { caller: { networkId, keyId: `${networkId}${keyId}` }, name };
}

function drained(queue: FairQueue<Item>): string[] {
  const names: string[] = [];
  for (let next = queue.take(); next !== null; next = queue.take()) names.push(next.name);
  return names;
}

describe('a fair queue', () => {
  test('serves a key first come, first served', () => {
    const queue = new FairQueue<Item>();
    for (const name of ['1', '2', '3']) queue.push(item('a', 'k', name));
    expect(drained(queue)).toEqual(['1', '2', '3']);
  });

  test('serves a network that comes late after one item of each other network', () => {
    const queue = new FairQueue<Item>();
    for (let count = 0; count < 100; count += 1) queue.push(item('greedy', '1'));
    expect(queue.take()?.name).toBe('greedy1');
    queue.push(item('quiet', '1'));
    expect([queue.take()?.name, queue.take()?.name]).toEqual(['greedy1', 'quiet1']);
  });

  test('gives a network with fifty keys no more turns than one with a single key', () => {
    const queue = new FairQueue<Item>();
    for (let key = 0; key < 50; key += 1) {
      for (let count = 0; count < 3; count += 1) queue.push(item('many', `${key}`));
    }
    for (let count = 0; count < 3; count += 1) queue.push(item('one', ''));
    const order = drained(queue).slice(0, 6);
    expect(order.map((name) => name.replace(/\d+/, ''))).toEqual(['many', 'one', 'many', 'one', 'many', 'one']);
  });

  test('takes turns between the keys of a network', () => {
    const queue = new FairQueue<Item>();
    for (let count = 0; count < 4; count += 1) queue.push(item('a', '1'));
    for (let count = 0; count < 2; count += 1) queue.push(item('a', '2'));
    expect(drained(queue)).toEqual(['a1', 'a2', 'a1', 'a2', 'a1', 'a1']);
  });

  test('counts what waits, and forgets what is removed', () => {
    const queue = new FairQueue<Item>();
    const [first, second] = [item('a', '1', 'first'), item('a', '2', 'second')];
    queue.push(first);
    queue.push(second);
    expect([queue.size, queue.ofNetwork(first.caller), queue.ofKey(first.caller)]).toEqual([2, 2, 1]);
    expect([queue.remove(first), queue.remove(first)]).toEqual([true, false]);
    expect([queue.size, queue.ofNetwork(first.caller), queue.ofKey(first.caller)]).toEqual([1, 1, 0]);
    expect(drained(queue)).toEqual(['second']);
    expect([queue.size, queue.ofNetwork(first.caller)]).toEqual([0, 0]);
  });

  test('passes over items that may not go, and keeps them', () => {
    const queue = new FairQueue<Item>();
    for (const [network, key] of [
      ['a', '1'],
      ['a', '2'],
      ['b', '1'],
    ] as const)
      queue.push(item(network, key));
    expect(queue.take(({ name }) => (name === 'a1' ? 'pass' : 'go'))?.name).toBe('a2');
    expect(queue.take(({ caller }) => (caller.networkId === 'a' ? 'stop' : 'go'))?.name).toBe('b1');
    expect(queue.take(() => 'halt')).toBeNull();
    expect(drained(queue)).toEqual(['a1']);
  });
});
