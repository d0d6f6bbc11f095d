// Who is still using the server. Every process keeps one session that holds a shared advisory lock; whoever leaves asks
// for the exclusive one and gets it only if nobody else is there. A killed process loses its session, and so its lock,
// by itself.
import type { Session } from './session.ts';

/** Any number will do: the database in which it is locked is used for nothing else. */
const leaseLock = 1;

/** Resolves to false while a process that leaves holds the exclusive lock: the server is about to stop. */
export async function takeLease(session: Session): Promise<boolean> {
  return (await session.ask('SELECT pg_try_advisory_lock_shared($1)', [leaseLock])) === true;
}

/**
 * Gives the lease up; resolves to true if no other process has one, and then until the session ends none can get one.
 * First it lets go, then it asks: of two that leave at once, each holding on while asking, neither would be the last.
 */
export async function isLastToLeave(session: Session): Promise<boolean> {
  await session.ask('SELECT pg_advisory_unlock_shared($1)', [leaseLock]);
  return (await session.ask('SELECT pg_try_advisory_lock($1)', [leaseLock])) === true;
}
