/** Whether the database answers, within a bound: for the readiness of a gateway. */
import type { Database } from './database.ts';

const TIMEOUT_MS = 2_000;

export async function isReachable({ pool }: Pick<Database, 'pool'>): Promise<boolean> {
  const timeout = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => timeout.resolve(false), TIMEOUT_MS);
  const query = pool.query('SELECT 1').then(
    () => true,
    // The answer is all that the caller needs; the log has each request's own failure.
    () => false,
  );
  try {
    return await Promise.race([query, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
