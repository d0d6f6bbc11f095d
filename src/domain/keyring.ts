/**
 * The gateway's own secrets. Each purpose gets its own key by HKDF-SHA-256 (RFC 5869); the first secret signs, the
 * previous ones still verify, so that a secret can be replaced without breaking what was handed out under it.
 */
import { createHash, hkdfSync } from 'node:crypto';

export const SECRET_MIN_CHARACTERS = 32;

const KEY_BYTES = 32;
const KEY_ID_BYTES = 4;

export interface DerivedKey {
  /** Four bytes that name the secret in what is signed under it; they tell nothing of it. */
  readonly id: Buffer;
  readonly key: Buffer;
}

export class Keyring {
  readonly #secrets: readonly string[];

  /** Current secret first, then previous ones. Each has at least SECRET_MIN_CHARACTERS. */
  constructor(secrets: readonly [string, ...string[]]) {
    this.#secrets = secrets;
  }

  /** The keys of one purpose, current first. */
  derive(purpose: string): readonly [DerivedKey, ...DerivedKey[]] {
    const [current, ...previous] = this.#secrets.map((secret) => deriveKey(secret, purpose));
    if (current === undefined) throw new TypeError('a keyring has at least one secret');
    return [current, ...previous];
  }
}

function deriveKey(secret: string, purpose: string): DerivedKey {
  const key = Buffer.from(hkdfSync('sha256', secret, '', `gatehouse ${purpose}`, KEY_BYTES));
  return { key, id: createHash('sha256').update(key).digest().subarray(0, KEY_ID_BYTES) };
}
