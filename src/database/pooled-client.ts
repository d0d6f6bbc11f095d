/**
 * A connection of the pool. Its statements end with the request that asked for them (cancellation.ts), and each has a
 * deadline on our side (deadlines.ts), whoever began it: where one misses it, the connection is destroyed and never
 * handed on.
 */
import pg from 'pg';
import { currentSignal } from './cancellation.ts';
import { type ConnectionSilent, DEADLINES, type Deadlines, StatementTimeout } from './deadlines.ts';
import { isForOperator, markUnreachable, sqlStateOf } from './faults.ts';
import { type OnConnect, SessionClient, type SessionConfig } from './session-client.ts';
import { type StatementLimit, StatementWatch, type WatchedConnection } from './statement-watch.ts';

export interface PooledConfig extends SessionConfig {
  /** Absent: DEADLINES. */
  readonly deadlines?: Deadlines | undefined;
  /** The server's time limit for a statement; absent: only what is short by nature has a deadline here. */
  readonly statementTimeoutMs?: number | undefined;
}

/**
 * Beside a statement's text: what it may take. `lookup`: see Deadlines. `unlimited`: whoever runs it watches its connection.
 * Absent: what the server allows it, and a grace.
 */
export interface Limited {
  readonly limit?: 'lookup' | 'unlimited' | { readonly ms: number };
}

/** A cancellation needs a connection of its own; past so many at once, the statement's time limit has to do. */
const CANCELLATIONS_MAX = 10;
let cancellations = 0;

const ENDS_TRANSACTION = /^\s*(COMMIT|ROLLBACK)/i;
/** They wait for nobody. */
const IMMEDIATE = /^\s*(BEGIN|START\s+TRANSACTION|ROLLBACK)\b/i;

type Callback = (error: Error | undefined, result: unknown) => void;

export class PooledClient extends SessionClient {
  readonly #config: PooledConfig;
  readonly #deadlines: Deadlines;
  readonly #timeout: StatementTimeout | null;
  readonly #watched: WatchedConnection;
  /** Sent, and not yet answered. */
  #unanswered = 0;
  /** When the last of them must be answered: they are answered one after the other. */
  #dueMs = 0;
  /** The pool's. `sentMs`: when the statement was sent that was not answered. */
  onSilent: ((error: ConnectionSilent, sentMs: number) => void) | null = null;
  /** The pool's: a statement was refused for a reason that an operator can mend, by this SQLSTATE. */
  onRefused: ((error: Error, state: string) => void) | null = null;

