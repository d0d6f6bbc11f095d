/** What the tests of one file share: the run's database and one gateway on it, closed after the last test. */
import { afterAll, beforeAll } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { type CallOptions, graphql, type Reply } from './client.ts';
import { openTestDatabase } from './fixtures.ts';
import { startTestGateway, type TestGateway } from './gateway.ts';

export interface Suite {
  readonly database: Database;
  readonly gateway: TestGateway;
  readonly url: string;
  /** Asks the gateway, at `/graphql` where the options name no path. */
  call(token: string | null, query: string, options?: CallOptions): Promise<Reply>;
}

/** `settings`: the gateway's, as in the environment. */
export function useGateway(settings: Record<string, string> = {}): Suite {
  const open: { database?: Database; gateway?: TestGateway } = {};
  beforeAll(async () => {
    open.database = await openTestDatabase();
    open.gateway = await startTestGateway(settings);
  });
  afterAll(async () => {
    await open.gateway?.close();
    await open.database?.close();
  });
  return {
    get database() {
      return started(open.database);
    },
    get gateway() {
      return started(open.gateway);
    },
    get url() {
      return started(open.gateway).url;
    },
    call: (token, query, options) => graphql(started(open.gateway).url, token, query, options),
  };
}

function started<Part>(part: Part | undefined): Part {
  if (part === undefined) throw new Error('only within a test: the suite is not started yet');
  return part;
}
