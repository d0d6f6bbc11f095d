// The embedded database's sessions are ours, too, whatever somebody has set on its server by hand.
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { afterTest } from '../support/cleanup.ts';
import { temporaryFolder } from './fixtures/embedded.ts';

const LEASES = `SELECT pid FROM pg_stat_activity WHERE application_name = 'gatehouse embedded' ORDER BY pid`;

function open(dataDir: string) {
  return openDatabase({ dataDir, poolSize: 2, statementTimeoutMs: 30_000, auditRetentionDays: 3_650 });
}

test('settings of its role end no session and change none, also across a restart of the server', async () => {
  const dataDir = await temporaryFolder();
  const first = await open(dataDir);
  for (const setting of [
    `DateStyle = 'German'`,
    `search_path = 'app'`,
    `statement_timeout = '1ms'`,
    `idle_session_timeout = '1ms'`,
    'session_replication_role = replica',
    'gatehouse.audit_retention_days = 1',
  ]) {
    await first.pool.query(`ALTER ROLE gatehouse SET ${setting}`);
  }
  await first.close();

  const second = await open(dataDir);
  afterTest(() => second.close());
  const before = await second.pool.query(LEASES);
  await delay(500); // an idle session would have been ended long before
  const after = await second.pool.query(LEASES);
  expect(before.rows).toHaveLength(1);
  expect(after.rows).toEqual(before.rows);
  const { rows } = await second.pool.query(
    `SELECT current_setting('search_path') AS path, current_setting('session_replication_role') AS role,
            current_setting('gatehouse.audit_retention_days') AS days, pg_sleep(0.01)::text AS slept`,
  );
  expect(rows).toEqual([{ path: 'public', role: 'origin', days: '3650', slept: '' }]);
  expect(await second.prisma.network.count()).toBe(0);
});
