/** What a database error means for the caller. Everything else is a bug. */

/** PostgreSQL's class of each error that says "not now" (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
const UNREACHABLE_SQLSTATES = /^(08|53|57P0[1-5])/;
const QUERY_CANCELED = '57014';
const UNREACHABLE_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EAI_AGAIN',
  // Prisma's own names for the same.
  'P1001',
  'P1002',
  'P1008',
  'P1017',
  'P2024',
  'P2028',
]);
/** What node-postgres says in words only. */
const UNREACHABLE_MESSAGES =
  /timeout exceeded when trying to connect|connection terminated|client has encountered a connection error|server has closed the connection|can't reach database|cannot use a pool after calling end/i;

const CAUSES_MAX = 8;

export type DatabaseFault = 'unreachable' | 'timeout';

/** Walks an error and its causes; null where none is a fault of the database's reachability or time. */
export function databaseFault(error: unknown): DatabaseFault | null {
  let current: unknown = error;
  for (let depth = 0; depth < CAUSES_MAX && current instanceof Error; depth += 1) {
    const fault = faultOf(current);
    if (fault !== null) return fault;
    current = next(current);
  }
  return null;
}

const DEADLOCK_DETECTED = '40P01';

/** Whether PostgreSQL has ended the transaction because it and another waited for each other. P2034: Prisma's name of it. */
export function isDeadlock(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return field(error, 'code') === 'P2034' || adapterSqlState(error) === DEADLOCK_DETECTED;
}

function faultOf(error: Error): DatabaseFault | null {
  const codes = [field(error, 'code'), field(error, 'originalCode'), field(error, 'meta', 'code')];
  for (const code of [...codes, adapterSqlState(error)]) {
    if (typeof code !== 'string') continue;
    if (code === QUERY_CANCELED) return 'timeout';
    if (UNREACHABLE_CODES.has(code) || UNREACHABLE_SQLSTATES.test(code)) return 'unreachable';
  }
  return UNREACHABLE_MESSAGES.test(error.message) ? 'unreachable' : null;
}

/**
 * The SQLSTATE that Prisma's adapter got of PostgreSQL. It is kept in a cause that is no Error: in the adapter's own error,
 * and below a query's meta.
 */
export function adapterSqlState(error: Error): unknown {
  return field(error, 'cause', 'originalCode') ?? field(error, 'meta', 'driverAdapterError', 'cause', 'originalCode');
}

function field(value: unknown, ...path: readonly string[]): unknown {
  let current: unknown = value;
  for (const name of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Record<string, unknown>)[name];
  }
  return current;
}

function next(error: Error): unknown {
  // node:net gives the errors of every address that it tried in an AggregateError.
  if (error instanceof AggregateError) return error.errors[0];
  return error.cause;
}
