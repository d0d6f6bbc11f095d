/**
 * Which of GraphQL's two media types a 2xx answer has (GraphQL over HTTP, "Media Types" and "Body"; RFC 9110, 12.5.1). A
 * refusal is `application/graphql-response+json` whatever was asked for.
 */

export const GRAPHQL_RESPONSE = 'application/graphql-response+json';
export const JSON_TYPE = 'application/json';
export type AnswerType = typeof GRAPHQL_RESPONSE | typeof JSON_TYPE;

/** How exactly a media range names a type: by its name, as one of `application/*`, as any. */
const [NAMED, SUBTYPE, ANY, NOT_AT_ALL] = [3, 2, 1, 0];

interface Range {
  readonly name: string;
  /** From 0, which is never, to 1. */
  readonly quality: number;
}

/** Clients send few headers again and again: these are not parsed each time. */
const known = new Map<string, AnswerType | null>();
const KNOWN_MAX = 100;
const KNOWN_MAX_CHARACTERS = 200;

/**
 * The media type that the caller prefers, null where they accept neither. Without a header, and for a caller that accepts
 * anything, it is `application/json`: what clients from before the specification read.
 */
export function answerType(accept: string | undefined): AnswerType | null {
  if (accept === undefined) return JSON_TYPE;
  const before = known.get(accept);
  if (before !== undefined) return before;
  const type = negotiate(accept);
  if (accept.length <= KNOWN_MAX_CHARACTERS) {
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(accept, type);
  }
  return type;
}

function negotiate(accept: string): AnswerType | null {
  const given = accept
    .toLowerCase()
    .split(',')
    .map((range) => range.trim())
    .filter((range) => range !== '');
  // RFC 9110, 5.6.1: a list may be empty, and then says nothing.
  if (given.length === 0) return JSON_TYPE;
  const ranges = given.map(rangeOf).filter((range) => range !== null);
  const json = preferenceFor(JSON_TYPE, ranges);
  const graphql = preferenceFor(GRAPHQL_RESPONSE, ranges);
  if (json.quality === 0 && graphql.quality === 0) return null;
  // Of two that are wanted alike, the one that is named more exactly; of two that are named, the first.
  const difference = json.quality - graphql.quality || json.exactness - graphql.exactness;
  if (difference !== 0) return difference > 0 ? JSON_TYPE : GRAPHQL_RESPONSE;
  return ranges.find(({ name }) => name === JSON_TYPE || name === GRAPHQL_RESPONSE)?.name === GRAPHQL_RESPONSE
    ? GRAPHQL_RESPONSE
    : JSON_TYPE;
}

/** Null where its weight is none: the range then counts for nothing. */
function rangeOf(text: string): Range | null {
  const [name = '', ...parameters] = text.split(';').map((part) => part.trim());
  const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
  const quality = weight === '' ? Number.NaN : Number(weight);
  return quality >= 0 && quality <= 1 ? { name, quality } : null;
}

/** The most exact range counts, and of several of these the best. */
function preferenceFor(type: AnswerType, ranges: readonly Range[]): { quality: number; exactness: number } {
  let [quality, exactness] = [0, NOT_AT_ALL];
  for (const range of ranges) {
    const found = exactnessOf(range, type);
    if (found === NOT_AT_ALL || found < exactness) continue;
    quality = found > exactness ? range.quality : Math.max(quality, range.quality);
    exactness = found;
  }
  return { quality, exactness };
}

function exactnessOf({ name }: Range, type: AnswerType): number {
  if (name === type) return NAMED;
  if (name === 'application/*') return SUBTYPE;
  return name === '*/*' || name === '*' ? ANY : NOT_AT_ALL;
}
