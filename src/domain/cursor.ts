/**
 * Cursors of keyset paging. One holds the values of the row it stands after, so that it stays good when the row is
 * changed or deleted, and is signed over the list it belongs to (network, type, order, filter), so that it can be
 * neither made up nor carried to another list.
 *
 * Bytes: layout (1), key id (4), payload, MAC (16 of HMAC-SHA-256 over the list's digest and all before it), in base64url.
 * A row's place ends in its id: its payload is the 16 bytes of the UUID, and JSON of the values before it if there are
 * any. Every other payload is JSON of all values.
 *
 * A page of 250 is 250 signatures, so what is the same for all of them stands in the buffers already.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import type { DerivedKey, Keyring } from './keyring.ts';
import { uuidFromHex, writeUuid } from './uuid.ts';

const LAYOUT_JSON = 1;
const LAYOUT_ROW = 2;
const MAC_BYTES = 16;
const HEADER_BYTES = 1 + 4;
const UUID_BYTES = 16;

/** A cursor longer than this is none of ours: the longest holds a folded name of 100 times 33 bytes. */
export const CURSOR_MAX_CHARACTERS = 8_192;

/** The values of a row's order columns, in their order; the last is the id. */
export type CursorValues = readonly (string | number | null)[];

export class CursorSigner {
  readonly #keys: readonly SigningKey[];

  constructor(keyring: Keyring) {
    this.#keys = keyring.derive('cursor v1').map((key) => new SigningKey(key));
  }

  /** `list` says in full which list this is: two lists never share one. */
  forList(list: string): CursorSeal {
    return new CursorSeal(this.#keys, hash('sha256', list, 'binary'));
  }
}

/** Signs and opens the cursors of one list. */
export class CursorSeal {
  /** The current one first. */
  readonly #keys: readonly SigningKey[];
  readonly #list: string;
  /** Of the current key; made when it is needed. */
  #scratch: Scratch | null = null;

  /** `list`: its digest, a character a byte. */
  constructor(keys: readonly SigningKey[], list: string) {
    this.#keys = keys;
    this.#list = list;
  }

  seal(values: CursorValues): string {
    const [current] = this.#keys;
    if (current === undefined) throw new TypeError('a keyring has at least one secret');
    this.#scratch ??= new Scratch(current, this.#list);
    return this.#scratch.seal(values);
  }

