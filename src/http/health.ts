/** Whether this gateway is alive, and whether it should be sent requests. */
import type { Database } from '../database/database.ts';
import type { Answer } from './exchange.ts';

const READY_TIMEOUT_MS = 2_000;

export function healthz(): Answer {
  return json(200, { status: 'ok' });
}

/** 503 while the database is out of reach, or once the gateway is stopping. */
export async function readyz(database: Pick<Database, 'pool'>, stopping: boolean): Promise<Answer> {
  const reachable = await reaches(database);
  const status = stopping ? 'stopping' : reachable ? 'ready' : 'unavailable';
  return json(status === 'ready' ? 200 : 503, { status, checks: { database: reachable ? 'ok' : 'unreachable' } });
}

async function reaches({ pool }: Pick<Database, 'pool'>): Promise<boolean> {
  const timeout = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => timeout.resolve(false), READY_TIMEOUT_MS);
  const query = pool.query('SELECT 1').then(
    () => true,
    // The answer is all that the caller needs; the log has each request's own failure.
    () => false,
  );
  try {
    return await Promise.race([query, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function json(status: number, body: object): Answer {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };
  return { status, headers, body: JSON.stringify(body) };
}
