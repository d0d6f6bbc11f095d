/**
 * The pool of connections. What befalls one connection decides over the others, too: where one has gone silent, those
 * that have not been heard since are discarded with it; where one may not write, all are replaced.
 */
import pg from 'pg';
import { currentSignal, underSignal } from './cancellation.ts';
import { ConnectionSilent, DEADLINES } from './deadlines.ts';
import { markUnreachable, READ_ONLY } from './faults.ts';
import { PooledClient, type PooledConfig } from './pooled-client.ts';

type OnClient = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: unknown) => void,
) => void;

/** The kernel asks whether the other side is still there once a connection has been quiet for so long. */
const KEEP_ALIVE_AFTER_MS = 10_000;
/** While the database stays read-only, its connections are replaced this often at the most. */
const RENEW_EVERY_MS = 5_000;

export interface PoolEvents {
  /** Told of each connection that is destroyed because no answer came. */
  readonly onSilent?: (error: ConnectionSilent) => void;
  /** Told of each statement that the database refuses for a reason that an operator can mend. */
  readonly onRefused?: (error: Error) => void;
}

export class ConnectionPool extends pg.Pool {
  /** When each connection that nobody uses was last heard. */
  readonly #heardMs = new Map<PooledClient, number>();
  /** To be closed once they are given back. */
  readonly #stale = new WeakSet<PooledClient>();
  readonly #events: PoolEvents;
  /** How its connections are opened, for another one beside them. */
  readonly config: PooledConfig;
  #renewedMs = Number.NEGATIVE_INFINITY;
  #isCutOff = false;

  constructor(config: PooledConfig, events: PoolEvents = {}) {
    const { connectMs } = config.deadlines ?? DEADLINES;
    const keepAlive = { keepAlive: true, keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS };
    const whole = { ...keepAlive, connectionTimeoutMillis: connectMs, ...config };
    super({ ...whole, Client: PooledClient });
    this.config = whole;
    this.#events = events;
    this.on('connect', (client) => this.#opened(asPooled(client)));
    this.on('acquire', (client) => this.#heardMs.delete(asPooled(client)));
    this.on('release', (_, client) => this.#givenBack(asPooled(client)));
    this.on('remove', (client) => this.#heardMs.delete(asPooled(client)));
  }

  // A connection is handed on in the course of whoever gives it back: here everybody keeps the signal they came with.
  override connect(): Promise<pg.PoolClient>;
  override connect(callback: OnClient): void;
  override connect(callback?: OnClient): Promise<pg.PoolClient> | undefined {
    if (this.#isCutOff) {
      if (callback === undefined) return Promise.reject(closing());
      callback(closing(), undefined, () => undefined);
      return undefined;
    }
    if (callback === undefined) return super.connect();
    const signal = currentSignal();
    // Not by AsyncLocalStorage.bind: what that makes lives on until the next full collection of garbage, rows and all.
    super.connect((...given) => underSignal(signal, callback, ...given));
    return undefined;
  }

  /** Closes every connection at once, also those that are in use or being opened, and opens no other. */
  cutOff(): void {
    this.#isCutOff = true;
    for (const client of this.#all()) client.discard(closing());
  }

  /** pg does not declare it. */
  #all(): readonly PooledClient[] {
    return (this as unknown as { readonly _clients: readonly PooledClient[] })._clients;
  }

  #opened(client: PooledClient): void {
    client.onSilent = (error, sentMs) => {
      this.#events.onSilent?.(error);
      this.#discardIdle(error, sentMs);
    };
    client.onRefused = (error, state) => {
      this.#events.onRefused?.(error);
      if (state === READ_ONLY) this.#renew();
    };
  }

  #givenBack(client: PooledClient): void {
    // The pool sees that it is closing, and lets it go.
    if (this.#stale.has(client)) void client.end();
    else this.#heardMs.set(client, performance.now());
  }

  /** Ten connections that a firewall forgot would otherwise cost ten deadlines, one after the other. */
  #discardIdle({ message }: ConnectionSilent, sinceMs: number): void {
    for (const [client, heardMs] of [...this.#heardMs]) {
      if (heardMs <= sinceMs) client.discard(new ConnectionSilent(message));
    }
  }

  /**
   * A session keeps what it began with: the default of a database that could not be written then, or a server that has
   * become a standby since. So that writing goes on as soon as it can, each is replaced.
   */
  #renew(): void {
    const nowMs = performance.now();
    if (nowMs - this.#renewedMs < RENEW_EVERY_MS) return;
    this.#renewedMs = nowMs;
    for (const client of this.#all()) {
      if (this.#heardMs.has(client)) client.discard(new Error('closed because the database was read-only'));
      else this.#stale.add(client);
    }
  }
}

function closing(): Error {
  return markUnreachable(new Error('the connections to the database are being closed'));
}

function asPooled(client: pg.PoolClient): PooledClient {
  if (client instanceof PooledClient) return client;
  throw new TypeError('a connection that is not of this pool');
}
