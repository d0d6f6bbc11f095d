/**
 * Statements that end when whoever asked for them has gone or has run out of time. Every statement that is begun within
 * `cancellable` is cancelled on the server once the signal fires, whichever way it got there, Prisma's too; and none is
 * begun any more but the end of a transaction.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';

const signals = new AsyncLocalStorage<AbortSignal | undefined>();

export function cancellable<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  // Prisma asks for nothing until it is awaited: that must be here, under the signal.
  return signals.run(signal, async () => await work());
}

/** A cancellation needs a connection of its own; past so many at once, the statement's time limit has to do. */
const CANCELLATIONS_MAX = 10;
const CANCEL_TIMEOUT_MS = 2_000;
let cancellations = 0;

/** Work that must run to its end, whoever has gone: the rest of a change that has committed. */
export function uncancellable<Result>(work: () => Promise<Result>): Promise<Result> {
  return signals.exit(async () => await work());
}

const ENDS_TRANSACTION = /^\s*(COMMIT|ROLLBACK)/i;

type Callback = (error: Error | undefined, result: unknown) => void;

type OnClient = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: unknown) => void,
) => void;

/** A pool hands a connection on in the course of whoever gives it back: here everybody keeps the signal they came with. */
export class CancellablePool extends pg.Pool {
  override connect(): Promise<pg.PoolClient>;
  override connect(callback: OnClient): void;
  override connect(callback?: OnClient): Promise<pg.PoolClient> | undefined {
    if (callback === undefined) return super.connect();
    const signal = signals.getStore();
    // Not by AsyncLocalStorage.bind: what that makes lives on until the next full collection of garbage, rows and all.
    super.connect((...given) => signals.run(signal, callback, ...given));
    return undefined;
  }
}

/** The pool's connections. */
export class CancellableClient extends pg.Client {
  readonly #connection: pg.ClientConfig;

  /** `connection`: as the pool was given it. */
  constructor(connection?: pg.ClientConfig) {
    super(connection);
    this.#connection = connection ?? {};
  }

  // pg takes a statement as text or object, with values or without, and a callback or none.
  override query(...args: unknown[]): never {
    const signal = signals.getStore();
    const run = super.query.bind(this) as (...given: unknown[]) => unknown;
    if (signal === undefined || ENDS_TRANSACTION.test(textOf(args[0]))) return run(...args) as never;
    const callback = args.at(-1);
    if (typeof callback !== 'function') return this.#promised(signal, () => run(...args) as Promise<unknown>) as never;
    const statement = this.#promised(signal, () => {
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

  async #promised(signal: AbortSignal, run: () => Promise<unknown>): Promise<unknown> {
    signal.throwIfAborted();
    let cancelled: Promise<void> | null = null;
    const cancel = () => {
      // Whatever goes wrong with it, the statement still ends by its time limit.
      cancelled = this.#cancel().catch(() => undefined);
    };
    signal.addEventListener('abort', cancel, { once: true });
    try {
      return await run();
    } finally {
      signal.removeEventListener('abort', cancel);
      // It must not meet the connection's next statement, which is another request's.
      await cancelled;
    }
  }

  /**
   * By the protocol's own request (PostgreSQL, 54.2.8), which a connection pooler in between understands, too; a process
   * id alone means nothing to it.
   */
  async #cancel(): Promise<void> {
    if (cancellations >= CANCELLATIONS_MAX) return;
    const { processID, secretKey, host, port } = this as unknown as Session;
    const { connection } = new pg.Client(this.#connection) as unknown as Session;
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, CANCEL_TIMEOUT_MS);
    cancellations += 1;
    try {
      for (const event of ['end', 'close', 'error']) connection.on(event, resolve);
      connection.on(connection.ssl ? 'sslconnect' : 'connect', () => connection.cancel(processID, secretKey));
      if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`);
      else connection.connect(port, host);
      // The server closes the connection once it has passed the request on.
      await over;
    } finally {
      cancellations -= 1;
      clearTimeout(timer);
      connection.stream.destroy();
    }
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
    readonly stream: { destroy(): void };
    connect(port: number | string, host?: string): void;
    on(event: string, listener: () => void): void;
    cancel(processID: number, secretKey: number): void;
  };
}

function textOf(statement: unknown): string {
  if (typeof statement === 'string') return statement;
  return typeof statement === 'object' && statement !== null && 'text' in statement ? String(statement.text) : '';
}
