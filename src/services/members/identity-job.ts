/** Works out mailboxes for as long as the gateway runs: at its start, and what the previous release's gateways write beside it. */
import type { Database } from '../../database/database.ts';
import type { Logger } from '../../observability/logger.ts';
import { fillIdentities } from './fill-identities.ts';

const INTERVAL_MS = 300_000;
/** Gateways that start together do not all come at once. */
const FIRST_MAX_MS = 10_000;

export class IdentityJob {
  readonly #database: Pick<Database, 'pool' | 'prisma'>;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout;
  #running: Promise<void> = Promise.resolve();
  /** The number in the last warning. */
  #conflicts = 0;

  constructor(database: Pick<Database, 'pool' | 'prisma'>, log: Logger, firstMs = Math.random() * FIRST_MAX_MS) {
    this.#database = database;
    this.#log = log;
    this.#timer = this.#after(firstMs);
  }

  /** Lets the batch under way end. */
  async close(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  #after(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#running = this.#run().finally(() => {
        if (!this.#stopping.signal.aborted) this.#timer = this.#after(INTERVAL_MS);
      });
    }, ms).unref();
  }

  async #run(): Promise<void> {
    try {
      const { filled, conflicts } = await fillIdentities(this.#database, this.#stopping.signal);
      if (filled > 0) this.#log.info({ filled }, 'worked out which mailbox members have');
      if (!this.#stopping.signal.aborted) this.#warn(conflicts);
    } catch (error) {
      this.#log.warn({ error }, 'could not work out which mailbox members have: it is tried again');
    }
  }

  /** Once for each number, not at every run. */
  #warn(conflicts: number): void {
    if (conflicts > 0 && conflicts !== this.#conflicts) {
      this.#log.warn({ conflicts }, 'members have the mailbox of another one: see `gatehouse member conflicts`');
    }
    this.#conflicts = conflicts;
  }
}
