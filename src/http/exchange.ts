/** One request on its way: what handlers are given, and what they give back. */
import type { IncomingMessage } from 'node:http';
import type { Address } from '../domain/address.ts';
import type { GatehouseError } from '../domain/errors.ts';
import type { Holding } from './held-bytes.ts';

export interface Exchange {
  readonly requestId: string;
  readonly request: IncomingMessage;
  readonly method: string;
  /** The caller's, past trusted proxies; null where the connection had gone. */
  readonly address: Address | null;
  /** The path, as it was sent, without the query string; `*` where the request is about the server as a whole. */
  readonly path: string;
  /** The host and port that the request is for; '' where it names none. */
  readonly authority: string;
  /** The query string with its `?`, or ''. */
  readonly search: string;
  /** Fires when the client has gone or the request's time is up. Its reason is a refusal. */
  readonly signal: AbortSignal;
  /** Headers of whatever answer there will be, its own before them; handlers add to them as they find out. */
  readonly headers: Record<string, string>;
  /** What is answered when the time is up, by the handler that knows what was done till then. Null: a plain refusal. */
  late: ((refusal: GatehouseError) => Answer) | null;
  /** What is held for it, until its connection has taken the answer. */
  readonly held: Holding;
  /** What the access log will say of it; handlers fill it in as they find out. */
  readonly record: AccessRecord;
  /** Tells a client that waits for it to send its body. Called when nothing but the body can be a reason to refuse. */
  readonly askForBody: () => void;
}

/**
 * Ids and names of code, and what is kept of where a request came from: never variables, tokens, e-mail addresses or names
 * of people.
 */
export interface AccessRecord {
  /** The block of addresses that the caller's is in (domain/coarse-address.ts); null where the connection had gone. */
  readonly address: string | null;
  /** Bounded, without tokens and addresses. */
  readonly userAgent: string | null;
  route: string;
  /** Whose token it was, also where it was not let in; null where it is nobody's. */
  networkId: string | null;
  keyId: string | null;
  operation: string | null;
  code: string | null;
  /** The limit that refused it, or would have. */
  limit: string | null;
  /** Cost points that were charged and used. */
  points: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer | null;
  /** Whether its length must tell nothing of what is in it: see compression.ts. Absent: it may be compressed. */
  readonly isNeverCompressed?: boolean;
}

export type Handler = (exchange: Exchange) => Promise<Answer>;
