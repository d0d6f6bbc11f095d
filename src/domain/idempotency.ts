/**
 * The Idempotency-Key of a request (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/): the
 * caller's own name for it, by which it can be sent again without being done again.
 */
import { createHash } from 'node:crypto';
import { badInput } from './errors.ts';

export interface Idempotency {
  /** SHA-256 of the name: as good for telling names apart, and nothing of the caller's is kept. */
  readonly nameDigest: Buffer;
  /** SHA-256 of what is asked for: the same name on something else is a mistake. */
  readonly requestDigest: Buffer;
  /** The place of the operation in a batch; 0 where there is none. */
  readonly operation: number;
}

export const IDEMPOTENCY_KEY_MAX_CHARACTERS = 255;
const NAME = /^[\x20-\x7e]+$/;
/** As the draft has it, a structured field: a string in quotes. Most clients send it without them. */
const QUOTED = /^"((?:[^"\\]|\\["\\])*)"$/;

/** Null without a header or a body. Throws BAD_USER_INPUT for a header that is no name. */
export function idempotencyOf(
  header: string | string[] | undefined,
  body: string | null,
): Omit<Idempotency, 'operation'> | null {
  if (header === undefined || body === null) return null;
  const text = String(header).trim();
  const name = QUOTED.exec(text)?.[1]?.replaceAll(/\\(.)/g, '$1') ?? text;
  if (!NAME.test(name) || name.length > IDEMPOTENCY_KEY_MAX_CHARACTERS) {
    throw badInput(`Idempotency-Key must have 1 to ${IDEMPOTENCY_KEY_MAX_CHARACTERS} visible ASCII characters`);
  }
  return { nameDigest: sha256(name), requestDigest: sha256(canonical(body)) };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** The request's JSON with the members of its objects sorted; a text that is no JSON as it is: it will be refused. */
function canonical(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), (_name, value: unknown) => sorted(value));
  } catch {
    return body;
  }
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