  /** The values in a cursor of this list; null for anything else, without saying why. */
  open(cursor: string): CursorValues | null {
    if (cursor.length > CURSOR_MAX_CHARACTERS) return null;
    const bytes = Buffer.from(cursor, 'base64url');
    // Buffer.from skips what is not base64url: only the canonical spelling is taken.
    if (bytes.length <= HEADER_BYTES + MAC_BYTES || bytes.toString('base64url') !== cursor) return null;
    const key = this.#keys.find(({ id }) => id.equals(bytes.subarray(1, HEADER_BYTES)));
    const signed = bytes.subarray(0, -MAC_BYTES);
    if (key === undefined || !timingSafeEqual(key.macOf(this.#list, signed), bytes.subarray(-MAC_BYTES))) return null;
    return valuesOf(signed);
  }
}

/** Of signed bytes: so this process or one like it wrote them. */
function valuesOf(signed: Buffer): CursorValues | null {
  const payload = signed.subarray(HEADER_BYTES);
  if (signed[0] === LAYOUT_JSON) return JSON.parse(payload.toString()) as CursorValues;
  if (signed[0] !== LAYOUT_ROW) return null;
  const id = uuidFromHex(payload.toString('hex', 0, UUID_BYTES));
  if (payload.length === UUID_BYTES) return [id];
  return [...(JSON.parse(payload.toString('utf8', UUID_BYTES)) as CursorValues), id];
}

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
/** Where the header begins: behind the padded key and the list's digest. */
const SIGNED_AT = BLOCK_BYTES + DIGEST_BYTES;
const PAYLOAD_AT = SIGNED_AT + HEADER_BYTES;

/**
 * HMAC-SHA-256 (RFC 2104, 2) by two one-shot hashes, for a key of at most a block: node's own Hmac takes thirty times as
 * long, because it looks into the key each time. A digest taken as a string is made in a quarter of the time of one
 * taken as a buffer.
 */
class SigningKey {
  readonly id: Buffer;
  /** The padded key, to stand before the message. */
  readonly inner: Buffer;
  /** The padded key, and room for the inner digest. */
  readonly #outer: Buffer;

  constructor({ id, key }: DerivedKey) {
    if (key.length > BLOCK_BYTES) throw new RangeError(`a key has at most ${BLOCK_BYTES} bytes`);
    const block = Buffer.concat([key], BLOCK_BYTES);
    this.id = id;
    this.inner = Buffer.from(block.map((byte) => byte ^ 0x36));
    this.#outer = Buffer.concat([block.map((byte) => byte ^ 0x5c)], BLOCK_BYTES + DIGEST_BYTES);
  }

  /** `message`: all of it, behind the padded key. A character a byte. */
  digestOf(message: Buffer): string {
    this.#outer.write(hash('sha256', message, 'binary'), BLOCK_BYTES, 'latin1');
    return hash('sha256', this.#outer, 'binary');
  }

  macOf(list: string, signed: Buffer): Buffer {
    const message = Buffer.concat([this.inner, Buffer.from(list, 'latin1'), signed]);
    return Buffer.from(this.digestOf(message), 'latin1').subarray(0, MAC_BYTES);
  }
}

/** The message that is signed, and behind it its MAC: the cursor is a slice of it. */
class Scratch {
  readonly #key: SigningKey;
  #bytes: Buffer;
  /** The bytes up to where the last payload ended: most cursors of a list are as long as the one before. */
  #message: Buffer;

  constructor(key: SigningKey, list: string) {
    this.#key = key;
    this.#bytes = Buffer.allocUnsafe(PAYLOAD_AT + UUID_BYTES + MAC_BYTES);
    this.#message = this.#bytes.subarray(0, PAYLOAD_AT + UUID_BYTES);
    key.inner.copy(this.#bytes);
    this.#bytes.write(list, BLOCK_BYTES, 'latin1');
    key.id.copy(this.#bytes, SIGNED_AT + 1);
  }

  seal(values: CursorValues): string {
    const id = values.at(-1);
    const isRow = typeof id === 'string' && writeUuid(id, this.#bytes, PAYLOAD_AT);
    const end = isRow ? this.#writeRow(values) : this.#writeJson(values, PAYLOAD_AT, LAYOUT_JSON);
    if (this.#message.length !== end) this.#message = this.#bytes.subarray(0, end);
    this.#bytes.write(this.#key.digestOf(this.#message), end, MAC_BYTES, 'latin1');
    return this.#bytes.toString('base64url', SIGNED_AT, end + MAC_BYTES);
  }

  /** Where the payload ends. Its id is there already. */
  #writeRow(values: CursorValues): number {
    const jsonAt = PAYLOAD_AT + UUID_BYTES;
    if (values.length > 1) return this.#writeJson(values.slice(0, -1), jsonAt, LAYOUT_ROW);
    this.#bytes[SIGNED_AT] = LAYOUT_ROW;
    return jsonAt;
  }

  #writeJson(values: CursorValues, at: number, layout: number): number {
    const json = JSON.stringify(values);
    const end = at + Buffer.byteLength(json);
    this.#reserve(end + MAC_BYTES);
    this.#bytes[SIGNED_AT] = layout;
    this.#bytes.write(json, at);
    return end;
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return;
    const bytes = Buffer.allocUnsafe(length);
    this.#bytes.copy(bytes);
    this.#bytes = bytes;
    this.#message = bytes.subarray(0, length - MAC_BYTES);
  }
}
