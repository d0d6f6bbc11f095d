/** The composition root: builds every part in order and closes them in reverse. */
import { type Demo, seedDemo } from '../prisma/seed.ts';
import { refuseOtherNetwork } from './access/named-network.ts';
import { Readiness } from './access/readiness.ts';
import { type RefusedToken, Verifier } from './access/verifier.ts';
import { type Config, usageRetentionOf } from './config.ts';
import { onBehalfOf } from './database/callers.ts';
import { cancellable } from './database/cancellation.ts';
import { type Database, openDatabase } from './database/database.ts';
import type { Deadlines } from './database/deadlines.ts';
import { NetworkReads } from './database/network-reads.ts';
import { readOrMakeSecret } from './database/secret-file.ts';
import { CursorSigner } from './domain/cursor.ts';
import { newUuid, toId } from './domain/id.ts';
import { Keyring } from './domain/keyring.ts';
import { type OnGiven, Turns } from './domain/turns.ts';
import { Context } from './graphql/context.ts';
import type { OnBug } from './graphql/errors.ts';
import { ExecutionGate } from './graphql/execution-gate.ts';
import type { QueryLimits } from './graphql/query-limits.ts';
import { RequestLimits } from './graphql/request-limits.ts';
import { createGraphqlServer } from './graphql/server.ts';
import { Compression } from './http/compression.ts';
import { Cors } from './http/cors.ts';
import type { Exchange } from './http/exchange.ts';
import { type GraphqlRouteParts, graphqlRoute } from './http/graphql-route.ts';
import { healthz, metricsPage, readyz } from './http/health.ts';
import { type HeldBounds, HeldBytes } from './http/held-bytes.ts';
import {
  LEAK_ANSWER_WITHIN_MS,
  LEAK_REPORTS_A_MINUTE,
  type LeakedTokensParts,
  leakedTokens,
} from './http/leaked-tokens.ts';
import { type Listener, type ListenerOptions, listen } from './http/listener.ts';
import { Router } from './http/router.ts';
import { STALLED_MS } from './http/stalled.ts';
import { AddressWindow } from './limits/address-window.ts';
import { rateLimitHeaders } from './limits/headers.ts';
import { type Limits, type LimitsSettings, openLimits } from './limits/open-limits.ts';
import { Counter } from './observability/counter.ts';
import type { Logger } from './observability/logger.ts';
import { Metrics } from './observability/metrics.ts';
import type { Source } from './services/actor.ts';
import { LeakReports } from './services/api-keys/leak-reports.ts';
import { CallerServices } from './services/caller-services.ts';
import { IdentityJob } from './services/members/identity-job.ts';
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
  /** How long it waits for the database. For a test that does not wait for as long; absent: DEADLINES. */
  readonly deadlines?: Deadlines;
  /** Of each connection of the pool, and each turn of the event loop: for tests of who waits for whom. */
  readonly onGrant?: OnGiven;
  readonly onTurn?: OnGiven;
  /** For a test that does not wait for 20 seconds; absent: STALLED_MS. */
  readonly stalledMs?: number;
  /** For a test that does not fill 128 MiB; absent: HELD_BOUNDS. */
  readonly heldBounds?: HeldBounds;
  /** When mailboxes are first filled in, in milliseconds from the start; absent: within ten seconds. */
  readonly fillMailboxesAfterMs?: number;
}

