/** Room that is shared: who is let in, by order and counts. */
import { describe, expect, test } from 'vitest';
import { FairGate, type GateBounds, type Ticket } from '../../src/domain/fair-gate.ts';

const BOUNDS: GateBounds = { total: 8, perNetwork: 4, perKey: 2, spare: 1, waitingPerNetwork: 100, waitingPerKey: 50 };

/** A gate, and the names of those that were let in, in order. */
function gateOf(bounds: Partial<GateBounds> = {}) {
  const gate = new FairGate({ ...BOUNDS, ...bounds });
  const entered: string[] = [];
  const come = (networkId: string, key = '', { units = 1, bytes = 0 } = {}): Ticket => {
    const keyId = `${networkId}${key}`;
    const ticket = { caller: { networkId, keyId }, units, bytes, onGranted: () => entered.push(keyId) };
    if (gate.enterNow(ticket)) entered.push(keyId);
    else gate.enqueue(ticket);
    return ticket;
  };
  return { gate, entered, come };
}

describe('a fair gate', () => {
  test('lets a key have its share and no more, though there is room', () => {
    const { gate, entered, come } = gateOf();
    const tickets = [come('a'), come('a'), come('a')];
    expect([entered.length, gate.waiting]).toEqual([2, 1]);
    gate.leave(tickets[0] as Ticket);
    expect([entered.length, gate.waiting]).toEqual([3, 0]);
  });

  test('lets a network of fifty keys have its share and no more', () => {
    const { entered, come } = gateOf();
    for (let key = 0; key < 50; key += 1) come('many', `${key}`);
    expect(entered).toEqual(['many0', 'many1', 'many2', 'many3']);
  });

  test('lets a network that has nothing under way in at once, however many others wait', () => {
    const { entered, come } = gateOf();
    for (const network of ['a', 'b']) {
      for (let key = 0; key < 50; key += 1) come(network, `${key}`);
    }
    // Of eight, one is kept for it.
    expect(entered).toHaveLength(7);
    come('quiet');
    expect(entered.at(-1)).toBe('quiet');
  });

  test('where nothing is left, lets it in before whoever has something under way', () => {
    const { gate, entered, come } = gateOf();
    const [first, second] = Array.from({ length: 8 }, (_, network) => come(`n${network}`)) as [Ticket, Ticket];
    expect(entered).toHaveLength(8);
    for (let count = 0; count < 20; count += 1) come('n7', `${count}`);
    come('quiet');
    gate.leave(first);
    expect(entered.at(-1)).toBe('quiet');
    gate.leave(second);
    // What is kept for the next such network is not the greedy one's.
    expect(entered).toHaveLength(9);
  });

  test('goes on serving the greedy', () => {
    const { gate, entered, come } = gateOf({ total: 2, perNetwork: 2, perKey: 2, spare: 0 });
    const greedy = Array.from({ length: 20 }, () => come('greedy'));
    const quiet = Array.from({ length: 20 }, () => come('quiet'));
    const queued = [...greedy, ...quiet];
    for (let served = 0; served < 20; served += 1) {
      const inside = queued.find(({ caller }) => caller.keyId === entered[served]);
      queued.splice(queued.indexOf(inside as Ticket), 1);
      gate.leave(inside as Ticket);
    }
    const count = entered.filter((name) => name === 'greedy').length;
    expect(count).toBeGreaterThanOrEqual(10);
    expect(count).toBeLessThanOrEqual(12);
  });

  test('lets a piece that is larger than its share in where nothing else of it is under way, and never starves it', () => {
    const { gate, entered, come } = gateOf({ spare: 0 });
    const small = [come('a'), come('b')];
    come('big', '', { units: 8 });
    const later = [come('c'), come('d')];
    expect(entered).toEqual(['a', 'b']);
    for (const ticket of small) gate.leave(ticket);
    expect(entered).toEqual(['a', 'b', 'big']);
    expect(later.every((ticket) => gate.giveUp(ticket))).toBe(true);
  });

  test('says whose queue is full, in number and in bytes', () => {
    const bounds = { waitingPerKey: 2, waitingPerNetwork: 3, waitingBytesPerKey: 100, perNetwork: 2 };
    const { gate, come } = gateOf(bounds);
    const [first] = [come('a', '1'), come('a', '2')];
    expect(gate.full(first.caller)).toBeNull();
    const waiting = come('a', '1', { bytes: 80 });
    expect([gate.full(first.caller, 20), gate.full(first.caller, 21)]).toEqual([null, 'key']);
    gate.giveUp(waiting);
    expect(gate.full(first.caller, 90)).toBeNull();
    come('a', '1');
    come('a', '1');
    expect(gate.full(first.caller)).toBe('key');
    come('a', '2');
    expect(gate.full({ networkId: 'a', keyId: 'a3' })).toBe('network');
    expect(gate.full({ networkId: 'b', keyId: 'b' })).toBeNull();
  });

  test('lets nobody in who has given up', () => {
    const { gate, entered, come } = gateOf({ perKey: 1 });
    const inside = come('a');
    const waiting = come('a');
    expect([gate.giveUp(waiting), gate.giveUp(waiting), gate.giveUp(inside)]).toEqual([true, false, false]);
    gate.leave(inside);
    expect(entered).toEqual(['a']);
  });
});
