/** The composition root: builds every part in order and closes them in reverse. */
import { type Demo, seedDemo } from '../prisma/seed.ts';
import { refuseOtherNetwork } from './access/named-network.ts';
import { Verifier } from './access/verifier.ts';
import type { Config } from './config.ts';
import { type Database, openDatabase } from './database/database.ts';
import { NetworkReads } from './database/network-reads.ts';
import { isReachable } from './database/reachable.ts';
import { readOrMakeSecret } from './database/secret-file.ts';
import { CursorSigner } from './domain/cursor.ts';
import { Keyring } from './domain/keyring.ts';
import type { Principal } from './domain/verification.ts';
import { Context } from './graphql/context.ts';
import { createGraphqlServer } from './graphql/server.ts';
import { Cors } from './http/cors.ts';
import { graphqlRoute } from './http/graphql-route.ts';
import { healthz, readyz } from './http/health.ts';
import { type Listener, listen } from './http/listener.ts';
import { Router } from './http/router.ts';
import type { Logger } from './observability/logger.ts';
import { CallerServices } from './services/caller-services.ts';

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

/** Throws, with everything closed again, where a part can't be started. */
export async function startGateway(config: Config, log: Logger): Promise<Gateway> {
  const database = await openDatabase({
    url: config.DATABASE_URL,
    dataDir: config.DATA_DIR,
    poolSize: config.DATABASE_POOL_SIZE,
    statementTimeoutMs: config.STATEMENT_TIMEOUT_MS,
    onConnectionLost: (error) => log.warn({ error }, 'a database connection was lost'),
  });
  const closers = [closerOf(database)];
  const close = async () => {
    for (const closer of closers.toReversed()) await closer();
  };
  try {
    // The port before the demo: a start that finds it taken must not use up a token that is shown once.
    const listener = await serve(config, log, database);
    closers.push(() => listener.close(config.SHUTDOWN_TIMEOUT_MS));
    const demo = database.embedded ? await seedDemo(database) : null;
    return { url: listener.url, demo, notices: database.notices, close };
  } catch (error) {
    await close();
    throw error;
  }
}

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

async function serve(config: Config, log: Logger, database: Database): Promise<Listener> {
  const onBug = (error: unknown, requestId: string) => log.error({ error, requestId }, 'a bug');
  const keyring = new Keyring(config.GATEHOUSE_SECRETS ?? [await readOrMakeSecret(config.DATA_DIR)]);
  const cursors = new CursorSigner(keyring);
  const limits = {
    maxTokens: config.QUERY_MAX_TOKENS,
    maxDepth: config.QUERY_MAX_DEPTH,
    maxAliases: config.QUERY_MAX_ALIASES,
  };
  const parts = {
    verifier: new Verifier(database),
    refuseOtherNetwork: (principal: Principal, network: string) => refuseOtherNetwork(database, principal, network),
    graphql: createGraphqlServer(limits, onBug),
    contextFor: (...[principal, requestId, signal]: Parameters<Parameters<typeof graphqlRoute>[0]['contextFor']>) =>
      new Context({
        requestId,
        principal,
        reads: new NetworkReads(database, principal.networkId, signal),
        services: new CallerServices(database, principal, requestId),
        cursors,
      }),
    bodyLimitBytes: config.BODY_LIMIT_BYTES,
    onBug,
  };
  const started: { listener: Listener | null } = { listener: null };
  const router = new Router(
    {
      graphql: (exchange, networks) => graphqlRoute(parts, exchange, networks),
      healthz,
      readyz: () => readyz(() => isReachable(database), started.listener?.stopping ?? false),
    },
    new Cors(config.CORS_ORIGINS),
    config.BASE_DOMAIN,
    onBug,
  );
  const { HOST: host, PORT: port, REQUEST_TIMEOUT_MS: requestTimeoutMs } = config;
  const listening = listen({ host, port, requestTimeoutMs, log }, (exchange) => router.handle(exchange));
  started.listener = await listening.catch((cause: unknown) => {
    throw listenError(cause);
  });
  return started.listener;
}

/** HOST and PORT can't be listened on. Its message is one clear sentence. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

const NO_ADDRESS = 'HOST is no address of this machine.';
const LISTEN_FAULTS: ReadonlyMap<unknown, string> = new Map([
  ['EADDRINUSE', 'The port is taken by another program: end it, or set PORT to a free one.'],
  ['EACCES', 'The port may not be used by this user: set PORT to one above 1023.'],
  ['EADDRNOTAVAIL', NO_ADDRESS],
  ['EINVAL', NO_ADDRESS],
  ['ENOTFOUND', NO_ADDRESS],
  ['EAI_AGAIN', NO_ADDRESS],
]);

function listenError(cause: unknown): unknown {
  const sentence = LISTEN_FAULTS.get(cause instanceof Error && 'code' in cause ? cause.code : undefined);
  return sentence === undefined ? cause : new ListenError(sentence, { cause });
}
