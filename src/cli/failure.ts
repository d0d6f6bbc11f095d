/** How a command ends when it does not get done: 1, refused or failed; 2, wrong usage. */
import { CommanderError } from 'commander';
import { ConfigError } from '../config.ts';
import { EmbeddedError } from '../database/embedded/errors.ts';
import { databaseFault } from '../database/faults.ts';
import { MigrationError } from '../database/migrate/migration-error.ts';
import { SessionError } from '../database/session-client.ts';
import { redactLine } from '../domain/redaction.ts';
import type { Outcome, UserError } from '../domain/user-error.ts';

/** What was typed is no command. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What was asked for cannot be done; nothing has changed, unless `document` says what was done before. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly errors: readonly Problem[];
  /** More keys for the JSON document. */
  readonly document: Readonly<Record<string, unknown>>;

  constructor(errors: readonly Problem[], document: Readonly<Record<string, unknown>> = {}) {
    super(errors.map((error) => error.message).join('\n'));
    this.errors = errors;
    this.document = document;
  }
}

/** In the JSON document of a command that was refused or failed. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly field: readonly string[];
}

export interface Failure {
  readonly exitCode: 0 | 1 | 2;
  /** For standard error; null where it has been said already. */
  readonly message: string | null;
  /** For standard output, with --json; null where it stays empty. */
  readonly document: Readonly<Record<string, unknown>> | null;
}

/** The value of an outcome; throws Refused. */
export function accepted<Value>(outcome: Outcome<Value>): Value {
  if (outcome.ok) return outcome;
  // A person who typed options reads their names.
  throw new Refused(outcome.errors.map((error: UserError) => ({ ...error, field: error.field.slice(-1) })));
}

export function notFound(message: string, field: string): Refused {
  return new Refused([{ code: 'NOT_FOUND', message, field: [field] }]);
}

export function failureOf(error: unknown): Failure {
  // Commander has printed it: help that was asked for ends well, everything else is wrong usage.
  if (error instanceof CommanderError) return { exitCode: error.exitCode === 0 ? 0 : 2, message: null, document: null };
  if (error instanceof UsageError || error instanceof ConfigError) {
    return { exitCode: 2, message: error.message, document: null };
  }
  const refused = error instanceof Refused ? error : new Refused([problemOf(error)]);
  const message = refused.errors.map((problem) => problem.message).join('\n');
  return { exitCode: 1, message, document: { errors: refused.errors, ...refused.document } };
}

/** Their messages are sentences. */
const OPERATORS_ERRORS = [EmbeddedError, MigrationError, SessionError];

/** One clear sentence for what an operator can mend; the whole error for a bug. */
export function problemOf(error: unknown): Problem {
  if (OPERATORS_ERRORS.some((kind) => error instanceof kind)) return unavailable((error as Error).message);
  const fault = databaseFault(error);
  if (fault === 'unreachable') {
    return unavailable('The database of DATABASE_URL is out of reach: see that it runs and that the address is right.');
  }
  if (fault === 'read-only') {
    return unavailable('The database of DATABASE_URL is read-only: try again once it can be written.');
  }
  if (fault === 'busy') {
    return unavailable(
      'The database of DATABASE_URL cannot do this now (it lacks connections, memory or disk space, or waits for others): try again.',
    );
  }
  if (fault === 'timeout') return unavailable('The database took too long: try again, or raise STATEMENT_TIMEOUT_MS.');
  // PostgreSQL quotes the values of a row that it refused.
  const message = redactLine(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return { code: 'INTERNAL_SERVER_ERROR', message, field: [] };
}

function unavailable(message: string): Problem {
  return { code: 'SERVICE_UNAVAILABLE', message, field: [] };
}
