/** Whether this gateway is alive, and whether it should be sent requests. */
import type { Answer } from './exchange.ts';

export function healthz(): Answer {
  return json(200, { status: 'ok' });
}

/** 503 while the database is out of reach, or once the gateway is stopping. */
export async function readyz(isDatabaseReachable: () => Promise<boolean>, stopping: boolean): Promise<Answer> {
  const reachable = await isDatabaseReachable();
  const status = stopping ? 'stopping' : reachable ? 'ready' : 'unavailable';
  return json(status === 'ready' ? 200 : 503, { status, checks: { database: reachable ? 'ok' : 'unreachable' } });
}

function json(status: number, body: object): Answer {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };
  return { status, headers, body: JSON.stringify(body) };
}
