/** Whether this gateway is alive, and whether it should be sent requests. */
import type { Metrics } from '../observability/metrics.ts';
import type { Answer, Exchange } from './exchange.ts';

export function healthz(): Answer {
  return json(200, { status: 'ok' });
}

export interface Readiness {
  /** `read-only`: requests that read are served, and those that write are not. */
  readonly database: () => Promise<'ok' | 'read-only' | 'unreachable'>;
  /** `degraded`: limits are kept by this gateway's share of them, without Redis. */
  readonly limiter: 'ok' | 'degraded';
  readonly stopping: boolean;
}

/**
 * 503 while the database does not answer requests, or once the gateway is stopping. Without Redis, or while the database
 * cannot be written, it serves on and says so: a load balancer that took it out would take out every gateway of that
 * database, and with them what can still be read.
 */
export async function readyz({ database: ask, limiter, stopping }: Readiness): Promise<Answer> {
  const database = await ask();
  const serving = limiter === 'ok' && database === 'ok' ? 'ready' : 'degraded';
  const status = stopping ? 'stopping' : database === 'unreachable' ? 'unavailable' : serving;
  return json(status === serving ? 200 : 503, { status, checks: { database, limiter } });
}

function json(status: number, body: object): Answer {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };
  return { status, headers, body: JSON.stringify(body) };
}

/** `GET /metrics`, on a port of its own; HEAD as well. */
export async function metricsPage(
  { method, path }: Pick<Exchange, 'method' | 'path'>,
  metrics: Metrics,
): Promise<Answer> {
  if (path !== '/metrics' || (method !== 'GET' && method !== 'HEAD'))
    return json(404, { error: 'not_found', message: 'GET /metrics is here' });
  return { status: 200, headers: { 'content-type': metrics.contentType }, body: await metrics.text() };
}
