/**
 * A result as JSON, in slices where it may be long: other callers have their turn while it is written. The text is that of
 * JSON.stringify, with what is JSON already (RawJson) in its place.
 */
import { bytesOf, type JsonText, stringify } from '../domain/json-size.ts';
import type { Slices } from '../domain/turns.ts';

/** JSON in parts. */
export interface Written {
  readonly parts: readonly JsonText[];
  /** Of all of them. Of what was broken off, more than it might have. */
  readonly bytes: number;
}

/** Below this depth (a root field, `edges`) a value is written in one go; lists above it, some items at a time. */
const DEPTH_MAX = 4;
/** Of a list, in one go: so many items, and about so many characters. */
const ITEMS_MAX = 8;
const PIECE_CHARACTERS = 65_536;

/**
 * At once where it takes no longer than a slice. `maxBytes`: once there are more, it is broken off. `isShort`: it is known
 * to have so few that it is written in one go.
 */
export function serialize(
  value: object | null,
  slices: Slices | null,
  maxBytes: number,
  isShort = false,
): Written | Promise<Written> {
  if (slices === null || (isShort && !slices.isOver)) return atOnce(value);
  if (isShort) return slices.begin()?.then(() => atOnce(value)) ?? atOnce(value);
  const pieces = piecesOf(value, 0);
  const wait = slices.begin();
  if (wait !== null) return inSlices(pieces, slices, maxBytes, wait, []);
  const { texts, isOver } = nextSlice(pieces, slices, maxBytes);
  return isOver ? { parts: texts, bytes: bytesOf(texts) } : inSlices(pieces, slices, maxBytes, slices.next(), texts);
}

function atOnce(value: object | null): Written {
  const parts = stringify(value);
  return { parts, bytes: bytesOf(parts) };
}

async function inSlices(
  pieces: Generator<string, void>,
  slices: Slices,
  maxBytes: number,
  first: Promise<void>,
  begun: readonly string[],
): Promise<Written> {
  // As bytes: a text would only be copied into them.
  const parts = [Buffer.from(begun.join(''))];
  let bytes = bytesOf(parts);
  let turn = first;
  for (;;) {
    await turn;
    const { texts, isOver } = nextSlice(pieces, slices, maxBytes - bytes);
    const part = Buffer.from(texts.join(''));
    parts.push(part);
    bytes += part.length;
    if (isOver || bytes > maxBytes) return { parts, bytes };
    turn = slices.next();
  }
}

/** `maxBytes`: of this slice. One that has more is the last. */
function nextSlice(
  pieces: Generator<string, void>,
  slices: Slices,
  maxBytes: number,
): { readonly texts: readonly string[]; readonly isOver: boolean } {
  const texts: string[] = [];
  let characters = 0;
  for (;;) {
    const { value, done } = pieces.next();
    if (done === true) return { texts, isOver: true };
    texts.push(value);
    characters += value.length;
    // A character takes a byte at the least.
    if (characters > maxBytes) return { texts, isOver: true };
    if (slices.isOver) return { texts, isOver: false };
  }
}

function* piecesOf(value: unknown, depth: number): Generator<string, void> {
  if (Array.isArray(value)) yield* itemsOf(value);
  else if (depth < DEPTH_MAX && isPlain(value)) yield* fieldsOf(value, depth);
  else yield* stringify(value ?? null);
}

function* fieldsOf(object: Readonly<Record<string, unknown>>, depth: number): Generator<string, void> {
  let before = '{';
  for (const [key, value] of Object.entries(object)) {
    if (value === undefined) continue;
    yield `${before}${JSON.stringify(key)}:`;
    before = ',';
    yield* piecesOf(value, depth + 1);
  }
  yield before === '{' ? '{}' : '}';
}

function* itemsOf(list: readonly unknown[]): Generator<string, void> {
  let at = 0;
  // How long an item is shows with the first; the next ones may be longer, so the number grows slowly.
  let count = 1;
  yield '[';
  while (at < list.length) {
    const texts = stringify(list.slice(at, at + count));
    const characters = texts.reduce((sum, { length }) => sum + length, 0);
    yield at === 0 ? '' : ',';
    yield* withoutEnds(texts);
    at += count;
    const fitting = Math.floor((PIECE_CHARACTERS * count) / characters);
    count = Math.max(1, Math.min(count * 2, fitting, ITEMS_MAX));
  }
  yield ']';
}

/** Without the brackets around a list. */
function* withoutEnds(texts: readonly string[]): Generator<string, void> {
  for (const [at, text] of texts.entries()) {
    yield text.slice(at === 0 ? 1 : 0, at === texts.length - 1 ? -1 : text.length);
  }
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !('toJSON' in value && typeof value.toJSON === 'function');
}
