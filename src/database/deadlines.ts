/**
 * How long this process waits for the database. The server has time limits of its own, but it cannot tell us that it
 * cannot be heard: a firewall that forgot the connection, a frozen backend and a broken route all look like a statement
 * that takes long. So each wait ends on our side, too.
 */

export interface Deadlines {
  /** Opening a connection, TLS and authentication included; and waiting for one of the pool. */
  readonly connectMs: number;
  /** A statement that reads a row or two by key, and BEGIN and ROLLBACK. */
  readonly lookupMs: number;
  /** From the cancellation of a lookup to its end; a connection on which nothing comes by then is destroyed. */
  readonly cancelMs: number;
  /**
   * From the server's own time limit for a statement, or from its cancellation by the caller, to its end; a connection on
   * which nothing comes by then is destroyed.
   */
  readonly graceMs: number;
  /** For a connection that is no longer needed to close; then it is destroyed. */
  readonly farewellMs: number;
}

/**
 * A lookup ends after 4 s at the most and any other statement of a request after STATEMENT_TIMEOUT_MS and 3 s (13 s by
 * default). So a gateway whose connections have all gone silent is back in less than 30 s.
 */
export const DEADLINES: Deadlines = {
  connectMs: 5_000,
  lookupMs: 3_000,
  cancelMs: 1_000,
  graceMs: 3_000,
  farewellMs: 1_000,
};

/** No answer came on a connection in time. What was sent on it may have been done or not. */
export class ConnectionSilent extends Error {
  override readonly name = 'ConnectionSilent';
}

/**
 * The time limit of the server for the statements of one session, as that session has set it. `SET LOCAL` lasts until the
 * transaction ends.
 */
export class StatementTimeout {
  #sessionMs: number;
  #localMs: number | null = null;

  constructor(sessionMs: number) {
    this.#sessionMs = sessionMs;
  }

  get ms(): number {
    return this.#localMs ?? this.#sessionMs;
  }

  /** Call with each statement that is sent, once its own limit is known. */
  note(text: string): void {
    if (ENDS_TRANSACTION.test(text)) this.#localMs = null;
    const [, local, value] = SETS_TIMEOUT.exec(text) ?? [];
    // 0 switches the server's limit off; ours stays.
    if (value === undefined || Number(value) === 0) return;
    if (local === undefined) this.#sessionMs = Number(value);
    else this.#localMs = Number(value);
  }
}

const ENDS_TRANSACTION = /^\s*(?:COMMIT|END|ABORT|ROLLBACK(?!\s+(?:WORK\s+|TRANSACTION\s+)?TO\b))\b/i;
const SETS_TIMEOUT = /^\s*SET\s+(?:SESSION\s+|(LOCAL)\s+)?statement_timeout\s*(?:=|TO)\s*'?(\d+)(?:ms)?'?\s*(?:;|$)/i;

/**
 * Calls `onLate` after so long, unless an answer has arrived by then that this process was too busy to read, or is
 * arriving; returns what stops that. `bytesRead`: of the connection so far.
 */
export function afterSilence(ms: number, bytesRead: () => number, onLate: () => void): () => void {
  let immediate: NodeJS.Immediate | undefined;
  let timer = setTimeout(() => look(ARRIVING_MAX), ms);
  const look = (looksLeft: number) => {
    const before = bytesRead();
    // Between timers and immediates Node reads its sockets: what has arrived is heard first.
    immediate = setImmediate(() => {
      if (bytesRead() === before || looksLeft === 0) onLate();
      else timer = setTimeout(() => look(looksLeft - 1), ARRIVING_MS);
    });
  };
  return () => {
    clearTimeout(timer);
    clearImmediate(immediate);
  };
}

/** An answer that is arriving when its time is up has one second more, in pieces. */
const ARRIVING_MS = 50;
const ARRIVING_MAX = 20;
