/** What a database error means for the caller. Everything else is a bug. */
import type { GatehouseError } from '../domain/errors.ts';

/**
 * `unreachable`: nobody answers, or whoever answers does not let us in. `read-only`: it can be read and not now be written.
 * `busy`: it is there and cannot do this now. `timeout`: it ended the statement because its time was up.
 */
export type DatabaseFault = 'unreachable' | 'read-only' | 'busy' | 'timeout';

/** The transaction or the server may not write (read_only_sql_transaction). */
export const READ_ONLY = '25006';

/**
 * Every class of https://www.postgresql.org/docs/current/errcodes-appendix.html that has an error which says "not now", and
 * means it for the server or for others who use it; the first that fits counts. What is not here is a fault of the statement
 * or of its values (among them XX, PostgreSQL's own bugs and damaged data), and stays a bug of ours, which is logged whole:
 * waiting does not mend it.
 */
const SQLSTATES: readonly (readonly [RegExp, DatabaseFault])[] = [
  // Connection exceptions; poolers give all of their own troubles as 08P01.
  [/^08/, 'unreachable'],
  [/^25006/, 'read-only'],
  // Idle in a transaction for too long, and a transaction that took too long.
  [/^25P0[34]/, 'busy'],
  // The password, role or rule by which it let us in has changed.
  [/^28/, 'unreachable'],
  // The database is not there: dropped, or being restored.
  [/^3D000/, 'unreachable'],
  // Others wrote the same rows, or a standby had to make way for what it was sent; again and again.
  [/^40(001|003|P01)/, 'busy'],
  // Too little of something: disk, memory, connections.
  [/^53/, 'busy'],
  // In use by somebody else; not in the state that it takes, such as a database that lets nobody in.
  [/^55(000|006|P03)/, 'busy'],
  [/^57014/, 'timeout'],
  // Operator intervention: shutting down, crashed, starting up, dropped, idle for too long.
  [/^57/, 'unreachable'],
  // Errors outside of PostgreSQL: its files and disks.
  [/^58/, 'busy'],
  // The snapshot that a statement reads by is too old.
  [/^72000/, 'busy'],
  // The server's own files: its lock file, its settings.
  [/^F0/, 'unreachable'],
];

/** Of Node. */
const SOCKET_CODES: ReadonlySet<string> = new Set([
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EADDRNOTAVAIL',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EAI_AGAIN',
  'EAI_FAIL',
]);

/** Of Prisma (https://www.prisma.io/docs/orm/reference/error-reference). */
const PRISMA_CODES: ReadonlyMap<string, DatabaseFault> = new Map([
  // Authentication, no answer, timeout, no such database, timeout of an operation, access denied, TLS, closed.
  ...['P1000', 'P1001', 'P1002', 'P1003', 'P1008', 'P1010', 'P1011', 'P1017'].map(
    (code) => [code, 'unreachable'] as const,
  ),
  // No connection in time, no transaction in time or one that was ended, a conflict of writes, too many connections.
  ...['P2024', 'P2028', 'P2034', 'P2037'].map((code) => [code, 'busy'] as const),
]);

/** Of Prisma's adapter, where it keeps no SQLSTATE. */
const ADAPTER_KINDS: ReadonlyMap<unknown, DatabaseFault> = new Map([
  ['AuthenticationFailed', 'unreachable'],
  ['ConnectionClosed', 'unreachable'],
  ['DatabaseAccessDenied', 'unreachable'],
  ['DatabaseDoesNotExist', 'unreachable'],
  ['DatabaseNotReachable', 'unreachable'],
  ['SocketTimeout', 'unreachable'],
  ['TlsConnectionError', 'unreachable'],
  ['TooManyConnections', 'busy'],
  ['TransactionWriteConflict', 'busy'],
]);

