/** `gatehouse key usage`: how much the keys of a network are used, or one key over time. */
import type { Command } from 'commander';
import { type KeyUsage, usageByKey, usageRows } from '../database/usage-counts.ts';
import { toId, uuidOf } from '../domain/id.ts';
import {
  addUsage,
  NO_USAGE,
  USAGE_BUCKETS,
  type UsageBucket,
  type UsageFigures,
  type UsageRange,
  usageRange,
} from '../domain/usage.ts';
import { choiceOption, isoTime, networkOption } from './arguments.ts';
import { notFound, UsageError } from './failure.ts';
import type { TableColumn } from './output.ts';
import { inSession, type Session, theNetwork } from './session.ts';

interface UsageOptions {
  readonly network: string;
  readonly bucket?: UsageBucket;
  readonly since?: Date;
  readonly until?: Date;
}

export function addKeyUsage(key: Command): void {
  key
    .command('usage')
    .description('how much each key of a network was used, or one key over time')
    .argument('[id]', 'one key, by its id')
    .addOption(networkOption())
    .addOption(choiceOption('--bucket <length>', 'counted by the hour, if you do not say otherwise', USAGE_BUCKETS))
    .option('--since <time>', 'in ISO 8601 (the last 60 minutes, 24 hours or 30 days)', isoTime)
    .option('--until <time>', 'before then (now)', isoTime)
    .addHelpText('after', HELP)
    .action((id: string | undefined, options: UsageOptions, command: Command) =>
      inSession(command, async (session) => {
        const range = rangeOf(options, session);
        const { id: networkId, slug } = await theNetwork(session, options.network);
        if (id === undefined) return listKeys(session, networkId, range);
        const keyId = uuidOf('ApiKey', id);
        if (keyId === null) throw notFound(`${slug} has no key ${id}`, 'id');
        return listBuckets(session, networkId, keyId, range);
      }),
    );
}

const HELP = `
With --json the list is in an object that has the range and the total, too. Requests are all with a valid token, errors and limited ones among them. Deleted keys are listed without a name. Of one
key the buckets without a request are left out. Minutes and hours are kept for a time, days for good.

Examples:
  $ gatehouse key usage --network acme --bucket day --since 2026-11-01
  $ gatehouse key usage --network acme key_01h455vb4pex5vsknk084sn02q`;

function rangeOf({ bucket = 'HOUR', since, until }: UsageOptions, { database, usageRetention }: Session): UsageRange {
  const range = usageRange({ bucket, since, until }, new Date(database.clock.now()), usageRetention);
  if ('message' in range) throw new UsageError(range.message.replaceAll(/`(\w+)`/g, '--$1'));
  return range;
}

const FIGURES: readonly TableColumn<UsageFigures>[] = [
  ['REQUESTS', ({ requests }) => String(requests)],
  ['ERRORS', ({ errors }) => String(errors)],
  ['LIMITED', ({ limited }) => String(limited)],
  ['COST', ({ cost }) => String(cost)],
];

/** A row a key, and in a table the sum of them all. */
async function listKeys({ database, output }: Session, networkId: string, range: UsageRange): Promise<void> {
  const columns: readonly TableColumn<KeyUsage>[] = [
    ['ID', ({ keyId }) => toId('ApiKey', keyId)],
    ['NAME', ({ name }) => name ?? '-'],
    ...FIGURES,
  ];
  const document = ({ keyId, ...usage }: KeyUsage) => ({ id: toId('ApiKey', keyId), ...usage });
  let all = NO_USAGE;
  const pages = async function* () {
    for await (const page of usageByKey(database.pool, networkId, range)) {
      all = page.reduce(addUsage, all);
      yield page;
    }
  };
  const frame = { name: 'keys', before: rangeDocument(range), after: () => ({ total: all }) };
  await output.list(pages(), document, columns, frame);
  const { requests, errors, limited, cost } = all;
  const figures = `${requests} requests, ${errors} errors, ${limited} limited, cost ${cost}`;
  output.note(`From ${range.since.toISOString()} to ${range.until.toISOString()}: ${figures}.`);
}

async function listBuckets(
  { database, output }: Session,
  networkId: string,
  keyId: string,
  range: UsageRange,
): Promise<void> {
  type Row = Awaited<ReturnType<typeof usageRows>>[number];
  const columns: readonly TableColumn<Row>[] = [['FROM', ({ startsAt }) => startsAt.toISOString()], ...FIGURES];
  const document = ({ startsAt, requests, errors, limited, cost }: Row) => {
    return { startsAt: startsAt.toISOString(), requests, errors, limited, cost };
  };
  const rows = await usageRows(database.pool, networkId, range, [keyId]);
  const page = async function* () {
    yield rows;
  };
  const before = { id: toId('ApiKey', keyId), ...rangeDocument(range) };
  const frame = { name: 'buckets', before, after: () => ({ total: rows.reduce(addUsage, NO_USAGE) }) };
  await output.list(page(), document, columns, frame);
}

function rangeDocument({ bucket, since, until }: UsageRange): Record<string, string> {
  return { bucket, since: since.toISOString(), until: until.toISOString() };
}
