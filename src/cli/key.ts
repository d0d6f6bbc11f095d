/** `gatehouse key …` */
import { type Command, Option } from 'commander';
import type { Database } from '../database/database.ts';
import type { Admin, ApiKey, Network } from '../database/generated/client.ts';
import { toId, uuidOf } from '../domain/id.ts';
import { ENVIRONMENTS, type Environment } from '../domain/token.ts';
import { COMMAND_LINE } from '../services/actor.ts';
import { findAdmin, firstAdmin } from '../services/admins.ts';
import { createApiKey } from '../services/api-keys/create.ts';
import { revokeApiKey } from '../services/api-keys/revoke.ts';
import { choiceOption, durationMs, isoTime, networkOption, scopes } from './arguments.ts';
import { accepted, notFound } from './failure.ts';
import type { TableColumn } from './output.ts';
import { inSession, theNetwork } from './session.ts';

const PAGE_KEYS = 500;

export function addKeyCommands(program: Command): void {
  const key = program.command('key').description('API keys, with which programs read a network');
  addCreate(key);
  addList(key);
  addRevoke(key);
}

interface CreateOptions {
  readonly network: string;
  readonly name: string;
  readonly scope: readonly string[];
  readonly admin?: string;
  readonly environment?: Environment;
  readonly expiresIn?: number;
  readonly expiresAt?: Date;
}

function addCreate(key: Command): void {
  key
    .command('create')
    .description('make an API key; its token is shown this once')
    .addOption(networkOption())
    .requiredOption('--name <name>', 'what it is for; unique among the keys of the network that are not revoked')
    .requiredOption('--scope <scope>', 'what it may do; repeat it, or part several by commas', scopes)
    .option('--admin <admin>', 'whom it acts for, by e-mail address or id (the first owner)')
    .addOption(choiceOption('--environment <environment>', 'a test key may not write members', ENVIRONMENTS))
    .addOption(new Option('--expires-in <time>', 'such as 90d or 12h').argParser(durationMs).conflicts('expiresAt'))
    .addOption(new Option('--expires-at <time>', 'in ISO 8601, such as 2027-01-31T00:00:00Z').argParser(isoTime))
    .addHelpText('after', CREATE_HELP)
    .action((options: CreateOptions, command: Command) =>
      inSession(command, async (session) => {
        const network = await theNetwork(session, options.network);
        const admin = await adminFor(session.database, network, options.admin);
        const input = {
          name: options.name,
          scopes: options.scope,
          expiresAt: expiryOf(options),
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

function expiryOf({ expiresIn, expiresAt }: CreateOptions): Date | null {
  if (expiresIn !== undefined) return new Date(Date.now() + expiresIn);
  return expiresAt ?? null;
}

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
  key
    .command('list')
    .description('the keys of a network; tokens are never shown')
    .addOption(networkOption())
    .action(({ network }: { network: string }, command: Command) =>
      inSession(command, async (session) => {
        const { id } = await theNetwork(session, network);
        await session.output.list(keysOf(session.database, id), documentOf, COLUMNS);
      }),
    );
}

const COLUMNS: readonly TableColumn<ApiKey>[] = [
  ['ID', ({ id }) => toId('ApiKey', id)],
  ['NAME', ({ name }) => name],
  ['TOKEN', ({ redactedToken }) => redactedToken],
  ['STATUS', statusOf],
  ['SCOPES', (apiKey) => apiKey.scopes.join(',')],
  ['EXPIRES', ({ expiresAt }) => expiresAt?.toISOString() ?? '-'],
  ['LAST USED', ({ lastUsedAt }) => lastUsedAt?.toISOString() ?? '-'],
];

/** All keys of a network by id, a page at a time. */
async function* keysOf(database: Database, networkId: string): AsyncGenerator<ApiKey[]> {
  let after: string | null = null;
  for (;;) {
    const where = { networkId, ...(after === null ? {} : { id: { gt: after } }) };
    const page: ApiKey[] = await database.prisma.apiKey.findMany({ where, orderBy: { id: 'asc' }, take: PAGE_KEYS });
    yield page;
    after = page.at(-1)?.id ?? null;
    if (page.length < PAGE_KEYS) return;
  }
}

function addRevoke(key: Command): void {
  key
    .command('revoke')
    .description('end a key for good: when this returns, its token is let in nowhere')
    .argument('<id>', "the key's id, as `key list` shows it")
    .addOption(networkOption())
    .addHelpText('after', '\nExample:\n  $ gatehouse key revoke --network acme key_01h455vb4pex5vsknk084sn02q')
    .action((id: string, { network }: { network: string }, command: Command) =>
      inSession(command, async (session) => {
        const { id: networkId, slug } = await theNetwork(session, network);
        const uuid = uuidOf('ApiKey', id);
        if (uuid === null) throw notFound(`${slug} has no key ${id}`, 'id');
        const { apiKey } = accepted(await revokeApiKey(session.database, COMMAND_LINE, networkId, uuid));
        await session.output.answer(documentOf(apiKey), `Revoked the key ${apiKey.name} (${id}) of ${slug}.`);
      }),
    );
}

/** By this machine's clock: for show. What is let in goes by the database's. */
function statusOf({ revokedAt, expiresAt }: ApiKey): 'ACTIVE' | 'EXPIRED' | 'REVOKED' {
  if (revokedAt !== null) return 'REVOKED';
  return expiresAt !== null && expiresAt.getTime() <= Date.now() ? 'EXPIRED' : 'ACTIVE';
}

function documentOf(apiKey: ApiKey): Record<string, unknown> {
  const { name, redactedToken, scopes: granted, environment, createdAt, expiresAt, lastUsedAt, revokedAt } = apiKey;
  return {
    id: toId('ApiKey', apiKey.id),
    name,
    redactedToken,
    status: statusOf(apiKey),
    scopes: granted,
    environment,
    adminId: toId('Admin', apiKey.adminId),
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt?.toISOString() ?? null,
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
    revokedAt: revokedAt?.toISOString() ?? null,
  };
}
