/** `gatehouse admin …` */
import type { Command } from 'commander';
import type { Admin } from '../database/generated/client.ts';
import { toId } from '../domain/id.ts';
import { ADMIN_ROLES, type AdminRole } from '../domain/scope.ts';
import { COMMAND_LINE } from '../services/actor.ts';
import { createAdmin, findAdmin, listAdmins, removeAdmin } from '../services/admins.ts';
import { choiceOption, networkOption } from './arguments.ts';
import { accepted, notFound, UsageError } from './failure.ts';
import type { TableColumn } from './output.ts';
import { inSession, theNetwork } from './session.ts';

export function addAdminCommands(program: Command): void {
  const admin = program.command('admin').description('admins, the people who manage a network');
  addCreate(admin);
  addList(admin);
  addRemove(admin);
}

interface CreateOptions {
  readonly network: string;
  readonly email: string;
  readonly name: string;
  readonly role?: AdminRole;
}

function addCreate(admin: Command): void {
  admin
    .command('create')
    .description('make an admin of a network')
    .addOption(networkOption())
    .requiredOption('--email <address>', 'the e-mail address')
    .requiredOption('--name <name>', 'the name')
    .addOption(choiceOption('--role <role>', 'what the admin may do; without it the first is an owner', ADMIN_ROLES))
    .addHelpText('after', '\nExample:\n  $ gatehouse admin create --network acme --email ada@acme.test --name "Ada"')
    .action(({ network, email, name, role }: CreateOptions, command: Command) =>
      inSession(command, async (session) => {
        const { id: networkId, slug } = await theNetwork(session, network);
        const input = { email, name, role: role ?? null };
        const { admin: made } = accepted(await createAdmin(session.database, COMMAND_LINE, networkId, input));
        const id = toId('Admin', made.id);
        const text = `Made ${made.email} (${id}) an admin of ${slug}, role ${made.role}.`;
        await session.output.answer({ id, email: made.email, role: made.role }, text);
      }),
    );
}

function addList(admin: Command): void {
  admin
    .command('list')
    .description('the admins of a network')
    .addOption(networkOption())
    .action(({ network }: { network: string }, command: Command) =>
      inSession(command, async (session) => {
        const { id } = await theNetwork(session, network);
        await session.output.list(listAdmins(session.database, id), documentOf, COLUMNS);
      }),
    );
}

const COLUMNS: readonly TableColumn<Admin>[] = [
  ['ID', ({ id }) => toId('Admin', id)],
  ['EMAIL', ({ email }) => email],
  ['NAME', ({ name }) => name],
  ['ROLE', ({ role }) => role],
];

function addRemove(admin: Command): void {
  admin
    .command('remove')
    .description('remove an admin: every key that acts for the admin stops at once')
    .argument('[admin]', 'the e-mail address or id')
    .addOption(networkOption())
    .option('--email <address>', 'the same, as an option')
    .option('--force', 'even the last owner')
    .addHelpText('after', '\nExample:\n  $ gatehouse admin remove --network acme ada@acme.test')
    .action((argument: string | undefined, options: RemoveOptions, command: Command) => {
      const reference = argument ?? options.email;
      if (reference === undefined) throw new UsageError('say which admin, by e-mail address or id');
      return inSession(command, async (session) => {
        const { database, output } = session;
        const { id: networkId, slug } = await theNetwork(session, options.network);
        const found = await findAdmin(database, networkId, reference);
        if (found === null) throw notFound(`${slug} has no admin ${reference}`, 'admin');
        const force = options.force === true;
        const { admin: removed } = accepted(await removeAdmin(database, COMMAND_LINE, networkId, found.id, { force }));
        const document = { ...documentOf(removed), removedAt: removed.removedAt?.toISOString() ?? null };
        await output.answer(
          document,
          `Removed ${removed.email} from ${slug}, with every key that acted for this admin.`,
        );
      });
    });
}

interface RemoveOptions {
  readonly network: string;
  readonly email?: string;
  readonly force?: boolean;
}

function documentOf(admin: Admin): Record<string, string | null> {
  const { email, name, role, createdAt } = admin;
  return { id: toId('Admin', admin.id), email, name, role, createdAt: createdAt.toISOString() };
}
