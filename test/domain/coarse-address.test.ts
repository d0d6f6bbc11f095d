import { expect, test } from 'vitest';
import { coarseAddress } from '../../src/domain/coarse-address.ts';

test.for([
  ['203.0.113.77', '203.0.113.0/24'],
  ['255.255.255.255', '255.255.255.0/24'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
  ['2001:db8::1', '2001:db8::/48'],
  ['::1', '::/48'],
  ['fe80::1', 'fe80::/48'],
] as const)('of %s is kept %s', ([address, block]) => {
  expect(coarseAddress(address)).toBe(block);
});
