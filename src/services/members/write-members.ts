/** What the writes of members that callers ask for have in common. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../../database/database.ts';
import { GatehouseError } from '../../domain/errors.ts';
import { forbidden } from '../../domain/verification.ts';
import type { Origin } from '../actor.ts';
import type { Memo } from '../idempotency.ts';
import { requireScope, type WriteTransaction, write } from '../transaction.ts';
import { isConflict } from './conflicts.ts';
import { beginBatch } from './store-batch.ts';

const ATTEMPTS_MAX = 3;
const RETRY_MAX_MS = 50;

/**
 * One transaction, in turn with all others that write members of the network, tried again where one that goes no such way
 * came between. Throws the refusal of a key that may not write members.
 */
export async function writeMembers<Result>(
  database: Database,
  origin: Origin,
  networkId: string,
  work: (transaction: WriteTransaction) => Promise<Result>,
  memo: Memo<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await write(database, origin, (transaction) => inTurn(transaction, networkId, work), memo);
    } catch (error) {
      if (!isConflict(error)) throw error;
      if (attempt === ATTEMPTS_MAX) throw tooBusy(error);
      await delay(Math.random() * RETRY_MAX_MS * attempt);
    }
  }
}

async function inTurn<Result>(
  transaction: WriteTransaction,
  networkId: string,
  work: (transaction: WriteTransaction) => Promise<Result>,
): Promise<Result> {
  requireScope(transaction, 'members:write');
  const { actor, prisma } = transaction;
  if (actor.kind === 'KEY' && actor.principal.environment !== 'LIVE') {
    throw forbidden('Forbidden: a TEST key reads members and writes none');
  }
  if (!(await beginBatch(prisma, networkId))) throw new GatehouseError('NOT_FOUND', 'Not Found: the network is gone');
  return work(transaction);
}

function tooBusy(cause: unknown): GatehouseError {
  const refusal = new GatehouseError('SERVICE_UNAVAILABLE', 'Service unavailable: others write the same members', {
    headers: { 'retry-after': '1' },
  });
  refusal.cause = cause;
  return refusal;
}
