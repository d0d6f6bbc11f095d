/**
 * What the database can do for requests now. It is asked in the way that requests ask it: a lookup through the same gate,
 * on the same pool, with the same deadlines. So whatever holds requests up holds this up, too.
 */
import { onBehalfOf, URGENT } from '../database/callers.ts';
import type { Database } from '../database/database.ts';
import { lookUp } from '../database/prepared.ts';
import type { Verifier } from './verifier.ts';

/** `read-only`: requests that read are served. */
export type DatabaseState = 'ok' | 'read-only' | 'unreachable';

/** A question that has not been answered for so long says that requests are not served, either. */
const PATIENCE_MS = 2_000;

const IS_READ_ONLY = { text: "SELECT current_setting('transaction_read_only') = 'on' AS read_only" };

export class Readiness {
  readonly #database: Pick<Database, 'pool'>;
  readonly #verifier: Pick<Verifier, 'probe'>;
  readonly #patienceMs: number;
  /** Whoever asks meanwhile waits for the same answer. */
  #asked: { readonly answer: Promise<DatabaseState>; readonly sinceMs: number } | null = null;

  constructor(database: Pick<Database, 'pool'>, verifier: Pick<Verifier, 'probe'>, patienceMs = PATIENCE_MS) {
    this.#database = database;
    this.#verifier = verifier;
    this.#patienceMs = patienceMs;
  }

  /** Never rejects, and answers within `patienceMs`; at once while a question is open for longer. */
  async databaseState(): Promise<DatabaseState> {
    const { answer, sinceMs } = this.#asked ?? this.#ask();
    const late = Promise.withResolvers<DatabaseState>();
    const leftMs = Math.max(0, sinceMs + this.#patienceMs - performance.now());
    const timer = setTimeout(() => late.resolve('unreachable'), leftMs);
    try {
      return await Promise.race([answer, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #ask(): { readonly answer: Promise<DatabaseState>; readonly sinceMs: number } {
    const answer = onBehalfOf(URGENT, () => this.#find())
      // The answer is all that the caller needs; the log has each request's own failure.
      .catch((): DatabaseState => 'unreachable')
      .finally(() => {
        this.#asked = null;
      });
    this.#asked = { answer, sinceMs: performance.now() };
    return this.#asked;
  }

  async #find(): Promise<DatabaseState> {
    await this.#verifier.probe();
    const client = await this.#database.pool.connect();
    let isReadOnly = true;
    try {
      const [row] = await lookUp<{ read_only: boolean }>(client, IS_READ_ONLY, []);
      isReadOnly = row?.read_only !== false;
    } finally {
      // A session keeps the default that it began with: the next question is put to a new one.
      client.release(isReadOnly);
    }
    return isReadOnly ? 'read-only' : 'ok';
  }
}
