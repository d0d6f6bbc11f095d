/**
 * The database client of every session: the gateway's pool, migrations, the command line and the embedded server's own.
 * It sets the session's settings before anything else can run, and reads times or fails.
 */
import pg from 'pg';
import { readConnectionUrl } from './connection-url.ts';
import { databaseFault } from './faults.ts';
import { type SessionSettings, settingStatements, startupOptions } from './session-settings.ts';
import { readableTimes, withReadableTimes } from './times.ts';

/** A session cannot be made to mean what our statements need. The message is a sentence for the operator. */
export class SessionError extends Error {
  override readonly name = 'SessionError';
}

/** How to connect, with the session's settings. Made by `sessionConfig`. */
export interface SessionConfig extends pg.PoolConfig {
  readonly sessionSettings: SessionSettings;
}

/** Adds the settings to `connection`, whose own `options` stay where they do not contradict them. */
export function sessionConfig(connection: pg.PoolConfig, settings: SessionSettings): SessionConfig {
  const { connectionString, options = '', ...rest } = connection;
  const named = connectionString === undefined ? null : readConnectionUrl(connectionString);
  return {
    ...rest,
    ...(named === null ? {} : { connectionString: named.url }),
    options: startupOptions(settings, `${options} ${named?.options ?? ''}`),
    // pg would send these after `options`.
    statement_timeout: undefined,
    lock_timeout: undefined,
    idle_in_transaction_session_timeout: undefined,
    client_encoding: 'UTF8',
    types: readableTimes,
    sessionSettings: settings,
    Client: SessionClient,
  };
}

/** Of a connection that says nothing else. */
const DEADLINE_MS = 5_000;

export class SessionClient extends pg.Client {
  readonly #settings: SessionSettings;
  readonly #deadlineMs: number;

  /** As `sessionConfig` gives it: a pool hands it on. */
  constructor(config?: pg.ClientConfig) {
    if (config === undefined || !('sessionSettings' in config)) throw new TypeError('a session needs its settings');
    super(config);
    this.#settings = (config as SessionConfig).sessionSettings;
    this.#deadlineMs = config.connectionTimeoutMillis || DEADLINE_MS;
  }

  override connect(): Promise<pg.Client>;
  override connect(callback: OnConnect): void;
  override connect(callback?: OnConnect): Promise<pg.Client> | undefined {
    const ready = this.#connect();
    if (callback === undefined) return ready;
    ready.then(() => callback(null, this), callback);
    return undefined;
  }

  async #connect(): Promise<pg.Client> {
    await super.connect();
    // Whoever connects listens once it is connected; unheard, the event would end the process.
    this.on('error', ignoreLoss);
    const { stream } = (this as unknown as Wire).connection;
    const timer = setTimeout(() => stream.destroy(), this.#deadlineMs);
    try {
      await super.query(settingStatements(this.#settings));
      this.off('error', ignoreLoss);
      return this;
    } catch (error) {
      stream.destroy();
      throw explained(error);
    } finally {
      clearTimeout(timer);
    }
  }

  // pg takes a statement as text or object, with values or without, and a callback or none.
  override query(...args: unknown[]): never {
    const [statement] = args;
    if (hasTypes(statement)) args[0] = { ...statement, types: withReadableTimes(statement.types) };
    return (super.query as (...given: unknown[]) => never).apply(this, args);
  }
}

// As pg declares it, in two halves of which each caller has one.
export type OnConnect = (error: Error | null, client?: pg.Client) => void;

/** What pg has, and does not declare. */
interface Wire {
  readonly connection: { readonly stream: { destroy(): void } };
}

/** A statement that brings parsers of its own, as Prisma's do. */
function hasTypes(statement: unknown): statement is { readonly types: pg.CustomTypesConfig } {
  if (typeof statement !== 'object' || statement === null || !('types' in statement)) return false;
  return statement.types !== undefined && statement.types !== readableTimes;
}

function ignoreLoss(): void {
  // The statement under way fails with it.
}

function explained(cause: unknown): unknown {
  if (!(cause instanceof pg.DatabaseError) || databaseFault(cause) !== null) return cause;
  const [, name = null] = /set parameter "([^"]+)"/.exec(cause.message) ?? [];
  const what = name ?? 'its settings';
  return new SessionError(
    `The database does not let Gatehouse set ${what} for its sessions (${cause.message}): ` +
      `remove it from the role and the database (ALTER ROLE … RESET ${name ?? 'ALL'}, ALTER DATABASE … RESET ${name ?? 'ALL'}).`,
    { cause },
  );
}
