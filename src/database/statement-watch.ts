/** One statement on a connection, from when it is sent until it is answered or the connection counts as silent. */
import { afterSilence, ConnectionSilent } from './deadlines.ts';

/** `cancelledForMs`: once its time is up it is cancelled, and has so long to end; null: the connection is destroyed at once. */
export interface StatementLimit {
  readonly ms: number;
  readonly cancelledForMs: number | null;
}

/** The connection that it is sent on. */
export interface WatchedConnection {
  bytesRead(): number;
  /** Whether the server could be asked to end what runs on the connection. */
  requestCancel(): Promise<boolean>;
  /** Nothing has come. `sentMs`: when the statement was sent. */
  silent(error: ConnectionSilent, sentMs: number): void;
}

export class StatementWatch {
  readonly #connection: WatchedConnection;
  readonly #limit: StatementLimit | null;
  readonly #sentMs = performance.now();
  /** When its time is up. */
  readonly dueMs: number;
  #stop: (() => void) | null = null;
  #cancelling: Promise<void> | null = null;
  #isOver = false;
  #isSilent = false;

  /** `afterMs`: when those that were sent before it must be answered. `limit`: null where there is none. */
  constructor(connection: WatchedConnection, limit: StatementLimit | null, afterMs: number) {
    this.#connection = connection;
    this.#limit = limit;
    this.dueMs = Math.max(this.#sentMs, afterMs) + (limit?.ms ?? 0);
    if (limit !== null) this.#arm(this.dueMs - this.#sentMs);
  }

  /** Whoever asked for it has gone. Once the server has been told, it has so long to end. */
  cancel(graceMs: number): void {
    this.#cancelling ??= this.#cancelled(graceMs, false);
  }

  /** Resolves when a cancellation that is on its way can't meet the connection's next statement, which is another's. */
  async end(): Promise<void> {
    this.#isOver = true;
    this.#stop?.();
    // A connection that was destroyed has no next statement.
    if (!this.#isSilent) await this.#cancelling;
  }

  #arm(ms: number): void {
    this.#stop?.();
    this.#stop = afterSilence(
      ms,
      () => this.#connection.bytesRead(),
      () => this.#late(),
    );
  }

  #late(): void {
    const graceMs = this.#limit?.cancelledForMs ?? null;
    if (graceMs === null || this.#cancelling !== null) this.#silent();
    else this.#cancelling = this.#cancelled(graceMs, true);
  }

  async #cancelled(graceMs: number, isLate: boolean): Promise<void> {
    const dueMs = performance.now() + graceMs;
    const isAsked = await this.#connection.requestCancel();
    // Where the server was not asked, the statement still ends by its own time limit.
    if (this.#isOver || !(isAsked || isLate)) return;
    const isSooner = this.#limit === null || isLate || dueMs < this.dueMs;
    if (isSooner) this.#arm(Math.max(0, dueMs - performance.now()));
  }

  #silent(): void {
    if (this.#isOver) return;
    this.#isSilent = true;
    const waitedMs = Math.round(performance.now() - this.#sentMs);
    const error = new ConnectionSilent(`no answer came on a database connection for ${waitedMs} ms: it was closed`);
    this.#connection.silent(error, this.#sentMs);
  }
}
