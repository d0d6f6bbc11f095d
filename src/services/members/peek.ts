/** Looking at the beginning of a source without losing it. */

export interface Peeked {
  /** At least as many bytes as were asked for, or all that there are. */
  readonly start: Buffer;
  /** The whole source, its beginning included. */
  readonly rest: AsyncIterable<Uint8Array>;
}

export async function peek(source: AsyncIterable<Uint8Array>, bytes: number): Promise<Peeked> {
  const chunks = source[Symbol.asyncIterator]();
  const seen: Uint8Array[] = [];
  let length = 0;
  while (length < bytes) {
    const next = await chunks.next();
    if (next.done === true) break;
    seen.push(next.value);
    length += next.value.byteLength;
  }
  return { start: Buffer.concat(seen), rest: replay(seen, chunks) };
}

/** What was taken from a source, and then the rest of it. */
export async function* replay(seen: Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* seen.splice(0);
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}
