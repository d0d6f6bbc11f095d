/**
 * Limits as callers see them: header fields by the IETF draft (draft-ietf-httpapi-ratelimit-headers, its structured
 * fields by RFC 9651), and the refusal.
 */
import { GatehouseError } from '../domain/errors.ts';
import type { Decision, LimitState } from '../domain/limit.ts';

/** A list of policies and of what is left of each: `"requests";q=100;w=60` and `"requests";r=99;t=61`. */
export function rateLimitHeaders({ limits }: Pick<Decision, 'limits'>): Record<string, string> {
  const policy = limits.map(({ name, max, windowSeconds }) => `"${name}";q=${max};w=${windowSeconds}${unitOf(name)}`);
  const state = limits.map(({ name, remaining, resetMs }) => `"${name}";r=${remaining};t=${seconds(resetMs)}`);
  return { 'ratelimit-policy': policy.join(', '), ratelimit: state.join(', ') };
}

/** The draft's unit is requests where none is named. */
function unitOf(name: string): string {
  return name === 'cost' ? ';qu="points"' : '';
}

/** Rounded up: a client that waits so long has never waited too short. */
function seconds(ms: number): number {
  return Math.ceil(ms / 1_000);
}

/** A limit's state for `extensions`. `now`: the database's time, in milliseconds since 1970. */
export function limitExtension({ name, scope, max, windowSeconds, remaining, resetMs }: LimitState, now: number) {
  return { name, scope, max, windowSeconds, remaining, resetAt: new Date(now + resetMs).toISOString() };
}

/** The refusal that a decision means; null where it let the request in. `nowMs`: the database's time (Meter.wallMs). */
export function refusalOfDecision({ granted, over, retryMs }: Decision, nowMs: number): GatehouseError | null {
  if (granted || over === null) return null;
  const retryAfter = Math.max(1, seconds(retryMs));
  return new GatehouseError(
    'RATE_LIMITED',
    `Rate limit exceeded: ${describe(over)}; try again in ${retryAfter} ${retryAfter === 1 ? 'second' : 'seconds'}`,
    {
      headers: { 'retry-after': String(retryAfter) },
      extensions: { limit: limitExtension(over, nowMs), retryAfterSeconds: retryAfter },
    },
  );
}

const DAY_SECONDS = 86_400;

function describe({ name, scope, max, windowSeconds }: LimitState): string {
  const whose = scope === 'key' ? 'this key' : 'all keys of this network together';
  if (name === 'concurrency') return `${max} queries are waiting already for ${whose}, which is the maximum`;
  const time = windowSeconds >= DAY_SECONDS ? 'a month' : `any ${windowSeconds} seconds`;
  return `${max} ${NOUNS[name] ?? `uses of ${name}`} in ${time} for ${whose}`;
}

/** What is counted, where it is not the uses of a field. */
const NOUNS: Readonly<Record<string, string>> = {
  requests: 'requests',
  'network-requests': 'requests',
  'refused-requests': 'requests that a limit refused',
  month: 'requests',
  cost: 'cost points',
};
