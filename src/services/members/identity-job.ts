/** Works out mailboxes for as long as the gateway runs: at its start, and what the previous release's gateways write beside it. */
import type { Database } from '../../database/database.ts';
import type { Logger } from '../../observability/logger.ts';
import { PeriodicJob } from '../periodic-job.ts';
import { fillIdentities } from './fill-identities.ts';

const INTERVAL_MS = 300_000;
/** Gateways that start together do not all come at once. */
const FIRST_MAX_MS = 10_000;

export class IdentityJob extends PeriodicJob {
  constructor(database: Pick<Database, 'pool' | 'prisma'>, log: Logger, firstMs = Math.random() * FIRST_MAX_MS) {
    // The number in the last warning: once for each number, not at every run.
    let warned = 0;
    const warn = (conflicts: number) => {
      if (conflicts > 0 && conflicts !== warned) {
        log.warn({ conflicts }, 'members have the mailbox of another one: see `gatehouse member conflicts`');
      }
      warned = conflicts;
    };
    const work = async (signal: AbortSignal) => {
      try {
        const { filled, conflicts } = await fillIdentities(database, signal);
        if (filled > 0) log.info({ filled }, 'worked out which mailbox members have');
        if (!signal.aborted) warn(conflicts);
      } catch (error) {
        log.warn({ error }, 'could not work out which mailbox members have: it is tried again');
      }
    };
    super(work, { firstMs, everyMs: INTERVAL_MS });
  }
}
