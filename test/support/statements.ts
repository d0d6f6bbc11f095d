/** What this process asks of its databases: gateways under test run in it. */
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';

export interface SentStatement {
  readonly text: string;
  /** Absent where it was sent as a text alone. */
  readonly values?: unknown[];
}

type Send = (...args: unknown[]) => unknown;

/** Puts `around` in the way of each statement that is sent, until the function that it returns is called. */
export function aroundStatements(
  around: (statement: SentStatement, args: unknown[], send: Send) => unknown,
): () => void {
  const { query } = pg.Client.prototype;
  pg.Client.prototype.query = function intercepted(this: pg.Client, ...args: unknown[]) {
    const [first] = args as [string | SentStatement];
    const send: Send = (...given) => (query as Send).apply(this, given);
    return around(typeof first === 'string' ? { text: first } : first, args, send);
  } as typeof query;
  return () => {
    pg.Client.prototype.query = query;
  };
}

/** Tells of each statement that is sent, until the function that it returns is called. */
export function onEachStatement(tell: (statement: SentStatement) => void): () => void {
  return aroundStatements((statement, args, send) => {
    tell(statement);
    return send(...args);
  });
}

/** Every statement of the file's tests, in order; empty it where counting begins. */
export function recordStatements(): string[] {
  const statements: string[] = [];
  let stop: (() => void) | null = null;
  beforeAll(() => {
    stop = onEachStatement(({ text }) => statements.push(text ?? ''));
  });
  afterAll(() => stop?.());
  return statements;
}