/** What is said in words only: by node-postgres, by its pool, and by PostgreSQL under a code that it uses for bugs, too. */
const MESSAGES: readonly (readonly [RegExp, DatabaseFault])[] = [
  // No connection of the pool became free.
  [/timeout exceeded when trying to connect/i, 'busy'],
  [
    /timeout expired|connection terminated|client (?:has encountered a connection error|was closed)|server has closed the connection|can't reach database|cannot use a pool after calling end|no answer came on a database connection/i,
    'unreachable',
  ],
  // It runs out of transaction ids, until it is vacuumed (54000).
  [/database is not accepting commands/i, 'read-only'],
];

const CAUSES_MAX = 8;

/** Errors of opening a connection, whatever they are, and of connections that were destroyed. */
const ofConnections = new WeakSet<object>();

/**
 * A connection that the pool did not give, and why. The refusal is carried and not thrown as it is: whatever has a `code`,
 * Prisma takes for an error of its own.
 */
export class PoolRefusal extends Error {
  override readonly name = 'PoolRefusal';
  readonly refusal: GatehouseError;

  constructor(refusal: GatehouseError) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** Marks an error as one of reaching the database, and returns it. */
export function markUnreachable<Thrown>(error: Thrown): Thrown {
  if (error instanceof Error) ofConnections.add(error);
  return error;
}

/** Walks an error and its causes; null where none is a fault of the database's state or time. */
export function databaseFault(error: unknown): DatabaseFault | null {
  return firstOf(error, faultOf);
}

/** The SQLSTATE of an error or its causes, in whichever shape it came; null where it has none. */
export function sqlStateOf(error: unknown): string | null {
  return firstOf(error, (each) => codesOf(each).find((code) => SQLSTATE.test(code)) ?? null);
}

const SQLSTATE = /^(?!P\d{4}$|E[A-Z]{4}$)[0-9A-Z]{5}$/;

/** Read-only; too little of something; a fault of files and disks. */
const FOR_OPERATOR = /^(25006|53|58)/;

/** Whether a SQLSTATE says that the database cannot do its work until somebody has looked after it. */
export function isForOperator(state: string): boolean {
  return FOR_OPERATOR.test(state);
}

const DEADLOCK_DETECTED = '40P01';

/** Whether PostgreSQL has ended the transaction because it and another waited for each other. P2034: Prisma's name of it. */
export function isDeadlock(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return field(error, 'code') === 'P2034' || adapterSqlState(error) === DEADLOCK_DETECTED;
}

function firstOf<Found>(error: unknown, find: (error: Error) => Found | null): Found | null {
  let current: unknown = error;
  for (let depth = 0; depth < CAUSES_MAX && current instanceof Error; depth += 1) {
    const found = find(current);
    if (found !== null) return found;
    current = next(current);
  }
  return null;
}

function faultOf(error: Error): DatabaseFault | null {
  for (const code of codesOf(error)) {
    const fault = faultOfCode(code);
    if (fault !== null) return fault;
  }
  if (ofConnections.has(error)) return 'unreachable';
  const kind = field(error, 'cause', 'kind') ?? field(error, 'meta', 'driverAdapterError', 'cause', 'kind');
  return ADAPTER_KINDS.get(kind) ?? MESSAGES.find(([message]) => message.test(error.message))?.[1] ?? null;
}

/** The most exact one first: Prisma gives several SQLSTATEs the same name. */
function codesOf(error: Error): string[] {
  const codes = [
    adapterSqlState(error),
    field(error, 'originalCode'),
    field(error, 'meta', 'code'),
    field(error, 'code'),
  ];
  return codes.filter((code) => typeof code === 'string');
}

function faultOfCode(code: string): DatabaseFault | null {
  const ofPrisma = PRISMA_CODES.get(code);
  if (ofPrisma !== undefined) return ofPrisma;
  if (SOCKET_CODES.has(code)) return 'unreachable';
  if (!SQLSTATE.test(code)) return null;
  return SQLSTATES.find(([state]) => state.test(code))?.[1] ?? null;
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
