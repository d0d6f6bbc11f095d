/**
 * `POST /leaked-tokens`: whoever found tokens where they should not be, a scanner or a person, ends them. The answer is
 * the same whatever they were, so that nobody learns from it which token lives.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { badInput, GatehouseError, notJson } from '../domain/errors.ts';
import { WINDOW_SECONDS } from '../domain/limit.ts';
import { characters, isWellFormed } from '../domain/text.ts';
import { tokensIn } from '../domain/token.ts';
import type { AddressLimit } from '../limits/address-window.ts';
import { readBody, refuseBodyByHeaders } from './body.ts';
import type { Answer, Exchange } from './exchange.ts';

export const LEAKED_STRINGS_MAX = 100;
export const LEAKED_WHERE_MAX_CHARACTERS = 500;
const LEAKED_STRING_MAX_CHARACTERS = 1_000;
const BODY_LIMIT_BYTES = 524_288;
/** Of one address, to one gateway. */
export const LEAK_REPORTS_A_MINUTE = 20;
/** What is locked by somebody else takes longer, and is ended after the answer. */
export const LEAK_ANSWER_WITHIN_MS = 3_000;

export interface LeakedTokensParts {
  readonly limit: AddressLimit;
  /** `done` resolves when those that lived have ended everywhere; it goes on whether or not somebody waits. */
  readonly take: (
    exchange: Exchange,
    tokens: readonly string[],
    where: string | null,
  ) => Promise<{ readonly done: Promise<unknown> }>;
  /** For how long the answer waits for that. */
  readonly waitMs: number;
  /** The database's time, in milliseconds since 1970. */
  readonly wallClock: () => number;
}

export async function leakedTokens(parts: LeakedTokensParts, exchange: Exchange): Promise<Answer> {
  const { limit, take, waitMs, wallClock } = parts;
  const { method, request, address } = exchange;
  if (method !== 'POST') {
    throw new GatehouseError('METHOD_NOT_ALLOWED', 'Method not allowed: send POST', { headers: { allow: 'POST' } });
  }
  const waitSeconds = limit.admit(address, performance.now());
  if (waitSeconds !== null) throw tooMany(waitSeconds, wallClock());
  refuseBodyByHeaders(request, BODY_LIMIT_BYTES);
  const { tokens, where } = readReport(await readBody(exchange, BODY_LIMIT_BYTES));
  const { done } = await take(exchange, tokens, where);
  await settledWithin(waitMs, done);
  return {
    status: 202,
    headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
    body: JSON.stringify({ status: 'accepted' }),
  };
}

async function settledWithin(ms: number, work: Promise<unknown>): Promise<void> {
  const waiting = new AbortController();
  // Ended by the signal where the work is done first.
  const late = delay(ms, undefined, { signal: waiting.signal }).catch(() => undefined);
  await Promise.race([work, late]);
  waiting.abort();
}

function tooMany(waitSeconds: number, nowMs: number): GatehouseError {
  const message = `Rate limit exceeded: an address may send ${LEAK_REPORTS_A_MINUTE} reports a minute`;
  const resetAt = new Date(nowMs + waitSeconds * 1_000).toISOString();
  const limit = {
    name: 'leak-reports',
    scope: 'address',
    max: LEAK_REPORTS_A_MINUTE,
    windowSeconds: WINDOW_SECONDS,
    remaining: 0,
  };
  return new GatehouseError('RATE_LIMITED', message, {
    headers: { 'retry-after': String(waitSeconds) },
    extensions: { limit: { ...limit, resetAt }, retryAfterSeconds: waitSeconds },
  });
}

/** The tokens in what was sent, each once. Says what is wrong with the form and nothing of what it holds. */
function readReport(body: string): { tokens: string[]; where: string | null } {
  const report = parse(body);
  if (typeof report !== 'object' || report === null) throw badInput('The body must be a JSON object');
  const { tokens, where = null }: { tokens?: unknown; where?: unknown } = report;
  const isWhere = where === null || (typeof where === 'string' && isWellFormed(where) && !where.includes('\0'));
  if (!isWhere || characters(where ?? '') > LEAKED_WHERE_MAX_CHARACTERS) {
    throw badInput(`\`where\` must be a text of at most ${LEAKED_WHERE_MAX_CHARACTERS} characters`, 'where');
  }
  const isList = Array.isArray(tokens) && tokens.length >= 1 && tokens.length <= LEAKED_STRINGS_MAX;
  if (!isList || !tokens.every((text) => typeof text === 'string' && text.length <= LEAKED_STRING_MAX_CHARACTERS)) {
    const bounds = `1 to ${LEAKED_STRINGS_MAX} strings of at most ${LEAKED_STRING_MAX_CHARACTERS} characters`;
    throw badInput(`\`tokens\` must be a list of ${bounds}`, 'tokens');
  }
  // Scanners send what stood around a token, too.
  return { tokens: [...new Set(tokens.flatMap((text: string) => tokensIn(text)))], where };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // The parser quotes the text, and there may be a token in it.
    throw notJson('The body is not JSON');
  }
}
