/**
 * `npm run bench`: the gateway's speed as ratios to other servers on the same machine, in the same run, on the same
 * rows. Absolute figures tell of the machine; ratios tell of the gateway. On BENCH_DATABASE_URL's PostgreSQL, whose user
 * may create databases, or on an embedded one.
 *
 *   --quick   one short round, to see that the bench itself works
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeCommunity } from './community.ts';
import { type BenchDatabase, openBenchDatabase } from './database.ts';
import { startLoad } from './load.ts';
import { me } from './measurements/me.ts';
import { page } from './measurements/page.ts';
import { report } from './report.ts';
import { type Pace, type RaceResult, run } from './rounds.ts';
import { type ServerName, type ServerProcess, startServer } from './server-process.ts';
import type { Measurement, Stage } from './stage.ts';

const MEASUREMENTS: readonly Measurement[] = [me, page];
const FULL: Pace = { rounds: 15, warmUpMs: 2_000, turnMs: 500 };
const QUICK: Pace = { rounds: 1, warmUpMs: 200, turnMs: 200 };

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort(new Error(name)));
const database = await openBenchDatabase();
try {
  const pace = values.quick ? QUICK : FULL;
  const results = await bench(database, pace, interrupted.signal);
  process.stdout.write(`${report(results, pace, database.version)}\n`);
} finally {
  await database.close();
}

async function bench({ database, url }: BenchDatabase, pace: Pace, signal: AbortSignal): Promise<RaceResult[]> {
  const community = await makeCommunity(database);
  const environment = {
    DATABASE_URL: url,
    GATEHOUSE_SECRETS: randomBytes(32).toString('base64'),
    PORT: '0',
    BENCH_NETWORK_ID: community.networkId,
  };
  const logs = await mkdtemp(join(tmpdir(), 'gatehouse-bench-logs-'));
  const load = startLoad();
  const servers = new Map<ServerName, Promise<ServerProcess>>();
  const stage: Stage = {
    database,
    community,
    async start(name) {
      const server = servers.get(name) ?? startServer(name, environment, logs);
      servers.set(name, server);
      return (await server).url;
    },
    underLoad: (name, url, requests) => ({ name, rate: (ms) => load.run(url, requests, ms) }),
  };
  try {
    const races = await Promise.all(MEASUREMENTS.map((prepare) => prepare(stage)));
    return await run(races, pace, signal);
  } finally {
    load.stop();
    await Promise.allSettled([...servers.values()].map(async (server) => (await server).stop()));
    await rm(logs, { recursive: true, force: true });
  }
}
