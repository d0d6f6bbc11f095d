/** A batch of an import, from its records to the commit. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../../database/database.ts';
import type { Origin } from '../actor.ts';
import { write } from '../transaction.ts';
import { isConflict, isOutOfTime } from './conflicts.ts';
import { auditDetails, type BatchPlan, type BatchRecord, type PlanOptions, planBatch } from './plan-batch.ts';
import { beginBatch, loadMembers, storeMembers } from './store-batch.ts';

/** Of one transaction, before it goes in halves. */
const ATTEMPTS_MAX = 3;
const RETRY_MAX_MS = 50;

/**
 * What each transaction did; null where the network is gone. Where others keep writing the same members meanwhile, or
 * keep it waiting until its time is up, the batch goes in halves: the less there is in one, the less can come between, the
 * sooner it is done, and a single record finds what was there first.
 */
export async function* commitBatch(
  database: Database,
  origin: Origin,
  networkId: string,
  records: readonly BatchRecord[],
  options: PlanOptions,
): AsyncGenerator<BatchPlan | null> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    try {
      yield await commitOnce(database, origin, networkId, records, options);
      return;
    } catch (error) {
      const isLast = attempt === ATTEMPTS_MAX && records.length === 1;
      const isSlow = isOutOfTime(error);
      if (isLast || !(isSlow || isConflict(error))) throw error;
      if (isSlow && records.length > 1) break;
      await delay(Math.random() * RETRY_MAX_MS * attempt);
    }
  }
  const middle = Math.ceil(records.length / 2);
  yield* commitBatch(database, origin, networkId, records.slice(0, middle), options);
  yield* commitBatch(database, origin, networkId, records.slice(middle), options);
}

/** One transaction; null where the network is gone. */
function commitOnce(
  database: Database,
  origin: Origin,
  networkId: string,
  records: readonly BatchRecord[],
  options: PlanOptions,
): Promise<BatchPlan | null> {
  return write(database, origin, async ({ prisma, audit, newId }) => {
    if (!(await beginBatch(prisma, networkId))) return null;
    const plan = planBatch(records, await loadMembers(prisma, networkId, records), options, newId);
    await storeMembers(prisma, networkId, plan);
    const subject = { type: 'Member', id: null } as const;
    const details = auditDetails(plan);
    // A batch that changed nothing is no change to record.
    if (plan.created + plan.updated > 0) await audit({ networkId, action: 'members.imported', subject, details });
    return plan;
  });
}
