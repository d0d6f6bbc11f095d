import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CURSOR_MAX_CHARACTERS, CursorSigner, type CursorValues } from '../../src/domain/cursor.ts';
import { Keyring } from '../../src/domain/keyring.ts';

const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(32)) as [string, string, string];
const signer = (...secrets: [string, ...string[]]) => new CursorSigner(new Keyring(secrets));
const value = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 100 }), fc.maxSafeInteger(), fc.constant(null));
const values: fc.Arbitrary<CursorValues> = fc.array(value, { maxLength: 4 });

describe('a cursor', () => {
  test('opens to what it was sealed with, by its own list', () => {
    fc.assert(
      fc.property(fc.string(), values, (list, held) => {
        expect(signer(A).forList(list).open(signer(A).forList(list).seal(held))).toEqual(held);
      }),
    );
  });

  test('is base64url, so that it needs no escaping in an address', () => {
    fc.assert(
      fc.property(values, (held) => {
        expect(signer(A).forList('x').seal(held)).toMatch(/^[\w-]+$/);
      }),
    );
  });

  test('is the same for the same place, so that pages can be compared', () => {
    expect(signer(A).forList('x').seal(['a', 1])).toBe(signer(A).forList('x').seal(['a', 1]));
  });

  test('opens by no other list', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), values, (list, other, held) => {
        fc.pre(list !== other);
        expect(signer(A).forList(other).open(signer(A).forList(list).seal(held))).toBeNull();
      }),
    );
  });

  test('with any bit turned opens to nothing', () => {
    fc.assert(
      fc.property(values, fc.nat(), (held, which) => {
        const seal = signer(A).forList('x');
        const bytes = Buffer.from(seal.seal(held), 'base64url');
        const bit = which % (bytes.length * 8);
        bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(seal.open(bytes.toString('base64url'))).toBeNull();
      }),
      { numRuns: 500 },
    );
  });

  test('that is any other text opens to nothing, and never throws', () => {
    const seal = signer(A).forList('x');
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
        expect(seal.open(text)).toBeNull();
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(seal.open(Buffer.from(bytes).toString('base64url'))).toBeNull();
      }),
    );
  });

  test('is opened by a previous secret, and by no dropped or strange one', () => {
    const old = signer(A).forList('x').seal(['old']);
    expect(signer(B, A).forList('x').open(old)).toEqual(['old']);
    expect(signer(C, B, A).forList('x').open(old)).toEqual(['old']);
    expect(signer(B).forList('x').open(old)).toBeNull();
    // What is new is signed with the current one alone.
    const fresh = signer(B, A).forList('x').seal(['new']);
    expect(signer(A).forList('x').open(fresh)).toBeNull();
    expect(signer(B).forList('x').open(fresh)).toEqual(['new']);
  });

  /** A cursor as anybody would make it who has the secret, by node's own HMAC. */
  function madeByHand(secret: string, list: string, layout: number, payload: Buffer): string {
    const [{ id, key }] = new Keyring([secret]).derive('cursor v1');
    const signed = Buffer.concat([Buffer.from([layout]), id, payload]);
    const listDigest = createHash('sha256').update(list).digest();
    const mac = createHmac('sha256', key).update(listDigest).update(signed).digest().subarray(0, 16);
    return Buffer.concat([signed, mac]).toString('base64url');
  }

  test('is signed by HMAC-SHA-256, as node has it', () => {
    fc.assert(
      fc.property(fc.string(), values, (list, held) => {
        fc.pre(typeof held.at(-1) !== 'string');
        const payload = Buffer.from(JSON.stringify(held));
        expect(signer(A).forList(list).seal(held)).toBe(madeByHand(A, list, 1, payload));
      }),
    );
  });

  test('of a layout that this release does not know opens to nothing, though it is signed as it should be', () => {
    const payload = Buffer.from('["x"]');
    expect(
      signer(A)
        .forList('x')
        .open(madeByHand(A, 'x', 1, payload)),
    ).toEqual(['x']);
    for (const layout of [0, 3, 255]) {
      expect(
        signer(A)
          .forList('x')
          .open(madeByHand(A, 'x', layout, payload)),
      ).toBeNull();
    }
  });

  test('over its bound is not even looked at', () => {
    const seal = signer(A).forList('x');
    const long = seal.seal(['x'.repeat(CURSOR_MAX_CHARACTERS)]);
    expect(long.length).toBeGreaterThan(CURSOR_MAX_CHARACTERS);
    expect(seal.open(long)).toBeNull();
  });
});
