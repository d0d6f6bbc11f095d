/** Text rules that every room shares: folding, bounds and what no text may hold. */

/**
 * One string for all that differ in case or in Unicode composition only: NFKC, lower case, NFC again (lower-casing can
 * take a string out of normal form). Both small sigmas are one letter: which of them a capital becomes depends on what
 * stands behind it. Our own rule rather than the database's lower(), whose answer depends on the
 * server's locale.
 */
export function fold(text: string): string {
  return text.normalize('NFKC').toLowerCase().replaceAll('ς', 'σ').normalize('NFC');
}

// C0 and C1 controls, and the separators that break lines: none belongs in a name, and PostgreSQL stores no NUL.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

export function hasControlCharacters(text: string): boolean {
  return CONTROL.test(text);
}

// What has no shape of its own, or only bends that of others; U+2800 is a letter of Braille without a dot.
const UNSEEN = /[\p{Cf}\p{Default_Ignorable_Code_Point}\u2800]/v;
const SEEN = /[[\p{L}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}\u2800]]/v;
/** Letters that are joined, or kept from it, in writing; in these scripts nothing is. */
const JOINED = String.raw`[[\p{L}\p{M}]--[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Default_Ignorable_Code_Point}]]`;
/** Where what is not seen can be told all the same: joiners in words and emoji, and which of its two looks a sign has. */
const TOLD = new RegExp(
  [
    String.raw`(?<=${JOINED})[\u200c\u200d](?=${JOINED})`,
    String.raw`(?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f])\u200d(?=\p{Extended_Pictographic})`,
    String.raw`(?<=\p{Extended_Pictographic})[\ufe0e\ufe0f]`,
    String.raw`(?<=[0-9#*])\ufe0f(?=\u20e3)`,
  ].join('|'),
  'gv',
);

/** Whether a name could pass for another one, because it holds what nobody sees or turns its direction. */
export function hasUnseenCharacters(text: string): boolean {
  return UNSEEN.test(text.replaceAll(TOLD, ''));
}

/** Whether there is anything in it to be seen. */
export function canBeSeen(text: string): boolean {
  return SEEN.test(text);
}

// Marks, embeddings, overrides and isolates: they turn the direction of what stands around them.
const BIDI_CONTROLS = '\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069';
const BREAKS = /[\t\n\v\f\r\u0085\u2028\u2029]+/g;
const DECEIVING = new RegExp(`[\\p{Cc}${BIDI_CONTROLS}]`, 'gu');

/** A text of somebody unknown as one line: what would break it, turn it round or command a terminal is shown as such. */
export function plainLine(text: string): string {
  return text.replaceAll(BREAKS, ' ').replaceAll(DECEIVING, '\ufffd');
}

/** Length as people count it: code points, not UTF-16 units. */
export function characters(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** Whether a string is well-formed Unicode, as PostgreSQL's UTF-8 demands: no lone surrogate. */
export function isWellFormed(text: string): boolean {
  return text.isWellFormed();
}
