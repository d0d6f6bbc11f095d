/**
 * `npm run bench`: the gateway's speed as ratios to other servers on the same machine, in the same run, on the same
 * rows. Absolute figures tell of the machine; ratios tell of the gateway.
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
import { type Pace, run } from './rounds.ts';
import { type ServerName, type ServerProcess, startServer } from './server-process.ts';
import type { Measurement, Stage } from './stage.ts';

const MEASUREMENTS: readonly Measurement[] = [me, page];
const FULL: Pace = { rounds: 9, warmUpMs: 2_000, turnMs: 1_000 };
const QUICK: Pace = { rounds: 1, warmUpMs: 200, turnMs: 200 };

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
await bench(values.quick ? QUICK : FULL);

async function bench(pace: Pace): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-bench-logs-'));
  const servers = new Map<ServerName, Promise<ServerProcess>>();
  const load = startLoad();
  let opened: BenchDatabase | null = null;
  try {
    opened = await openBenchDatabase();
    const { database, url, version } = opened;
    const community = await makeCommunity(database);
    const environment = {
      NODE_ENV: 'production',
      DATABASE_URL: url,
      GATEHOUSE_SECRETS: randomBytes(32).toString('base64'),
      PORT: '0',
      BENCH_NETWORK_ID: community.networkId,
    };
    const stage: Stage = {
      community,
      async start(name) {
        const server = servers.get(name) ?? startServer(name, environment, folder);
        servers.set(name, server);
        return (await server).url;
      },
    };
    const races = await Promise.all(MEASUREMENTS.map((prepare) => prepare(stage)));
    process.stdout.write(`${report(await run(races, load, pace), pace, version)}\n`);
  } finally {
    load.stop();
    await Promise.allSettled([...servers.values()].map(async (server) => (await server).stop()));
    await opened?.close();
    await rm(folder, { recursive: true, force: true });
  }
}
