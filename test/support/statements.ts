/** What this process asks of its databases: gateways under test run in it. */
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';

/** Every statement of the file's tests, in order; empty it where counting begins. */
export function recordStatements(): string[] {
  const statements: string[] = [];
  const { query } = pg.Client.prototype;
  beforeAll(() => {
    pg.Client.prototype.query = function record(this: pg.Client, ...args: unknown[]) {
      const [first] = args as [string | { readonly text?: string }];
      statements.push(typeof first === 'string' ? first : (first.text ?? ''));
      return (query as (...all: unknown[]) => unknown).apply(this, args);
    } as typeof query;
  });
  afterAll(() => {
    pg.Client.prototype.query = query;
  });
  return statements;
}
