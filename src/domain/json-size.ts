/** JSON as text: values that are JSON already, and how many bytes a value takes. */

/**
 * JSON text that goes into an answer as it is. PostgreSQL gives custom fields so: parsed, they would take up to twenty
 * times the memory, only to be written again.
 */
export class RawJson {
  readonly text: string;

  /** `text`: valid JSON. */
  constructor(text: string) {
    this.text = text;
  }

  toJSON(): unknown {
    // Written outside of `stringify`: as the value that it stands for.
    if (texts === null) return JSON.parse(this.text);
    texts.push(this.text);
    return PLACE;
  }
}

/** Nobody outside can know it, so that no text of a caller's is taken for one. */
const PLACE = `raw ${crypto.randomUUID()}`;
const QUOTED_PLACE = JSON.stringify(PLACE);
/** Of the value that is being written; JSON.stringify is synchronous. */
let texts: string[] | null = null;

/** JSON as text; as bytes where it is long. */
export type JsonText = string | Buffer;

/** A longer text is made as bytes at once: as a string it would only be copied into them. */
const STRING_MAX_CHARACTERS = 65_536;

/**
 * `JSON.stringify` in parts, with the text of each RawJson in its place. `value`: nothing that has no JSON, such as a
 * function.
 */
export function stringify(value: unknown): string[] {
  const found: string[] = [];
  texts = found;
  let written: string;
  try {
    written = JSON.stringify(value);
  } finally {
    texts = null;
  }
  if (found.length === 0) return [written];
  return written.split(QUOTED_PLACE).flatMap((part, at) => {
    const text = found[at];
    return text === undefined ? [part] : [part, text];
  });
}

export function joined(parts: readonly JsonText[]): JsonText {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length <= STRING_MAX_CHARACTERS && parts.every((part) => typeof part === 'string')) return parts.join('');
  const bytes = Buffer.allocUnsafeSlow(bytesOf(parts));
  let at = 0;
  for (const part of parts) at += typeof part === 'string' ? bytes.write(part, at) : part.copy(bytes, at);
  return bytes;
}

export function bytesOf(parts: readonly JsonText[]): number {
  return parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0);
}

/**
 * Bytes that a value of a leaf field takes in an answer, quotes included. Where it need not be exact: no more than it
 * takes, and at least a sixth of it.
 */
export function jsonBytes(value: unknown, isExact: boolean): number {
  if (typeof value === 'string') return isExact ? Buffer.byteLength(JSON.stringify(value)) : value.length + 2;
  if (value instanceof RawJson) return isExact ? Buffer.byteLength(value.text) : value.text.length;
  if (typeof value === 'object' && value !== null) return bytesOf(stringify(value));
  return isExact ? String(value).length : 1;
}
