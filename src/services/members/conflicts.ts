/** What the database says where somebody else wrote the same members at the same time, or held them up. */
import { adapterSqlState, databaseFault } from '../../database/faults.ts';
import { Prisma } from '../../database/generated/client.ts';

/** unique_violation, serialization_failure, deadlock_detected. */
const CONFLICTS: ReadonlySet<unknown> = new Set(['23505', '40001', '40P01']);

export function isConflict(error: unknown): boolean {
  if (!(error instanceof Prisma.PrismaClientKnownRequestError)) return false;
  // P2034 is Prisma's own name of the last two.
  return error.code === 'P2034' || CONFLICTS.has(adapterSqlState(error));
}

/** A statement or the transaction took longer than it may. Nothing of it has committed. */
export function isOutOfTime(error: unknown): boolean {
  const isExpired = error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2028';
  return isExpired || databaseFault(error) === 'timeout';
}
