/** `gatehouse audit failures | refusals`: what was refused, by the minute. */
import type { Command } from 'commander';
import type { AuthenticationFailure, RefusedAttempt } from '../database/generated/client.ts';
import type { KeysetTable } from '../database/keyset.ts';
import { AUTHENTICATION_FAILURES, REFUSED_ATTEMPTS, refusalConditions } from '../database/record-lists.ts';
import { toId, uuidOf } from '../domain/id.ts';
import { isoTime, networkOption, wholeNumber } from './arguments.ts';
import { UsageError } from './failure.ts';
import type { TableColumn } from './output.ts';
import { pagesOf } from './pages.ts';
import { inSession, networkIdOf } from './session.ts';

export function addRefusalCommands(audit: Command): void {
  addList<AuthenticationFailure>(
    audit.command('failures').description("tokens of the network's own keys that were not let in, the latest first"),
    AUTHENTICATION_FAILURES,
    [['REASON', ({ reason }) => reason]],
    ({ reason }) => ({ reason }),
  );
  addList<RefusedAttempt>(
    audit.command('refusals').description('changes of keys that were asked for and refused, the latest first'),
    REFUSED_ATTEMPTS,
    [
      ['ACTION', ({ action }) => action],
      ['CODE', ({ code }) => code],
    ],
    ({ action, code }) => ({ action, code }),
  );
}

interface ListOptions {
  readonly network: string;
  readonly key?: string;
  readonly since?: Date;
  readonly until?: Date;
  readonly limit?: number;
}

/** `what`: of a row, what was refused, as columns and in a document. */
function addList<Row extends AuthenticationFailure | RefusedAttempt>(
  command: Command,
  table: KeysetTable<Row>,
  what: readonly TableColumn<Row>[],
  documentOf: (row: Row) => Record<string, string>,
): void {
  const columns: readonly TableColumn<Row>[] = [
    ['MINUTE', ({ minute }) => minute.toISOString()],
    ['KEY', ({ keyId }) => toId('ApiKey', keyId)],
    ...what,
    ['COUNT', ({ count }) => String(count)],
  ];
  command
    .addOption(networkOption())
    .option('--key <id>', 'of one key, be it there still or not')
    .option('--since <time>', 'in minutes that begin from then on, in ISO 8601', isoTime)
    .option('--until <time>', 'in minutes that begin before then', isoTime)
    .option('--limit <n>', 'so many at the most (all)', wholeNumber)
    .action(({ network, key, since, until, limit }: ListOptions, action: Command) => {
      const keyId = key === undefined ? undefined : uuidOf('ApiKey', key);
      if (keyId === null) throw new UsageError('--key takes the id of a key');
      return inSession(action, async (session) => {
        const conditions = refusalConditions({ keyId, since, until });
        const list = { order: 'MINUTE', descending: true, conditions, limit };
        const rows = pagesOf<Row>(session.database, await networkIdOf(session, network), table, list);
        const document = (row: Row) => {
          const { keyId: uuid, minute, count } = row;
          return { keyId: toId('ApiKey', uuid), ...documentOf(row), minute: minute.toISOString(), count };
        };
        await session.output.list(rows, document, columns);
      });
    });
}
