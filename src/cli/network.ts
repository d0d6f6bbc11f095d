/** `gatehouse network …` */
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { Network } from '../database/generated/client.ts';
import { toId } from '../domain/id.ts';
import { PLANS, type Plan, planNumbers } from '../domain/plan.ts';
import { COMMAND_LINE } from '../services/actor.ts';
import {
  createNetwork,
  deleteNetwork,
  listNetworks,
  resumeNetwork,
  suspendNetwork,
  updateNetwork,
} from '../services/networks.ts';
import { boundSeconds, choiceOption, isJson, wholeNumber } from './arguments.ts';
import { accepted, Refused, UsageError } from './failure.ts';
import type { TableColumn } from './output.ts';
import { inSession, type Session, theNetwork } from './session.ts';

export function addNetworkCommands(program: Command): void {
  const network = program.command('network').description('networks, the communities that are served');
  addCreate(network);
  addList(network);
  addShow(network);
  addUpdate(network);
  addSwitches(network);
  addDelete(network);
}

interface PlanOptions {
  readonly plan?: Plan;
  readonly requestsPerMinute?: number;
  readonly networkRequestsPerMinute?: number;
  readonly costPerMinute?: number;
  readonly monthlyQuota?: number | 'none';
  readonly enforceMonthlyQuota?: boolean;
  readonly maxKeyLifetime?: number | 'none';
}

function withPlanOptions(command: Command): Command {
  return command
    .addOption(choiceOption('--plan <plan>', 'what its keys may use', PLANS))
    .option('--requests-per-minute <n>', 'of a custom plan: requests a minute of a key', wholeNumber)
    .option('--network-requests-per-minute <n>', 'of all keys together (10 times as many)', wholeNumber)
    .option('--cost-per-minute <n>', 'cost points a minute of a key (100 times as many)', wholeNumber)
    .option('--monthly-quota <n>', 'requests a calendar month (UTC) of all keys; `none` takes it away', quota)
    .option('--enforce-monthly-quota', 'refuse requests past it; else it is counted and warned of')
    .option('--no-enforce-monthly-quota', 'warn only')
    .option('--max-key-lifetime <time>', 'the longest that its keys may live, such as 90d, or none', boundSeconds);
}

function quota(text: string): number | 'none' {
  return text === 'none' ? text : wholeNumber(text);
}

function addCreate(network: Command): void {
  withPlanOptions(network.command('create').description('make a network'))
    .requiredOption('--slug <slug>', 'its short name: 1 to 63 lower-case letters, digits and hyphens')
    .requiredOption('--name <name>', 'its name')
    .addHelpText('after', CREATE_HELP)
    .action((options: PlanOptions & { slug: string; name: string }, command: Command) =>
      inSession(command, async ({ database, output }) => {
        const { network: made } = accepted(await createNetwork(database, COMMAND_LINE, inputOf(options)));
        const { slug, name, plan } = made;
        const id = toId('Network', made.id);
        await output.answer({ id, slug, name, plan }, `Made the network ${slug} (${id}), plan ${plan}.`);
      }),
    );
}

const CREATE_HELP = `
Examples:
  $ gatehouse network create --slug acme --name "Acme"
  $ gatehouse network create --slug big --name "Big" --plan custom --requests-per-minute 1000`;

function inputOf(options: PlanOptions & { slug: string; name: string }): Parameters<typeof createNetwork>[2] {
  const { slug, name, plan = 'STANDARD' } = options;
  if (plan === 'CUSTOM' && options.requestsPerMinute === undefined) {
    throw new UsageError('--plan custom needs --requests-per-minute');
  }
  return {
    slug,
    name,
    plan,
    requestsPerMinute: options.requestsPerMinute ?? null,
    networkRequestsPerMinute: options.networkRequestsPerMinute ?? null,
    costPerMinute: options.costPerMinute ?? null,
    monthlyQuota: unlessNone(options.monthlyQuota) ?? null,
    monthlyQuotaEnforced: options.enforceMonthlyQuota ?? false,
    maxKeyLifeSeconds: unlessNone(options.maxKeyLifetime) ?? null,
  };
}

/** Undefined: it stays as it is. (To the parser of options null would be no value.) */
function unlessNone(value: number | 'none' | undefined): number | null | undefined {
  return value === 'none' ? null : value;
}

function addList(network: Command): void {
  network
    .command('list')
    .description('all networks')
    .action((_options: object, command: Command) =>
      inSession(command, ({ database, output }) => output.list(listNetworks(database), documentOf, COLUMNS)),
    );
}

const COLUMNS: readonly TableColumn<Network>[] = [
  ['ID', ({ id }) => toId('Network', id)],
  ['SLUG', ({ slug }) => slug],
  ['NAME', ({ name }) => name],
  ['PLAN', ({ plan }) => plan],
  ['STATUS', ({ suspendedAt }) => (suspendedAt === null ? 'ACTIVE' : 'SUSPENDED')],
];

