/**
 * Cursors of keyset paging. One holds the values of the row it stands after, so that it stays good when the row is
 * changed or deleted, and is signed over the list it belongs to (network, type, order, filter), so that it can be
 * neither made up nor carried to another list.
 *
 * Bytes: version (1), key id (4), payload (JSON), MAC (16 of HMAC-SHA-256 over all before it and the list), in base64url.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import type { DerivedKey, Keyring } from './keyring.ts';

const VERSION = 1;
const KEY_ID_BYTES = 4;
const MAC_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES;

/** A cursor longer than this is none of ours: the longest holds a folded name of 100 times 33 bytes. */
export const CURSOR_MAX_CHARACTERS = 8_192;

/** The values of a row's order columns, in their order; the last is the id. */
export type CursorValues = readonly (string | number | null)[];

export class CursorSigner {
  readonly #keys: readonly DerivedKey[];

  constructor(keyring: Keyring) {
    this.#keys = keyring.derive('cursor v1');
  }

  /** `list` says in full which list this is: two lists never share one. */
  forList(list: string): CursorSeal {
    const text = Buffer.from(list);
    const [current, ...previous] = this.#keys.map(({ id, key }) => ({ id, key: new Hmac(key).of(text) }));
    if (current === undefined) throw new TypeError('a keyring has at least one secret');
    return new CursorSeal([current, ...previous]);
  }
}

/** Signs and opens the cursors of one list. */
export class CursorSeal {
  readonly #current: Mac;
  /** The current one first. */
  readonly #macs: readonly Mac[];

  constructor([current, ...previous]: readonly [DerivedKey, ...DerivedKey[]]) {
    this.#current = new Mac(current);
    this.#macs = [this.#current, ...previous.map((key) => new Mac(key))];
  }

  seal(values: CursorValues): string {
    const signed = Buffer.concat([this.#current.header, Buffer.from(JSON.stringify(values))]);
    return Buffer.concat([signed, this.#current.of(signed)]).toString('base64url');
  }

  /** The values in a cursor of this list; null for anything else, without saying why. */
  open(cursor: string): CursorValues | null {
    if (cursor.length > CURSOR_MAX_CHARACTERS) return null;
    const bytes = Buffer.from(cursor, 'base64url');
    // Buffer.from skips what is not base64url: only the canonical spelling is taken.
    if (bytes.length <= HEADER_BYTES + MAC_BYTES || bytes.toString('base64url') !== cursor) return null;
    const mac = this.#macs.find(({ header }) => header.equals(bytes.subarray(0, HEADER_BYTES)));
    const signed = bytes.subarray(0, -MAC_BYTES);
    if (mac === undefined || !timingSafeEqual(mac.of(signed), bytes.subarray(-MAC_BYTES))) return null;
    return JSON.parse(signed.subarray(HEADER_BYTES).toString()) as CursorValues;
  }
}

class Mac {
  readonly header: Buffer;
  readonly #hmac: Hmac;

  constructor({ id, key }: DerivedKey) {
    this.header = Buffer.concat([Buffer.of(VERSION), id]);
    this.#hmac = new Hmac(key);
  }

  of(signed: Buffer): Buffer {
    return this.#hmac.of(signed).subarray(0, MAC_BYTES);
  }
}

const BLOCK_BYTES = 64;

/**
 * HMAC-SHA-256 (RFC 2104, 2) by two one-shot hashes, for a key of at most a block. A page is signed a hundred times over,
 * and node's own Hmac takes ten times as long: it looks into the key each time. A digest taken as a string is made in a
 * quarter of the time of one taken as a buffer.
 */
class Hmac {
  readonly #inner: Buffer;
  readonly #outer: Buffer;

  constructor(key: Buffer) {
    if (key.length > BLOCK_BYTES) throw new RangeError(`a key has at most ${BLOCK_BYTES} bytes`);
    const block = Buffer.concat([key], BLOCK_BYTES);
    this.#inner = Buffer.from(block.map((byte) => byte ^ 0x36));
    this.#outer = Buffer.from(block.map((byte) => byte ^ 0x5c));
  }

  of(message: Buffer): Buffer {
    return sha256(this.#outer, sha256(this.#inner, message));
  }
}

function sha256(start: Buffer, end: Buffer): Buffer {
  return Buffer.from(hash('sha256', Buffer.concat([start, end]), 'binary'), 'binary');
}
