/** Text rules that every room shares: folding, bounds and what no text may hold. */

/**
 * One string for all that differ in case or in Unicode composition only: NFKC, lower case, NFC again (lower-casing can
 * take a string out of normal form). Our own rule rather than the database's lower(), whose answer depends on the
 * server's locale.
 */
export function fold(text: string): string {
  return text.normalize('NFKC').toLowerCase().normalize('NFC');
}

// C0 and C1 controls, and the separators that break lines: none belongs in a name, and PostgreSQL stores no NUL.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

export function hasControlCharacters(text: string): boolean {
  return CONTROL.test(text);
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