  /** `config`: as the pool was given it. */
  constructor(config?: PooledConfig) {
    super(config);
    if (config === undefined) throw new TypeError('a connection of the pool needs its config');
    this.#config = config;
    this.#deadlines = config.deadlines ?? DEADLINES;
    this.#timeout = config.statementTimeoutMs === undefined ? null : new StatementTimeout(config.statementTimeoutMs);
    this.#watched = {
      bytesRead: () => this.#connection.stream.bytesRead,
      requestCancel: () => this.#requestCancel(),
      silent: (error, sentMs) => {
        this.discard(error);
        this.onSilent?.(error, sentMs);
      },
    };
    // The statement under way fails with it; unheard, the event would end the process.
    this.on('error', () => undefined);
  }

  override connect(): Promise<pg.Client>;
  override connect(callback: OnConnect): void;
  override connect(callback?: OnConnect): Promise<pg.Client> | undefined {
    if (callback === undefined) {
      return super.connect().catch((error: unknown) => {
        throw this.#failed(error);
      });
    }
    super.connect((error) => callback(error === null ? null : this.#failed(error), this));
    return undefined;
  }

  /** pg leaves the socket of a connection that was not made to the server to close. */
  #failed<Thrown>(error: Thrown): Thrown {
    this.#connection.stream.destroy();
    return markUnreachable(error);
  }

  /** Closes it. A server that does not answer the farewell is not waited for. */
  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(callback?: (error: Error) => void): Promise<void> | undefined {
    const connection = this.#connection;
    // `stream` is another one once TLS is set up.
    const timer = setTimeout(() => connection.stream.destroy(), this.#deadlines.farewellMs);
    if (connection.stream.destroyed) clearTimeout(timer);
    else connection.on('end', () => clearTimeout(timer));
    if (callback === undefined) return super.end();
    super.end(callback);
    return undefined;
  }

  /** Closes it at once; the statement under way fails with the error. */
  discard(error: Error): void {
    this.#connection.stream.destroy(markUnreachable(error));
  }

  // pg takes a statement as text or object, with values or without, and a callback or none.
  override query(...args: unknown[]): never {
    const run = super.query.bind(this) as (...given: unknown[]) => unknown;
    // A statement of a class of its own (COPY) is none of the gateway's: whoever runs it sees to its end.
    if (isSubmittable(args[0])) return run(...args) as never;
    const callback = args.at(-1);
    if (typeof callback !== 'function') {
      return this.#supervised(args[0], () => run(...args) as Promise<unknown>) as never;
    }
    const statement = this.#supervised(args[0], () => {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      run(...args.slice(0, -1), (error: Error | null, result: unknown) =>
        error == null ? resolve(result) : reject(error),
      );
      return promise;
    });
    statement.then(
      (result) => (callback as Callback)(undefined, result),
      (error: Error) => (callback as Callback)(error, undefined),
    );
    return undefined as never;
  }

  async #supervised(statement: unknown, run: () => Promise<unknown>): Promise<unknown> {
    const text = textOf(statement);
    const signal = ENDS_TRANSACTION.test(text) ? undefined : currentSignal();
    signal?.throwIfAborted();
    const watch = new StatementWatch(
      this.#watched,
      this.#limitOf(statement, text),
      this.#unanswered === 0 ? 0 : this.#dueMs,
    );
    this.#dueMs = watch.dueMs;
    this.#unanswered += 1;
    const cancel = () => watch.cancel(this.#deadlines.graceMs);
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return await run();
    } catch (error) {
      const state = sqlStateOf(error);
      if (error instanceof Error && state !== null && isForOperator(state)) this.onRefused?.(error, state);
      throw error;
    } finally {
      this.#unanswered -= 1;
      signal?.removeEventListener('abort', cancel);
      await watch.end();
    }
  }

  #limitOf(statement: unknown, text: string): StatementLimit | null {
    const { lookupMs, cancelMs, graceMs } = this.#deadlines;
    const { limit } = Object(statement) as Limited;
    const timeoutMs = this.#timeout?.ms ?? null;
    this.#timeout?.note(text);
    if (limit === 'unlimited') return null;
    if (limit === 'lookup') return { ms: lookupMs, cancelledForMs: cancelMs };
    if (limit !== undefined) return { ms: limit.ms + graceMs, cancelledForMs: null };
    if (IMMEDIATE.test(text)) return { ms: lookupMs + cancelMs, cancelledForMs: null };
    return timeoutMs === null ? null : { ms: timeoutMs + graceMs, cancelledForMs: null };
  }

  /**
   * By the protocol's own request (PostgreSQL, 54.2.8), which a connection pooler in between understands, too; a process
   * id alone means nothing to it.
   */
  async #requestCancel(): Promise<boolean> {
    if (cancellations >= CANCELLATIONS_MAX) return false;
    const { processID, secretKey, host, port } = this as unknown as Session;
    const { connection } = new pg.Client(this.#config) as unknown as Session;
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#deadlines.cancelMs);
    cancellations += 1;
    try {
      for (const event of ['end', 'close', 'error']) connection.on(event, resolve);
      const request = () => connection.cancel(processID, secretKey);
      connection.on('sslconnect', request);
      connection.on('connect', () => {
        if (!connection.ssl) request();
        else if (connection.sslNegotiation !== 'direct') connection.requestSsl();
      });
      if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`);
      else connection.connect(port, host);
      // The server closes the connection once it has passed the request on.
      await over;
      return true;
    } finally {
      cancellations -= 1;
      clearTimeout(timer);
      connection.stream.destroy();
    }
  }

  get #connection(): Session['connection'] {
    return (this as unknown as Session).connection;
  }
}

/** What pg keeps of a session, and does not declare. */
interface Session {
  readonly processID: number;
  readonly secretKey: number;
  /** A folder where it is a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly connection: {
    readonly ssl: unknown;
    readonly sslNegotiation: string;
    readonly stream: { readonly bytesRead: number; readonly destroyed: boolean; destroy(error?: Error): void };
    connect(port: number | string, host?: string): void;
    on(event: string, listener: () => void): void;
    requestSsl(): void;
    cancel(processID: number, secretKey: number): void;
  };
}

function isSubmittable(statement: unknown): boolean {
  return typeof Object(statement).submit === 'function';
}

function textOf(statement: unknown): string {
  if (typeof statement === 'string') return statement;
  return typeof statement === 'object' && statement !== null && 'text' in statement ? String(statement.text) : '';
}
