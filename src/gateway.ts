/** The composition root: builds every part in order and closes them in reverse. */
import { type Demo, seedDemo } from '../prisma/seed.ts';
import { refuseOtherNetwork } from './access/named-network.ts';
import { type RefusedToken, Verifier } from './access/verifier.ts';
import { type Config, usageRetentionOf } from './config.ts';
import { cancellable } from './database/cancellation.ts';
import { type Database, openDatabase } from './database/database.ts';
import { NetworkReads } from './database/network-reads.ts';
import { isReachable } from './database/reachable.ts';
import { readOrMakeSecret } from './database/secret-file.ts';
import { CursorSigner } from './domain/cursor.ts';
import { newUuid } from './domain/id.ts';
import { Keyring } from './domain/keyring.ts';
import type { Principal } from './domain/verification.ts';
import { Context } from './graphql/context.ts';
import type { QueryLimits } from './graphql/query-limits.ts';
import { RequestLimits } from './graphql/request-limits.ts';
import { createGraphqlServer } from './graphql/server.ts';
import { Cors } from './http/cors.ts';
import type { Exchange } from './http/exchange.ts';
import { type GraphqlRouteParts, graphqlRoute } from './http/graphql-route.ts';
import { healthz, metricsPage, readyz } from './http/health.ts';
import {
  LEAK_ANSWER_WITHIN_MS,
  LEAK_REPORTS_A_MINUTE,
  type LeakedTokensParts,
  leakedTokens,
} from './http/leaked-tokens.ts';
import { type Listener, listen } from './http/listener.ts';
import { Router } from './http/router.ts';
import { AddressWindow } from './limits/address-window.ts';
import { rateLimitHeaders } from './limits/headers.ts';
import { type Limits, type LimitsSettings, openLimits } from './limits/open-limits.ts';
import { Counter } from './observability/counter.ts';
import type { Logger } from './observability/logger.ts';
import { Metrics } from './observability/metrics.ts';
import type { Source } from './services/actor.ts';
import { LeakReports } from './services/api-keys/leak-reports.ts';
import { CallerServices } from './services/caller-services.ts';
import { RetentionJob, type RetentionSettings } from './services/retention.ts';
import type { CountedRequest } from './services/usage/buffer.ts';
import { UsageRecorder } from './services/usage/recorder.ts';

export interface Gateway {
  /** Where it listens. */
  readonly url: string;
  /** The demo network that this start made; its token is nowhere else. */
  readonly demo: Demo | null;
  /** Sentences for the operator, at every start. */
  readonly notices: readonly string[];
  /** Finishes what is under way, within SHUTDOWN_TIMEOUT_MS, and closes everything. */
  close(): Promise<void>;
}

export interface GatewayOptions {
  /**
   * What windows that are kept in this process go by: milliseconds of a clock that never goes back. For a test that does
   * not wait for a minute to pass; absent: the process's own.
   */
  readonly limitsClock?: () => number;
}

