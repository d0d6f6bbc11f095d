/** Which content coding an answer gets (RFC 9110, 12.5.3). */

/** Of codings that are wanted alike the first is taken: the fastest at about the same size. */
export const CODINGS = ['zstd', 'br', 'gzip'] as const;
export type Coding = (typeof CODINGS)[number];

/** Clients send few headers again and again: these are not parsed each time. */
const known = new Map<string, Coding | null>();
const KNOWN_MAX = 100;
const KNOWN_MAX_CHARACTERS = 200;

/** Null: as it is, which is what a client without the header gets, and one that accepts none of ours. */
export function codingFor(header: string | undefined): Coding | null {
  if (header === undefined || header === '') return null;
  const before = known.get(header);
  if (before !== undefined) return before;
  const coding = negotiate(weightsIn(header));
  if (header.length <= KNOWN_MAX_CHARACTERS) {
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(header, coding);
  }
  return coding;
}

/** Whether the client reads what is kept in this coding already. */
export function accepts(header: string | undefined, coding: Coding): boolean {
  const weights = weightsIn(header ?? '');
  return (weights.get(coding) ?? weights.get('*') ?? 0) > 0;
}

function negotiate(weights: ReadonlyMap<string, number>): Coding | null {
  const named = CODINGS.filter((coding) => (weights.get(coding) ?? 0) > 0);
  const candidates = named.length > 0 ? named : OLDEST_FIRST.filter((coding) => !weights.has(coding));
  let best: Coding | null = null;
  let most = weights.get('identity') ?? 0;
  for (const coding of candidates) {
    const weight = weights.get(coding) ?? weights.get('*') ?? 0;
    if (weight === 0 || weight < most || (weight === most && best !== null)) continue;
    best = coding;
    most = weight;
  }
  return best;
}

/** A client that accepts anything may be of any age. */
const OLDEST_FIRST: readonly Coding[] = ['gzip', 'br', 'zstd'];

/** From 0, which is never, to 1. A weight that is none counts as never. */
function weightsIn(header: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const item of header.toLowerCase().split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
    if (name === '') continue;
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
    const quality = weight === '' ? Number.NaN : Number(weight);
    weights.set(name === 'x-gzip' ? 'gzip' : name, quality >= 0 && quality <= 1 ? quality : 0);
  }
  return weights;
}
