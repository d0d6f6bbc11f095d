/** Which of GraphQL's two media types an answer gets (GraphQL over HTTP, "Media Types"; RFC 9110, 12.5.1). */

export const GRAPHQL_RESPONSE = 'application/graphql-response+json';
export const JSON_TYPE = 'application/json';
export type AnswerType = typeof GRAPHQL_RESPONSE | typeof JSON_TYPE;

const HEADER_MAX_CHARACTERS = 1_000;

/** Without a header, and for one that accepts neither, `application/json`: what clients from before the specification read. */
export function answerType(accept: string | undefined): AnswerType {
  if (accept === undefined || accept.length > HEADER_MAX_CHARACTERS) return JSON_TYPE;
  let type: AnswerType = JSON_TYPE;
  let best = 0;
  for (const range of accept.toLowerCase().split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim());
    if (name !== GRAPHQL_RESPONSE && name !== JSON_TYPE && name !== 'application/*' && name !== '*/*') continue;
    const quality = qualityOf(parameters);
    if (quality <= best) continue;
    best = quality;
    type = name === GRAPHQL_RESPONSE ? GRAPHQL_RESPONSE : JSON_TYPE;
  }
  return type;
}

function qualityOf(parameters: readonly string[]): number {
  const quality = parameters.find((parameter) => parameter.startsWith('q='));
  const value = quality === undefined ? 1 : Number(quality.slice(2));
  return Number.isFinite(value) ? value : 0;
}
