/**
 * A UUID in its usual spelling (RFC 9562, 4), read digit by digit: a page has some hundred, and a regular expression with
 * slices takes four times as long.
 */

const UUID_CHARACTERS = 36;
export const UUID_DIGITS = 32;
const DASHES = [8, 13, 18, 23];
/** Where each digit stands. */
const PLACES = Array.from({ length: UUID_CHARACTERS }, (_, at) => at).filter((at) => !DASHES.includes(at));
/** Of a character's code; -1: it is no digit in lower case. */
const VALUES = Int8Array.from({ length: 128 }, (_, code) => '0123456789abcdef'.indexOf(String.fromCharCode(code)));

/** The value of a digit, 0 to 15; -1 where there is none in lower case. `index`: from 0 to 31. */
export function uuidDigit(uuid: string, index: number): number {
  return VALUES[uuid.charCodeAt(PLACES[index] ?? 0)] ?? -1;
}

/** Whether length and dashes are a UUID's; its digits are not looked at. */
export function hasUuidShape(text: string): boolean {
  return text.length === UUID_CHARACTERS && DASHES.every((at) => text[at] === '-');
}

/** Writes its 16 bytes. False for what is no UUID in lower case: what was written then means nothing. */
export function writeUuid(uuid: string, bytes: Uint8Array, at: number): boolean {
  if (!hasUuidShape(uuid)) return false;
  let seen = 0;
  for (let index = 0; index < UUID_DIGITS; index += 2) {
    const byte = (uuidDigit(uuid, index) << 4) | uuidDigit(uuid, index + 1);
    seen |= byte;
    bytes[at + (index >> 1)] = byte;
  }
  return seen >= 0;
}

/** The UUID of 32 hexadecimal digits. */
export function uuidFromHex(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
