/** A real gateway for tests, on the run's database, with its log kept. */
import { tmpdir } from 'node:os';
import { inject } from 'vitest';
import { type Config, readConfig } from '../../src/config.ts';
import { type Gateway, type GatewayOptions, startGateway } from '../../src/gateway.ts';
import { createLogger } from '../../src/observability/logger.ts';

export const TEST_SECRET = 'a test secret of more than thirty-two characters';

export interface TestGateway extends Gateway {
  /** Every line that the gateway logged, parsed. */
  readonly log: Record<string, unknown>[];
}

/**
 * TEST_COMPILE_AFTER=0: each query is compiled at once. So the whole suite says whether answers are the same either way.
 * Empty: as it is by default.
 */
const QUERY_COMPILE_AFTER = process.env['TEST_COMPILE_AFTER'] ?? '';

/** The job that fills in mailboxes works on all networks: a test that counts statements is not in for a surprise. */
const QUIET: GatewayOptions = { fillMailboxesAfterMs: 600_000 };

/** `settings`: as in the environment. */
export async function startTestGateway(
  settings: Record<string, string> = {},
  options: GatewayOptions = {},
): Promise<TestGateway> {
  const log: Record<string, unknown>[] = [];
  const logger = createLogger('debug', { write: (line) => log.push(JSON.parse(line)) });
  const gateway = await startGateway(testConfig(settings), logger, { ...QUIET, ...options });
  return Object.assign(gateway, { log });
}

export function testConfig(settings: Record<string, string> = {}): Config {
  return readConfig({
    PORT: '0',
    DATABASE_URL: inject('databaseUrl'),
    DATA_DIR: `${tmpdir()}/gatehouse-unused`,
    GATEHOUSE_SECRETS: TEST_SECRET,
    DATABASE_POOL_SIZE: '5',
    // Written when the gateway closes: a test that counts statements, or compares tables, is not in for a surprise.
    USAGE_FLUSH_INTERVAL_MS: '60000',
    QUERY_COMPILE_AFTER,
    ...settings,
  });
}
