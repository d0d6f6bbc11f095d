/** One request on its way: what handlers are given, and what they give back. */
import type { IncomingMessage } from 'node:http';

export interface Exchange {
  readonly requestId: string;
  readonly request: IncomingMessage;
  readonly method: string;
  /** The path, as it was sent, without the query string. */
  readonly path: string;
  /** The query string with its `?`, or ''. */
  readonly search: string;
  /** Fires when the client has gone or the request's time is up. Its reason is a refusal. */
  readonly signal: AbortSignal;
  /** What the access log will say of it; handlers fill it in as they find out. */
  readonly record: AccessRecord;
}

/** Ids and names of code only: never variables, tokens, addresses or names of people. */
export interface AccessRecord {
  route: string;
  networkId: string | null;
  keyId: string | null;
  operation: string | null;
  code: string | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer | null;
}

export type Handler = (exchange: Exchange) => Promise<Answer>;
