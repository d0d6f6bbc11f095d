/**
 * Watches over a script on a second connection. A script may run for hours, and nothing on its own connection tells that
 * from a connection on which nothing will ever come. The server knows: where it is not at work on the script, or does not
 * answer at all, the connection is destroyed, and with it the script fails.
 *
 * TCP's keepalive alone would not do: a proxy or firewall in between answers it, and a frozen server's kernel does, too.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { ConnectionSilent } from '../deadlines.ts';
import { sqlStateOf } from '../faults.ts';
import { type Limited, PooledClient, type PooledConfig } from '../pooled-client.ts';

const BEAT_EVERY_MS = 10_000;
/** In a row. The answer to a script that has just ended may be on its way. */
const MISSED_MAX = 3;

/** Runs `work` on `client`, whose server process is `pid`. `config`: how the second connection is made. */
export async function watched<Result>(
  client: pg.PoolClient,
  pid: number,
  config: PooledConfig,
  work: () => Promise<Result>,
  beatEveryMs = BEAT_EVERY_MS,
): Promise<Result> {
  const done = new AbortController();
  const watching = watch(client, pid, config, done.signal, beatEveryMs);
  try {
    return await work();
  } finally {
    done.abort();
    await watching;
  }
}

async function watch(
  client: pg.PoolClient,
  pid: number,
  config: PooledConfig,
  done: AbortSignal,
  beatEveryMs: number,
): Promise<void> {
  let missed = 0;
  while (missed < MISSED_MAX) {
    await delay(beatEveryMs, undefined, { signal: done }).catch(() => undefined);
    if (done.aborted) return;
    missed = (await isAtWork(pid, config)) ? 0 : missed + 1;
  }
  if (done.aborted || !(client instanceof PooledClient)) return;
  client.discard(
    new ConnectionSilent('no answer came on a database connection: the server is not at work on the script'),
  );
}

/** True where the server refuses to say: it is there, and the script may be under way. */
async function isAtWork(pid: number, config: PooledConfig): Promise<boolean> {
  const client: pg.Client = new PooledClient(config);
  try {
    await client.connect();
    const question: pg.QueryConfig & Limited = {
      text: "SELECT 1 AS at_work FROM pg_stat_activity WHERE pid = $1 AND COALESCE(state, 'active') IN ('active', 'disabled')",
      values: [pid],
      limit: 'lookup',
    };
    return (await client.query<{ at_work: number }>(question)).rows.length > 0;
  } catch (error) {
    return sqlStateOf(error) !== null;
  } finally {
    await client.end().catch(() => undefined);
  }
}
