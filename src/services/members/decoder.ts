/** From the encodings that files are in to UTF-8: damage stays visible, as bytes that are not valid UTF-8. */

export interface Decoder {
  /** Of the byte order mark. */
  readonly markBytes: number;
  decode(bytes: Buffer): Buffer;
  /** What was left over. */
  end(): Buffer;
}

/**
 * `start`: the first bytes, MARK_MAX_BYTES of them if there are so many. A byte order mark is dropped; it decides where no
 * encoding is named. Throws a RangeError for an encoding that does not exist.
 */
export function decoderOf(start: Buffer, encoding?: string): Decoder {
  const named = encoding === undefined ? null : encodingName(encoding);
  const marked = ENCODINGS_WITH_MARKS.find(({ mark }) => start.subarray(0, mark.length).equals(mark)) ?? null;
  const name = named ?? marked?.name ?? 'utf-8';
  const markBytes = marked?.name === name ? marked.mark.length : 0;
  if (name === 'utf-8') return { markBytes, decode: (bytes) => bytes, end: () => Buffer.alloc(0) };
  if (name === 'utf-16le' || name === 'utf-16be') return new Utf16Decoder(name === 'utf-16be', markBytes);
  return new LegacyDecoder(name);
}

/** The standard's own name for an encoding: `latin1` and `iso-8859-1` are windows-1252. Throws a RangeError. */
export function encodingName(label: string): string {
  return new TextDecoder(label).encoding;
}

export const MARK_MAX_BYTES = 3;
const ENCODINGS_WITH_MARKS = [
  { name: 'utf-8', mark: Buffer.of(0xef, 0xbb, 0xbf) },
  { name: 'utf-16le', mark: Buffer.of(0xff, 0xfe) },
  { name: 'utf-16be', mark: Buffer.of(0xfe, 0xff) },
] as const;

const UNIT_BYTES = 2;
/** It is part of no UTF-8. */
const DAMAGE = Buffer.of(0xff);
const LONE_SURROGATES = /(\p{Cs}+)/u;
const HIGH_SURROGATE = /[\ud800-\udbff]$/;

class Utf16Decoder implements Decoder {
  readonly markBytes: number;
  readonly #isBigEndian: boolean;
  /** Half of a unit, or of a pair. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(isBigEndian: boolean, markBytes: number) {
    this.markBytes = markBytes;
    this.#isBigEndian = isBigEndian;
  }

  decode(bytes: Buffer): Buffer {
    const all = Buffer.concat([this.#rest, bytes]);
    const units = all.subarray(0, all.length - (all.length % UNIT_BYTES));
    const text = this.#textOf(units);
    const whole = HIGH_SURROGATE.test(text) ? text.slice(0, -1) : text;
    this.#rest = all.subarray(whole.length * UNIT_BYTES);
    return encode(whole);
  }

  end(): Buffer {
    return this.#rest.length === 0 ? this.#rest : DAMAGE;
  }

  #textOf(units: Buffer): string {
    return (this.#isBigEndian ? Buffer.from(units).swap16() : units).toString('utf16le');
  }
}

/** Any other encoding, as browsers read it. */
class LegacyDecoder implements Decoder {
  readonly markBytes = 0;
  readonly #decoder: TextDecoder;

  constructor(name: string) {
    this.#decoder = new TextDecoder(name);
  }

  decode(bytes: Buffer): Buffer {
    return marking(this.#decoder.decode(bytes, { stream: true }));
  }

  end(): Buffer {
    return marking(this.#decoder.decode());
  }
}

const REPLACEMENT = '\ufffd';

/** A decoder puts U+FFFD in the place of what it cannot read, and no such encoding has that character itself. */
function marking(text: string): Buffer {
  if (!text.includes(REPLACEMENT)) return Buffer.from(text);
  return Buffer.concat(
    text.split(REPLACEMENT).flatMap((part, at) => (at === 0 ? [Buffer.from(part)] : [DAMAGE, Buffer.from(part)])),
  );
}

function encode(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text);
  const parts = text.split(LONE_SURROGATES);
  return Buffer.concat(parts.map((part) => (part.isWellFormed() ? Buffer.from(part) : DAMAGE)));
}
