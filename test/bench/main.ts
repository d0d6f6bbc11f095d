/**
 * `npm run bench`: the gateway's speed as ratios to other servers on the same machine, in the same run, on the same
 * rows. Absolute figures tell of the machine; ratios tell of the gateway. On BENCH_DATABASE_URL's PostgreSQL, whose user
 * may create databases, or on an embedded one; with BENCH_REDIS_URL's Redis, or without one.
 *
 *   --quick     one short round, to see that the bench itself works
 *   --million   1,000,000 members in one network and 200 small ones beside, and what goes over all of them once: a whole
 *               pull, an import; some minutes more. With --quick, a hundredth of it
 *   --only      one of the measurements that go in rounds: me, memoryWindows, redisWindows, refusals, page, depth, pull, usage,
 *               fairness
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeCommunity } from './community.ts';
import { type BenchDatabase, openBenchDatabase } from './database.ts';
import { startLoad } from './load.ts';
import { depth } from './measurements/depth.ts';
import { fairness } from './measurements/fairness.ts';
import { importing } from './measurements/import.ts';
import { memoryWindows, redisWindows, refusals } from './measurements/limits.ts';
import { me } from './measurements/me.ts';
import { page } from './measurements/page.ts';
import { pull } from './measurements/pull.ts';
import { usage } from './measurements/usage.ts';
import { wholePull } from './measurements/whole-pull.ts';
import { report } from './report.ts';
import { type Pace, type Result, run } from './rounds.ts';
import { type ServerName, type ServerProcess, startServer } from './server-process.ts';
import { HUNDREDTH, MILLION, type Size, USUAL } from './sizes.ts';
import type { Measurement, Stage } from './stage.ts';

const MEASUREMENTS: Readonly<Record<string, Measurement>> = {
  me,
  memoryWindows,
  redisWindows,
  refusals,
  page,
  depth,
  pull,
  usage,
  fairness,
};
const ACTIVE_KEYS = 100_000;
const FULL: Pace = { rounds: 15, warmUpMs: 2_000, turnMs: 500 };
const QUICK: Pace = { rounds: 1, warmUpMs: 200, turnMs: 200 };
/** Of a whole run: no step of it begins later. */
const TIMEOUT_MS = { usual: 600_000, million: 2_400_000 };

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    million: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const measurements = Object.entries(MEASUREMENTS).filter(([name]) => [undefined, name].includes(values.only));
if (measurements.length === 0) throw new RangeError(`--only: one of ${Object.keys(MEASUREMENTS).join(', ')}`);
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort(new Error(name)));
const timeoutMs = values.million ? TIMEOUT_MS.million : TIMEOUT_MS.usual;
const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(timeoutMs)]);
const database = await openBenchDatabase();
try {
  const pace = values.quick ? QUICK : FULL;
  const { results, once } = await bench(database, sizeOf(values), pace, signal);
  process.stdout.write(`${report(results, once, pace, database.version)}\n${memoryOfKeys()}\n`);
} finally {
  await database.close();
}

function sizeOf({ million, quick }: typeof values): Size {
  if (!million) return USUAL;
  return quick ? HUNDREDTH : MILLION;
}

async function bench(
  { database, url }: BenchDatabase,
  size: Size,
  pace: Pace,
  signal: AbortSignal,
): Promise<{ results: Result[]; once: Result[] }> {
  const community = await makeCommunity(database, url, size);
  const environment = {
    DATABASE_URL: url,
    GATEHOUSE_SECRETS: randomBytes(32).toString('base64'),
    PORT: '0',
    BENCH_NETWORK_ID: community.networkId,
  };
  const redis = { REDIS_URL: process.env['BENCH_REDIS_URL'] ?? '', REDIS_PREFIX: `bench-${process.pid}:` };
  const logs = await mkdtemp(join(tmpdir(), 'gatehouse-bench-logs-'));
  const load = startLoad();
  const servers = new Map<ServerName, Promise<ServerProcess>>();
  const redisUrl = process.env['BENCH_REDIS_URL'] ?? null;
  if (redisUrl === null) process.stderr.write('BENCH_REDIS_URL names no Redis: what needs one is left out\n');
  const stage: Stage = {
    signal,
    environment,
    database,
    community,
    redisUrl,
    async start(name) {
      const server =
        servers.get(name) ?? startServer(name, { ...environment, ...(name === 'gateway-on-redis' ? redis : {}) }, logs);
      servers.set(name, server);
      return (await server).url;
    },
    peakMb: async (name) => (await servers.get(name))?.peakMb() ?? null,
    underLoad: (name, url, requests) => ({ name, rate: (ms) => load.run(url, requests, ms) }),
  };
  try {
    // First, for its memory: of a gateway that has done nothing else.
    const pulled = size.imported === null ? [] : await wholePull(stage);
    const races = await Promise.all(measurements.map(([, prepare]) => prepare(stage)));
    const results = await run(
      races.filter((race) => race !== null),
      pace,
      signal,
    );
    const imported = size.imported === null ? [] : await importing(stage, size.imported);
    return { results, once: [...pulled, ...imported] };
  } finally {
    load.stop();
    await Promise.allSettled([...servers.values()].map(async (server) => (await server).stop()));
    await rm(logs, { recursive: true, force: true });
  }
}

function memoryOfKeys(): string {
  const program = fileURLToPath(new URL('./memory-of-keys.ts', import.meta.url));
  const printed = execFileSync(process.execPath, ['--expose-gc', program, String(ACTIVE_KEYS)], { encoding: 'utf8' });
  const { bytes, windows } = JSON.parse(printed) as { readonly bytes: number; readonly windows: number };
  const perKey = Math.round(bytes / ACTIVE_KEYS).toLocaleString('en');
  const megabytes = (bytes / 1_048_576).toFixed(0);
  return `memory of ${ACTIVE_KEYS.toLocaleString('en')} active keys: ${megabytes} MiB (${perKey} bytes a key, ${windows / ACTIVE_KEYS} windows each)`;
}
