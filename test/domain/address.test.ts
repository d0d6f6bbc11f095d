import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { areWithin, type Block, isWithin, parseAddress, parseBlock } from '../../src/domain/address.ts';

function blocks(...texts: string[]): Block[] {
  return texts.map((text) => {
    const block = parseBlock(text);
    if (block === null) throw new Error(`${text} is no block`);
    return block;
  });
}

describe('an address', () => {
  test.for([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:C000:201', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::', '::'],
  ] as const)('%s is spelled %s', ([text, spelled]) => {
    expect(parseAddress(text)).toBe(spelled);
  });

  test.for([
    ...['', 'unknown', '192.0.2', '192.0.2.256', '010.0.0.1', '0x7f.0.0.1', '127.1', '2130706433', ' 192.0.2.1'],
    ...['192.0.2.1 ', '192.0.2.1/24', '192.0.2.1:80', '[::1]', '1::2::3', '12345::', 'localhost', '1.2.3.4\0'],
  ])('%j is none', (text) => {
    expect(parseAddress(text)).toBeNull();
  });
});

describe('a block', () => {
  test.for([
    ['192.0.2.1', '192.0.2.1/32'],
    ['192.0.2.77/24', '192.0.2.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:DB8::1', '2001:db8::1/128'],
    ['2001:db8:ffff::/32', '2001:db8::/32'],
    ['::ffff:192.0.2.1/120', '192.0.2.0/24'],
    ['::/0', '::/0'],
  ] as const)('%s is spelled %s', ([text, spelled]) => {
    expect(parseBlock(text)?.text).toBe(spelled);
    expect(parseBlock(spelled)?.text).toBe(spelled);
  });

  test.for([
    ...['', '/8', '10/8', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/255.0.0.0', '::/129'],
    ...['010.0.0.0/8', 'fe80::%eth0/64', ' 10.0.0.0/8', 'example.org/8', '*', '10.0.0.0-10.0.0.9', '::/0x1'],
  ])('%j is none', (text) => {
    expect(parseBlock(text)).toBeNull();
  });

  test('holds what lies in it, its first and last too, and nothing of the other family', () => {
    const some = blocks('192.0.2.0/24', '2001:db8::/126');
    for (const address of ['192.0.2.0', '192.0.2.255', '::ffff:192.0.2.9', '2001:db8::', '2001:db8::3']) {
      expect(isWithin(address, some), address).toBe(true);
    }
    for (const address of ['192.0.1.255', '192.0.3.0', '2001:db8::4', '::c000:201', 'nonsense', '']) {
      expect(isWithin(address, some), address).toBe(false);
    }
    expect(isWithin('192.0.2.1', blocks('::/0'))).toBe(false);
    expect(isWithin('::1', blocks('0.0.0.0/0'))).toBe(false);
  });
});

describe('blocks are within others', () => {
  test.for([
    [['10.1.0.0/16'], ['10.0.0.0/8'], true],
    [['10.0.0.0/8'], ['10.1.0.0/16'], false],
    [['10.0.0.0/8'], ['10.128.0.0/9', '10.0.0.0/9'], true],
    [['10.0.0.0/8'], ['10.0.0.0/9', '10.128.0.0/10', '10.224.0.0/11'], false],
    [['10.0.0.0/8', '192.0.2.1'], ['10.0.0.0/8'], false],
    [['0.0.0.0/0'], ['::/0'], false],
    [['::/0'], ['::/1', '8000::/1', '0.0.0.0/0'], true],
    [[], [], true],
    [['10.0.0.1'], [], false],
  ] as const)('%j in %j: %j', ([inner, outer, expected]) => {
    expect(areWithin(blocks(...inner), blocks(...outer))).toBe(expected);
  });

  test('exactly where each of their addresses is', () => {
    // The last byte alone varies, so that each address can be tried.
    const block = fc
      .tuple(fc.nat(255), fc.integer({ min: 24, max: 32 }))
      .map(([byte, bits]) => `192.0.2.${byte}/${bits}`);
    const some = fc.array(block, { maxLength: 4 });
    fc.assert(
      fc.property(some, some, (inner, outer) => {
        const [these, those] = [blocks(...inner), blocks(...outer)];
        const all = Array.from({ length: 256 }, (_, byte) => `192.0.2.${byte}`);
        const each = all.filter((address) => isWithin(address, these)).every((address) => isWithin(address, those));
        expect(areWithin(these, those)).toBe(each);
      }),
    );
  });
});
