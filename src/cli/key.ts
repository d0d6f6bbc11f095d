/** `gatehouse key …`: making, listing and showing. Changing and ending are in key-changes.ts and key-endings.ts. */
import type { Command } from 'commander';
import type { Database } from '../database/database.ts';
import type { Admin, Network } from '../database/generated/client.ts';
import { keyConditions } from '../database/key-filter.ts';
import { previousSecrets } from '../database/previous-secrets.ts';
import { API_KEYS, type KeyRow } from '../database/tables.ts';
import { statusOf } from '../domain/api-key.ts';
import { toId } from '../domain/id.ts';
import { ENVIRONMENTS, type Environment } from '../domain/token.ts';
import { COMMAND_LINE } from '../services/actor.ts';
import { findAdmin, firstAdmin } from '../services/admins.ts';
import { createApiKey } from '../services/api-keys/create.ts';
import {
  addresses,
  choiceOption,
  DIRECTIONS,
  type Direction,
  expiryOptions,
  networkOption,
  scopes,
} from './arguments.ts';
import { accepted, notFound } from './failure.ts';
import { addChangeCommands } from './key-changes.ts';
import { addEndingCommands } from './key-endings.ts';
import { type KeyFilterOptions, keyFilterOf, keyFilterOptions } from './key-filter.ts';
import { documentOf, expiryOf, theKey } from './key-reference.ts';
import { addKeyUsage } from './key-usage.ts';
import type { TableColumn } from './output.ts';
import { pagesOf } from './pages.ts';
import { inSession, theNetwork } from './session.ts';

export function addKeyCommands(program: Command): void {
  const key = program.command('key').description('API keys, with which programs read a network');
  addCreate(key);
  addList(key);
  addShow(key);
  addChangeCommands(key);
  addEndingCommands(key);
  addKeyUsage(key);
}

interface CreateOptions {
  readonly network: string;
  readonly name: string;
  readonly note?: string;
  readonly scope: readonly string[];
  readonly admin?: string;
  readonly environment?: Environment;
  readonly allow?: readonly string[];
  readonly expiresIn?: number;
  readonly expiresAt?: Date;
}

function addCreate(key: Command): void {
  const create = key
    .command('create')
    .description('make an API key; its token is shown this once')
    .addOption(networkOption())
    .requiredOption(
      '--name <name>',
      'what it is for; unique among the keys of the network that are neither revoked nor expired',
    )
    .option('--note <note>', 'more on what it is for')
    .requiredOption('--scope <scope>', 'what it may do; repeat it, or part several by commas', scopes)
    .option('--admin <admin>', 'whom it acts for, by e-mail address or id (the first owner)')
    .addOption(choiceOption('--environment <environment>', 'a test key may not write members', ENVIRONMENTS))
    .option(
      '--allow <address>',
      'from where it may be used, such as 203.0.113.0/24; repeat it (everywhere)',
      addresses,
    );
  for (const option of expiryOptions()) create.addOption(option);
  create.addHelpText('after', CREATE_HELP).action((options: CreateOptions, command: Command) =>
    inSession(command, async (session) => {
      const network = await theNetwork(session, options.network);
      const admin = await adminFor(session.database, network, options.admin);
      const input = {
        name: options.name,
        note: options.note ?? null,
        scopes: options.scope,
        allowedAddresses: options.allow ?? [],
        expiresAt: (await expiryOf(session.database, options)) ?? null,
        environment: options.environment ?? 'LIVE',
        adminId: admin.id,
      };
      const made = accepted(await createApiKey(session.database, COMMAND_LINE, network.id, input));
      const { name, scopes: granted, expiresAt } = made.apiKey;
      const id = toId('ApiKey', made.apiKey.id);
      const document = { id, name, token: made.token, scopes: granted, expiresAt: expiresAt?.toISOString() ?? null };
      await session.output.answer(document, made.token);
      const until = expiresAt === null ? 'until it is revoked' : `until ${expiresAt.toISOString()}`;
      session.output.note(`Key ${name} (${id}) acts for ${admin.email} ${until}. Its token is not shown again.`);
    }),
  );
}

