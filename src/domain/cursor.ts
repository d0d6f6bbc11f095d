/**
 * Cursors of keyset paging. One holds the values of the row it stands after, so that it stays good when the row is
 * changed or deleted, and is signed over the list it belongs to (network, type, order, filter), so that it can be
 * neither made up nor carried to another list.
 *
 * Bytes: version (1), key id (4), payload (JSON), MAC (16 of HMAC-SHA-256 over all before it and the list), in base64url.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { DerivedKey, Keyring } from './keyring.ts';

const VERSION = 1;
const KEY_ID_BYTES = 4;
const MAC_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES;

/** A cursor longer than this is none of ours. */
export const CURSOR_MAX_CHARACTERS = 2_048;

/** The values of a row's order columns, in their order; the last is the id. */
export type CursorValues = readonly (string | number | null)[];

export class CursorSigner {
  readonly #keys: readonly [DerivedKey, ...DerivedKey[]];

  constructor(keyring: Keyring) {
    this.#keys = keyring.derive('cursor v1');
  }

  /** `list` says in full which list this is: two lists never share one. */
  forList(list: string): CursorSeal {
    const [current, ...previous] = this.#keys.map(({ id, key }) => ({ id, key: hmac(key, list) }));
    if (current === undefined) throw new TypeError('a keyring has at least one secret');
    return new CursorSeal([current, ...previous]);
  }
}

/** Signs and opens the cursors of one list. */
export class CursorSeal {
  readonly #keys: readonly [DerivedKey, ...DerivedKey[]];
  readonly #header: Buffer;

  constructor(keys: readonly [DerivedKey, ...DerivedKey[]]) {
    this.#keys = keys;
    this.#header = Buffer.concat([Buffer.of(VERSION), keys[0].id]);
  }

  seal(values: CursorValues): string {
    const signed = Buffer.concat([this.#header, Buffer.from(JSON.stringify(values))]);
    return Buffer.concat([signed, mac(this.#keys[0], signed)]).toString('base64url');
  }

  /** The values in a cursor of this list; null for anything else, without saying why. */
  open(cursor: string): CursorValues | null {
    if (cursor.length > CURSOR_MAX_CHARACTERS) return null;
    const bytes = Buffer.from(cursor, 'base64url');
    // Buffer.from skips what is not base64url: only the canonical spelling is taken.
    if (bytes.length <= HEADER_BYTES + MAC_BYTES || bytes.toString('base64url') !== cursor) return null;
    const key = this.#keys.find((candidate) => candidate.id.equals(bytes.subarray(1, HEADER_BYTES)));
    if (bytes[0] !== VERSION || key === undefined) return null;
    const signed = bytes.subarray(0, -MAC_BYTES);
    if (!timingSafeEqual(mac(key, signed), bytes.subarray(-MAC_BYTES))) return null;
    return JSON.parse(signed.subarray(HEADER_BYTES).toString()) as CursorValues;
  }
}

function mac(key: DerivedKey, signed: Buffer): Buffer {
  return hmac(key.key, signed).subarray(0, MAC_BYTES);
}

function hmac(key: Buffer, text: string | Buffer): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
