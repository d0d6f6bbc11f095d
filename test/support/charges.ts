/** What an answer says of what its request was charged. */
import { expect } from 'vitest';
import type { Reply } from './client.ts';
import { PLENTY } from './fixtures.ts';

/** A window's reset is at most its length away, and the second by which windows may be late. */
const RESET_MAX_MS = 61_000;

interface Charged {
  /** Requests of the network until now, this one too. */
  readonly requests?: number;
  readonly requested: number;
  readonly actual: number;
}

/**
 * A network with plenty of everything was charged so much: its answer says so in `extensions` and in its headers.
 * The points of one request alone: of several, those before it are in the headers' figures, too.
 */
export function expectCharged({ cost, headers }: Reply, { requests = 1, requested, actual }: Charged): void {
  const { requestsPerMinute, networkRequestsPerMinute, costPerMinute } = PLENTY;
  expect(cost).toEqual({
    requested,
    actual,
    limit: costPerMinute,
    remaining: costPerMinute - actual,
    resetAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  });
  const resetMs = Date.parse(cost?.resetAt ?? '') - Date.now();
  expect(resetMs).toBeLessThanOrEqual(RESET_MAX_MS);
  expect(headers.get('ratelimit-policy')).toBe(
    `"requests";q=${requestsPerMinute};w=60, "network-requests";q=${networkRequestsPerMinute};w=60, ` +
      `"cost";q=${costPerMinute};w=60;qu="points"`,
  );
  const left = /^"requests";r=(\d+);t=(\d+), "network-requests";r=(\d+);t=(\d+), "cost";r=(\d+);t=(\d+)$/;
  const [, ...figures] = (left.exec(headers.get('ratelimit') ?? '') ?? []).map(Number);
  const [ofKey, keyReset, ofNetwork, networkReset, points, pointsReset] = figures;
  expect([ofKey, ofNetwork]).toEqual([requestsPerMinute - requests, networkRequestsPerMinute - requests]);
  expect(points).toBe(costPerMinute - actual);
  for (const seconds of [keyReset, networkReset]) expect(seconds).toBeGreaterThanOrEqual(1);
  for (const seconds of [keyReset, networkReset, pointsReset]) expect(seconds).toBeLessThanOrEqual(61);
}

/** Who is not known is charged nothing, and told nothing of anybody's limits. */
export function expectUncharged({ cost, headers }: Pick<Reply, 'cost' | 'headers'>): void {
  expect(cost).toBeNull();
  expect([headers.get('ratelimit'), headers.get('ratelimit-policy')]).toEqual([null, null]);
}
