import { hkdfSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { Keyring } from '../../src/domain/keyring.ts';

const [A, B] = ['a'.repeat(32), 'b'.repeat(32)];

test('each purpose has a key of its own for each secret, the current one first', () => {
  const keyring = new Keyring([A, B]);
  const cursors = keyring.derive('cursors');
  const sessions = keyring.derive('sessions');
  const keys = [...cursors, ...sessions].map(({ key }) => key.toString('hex'));
  expect(new Set(keys).size).toBe(4);
  expect(keys.every((key) => key.length === 64)).toBe(true);
  expect(cursors[0]).toEqual(new Keyring([A]).derive('cursors')[0]);
  expect(cursors[1]).toEqual(new Keyring([B]).derive('cursors')[0]);
});

test('a key is HKDF-SHA-256 of its secret and purpose: the same on every gateway, and after every release', () => {
  const [{ id, key }] = new Keyring([A]).derive('cursors');
  expect(key).toEqual(Buffer.from(hkdfSync('sha256', A, '', 'gatehouse cursors', 32)));
  expect(id).toHaveLength(4);
});

test('a key’s name tells nothing of the secret: it is no part of it or of the key', () => {
  const [{ id, key }] = new Keyring([A]).derive('cursors');
  expect(key.includes(id)).toBe(false);
  expect(Buffer.from(A).includes(id)).toBe(false);
});
