/** IANA time zone names, as this Node's copy of the time zone database has them. */

/** In lower case → as the database writes it. */
const SPELLINGS = new Map(Intl.supportedValuesOf('timeZone').map((name) => [name.toLowerCase(), name]));
/** Other names that it knows, in lower case, once somebody has given them: making a formatter to find out is slow. */
const otherNames = new Set<string>();

/** An area and a place, or one word such as UTC. An offset such as +02:00 is none: it does not know of daylight saving. */
const SHAPE = /^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/;

const NOT_IANA = 'must be the IANA name of a time zone, such as Europe/Berlin or UTC';

/**
 * Case does not matter, and is stored as the database writes it. A name that has been renamed (Asia/Calcutta,
 * Asia/Kolkata) is kept as it was given: both are right, and programs differ in which one they know.
 */
export function parseTimeZone(input: unknown): { readonly value: string } | { readonly reason: string } {
  const name = typeof input === 'string' ? input.trim() : '';
  const folded = name.toLowerCase();
  const spelling = SPELLINGS.get(folded);
  if (spelling !== undefined) return { value: spelling };
  if (!otherNames.has(folded)) {
    if (!SHAPE.test(name) || !exists(name)) return { reason: NOT_IANA };
    otherNames.add(folded);
  }
  return { value: name };
}

function exists(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
