/**
 * The log: one JSON line an event, on standard error, so that standard output stays for what a person or script asked
 * for. Nothing that looks like a token, a digest or an e-mail address gets into a line, whoever put it there.
 */
import { pino } from 'pino';
import { redactLine } from '../domain/redaction.ts';
import { BoundedDestination } from './bounded-destination.ts';

export type Logger = Pick<pino.Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'>;

const CAUSES_MAX = 5;

interface Destination {
  write(line: string): unknown;
}

const standardError = new BoundedDestination(process.stderr);

export function createLogger(level: string, destination: Destination = standardError): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // `err` too: pino's own serializer of it would take every property along.
      serializers: { error: (error: unknown) => describeError(error), err: (error: unknown) => describeError(error) },
      errorKey: 'error',
    },
    { write: (line: string) => destination.write(redactLine(line)) },
  );
}

/**
 * What is logged of an error. Named properties only: PostgreSQL's `detail` and Prisma's `meta` hold the values of the
 * row that was refused.
 */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return { message: `thrown: ${typeof error}` };
  return {
    type: error.name,
    message: error.message,
    ...('code' in error ? { code: error.code } : {}),
    stack: error.stack,
    ...(error.cause !== undefined && depth < CAUSES_MAX ? { cause: describeError(error.cause, depth + 1) } : {}),
  };
}
