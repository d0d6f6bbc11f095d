/** `gatehouse key update | rotate | end-overlap` */
import { type Command, Option } from 'commander';
import { toId } from '../domain/id.ts';
import { COMMAND_LINE } from '../services/actor.ts';
import { endOverlap, rotateApiKey } from '../services/api-keys/rotate.ts';
import { updateApiKey } from '../services/api-keys/update.ts';
import { addresses, expiryOptions, lapseMs, networkOption, scopes } from './arguments.ts';
import { accepted, UsageError } from './failure.ts';
import { documentOf, expiryOf, theKey } from './key-reference.ts';
import { inSession, theNetwork } from './session.ts';

export function addChangeCommands(key: Command): void {
  addUpdate(key);
  addRotate(key);
  addEndOverlap(key);
}

interface UpdateOptions {
  readonly network: string;
  readonly name?: string;
  readonly note?: string;
  readonly scope?: readonly string[];
  readonly allow?: readonly string[];
  readonly allowAll?: true;
  readonly expiresIn?: number;
  readonly expiresAt?: Date;
  /** Commander's way with `--no-…`: false where that was given. */
  readonly expiry: boolean;
}

function addUpdate(key: Command): void {
  const update = key
    .command('update')
    .description('change a key that works; what is left out stays')
    .argument('<id>', "the key's id")
    .addOption(networkOption())
    .option('--name <name>', 'a new name')
    .option('--note <note>', 'a new note; an empty one takes it away')
    .option('--scope <scope>', 'all that it may do from now on; repeat it, or part several by commas', scopes)
    .option('--allow <address>', 'all from where it may be used, such as 203.0.113.0/24; repeat it', addresses)
    .addOption(new Option('--allow-all', 'it may be used from everywhere').conflicts('allow'))
    .addOption(new Option('--no-expiry', 'it does not expire').conflicts(['expiresIn', 'expiresAt']));
  for (const option of expiryOptions()) update.addOption(option);
  update
    .addHelpText(
      'after',
      '\nExample:\n  $ gatehouse key update --network acme key_… --scope members:read --expires-in 90d',
    )
    .action((id: string, options: UpdateOptions, command: Command) =>
      inSession(command, async (session) => {
        const { allow, allowAll, expiry, name, note, scope } = options;
        const changes = {
          name,
          note,
          scopes: scope,
          allowedAddresses: allowAll === true ? [] : allow,
          expiresAt: expiry ? await expiryOf(session.database, options) : null,
        };
        if (Object.values(changes).every((value) => value === undefined))
          throw new UsageError('say what to change (--help lists it)');
        const found = await theKey(session, await theNetwork(session, options.network), id);
        const { database } = session;
        const { apiKey } = accepted(await updateApiKey(database, COMMAND_LINE, found.networkId, found.id, changes));
        await session.output.answer(documentOf(apiKey), `The key ${apiKey.name} is up to date.`);
      }),
    );
}

function addRotate(key: Command): void {
  key
    .command('rotate')
    .description('give a key a new token, shown this once; the old one still works for a while')
    .argument('<id>', "the key's id")
    .addOption(networkOption())
    .requiredOption('--overlap <time>', 'how long the old token still works: 0, or such as 24h, at most 7d', lapseMs)
    .addHelpText('after', ROTATE_HELP)
    .action((id: string, { network, overlap }: { network: string; overlap: number }, command: Command) =>
      inSession(command, async (session) => {
        const found = await theKey(session, await theNetwork(session, network), id);
        const { networkId } = found;
        const made = accepted(await rotateApiKey(session.database, COMMAND_LINE, networkId, found.id, overlap / 1_000));
        const { name } = made.apiKey;
        const document = { id: toId('ApiKey', found.id), name, token: made.token, overlapSeconds: overlap / 1_000 };
        await session.output.answer(document, made.token);
        const old =
          overlap === 0 ? 'The old one has ended' : `The old one works for another ${overlap / 1_000} seconds`;
        session.output.note(`Key ${name} has a new token, which is not shown again. ${old}.`);
      }),
    );
}

const ROTATE_HELP = `
Only the new token is printed on standard output. \`key show\` says whether the old one is still in use:
  $ TOKEN=$(gatehouse key rotate --network acme key_… --overlap 24h)
  $ gatehouse key end-overlap --network acme key_…`;

function addEndOverlap(key: Command): void {
  key
    .command('end-overlap')
    .description('end the token that still works after a rotation')
    .argument('<id>', "the key's id")
    .addOption(networkOption())
    .action((id: string, { network }: { network: string }, command: Command) =>
      inSession(command, async (session) => {
        const found = await theKey(session, await theNetwork(session, network), id);
        const { networkId } = found;
        const { apiKey } = accepted(await endOverlap(session.database, COMMAND_LINE, networkId, found.id));
        await session.output.answer(documentOf(apiKey), `The key ${apiKey.name} has one token, its newest.`);
      }),
    );
}
