const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BASE = 62n;

/** A number in base62, padded with zeros to a fixed number of characters. Throws a RangeError where it does not fit. */
export function base62Fixed(value: bigint, characters: number): string {
  let rest = value;
  let text = '';
  for (let position = 0; position < characters; position += 1) {
    text = ALPHABET.charAt(Number(rest % BASE)) + text;
    rest /= BASE;
  }
  if (rest !== 0n || value < 0n) throw new RangeError(`${value} does not fit in ${characters} base62 characters`);
  return text;
}