/** Throws, with everything closed again, where a part can't be started. */
export async function startGateway(config: Config, log: Logger, options: GatewayOptions = {}): Promise<Gateway> {
  const turns = turnsOfLoop(options.onTurn);
  const database = await openDatabase({
    shared: { turns, waitMs: queueWaitMs(config), onGrant: options.onGrant },
    url: config.DATABASE_URL,
    dataDir: config.DATA_DIR,
    poolSize: config.DATABASE_POOL_SIZE,
    statementTimeoutMs: config.STATEMENT_TIMEOUT_MS,
    auditRetentionDays: config.AUDIT_RETENTION_DAYS,
    onConnectionLost: (error) => log.warn({ error }, 'a database connection was lost'),
    onRefused: atMostEvery(MINUTE_MS, (error) => log.warn({ error }, 'the database refuses work for now')),
    deadlines: options.deadlines,
  });
  const closers = [closerOf(database)];
  const close = async () => {
    for (const closer of closers.toReversed()) await closer();
  };
  try {
    const background: Closer[] = [];
    // Closed after the listener, when all requests that were answered have been counted.
    closers.push(() => closeBackground(database, background));
    const recorder = new UsageRecorder(database, log, { flushIntervalMs: config.USAGE_FLUSH_INTERVAL_MS });
    background.push(() => recorder.close());
    const refusedTokens: RefusedTokens = new Counter();
    const metrics = new Metrics();
    metrics.watchRefusedTokens(() => refusedTokens.totals());
    const limits = await openLimits(limitsSettings(config, options), database, log, metrics);
    background.push(() => limits.close());
    const retention = new RetentionJob(database, log, retentionOf(config));
    background.push(() => retention.close());
    const identities = new IdentityJob(database, log, options.fillMailboxesAfterMs);
    background.push(() => identities.close());
    const leakReports = new LeakReports(database, log, {
      keysAtOnce: Math.min(LEAKED_KEYS_AT_ONCE_MAX, Math.ceil(config.DATABASE_POOL_SIZE / 2)),
    });
    background.push(() => leakReports.close());
    const connections = { held: heldBytes(log, metrics, options), stalledMs: options.stalledMs ?? STALLED_MS };
    const parts = { recorder, refusedTokens, limits, leakReports, turns, connections };
    // The port before the demo: a start that finds it taken must not use up a token that is shown once.
    const listener = await serve(config, log, database, parts);
    closers.push(async () => {
      await listener.close(config.SHUTDOWN_TIMEOUT_MS);
      log.info({ refusedTokens: refusedTokens.totals() }, 'tokens that were not let in');
    });
    await serveMetrics(config, log, metrics, connections, closers);
    const demo = database.embedded ? await seedDemo(database) : null;
    return { url: listener.url, demo, notices: database.notices, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const MINUTE_MS = 60_000;

function atMostEvery(ms: number, tell: (error: Error) => void): (error: Error) => void {
  let toldMs = Number.NEGATIVE_INFINITY;
  return (error) => {
    const nowMs = performance.now();
    if (nowMs - toldMs < ms) return;
    toldMs = nowMs;
    tell(error);
  };
}

/** How long a query, or a statement, waits for others to end. */
const QUEUE_WAIT_MAX_MS = 15_000;

/** Sooner than the request's time is up, so that whoever waits is told what for. */
function queueWaitMs({ REQUEST_TIMEOUT_MS }: Config): number {
  return Math.min(QUEUE_WAIT_MAX_MS, REQUEST_TIMEOUT_MS / 2);
}
/** The rest of the pool is for requests. */
const LEAKED_KEYS_AT_ONCE_MAX = 4;

type Closer = () => Promise<void>;

/** For what was cut off to leave the database by itself. */
const LEAVE_MS = 1_000;
/** For what is not a request's to write what is left of it. */
const BACKGROUND_MS = 4_000;

/** What was cut off may still wait in the database, for a lock or for a slow statement: its connections are closed. */
function closerOf(database: Database): Closer {
  return () => cutOffAfter(LEAVE_MS, database, () => database.close());
}

async function closeBackground(database: Database, background: readonly Closer[]): Promise<void> {
  await cutOffAfter(BACKGROUND_MS, database, () => Promise.all(background.map((close) => close())));
}

/** A stop waits for no statement for longer, whether or not the database answers. */
async function cutOffAfter(ms: number, database: Database, close: () => Promise<unknown>): Promise<void> {
  const timer = setTimeout(() => database.cutOff(), ms);
  try {
    await close();
  } finally {
    clearTimeout(timer);
  }
}

/** Of whoever collects them. */
const METRICS_CONNECTIONS_MAX = 100;

type RefusedTokens = Counter<RefusedToken['reason']>;

async function serveMetrics(
  config: Config,
  log: Logger,
  metrics: Metrics,
  connections: Connections,
  closers: (() => Promise<void>)[],
): Promise<void> {
  const { METRICS_HOST: host, METRICS_PORT: port, REQUEST_TIMEOUT_MS: requestTimeoutMs } = config;
  if (port === undefined) return;
  const options = {
    host,
    port,
    requestTimeoutMs,
    trustedProxies: [],
    maxConnections: METRICS_CONNECTIONS_MAX,
    methods: 'GET, HEAD, OPTIONS',
    log,
    ...connections,
  };
  const listener = await listen(options, (exchange) => metricsPage(exchange, metrics));
  closers.push(() => listener.close(config.SHUTDOWN_TIMEOUT_MS));
  log.info({ url: `${listener.url}/metrics` }, 'metrics');
}

type Connections = Pick<ListenerOptions, 'held' | 'stalledMs'>;

function heldBytes(log: Logger, metrics: Metrics, { stalledMs = STALLED_MS, heldBounds }: GatewayOptions): HeldBytes {
  const held = new HeldBytes(
    Math.max(1, Math.ceil(stalledMs / 1_000)),
    ({ isKnown, network, key, bytes, gatewayBytes }) => {
      // An address is not for the log.
      const ids = { networkId: isKnown ? toId('Network', network) : null, keyId: isKnown ? toId('ApiKey', key) : null };
      log.warn({ ...ids, bytes, gatewayBytes }, 'closed the connection that holds most');
    },
    heldBounds,
  );
  metrics.watchHeldBytes(() => held.bytes);
  return held;
}

interface Parts {
  readonly recorder: UsageRecorder;
  readonly refusedTokens: RefusedTokens;
  readonly limits: Limits;
  readonly leakReports: LeakReports;
  readonly turns: Turns;
  readonly connections: Connections;
}

async function serve(config: Config, log: Logger, database: Database, parts: Parts): Promise<Listener> {
  const onBug = (error: unknown, requestId: string) => log.error({ error, requestId }, 'a bug');
  const verifier = verifierOf(database, parts);
  const readiness = new Readiness(database, verifier);
  const graphql = await graphqlParts(config, database, parts, verifier, onBug);
  const leaks: LeakedTokensParts = {
    limit: new AddressWindow(LEAK_REPORTS_A_MINUTE, MINUTE_MS),
    take: (exchange, tokens, where) => parts.leakReports.take(sourceOf(exchange), tokens, where),
    wallClock: () => database.clock.now(),
    waitMs: Math.min(LEAK_ANSWER_WITHIN_MS, config.REQUEST_TIMEOUT_MS / 2),
  };
  const started: { listener: Listener | null } = { listener: null };
  const router = new Router(
    {
      graphql: (exchange, networks) => graphqlRoute(graphql, exchange, networks),
      leakedTokens: (exchange) => leakedTokens(leaks, exchange),
      healthz,
      readyz: () =>
        readyz({
          database: () => readiness.databaseState(),
          limiter: parts.limits.limiter.status,
          stopping: started.listener?.stopping ?? false,
        }),
    },
    new Cors(config.CORS_ORIGINS),
    config.BASE_DOMAIN,
    onBug,
  );
  const options = {
    host: config.HOST,
    port: config.PORT,
    requestTimeoutMs: config.REQUEST_TIMEOUT_MS,
    trustedProxies: config.TRUST_PROXY,
    maxConnections: config.CONNECTIONS_MAX,
    methods: 'GET, HEAD, POST, OPTIONS',
    log,
    ...parts.connections,
  };
  const compression = new Compression(config.COMPRESSION === 'on', onBug);
  started.listener = await listen(options, async (exchange) =>
    compression.encode(exchange, await router.handle(exchange)),
  );
  return started.listener;
}

function verifierOf(database: Database, { recorder, refusedTokens }: Parts): Verifier {
  return new Verifier(
    database,
    ({ reason, key }) => {
      refusedTokens.add(reason);
      if (key === null) return;
      recorder.failure({ keyId: key.keyId, networkId: key.networkId, reason, atMs: database.clock.now() });
    },
    (databaseMs) => database.clock.observe(databaseMs),
  );
}

async function graphqlParts(
  config: Config,
  database: Database,
  { recorder, limits: { meter }, turns }: Parts,
  verifier: Verifier,
  onBug: OnBug,
): Promise<GraphqlRouteParts> {
  const keyring = new Keyring(config.GATEHOUSE_SECRETS ?? [await readOrMakeSecret(config.DATA_DIR)]);
  const cursors = new CursorSigner(keyring);
  const usageRetention = usageRetentionOf(config);
  const gate = new ExecutionGate(config.QUERY_MAX_COST, queueWaitMs(config));
  return {
    verifier,
    refuseOtherNetwork: (principal, network) => refuseOtherNetwork(database, principal, network),
    meter,
    graphql: createGraphqlServer(queryLimits(config), onBug, config.QUERY_COMPILE_AFTER, turns, gate),
    contextFor: (principal, exchange, budget, idempotency, answer) =>
      new Context({
        requestId: exchange.requestId,
        principal,
        reads: new NetworkReads(database, principal.networkId, exchange.signal, answer),
        services: new CallerServices(database, { kind: 'KEY', principal }, sourceOf(exchange), idempotency),
        cursors,
        limits: new RequestLimits(meter, principal, budget, (decision) =>
          Object.assign(exchange.headers, rateLimitHeaders(decision)),
        ),
        usageRetention,
        answer,
        onRefusedAttempt: (action, code) => {
          const { keyId, networkId } = principal;
          recorder.attempt({ keyId, networkId, action, code, atMs: database.clock.now() });
        },
      }),
    onCounted: (request: CountedRequest) => recorder.request(request),
    cancellable: (caller, signal, work) => onBehalfOf(caller, () => cancellable(signal, work)),
    turn: (caller) => turns.begin(caller),
    bodyLimitBytes: config.BODY_LIMIT_BYTES,
    answerMaxBytes: config.ANSWER_MAX_BYTES,
    maxBatch: config.QUERY_MAX_BATCH,
    maxCost: config.QUERY_MAX_COST,
    onBug,
  };
}

/** Turns on Node's own event loop. */
export function turnsOfLoop(onTurn?: OnGiven): Turns {
  return new Turns({
    now: () => performance.now(),
    defer: setImmediate,
    // Microtasks first: they are the work. Node runs what waits for the next tick once they have all come to an end.
    afterWork: (run) => queueMicrotask(() => process.nextTick(run)),
    onTurn,
  });
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