/** Reads the one network that a command is about. As an argument, or as the option that other nouns have. */
function withNetwork(
  command: Command,
  work: (session: Session, found: Network, options: Record<string, unknown>) => Promise<void>,
): void {
  command
    .argument('[network]', 'its slug or id')
    .option('--network <network>', 'the same, as other commands take it')
    .action((argument: string | undefined, options: { network?: string } & Record<string, unknown>) => {
      const reference = argument ?? options.network;
      if (reference === undefined) throw new UsageError(`say which network: gatehouse network ${command.name()} SLUG`);
      return inSession(command, async (session) => work(session, await theNetwork(session, reference), options));
    });
}

function addShow(network: Command): void {
  withNetwork(network.command('show').description('one network'), ({ output }, found) => {
    const lines = Object.entries(documentOf(found)).map(([name, value]) => `${name.padEnd(26)}${value ?? '-'}`);
    return output.answer(documentOf(found), lines.join('\n'));
  });
}

function addUpdate(network: Command): void {
  const command = withPlanOptions(network.command('update').description('change a network; what is left out stays'))
    .option('--slug <slug>', 'a new short name; addresses that hold the old one stop working')
    .option('--name <name>', 'a new name')
    .addHelpText('after', '\nExample:\n  $ gatehouse network update acme --plan premium');
  withNetwork(command, async ({ database, output }, found) => {
    const changes = command.opts<PlanOptions & { slug?: string; name?: string }>();
    const { network: changed } = accepted(await updateNetwork(database, COMMAND_LINE, found.id, changesOf(changes)));
    await output.answer(documentOf(changed), `The network ${changed.slug} is up to date, plan ${changed.plan}.`);
  });
}

function changesOf(options: PlanOptions & { slug?: string; name?: string }): Parameters<typeof updateNetwork>[3] {
  const { requestsPerMinute, networkRequestsPerMinute, costPerMinute, slug, name, plan } = options;
  const perMinute = { requestsPerMinute, networkRequestsPerMinute, costPerMinute };
  const bounds = {
    monthlyQuota: unlessNone(options.monthlyQuota),
    monthlyQuotaEnforced: options.enforceMonthlyQuota,
    maxKeyLifeSeconds: unlessNone(options.maxKeyLifetime),
  };
  const changes = { slug, name, plan, ...perMinute, ...bounds };
  if (Object.values(changes).every((value) => value === undefined))
    throw new UsageError('say what to change (--help lists it)');
  return changes;
}

function addSwitches(network: Command): void {
  const suspend = network.command('suspend').description('let no token of a network in; nothing is deleted');
  withNetwork(suspend, async ({ database, output }, found) => {
    const { network: changed } = accepted(await suspendNetwork(database, COMMAND_LINE, found.id));
    await output.answer(documentOf(changed), `The network ${changed.slug} is suspended: none of its tokens is let in.`);
  });
  const resume = network.command('resume').description('end a suspension');
  withNetwork(resume, async ({ database, output }, found) => {
    const { network: changed } = accepted(await resumeNetwork(database, COMMAND_LINE, found.id));
    await output.answer(documentOf(changed), `The network ${changed.slug} is active.`);
  });
}

function addDelete(network: Command): void {
  const command = network
    .command('delete')
    .description('delete a network with all its members, admins and keys, for good; its audit events stay')
    .option('--yes', 'do not ask');
  withNetwork(command, async ({ database, output }, found, { yes }) => {
    if (yes !== true) await confirm(found.slug, isJson(command));
    const { members } = accepted(await deleteNetwork(database, COMMAND_LINE, found.id));
    const { slug } = found;
    const document = { id: toId('Network', found.id), slug, deleted: true, members };
    await output.answer(document, `Deleted the network ${slug} and ${members} members.`);
  });
}

async function confirm(slug: string, json: boolean): Promise<void> {
  if (json || !process.stdin.isTTY) throw new UsageError('this deletes for good: add --yes where nobody can be asked');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const typed = await terminal.question(`This deletes the network ${slug} for good. Type its slug to go on: `);
  terminal.close();
  if (typed.trim() === slug) return;
  throw new Refused([{ code: 'INVALID', message: 'That is not its slug: nothing was deleted.', field: ['network'] }]);
}

function documentOf(network: Network): Record<string, string | number | boolean | null> {
  return {
    id: toId('Network', network.id),
    slug: network.slug,
    name: network.name,
    plan: network.plan,
    ...planNumbers(network.plan, network),
    monthlyQuota: network.monthlyQuota,
    monthlyQuotaEnforced: network.monthlyQuotaEnforced,
    maxKeyLifeSeconds: network.maxKeyLifeSeconds,
    suspendedAt: network.suspendedAt?.toISOString() ?? null,
    createdAt: network.createdAt.toISOString(),
  };
}
