/** What the tests of one file share: a database and one gateway on it, closed after the last test. */
import { afterAll, beforeAll } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { type CallOptions, graphql, type Reply } from './client.ts';
import { openTestDatabase } from './fixtures.ts';
import { startTestGateway, type TestGateway } from './gateway.ts';
import { scratchUrl } from './scratch.ts';

export interface Suite {
  readonly database: Database;
  readonly gateway: TestGateway;
  readonly url: string;
  /** Asks the gateway, at `/graphql` where the options name no path. */
  call(token: string | null, query: string, options?: CallOptions): Promise<Reply>;
}

interface Parts {
  readonly database: Database;
  readonly gateway: TestGateway;
}

/** On the run's database, which other test files use at the same time. `settings`: as in the environment. */
export function useGateway(settings: Record<string, string> = {}): Suite {
  return suiteOf(async () => ({ database: await openTestDatabase(), gateway: await startTestGateway(settings) }));
}

/**
 * On a database of its own: for locking and breaking tables. `through` may put something between the gateway and the
 * database, by giving another URL; the suite's own connections go straight to it.
 */
export function useScratchGateway(
  settings: Record<string, string> = {},
  through: (url: string) => Promise<string> = async (url) => url,
): Suite {
  return suiteOf(async () => {
    const url = await scratchUrl({ migrated: true });
    const database = await openDatabase({ url, dataDir: '', poolSize: 5, statementTimeoutMs: 30_000 });
    return { database, gateway: await startTestGateway({ DATABASE_URL: await through(url), ...settings }) };
  });
}

function suiteOf(start: () => Promise<Parts>): Suite {
  let parts: Parts | null = null;
  beforeAll(async () => {
    parts = await start();
  });
  afterAll(async () => {
    await parts?.gateway.close();
    await parts?.database.close();
  });
  const started = (): Parts => {
    if (parts === null) throw new Error('the suite starts with its first test');
    return parts;
  };
  return {
    get database() {
      return started().database;
    },
    get gateway() {
      return started().gateway;
    },
    get url() {
      return started().gateway.url;
    },
    call: (token, query, options) => graphql(started().gateway.url, token, query, options),
  };
}