const CREATE_HELP = `
Only the token is printed on standard output:
  $ TOKEN=$(gatehouse key create --network acme --name CI --scope members:read --expires-in 90d)`;

async function adminFor(database: Database, network: Network, reference: string | undefined): Promise<Admin> {
  if (reference === undefined) {
    const first = await firstAdmin(database, network.id);
    if (first !== null) return first;
    const command = `gatehouse admin create --network ${network.slug} --email ADDRESS --name NAME`;
    throw notFound(`${network.slug} has no admin for whom a key could act; make one: ${command}`, 'admin');
  }
  const named = await findAdmin(database, network.id, reference);
  if (named === null) throw notFound(`${network.slug} has no admin ${reference}`, 'admin');
  return named;
}

function addList(key: Command): void {
  const list = key
    .command('list')
    .description('the keys of a network, by when they were made; tokens are never shown')
    .addOption(networkOption())
    .addOption(choiceOption('--sort <field>', 'by what; by when they were made if you do not say otherwise', SORTS))
    .addOption(choiceOption('--order <order>', 'which end comes first (asc)', DIRECTIONS))
    .optionsGroup('The keys that satisfy all that is given of:');
  for (const option of keyFilterOptions()) list.addOption(option);
  list.addHelpText('after', LIST_HELP).action((options: ListOptions, command: Command) =>
    inSession(command, async (session) => {
      const network = await theNetwork(session, options.network);
      const { sort = 'ID', order = 'ASC' } = options;
      const conditions = keyConditions(await keyFilterOf(session, network, options));
      const page = { order: sort, descending: order === 'DESC', conditions };
      await session.output.list(pagesOf<KeyRow>(session.database, network.id, API_KEYS, page), documentOf, COLUMNS);
    }),
  );
}

/** `id` is the order in which they were made. */
const SORTS = Object.keys(API_KEYS.orders) as (keyof typeof API_KEYS.orders)[];

interface ListOptions extends KeyFilterOptions {
  readonly network: string;
  readonly sort?: keyof typeof API_KEYS.orders;
  readonly order?: Direction;
}

const LIST_HELP = `
Example:
  $ gatehouse key list --network acme --status active --unused-for 90d --sort last_used_at`;

const COLUMNS: readonly TableColumn<KeyRow>[] = [
  ['ID', ({ id }) => toId('ApiKey', id)],
  ['NAME', ({ name }) => name],
  ['TOKEN', ({ redactedToken }) => redactedToken],
  ['STATUS', statusOf],
  ['SCOPES', (apiKey) => apiKey.scopes.join(',')],
  ['EXPIRES', ({ expiresAt }) => expiresAt?.toISOString() ?? '-'],
  ['LAST USED', ({ lastUsedAt }) => lastUsedAt?.toISOString() ?? '-'],
];

function addShow(key: Command): void {
  key
    .command('show')
    .description('one key, with the token before its last rotation while that still works')
    .argument('<id>', "the key's id")
    .addOption(networkOption())
    .action((id: string, { network }: { network: string }, command: Command) =>
      inSession(command, async (session) => {
        const apiKey = await theKey(session, await theNetwork(session, network), id);
        const [previous] = await previousSecrets(session.database.pool, apiKey.networkId, [apiKey.id]);
        const document = {
          ...documentOf(apiKey),
          previousToken:
            previous === undefined
              ? null
              : {
                  redactedToken: previous.redactedToken,
                  expiresAt: previous.expiresAt.toISOString(),
                  lastUsedAt: previous.lastUsedAt?.toISOString() ?? null,
                },
        };
        const lines = Object.entries(document).map(([name, value]) => `${name.padEnd(18)}${shown(value)}`);
        await session.output.answer(document, lines.join('\n'));
      }),
    );
}

function shown(value: unknown): string {
  if (value === null) return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.join(', ');
  if (typeof value !== 'object') return String(value);
  return Object.entries(value)
    .map(([name, each]) => `${name} ${each ?? '-'}`)
    .join(', ');
}