/** Throws, with everything closed again, where a part can't be started. */
export async function startGateway(config: Config, log: Logger, options: GatewayOptions = {}): Promise<Gateway> {
  const database = await openDatabase({
    url: config.DATABASE_URL,
    dataDir: config.DATA_DIR,
    poolSize: config.DATABASE_POOL_SIZE,
    statementTimeoutMs: config.STATEMENT_TIMEOUT_MS,
    auditRetentionDays: config.AUDIT_RETENTION_DAYS,
    onConnectionLost: (error) => log.warn({ error }, 'a database connection was lost'),
  });
  const closers = [closerOf(database)];
  const close = async () => {
    for (const closer of closers.toReversed()) await closer();
  };
  try {
    // Closed after the listener, when all requests that were answered have been counted.
    const recorder = new UsageRecorder(database, log, { flushIntervalMs: config.USAGE_FLUSH_INTERVAL_MS });
    closers.push(() => recorder.close());
    const refusedTokens: RefusedTokens = new Counter();
    const metrics = new Metrics();
    metrics.watchRefusedTokens(() => refusedTokens.totals());
    const limits = await openLimits(limitsSettings(config, options), database, log, metrics);
    closers.push(() => limits.close());
    const retention = new RetentionJob(database, log, retentionOf(config));
    closers.push(() => retention.close());
    const leakReports = new LeakReports(database, log, {
      keysAtOnce: Math.min(LEAKED_KEYS_AT_ONCE_MAX, Math.ceil(config.DATABASE_POOL_SIZE / 2)),
    });
    closers.push(() => leakReports.close());
    // The port before the demo: a start that finds it taken must not use up a token that is shown once.
    const listener = await serve(config, log, database, { recorder, refusedTokens, limits, leakReports });
    closers.push(async () => {
      await listener.close(config.SHUTDOWN_TIMEOUT_MS);
      log.info({ refusedTokens: refusedTokens.totals() }, 'tokens that were not let in');
    });
    await serveMetrics(config, log, metrics, closers);
    const demo = database.embedded ? await seedDemo(database) : null;
    return { url: listener.url, demo, notices: database.notices, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const MINUTE_MS = 60_000;
/** The rest of the pool is for requests. */
const LEAKED_KEYS_AT_ONCE_MAX = 4;

/** For what was cut off to leave the database by itself. */
const LEAVE_MS = 1_000;

/** What was cut off may still wait in the database, for a lock or for a slow statement: its connections are closed. */
function closerOf(database: Database): () => Promise<void> {
  const clients = new Set<{ end(): Promise<void> }>();
  database.pool.on('connect', (client) => clients.add(client));
  database.pool.on('remove', (client) => clients.delete(client));
  return async () => {
    const cutOff = setTimeout(() => {
      for (const client of clients) void client.end();
    }, LEAVE_MS);
    await database.close();
    clearTimeout(cutOff);
  };
}

type RefusedTokens = Counter<RefusedToken['reason']>;

async function serveMetrics(
  config: Config,
  log: Logger,
  metrics: Metrics,
  closers: (() => Promise<void>)[],
): Promise<void> {
  const { METRICS_HOST: host, METRICS_PORT: port, REQUEST_TIMEOUT_MS: requestTimeoutMs } = config;
  if (port === undefined) return;
  const options = { host, port, requestTimeoutMs, trustedProxies: [], log };
  const listener = await listen(options, (exchange) => metricsPage(exchange, metrics));
  closers.push(() => listener.close(config.SHUTDOWN_TIMEOUT_MS));
  log.info({ url: `${listener.url}/metrics` }, 'metrics');
}

interface Parts {
  readonly recorder: UsageRecorder;
  readonly refusedTokens: RefusedTokens;
  readonly limits: Limits;
  readonly leakReports: LeakReports;
}

async function serve(
  config: Config,
  log: Logger,
  database: Database,
  { recorder, refusedTokens, limits: { limiter, meter }, leakReports }: Parts,
): Promise<Listener> {
  const onBug = (error: unknown, requestId: string) => log.error({ error, requestId }, 'a bug');
  const keyring = new Keyring(config.GATEHOUSE_SECRETS ?? [await readOrMakeSecret(config.DATA_DIR)]);
  const cursors = new CursorSigner(keyring);
  const usageRetention = usageRetentionOf(config);
  const parts = {
    verifier: new Verifier(database, ({ reason, key }) => {
      refusedTokens.add(reason);
      if (key !== null) recorder.failure({ keyId: key.keyId, networkId: key.networkId, reason, atMs: Date.now() });
    }),
    refuseOtherNetwork: (principal: Principal, network: string) => refuseOtherNetwork(database, principal, network),
    meter,
    graphql: createGraphqlServer(queryLimits(config), onBug, config.QUERY_COMPILE_AFTER),
    contextFor: (...[principal, exchange, budget, idempotency]: Parameters<GraphqlRouteParts['contextFor']>) =>
      new Context({
        requestId: exchange.requestId,
        principal,
        reads: new NetworkReads(database, principal.networkId, exchange.signal),
        services: new CallerServices(database, { kind: 'KEY', principal }, sourceOf(exchange), idempotency),
        cursors,
        limits: new RequestLimits(meter, principal, budget, (decision) =>
          Object.assign(exchange.headers, rateLimitHeaders(decision)),
        ),
        usageRetention,
        onRefusedAttempt: (action, code) => {
          const { keyId, networkId } = principal;
          recorder.attempt({ keyId, networkId, action, code, atMs: Date.now() });
        },
      }),
    onCounted: (request: CountedRequest) => recorder.request(request),
    cancellable,
    bodyLimitBytes: config.BODY_LIMIT_BYTES,
    maxBatch: config.QUERY_MAX_BATCH,
    maxCost: config.QUERY_MAX_COST,
    onBug,
  };
  const leaks: LeakedTokensParts = {
    limit: new AddressWindow(LEAK_REPORTS_A_MINUTE, MINUTE_MS),
    take: (exchange, tokens, where) => leakReports.take(sourceOf(exchange), tokens, where),
    waitMs: Math.min(LEAK_ANSWER_WITHIN_MS, config.REQUEST_TIMEOUT_MS / 2),
  };
  const started: { listener: Listener | null } = { listener: null };
  const router = new Router(
    {
      graphql: (exchange, networks) => graphqlRoute(parts, exchange, networks),
      leakedTokens: (exchange) => leakedTokens(leaks, exchange),
      healthz,
      readyz: () =>
        readyz({
          isDatabaseReachable: () => isReachable(database),
          limiter: limiter.status,
          stopping: started.listener?.stopping ?? false,
        }),
    },
    new Cors(config.CORS_ORIGINS),
    config.BASE_DOMAIN,
    onBug,
  );
  const { HOST: host, PORT: port, REQUEST_TIMEOUT_MS: requestTimeoutMs, TRUST_PROXY: trustedProxies } = config;
  started.listener = await listen({ host, port, requestTimeoutMs, trustedProxies, log }, (exchange) =>
    router.handle(exchange),
  );
  return started.listener;
}

function limitsSettings(config: Config, { limitsClock }: GatewayOptions): LimitsSettings {
  return {
    redisUrl: config.REDIS_URL,
    redisPrefix: config.REDIS_PREFIX,
    gateway: newUuid(),
    gatewaysAtLeast: config.LIMITS_GATEWAYS,
    now: limitsClock,
    measure: config.LIMITS_MODE === 'measure',
  };
}

export function queryLimits(config: Config): QueryLimits {
  return {
    maxTokens: config.QUERY_MAX_TOKENS,
    maxDepth: config.QUERY_MAX_DEPTH,
    maxIntrospectionDepth: config.QUERY_MAX_INTROSPECTION_DEPTH,
    maxAliases: config.QUERY_MAX_ALIASES,
    maxRootFields: config.QUERY_MAX_ROOT_FIELDS,
    maxDirectives: config.QUERY_MAX_DIRECTIVES,
    maxRepeats: config.QUERY_MAX_REPEATS,
    maxListItems: config.QUERY_MAX_LIST_ITEMS,
    maxVariables: config.QUERY_MAX_VARIABLES,
    introspection: config.QUERY_INTROSPECTION === 'on',
  };
}

function retentionOf(config: Config): RetentionSettings {
  return {
    usageMinutesDays: config.USAGE_MINUTES_RETENTION_DAYS,
    usageHoursDays: config.USAGE_HOURS_RETENTION_DAYS,
    refusalsDays: config.REFUSALS_RETENTION_DAYS,
    auditDays: config.AUDIT_RETENTION_DAYS,
    deletionsDays: config.DELETIONS_KEPT_DAYS,
  };
}

/** What audit events will say of where a request came from. */
function sourceOf({ requestId, address, request }: Exchange): Source {
  return { requestId, address, userAgent: request.headers['user-agent'] ?? null };
}
