import { describe, expect, test } from 'vitest';
import { AddressWindow } from '../../src/limits/address-window.ts';

describe('an address', () => {
  test('is let in so often a window, told when to come again, and let in then', () => {
    const limit = new AddressWindow(2, 60_000);
    expect([0, 1, 2].map((at) => limit.admit('192.0.2.1', at))).toEqual([null, null, 60]);
    expect(limit.admit('192.0.2.1', 59_001)).toBe(1);
    expect(limit.admit('192.0.2.1', 60_000)).toBeNull();
  });

  test('is one of its own, whatever others do', () => {
    const limit = new AddressWindow(1, 60_000);
    expect(['192.0.2.1', '192.0.2.2', null, '::1'].map((address) => limit.admit(address, 0))).toEqual([
      null,
      null,
      null,
      null,
    ]);
    expect(limit.admit(null, 0)).toBe(60);
  });

  test('of IPv6 is all of its /64', () => {
    const limit = new AddressWindow(1, 60_000);
    expect(limit.admit('2001:db8::1', 0)).toBeNull();
    expect(limit.admit('2001:db8::ffff:0:0:2', 0)).toBe(60);
    expect(limit.admit('2001:db8:0:0:1:2:3:4', 0)).toBe(60);
    expect(limit.admit('2001:db8:0:1::1', 0)).toBeNull();
    expect(limit.admit('::1', 0)).toBeNull();
    expect(limit.admit('::2', 0)).toBe(60);
  });

  test('is forgotten before memory grows without end, the first one first', () => {
    const limit = new AddressWindow(1, 60_000);
    limit.admit('first', 0);
    for (let other = 0; other < 9_999; other += 1) limit.admit(`a${other}`, 0);
    expect(limit.admit('first', 0)).toBe(60);
    limit.admit('one too many', 0);
    expect(limit.admit('first', 0)).toBeNull();
  });
});
